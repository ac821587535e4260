# SPDX-License-Identifier: MIT
"""Debian's two kernels with 1, 2 and 4 VPs on 1 and 2 LPs: the combinations that guests.py has not.

Minutes of boots, so on request only: BULKHEAD_LONG=1 tests/run system matrix-1 matrix-2
"""

from lib.child import Child, Guest
from system.child import GROUP
from system.child.guests import enlightened, healthy, nothing_left, plan, processors
from system.parent.boot import expect
from system.parent.isolation import load_driver

CELLS = {1: (("cloud", 2), ("cloud", 4), ("generic", 1), ("generic", 4)),
         2: (("cloud", 1), ("cloud", 4), ("generic", 1), ("generic", 2))}


def register(scenario, number, kernel, vps):
    @scenario.check(f"{kernel}-{vps}")
    def _(machine):
        """From its start to its end."""
        load_driver(machine)
        child = Child(machine, number, Guest(f"/guest/{kernel}", vps=vps, memory=224)).boot()
        for look in (enlightened, processors, healthy):
            look(child)
        expect(child.stop() == 0, f"the worker failed: {child.log()}")
        nothing_left(machine)


for cpus, cells in CELLS.items():
    SCENARIO = GROUP.scenario(f"matrix-{cpus}", plan(cpus), needs=("hv", "long"))
    for place, cell in enumerate(cells):
        register(SCENARIO, place, *cell)
