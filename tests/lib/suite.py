# SPDX-License-Identifier: MIT
"""Tests on machines: how they are declared, chosen, run and reported.

A Group holds single tests and scenarios. A single test starts what it needs by itself. A scenario
boots one machine and runs several checks in it, each a result of its own: the boot is its first.
Each result is a line; the caller adds them up.
"""

import os
import re
import shutil
import subprocess
import time
import traceback
from dataclasses import dataclass

from lib import parent
from lib.machine import Failure


class Skip(Exception):
    """The test can not say anything here; the text is the reason."""


class Check:
    def __init__(self, name, function, needs):
        self.name = name
        self.function = function
        self.needs = needs


class Scenario:
    """One boot, many checks. The checks get the running machine."""

    def __init__(self, name, plan, needs):
        self.name = name
        self.plan = plan
        self.needs = needs
        self.checks = []

    def check(self, name, needs=()):
        def register(function):
            self.checks.append(Check(f"{self.name}.{name}", function, needs))
            return function
        return register

    def names(self):
        return [f"{self.name}.boot"] + [check.name for check in self.checks]


class Single:
    """A test that starts its own machines; it gets the site and its folder's name."""

    def __init__(self, name, function, needs):
        self.name = name
        self.function = function
        self.needs = needs

    def names(self):
        return [self.name]


class Group:
    """A named list of tests. `needs` may hold "hv": not run in bare mode; "long": run only with
    BULKHEAD_LONG=1. in_order: they share files, so that none runs beside another. alone: nothing
    else may run beside them."""

    def __init__(self, name, in_order=False, alone=False):
        self.name = name
        self.in_order = in_order
        self.alone = alone
        self.items = []

    def scenario(self, name, plan, needs=()):
        scenario = Scenario(name, plan, needs)
        self.items.append(scenario)
        return scenario

    def test(self, name, needs=("hv",)):
        def register(function):
            self.items.append(Single(name, function, needs))
            return function
        return register


@dataclass
class Counts:
    """How many results there are of each kind."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


class Reporter:
    """Prints a line per result and counts."""

    def __init__(self, site):
        self.site = site
        self.counts = Counts()

    def ok(self, name, seconds):
        self.counts.passed += 1
        print(f"ok {name} ({seconds:.0f} s)", flush=True)

    def fail(self, name, reason, folder=None):
        self.counts.failed += 1
        reason = re.sub(r"\s+", " ", str(reason)).strip()
        where = f", log in {folder.relative_to(self.site.top)}" if folder else ""
        print(f"FAILED {name}: {reason}{where}", flush=True)

    def skip(self, name, reason):
        self.counts.skipped += 1
        print(f"skipped {name}: {reason}", flush=True)


def missing(site, needs):
    """Why a test can not run on this site, or None."""
    if "hv" in needs and site.bare:
        return "needs the hypervisor, and this run is bare"
    if "long" in needs and not os.environ.get("BULKHEAD_LONG"):
        return "takes minutes, so it runs on request only: BULKHEAD_LONG=1"
    return None


def attempt(report, name, folder, function, *arguments):
    """Runs one test function and reports it; True when it did not fail."""
    began = time.monotonic()
    try:
        function(*arguments)
    except Skip as skip:
        report.skip(name, skip)
        return True
    except Failure as failure:
        report.fail(name, failure, folder)
        return False
    except Exception:  # a defect of the test itself must not end the run
        with open(folder / "traceback.log", "a") as file:
            traceback.print_exc(file=file)
        report.fail(name, traceback.format_exc().splitlines()[-1], folder)
        return False
    report.ok(name, time.monotonic() - began)
    return True


def answers(machine):
    """False when the parent no longer runs commands."""
    try:
        return machine.process.poll() is None and machine.run("true", 30)[0] == 0
    except Failure:
        return False


def run_scenario(site, report, scenario, wanted):
    reason = missing(site, scenario.needs)
    if reason:
        for name in filter(wanted, scenario.names()):
            report.skip(name, reason)
        return
    try:
        folder = parent.prepare_folder(site, scenario.name, scenario.plan)
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        report.fail(f"{scenario.name}.boot", failure)
        return
    with parent.start(site, folder, scenario.plan) as machine:
        good = attempt(report, f"{scenario.name}.boot", folder, parent.wait_ready, machine)
        usable = good
        for check in filter(lambda check: wanted(check.name), scenario.checks):
            reason = missing(site, check.needs)
            if reason:
                report.skip(check.name, reason)
            elif not usable:
                report.fail(check.name, "the parent does not answer any more", folder)
            elif not attempt(report, check.name, folder, check.function, machine):
                good = False
                usable = answers(machine)
    parent.tidy_folder(folder, keep_logs=not good)


def run_single(site, report, single):
    reason = missing(site, single.needs)
    if reason:
        report.skip(single.name, reason)
        return
    folder = site.logs / single.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    good = attempt(report, single.name, folder, single.function, site)
    parent.tidy_folder(folder, keep_logs=not good)


def chooser(group, selected):
    """A predicate on test names: all, a scenario's, or single names."""
    def wanted(name):
        return not selected or group.name in selected or name in selected \
            or name.split(".")[0] in selected
    return wanted


def run_item(site, report, item, wanted):
    if isinstance(item, Scenario):
        run_scenario(site, report, item, wanted)
    else:
        run_single(site, report, item)
