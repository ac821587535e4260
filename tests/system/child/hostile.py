# SPDX-License-Identifier: MIT
"""A guest that means harm stops itself at most: tests/system/guest/kernel/hostile.c.

It runs beside a healthy guest and a working parent. Each of its ends (triple faults and the like) is
followed by another start with the next seed; the seeds are printed, and one of them alone runs with

    BULKHEAD_HOSTILE_SEED=N BULKHEAD_HOSTILE_SECONDS=10 tests/run system hostile

Every second life has two VPs.
"""

import os
import re
import time

from lib.child import Child, Guest
from lib.parent import variant
from system.child import GROUP
from system.child.device import memory as owners
from system.child.guests import healthy, nothing_left, plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

SECONDS = int(os.environ.get("BULKHEAD_HOSTILE_SECONDS", "20"))
SEED = int(os.environ.get("BULKHEAD_HOSTILE_SEED", "20261121"))
SILENT_SECONDS = 5     # a guest that does nothing for so long hangs, by its own doing
MEMORY = 64            # MiB of a hostile guest
ACTS = 1000            # with fewer in all the test shows nothing: it goes on
PATIENCE_SECONDS = 240 # but not for so long
WORK = "pattern 7 3000000 | sha256sum"

hostile = GROUP.scenario("hostile", variant(plan(2), limit=600 + 2 * SECONDS),
                         needs=("hv",))
kept = {}


@hostile.check("neighbour")
def _(machine):
    load_driver(machine)
    Child(machine, 1, Guest("/guest/pvh64", "", "", memory=MEMORY)).start()
    machine.ask("until test -s /tmp/child1/status; do usleep 50000; done", 60)
    kept["owners"] = owners(machine)
    child = kept["neighbour"] = Child(machine, 1, Guest()).boot()
    child.ask(f"(while true; do {WORK} >>/tmp/sums; done) & true")


def acts_of(child):
    """How many acts the guest has told of."""
    child.fetch()
    told = re.findall(r"^acts (0x[0-9a-f]+)$", child.text, re.MULTILINE)
    return int(told[-1], 16) if told else 0


def live(machine, seed, until):
    """One life of the hostile guest; returns how many acts it did, and how it ended."""
    child = Child(machine, 2, Guest("/guest/hostile", "", f"seed={seed}", vps=1 + seed % 2,
                                    memory=MEMORY))
    child.start()
    changed, acts = time.monotonic(), 0
    while time.monotonic() < until and time.monotonic() - changed < SILENT_SECONDS:
        if machine.run(f"test -s {child.files}/status")[0] == 0:
            break
        told = acts_of(child)
        if told != acts:
            changed, acts = time.monotonic(), told
        time.sleep(0.2)
    expect(child.stop() in (0, 1), f"seed {seed}: the worker was killed: {child.log()}")
    end = child.events("state")[-1]
    return acts_of(child), end.get("message", end["reason"])


@hostile.check("attack")
def _(machine):
    began = time.monotonic()
    acts, seed = 0, SEED
    while acts < ACTS or time.monotonic() - began < SECONDS:
        expect(time.monotonic() - began < SECONDS + PATIENCE_SECONDS,
               f"only {acts} acts by seeds {SEED} to {seed - 1}")
        done, end = live(machine, seed, max(began + SECONDS, time.monotonic() + SILENT_SECONDS))
        print(f"hostile: seed {seed}: {done} acts, {end}", flush=True)
        acts, seed = acts + done, seed + 1


@hostile.check("neighbour-lives")
def _(machine):
    """The neighbour went on and made no mistake; so did the parent."""
    child = kept["neighbour"]
    before = int(child.ask("wc -l </tmp/sums"))
    child.ask(f"until test $(wc -l </tmp/sums) -gt {before}; do usleep 100000; done", 120)
    sums = child.ask("sort -u /tmp/sums").splitlines()
    expect(sums == [machine.ask(WORK)], f"after {before} rounds: {sums}")
    healthy(child)
    bad = machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )'; true")
    expect(bad == "", f"the parent's kernel says: {bad}")
    expect("fatal" not in machine.log(), "the hypervisor speaks of a fault of its own")


@hostile.check("accounting")
def _(machine):
    """Every page is where it was before the guests."""
    expect(kept["neighbour"].stop() == 0, f"the neighbour's worker failed: {kept['neighbour'].log()}")
    nothing_left(machine)
    after = owners(machine)
    expect(after == kept["owners"], f"before {kept['owners']}, after {after}")
