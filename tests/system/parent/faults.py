# SPDX-License-Identifier: MIT
"""A fault of the hypervisor itself ends in a readable report, and the machine stays halted."""

import re

from lib.parent import Plan
from system.parent import GROUP
from system.parent.boot import expect

# A machine check is the one exception that QEMU can raise from outside. While the parent's
# processors idle it meets the hypervisor, whose own handler reports it.
MACHINE_CHECK = "mce 0 9 0xbd80000000000134 0x5 0x12345000 0x8c"

fault = GROUP.scenario("fault", Plan(cpus=2), needs=("hv",))


@fault.check("report")
def _(machine):
    """Registers and a back-trace with the names of functions."""
    machine.ask("sleep 1")
    machine.tell("sleep 100")
    machine.qmp("human-monitor-command", **{"command-line": MACHINE_CHECK})
    machine.expect_log(r"^bulkhead: fatal: .*machine check", 30)
    machine.expect_log(r"^bulkhead: rip [0-9a-f]{16} rsp [0-9a-f]{16}", 10)
    machine.expect_log(r"^bulkhead: back-trace:", 10)
    machine.expect_log(r"^bulkhead:   [0-9a-f]{16} idle_\w+\+0x[0-9a-f]+", 10)
    machine.expect_log(r"^bulkhead:   [0-9a-f]{16} run_loop\+0x[0-9a-f]+", 10)


@fault.check("halts")
def _(machine):
    """Nothing runs after it, and nothing starts anew."""
    banners = len(re.findall(r"^bulkhead: Bulkhead ", machine.log(), re.MULTILINE))
    expect(banners == 1, f"the hypervisor started {banners} times")
    expect(machine.process.poll() is None, "the machine ended")
