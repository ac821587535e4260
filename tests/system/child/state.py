# SPDX-License-Identifier: MIT
"""State of children as the parent reads and writes it: what only a machine shows."""

from lib.parent import Plan
from system.child import GROUP
from system.parent.boot import expect
from system.parent.isolation import load_driver

ANSWERS = {
    "registers": "registers good",
    "blobs": "blobs good",
    "leak": "leak none",
    "eoi": "eoi told",
    "dirty": "dirty exact",
    "msr": "msr answered",
    "cpuid": "cpuid answered",
    "exceptions": "exceptions seen",
    "calls": "calls answered",
}


def register(cpus):
    scenario = GROUP.scenario(f"state-{cpus}", Plan(cpus=cpus), needs=("hv",))
    for test, answer in ANSWERS.items():

        @scenario.check(test)
        def _(machine, test=test, answer=answer):
            """As tests/system/guest/state says."""
            load_driver(machine)
            said = machine.ask(f"child_state {test}", 60).strip()
            expect(said == answer, said)


for count in (1, 2):
    register(count)
