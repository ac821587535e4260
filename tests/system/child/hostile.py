# SPDX-License-Identifier: MIT
"""A guest that means harm stops itself at most: tests/system/guest/kernel/hostile.c.

It runs for a bounded time beside a healthy guest and a working parent, with two VPs on two LPs; each
of its ends (triple faults and the like) is followed by another start with the next seed.
"""

import re
import time

from lib.child import Child, Guest
from lib.machine import Failure
from system.child import GROUP
from system.child.guests import healthy, nothing_left, plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

SECONDS = 25
LIFE_SECONDS = 5       # a guest that is silent so long hangs, by its own doing
SEED = 20261121
ACTS = 1000            # fewer than that in all, and the test shows nothing
WORK = "pattern 7 3000000 | sha256sum"

hostile = GROUP.scenario("hostile", plan(2), needs=("hv",))
neighbour = {}


@hostile.check("neighbour")
def _(machine):
    load_driver(machine)
    child = neighbour[0] = Child(machine, 1, Guest()).boot()
    child.ask(f"(while true; do {WORK} >>/tmp/sums; done) & true")


def live(machine, seed, until):
    """One life of the hostile guest; returns how many acts it did, and how it ended."""
    child = Child(machine, 2, Guest("/guest/hostile", "", f"seed={seed}", vps=2, memory=64))
    child.start()
    changed, acts = time.monotonic(), 0
    while time.monotonic() < until and time.monotonic() - changed < LIFE_SECONDS:
        if machine.run(f"test -s {child.files}/status")[0] == 0:
            break
        child.fetch()
        told = [int(number, 16) for number in re.findall(r"^acts (0x[0-9a-f]+)$", child.text,
                                                         re.MULTILINE)]
        if told and told[-1] != acts:
            changed, acts = time.monotonic(), told[-1]
        time.sleep(0.2)
    child.stop()
    end = child.events("state")[-1]
    return acts, end.get("message", end["reason"])


@hostile.check("attack")
def _(machine):
    until = time.monotonic() + SECONDS
    acts, ends, seed = 0, [], SEED
    while time.monotonic() < until:
        done, end = live(machine, seed, until)
        acts += done
        ends.append(f"{seed}: {done} acts, {end}")
        seed += 1
    print(f"hostile: {acts} acts, seeds {SEED} to {seed - 1}", flush=True)
    expect(acts > ACTS, f"only {acts} acts: {ends}")


@hostile.check("neighbour-lives")
def _(machine):
    """The neighbour went on and made no mistake; so did the parent."""
    child = neighbour[0]
    before = int(child.ask("wc -l </tmp/sums"))
    child.ask(f"until test $(wc -l </tmp/sums) -gt {before}; do usleep 100000; done", 60)
    sums = child.ask("sort -u /tmp/sums").splitlines()
    expect(before > 0 and sums == [machine.ask(WORK)], f"after {before} rounds: {sums}")
    healthy(child)
    bad = machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )'; true")
    expect(bad == "", f"the parent's kernel says: {bad}")
    expect("fatal" not in machine.log(), "the hypervisor speaks of a fault of its own")


@hostile.check("accounting")
def _(machine):
    expect(neighbour[0].stop() == 0, f"the neighbour's worker failed: {neighbour[0].log()}")
    nothing_left(machine)
