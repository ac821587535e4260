# SPDX-License-Identifier: MIT
"""Messages and events between a child and its parent: what goes in comes out, to the last one."""

import re

from lib.parent import Plan
from system.child import GROUP
from system.child.device import memory
from system.parent.boot import expect
from system.parent.isolation import load_driver

INVALID_PARAMETER = 5
INVALID_CONNECTION = 0x12
MESSAGES = 5000
PORTS, SIGNALS = 300, 6000
REMOVALS = 100
STORES = 500


def register(cpus):
    scenario = GROUP.scenario(f"ports-{cpus}", Plan(cpus=cpus), needs=("hv",))

    def ask(machine, command, seconds=120):
        load_driver(machine)
        return machine.ask(f"ports {command}", seconds).strip()

    @scenario.check("messages")
    def _(machine):
        """In order and whole while they are read, and refused without a loss while they are not."""
        said = ask(machine, f"messages {MESSAGES}")
        expect(said == f"posted {MESSAGES} status 0 closed {INVALID_CONNECTION}", said)
        said = ask(machine, f"full {MESSAGES}")
        expect(said == f"posted {MESSAGES} status 0 held 64 closed {INVALID_CONNECTION}", said)

    @scenario.check("events")
    def _(machine):
        """Each signal of each port is counted by its own eventfd."""
        said = ask(machine, f"events {PORTS} {SIGNALS}")
        expect(said == f"signaled {SIGNALS} right {PORTS} of {PORTS} flag 1 {INVALID_PARAMETER} heard 0 "
               f"closed {INVALID_CONNECTION}", said)

    @scenario.check("removal-under-load")
    def _(machine):
        """What the child was told is signaled was seen, while its port comes and goes."""
        said = ask(machine, f"removal {REMOVALS}")
        found = re.fullmatch(
            rf"opened {REMOVALS} signaled (\d+) seen (\d+) missed (\d+) wrong 0", said)
        expect(found and found[1] == found[2] and int(found[3]) > 0, said)

    @scenario.check("to-the-child")
    def _(machine):
        """Messages wait for their slot and for room; event flags interrupt."""
        said = ask(machine, f"replies {MESSAGES}")
        expect(said == f"received {MESSAGES} wrong 0 waited for room", said)
        said = ask(machine, "flags 100")
        expect(said.startswith("answered 500 others 0 interrupts "), said)

    @scenario.check("irqfd")
    def _(machine):
        """Interrupts by eventfd through the routing table, edge and level."""
        said = ask(machine, "interrupts 300")
        expect(said == "edge 300 level 300 ends 300 interrupts 600", said)

    @scenario.check("routes")
    def _(machine):
        """Several routes, what no table may hold, and none lost while one table follows the other."""
        said = ask(machine, "routes 300")
        expect(said == "by route 300 302 302 meanwhile 300 at last 1 others 0 interrupts 1205", said)

    @scenario.check("doorbells")
    def _(machine):
        """A store with an ioeventfd stops nobody; without, each one comes to the program."""
        said = ask(machine, f"doorbell {STORES}")
        expect(said == f"with: rung {STORES} returns 1 five {STORES} seven {STORES} "
               f"other returns {STORES + 1} without: rung 0 returns {STORES + 1}", said)

    @scenario.check("kill")
    def _(machine):
        """SIGKILL amid traffic leaves no page behind."""
        load_driver(machine)
        machine.ask("child cycle 1", 60)
        before = memory(machine)
        machine.ask("for i in 1 2 3; do ports forever & sleep 2; kill -9 $!; wait $!; done; true",
                    60)
        after = memory(machine)
        expect(before == after, f"before {before}, after {after}")
        faults = machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )'; true")
        expect(faults.strip() == "", f"the kernel says: {faults}")


for count in (1, 2):
    register(count)
