# SPDX-License-Identifier: MIT
"""Partitions made, run and taken apart by the parent, through /dev/mshv."""

import json

from lib.parent import Plan
from system.child import GROUP
from system.parent.boot import expect
from system.parent.isolation import load_driver

CYCLES = 100
FUZZ_SECONDS = 10
FUZZ_SEED = 20261121
OWNERS = ("hypervisor", "parent", "deposited", "shared", "unassigned", "pool_free")

# What each instruction of the test guest must tell: tests/system/guest/child.c.
INTERCEPTS = """
out port 3f8 size 1 access 1 rax 5a length 1 bytes 0 first 0
in port 3f8 size 1 access 0 rax 5a length 1 bytes 0 first 0
write message 80000000 gpa 8001 access 1 bytes 16 first a2
read message 80000000 gpa 8002 access 0 bytes 16 first a0
cpuid port 3f8 size 4 access 1 rax 7263694d length 2 bytes 0 first 0
hlt waits
nmi port 80 size 1 access 1 rax 7263694d length 2 bytes 0 first 0
fault message 80000021
""".split("\n")[1:-1]


def memory(machine):
    """Bytes by owner, as the hypervisor counts them."""
    found = json.loads(machine.ask("bhstat --json"))["memory"]
    return {owner: found[f"{owner}_bytes"] for owner in OWNERS}


def register(cpus):
    scenario = GROUP.scenario(f"child-{cpus}", Plan(cpus=cpus), needs=("hv",))

    @scenario.check("intercepts")
    def _(machine):
        """Ports, unmapped memory, CPUID, a halt, an NMI and a triple fault, each told right."""
        load_driver(machine)
        said = machine.ask("child intercepts", 60).splitlines()
        expect(said == INTERCEPTS, f"the guest's instructions gave {said}")

    @scenario.check("create-run-destroy")
    def _(machine):
        load_driver(machine)
        said = machine.ask(f"child cycle {CYCLES}", 300)
        expect(said.strip() == f"cycles {CYCLES}", said)

    @scenario.check("accounting")
    def _(machine):
        """Every page is back with its owner."""
        load_driver(machine)
        machine.ask("child cycle 1", 60)
        before = memory(machine)
        machine.ask("child cycle 10", 60)
        after = memory(machine)
        expect(before == after, f"before {before}, after {after}")
        expect(after["deposited"] == 0 and after["shared"] == 0, f"left behind: {after}")

    @scenario.check("hostile-requests")
    def _(machine):
        """Random ioctls, also of a killed process, break nothing and leave nothing behind."""
        load_driver(machine)
        machine.ask("child cycle 1", 60)
        before = memory(machine)
        said = machine.ask(f"mshv_fuzz {FUZZ_SECONDS} {FUZZ_SEED}", 120)
        expect(int(said.split("requests,")[0].split()[-1]) > 100, f"hardly any request: {said}")
        machine.ask(f"mshv_fuzz 60 {FUZZ_SEED + cpus} & sleep 3; kill -9 $!; wait $!; true", 60)
        after = memory(machine)
        expect(before == after, f"seed {FUZZ_SEED}: before {before}, after {after}")
        faults = machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )' ; true")
        expect(faults.strip() == "", f"seed {FUZZ_SEED}: the kernel says: {faults}")


for count in (1, 2):
    register(count)
