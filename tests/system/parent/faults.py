# SPDX-License-Identifier: MIT
"""A fault of the hypervisor itself ends in a readable report, and the machine stays halted."""

import re
import subprocess
import time

from lib.machine import Failure
from lib.parent import Plan
from system.parent import GROUP
from system.parent.boot import expect

# A machine check is the one exception that QEMU can raise from outside. It goes to whatever runs,
# so the machine is stopped at a moment when the hypervisor itself does, in its idle wait.
MACHINE_CHECK = "mce 0 9 0xbd80000000000134 0x5 0x12345000 0x8c"


def monitor(machine, line):
    return machine.qmp("human-monitor-command", **{"command-line": line})


def idle_wait(machine):
    """The addresses of the idle wait, where a back-trace leads to the run loop."""
    image = (machine.folder / "bulkhead32.elf").resolve().with_name("bulkhead.elf")
    listing = subprocess.run(["nm", str(image)], check=True, capture_output=True, text=True).stdout
    symbols = {name: int(address, 16) for address, _, name in map(str.split, listing.splitlines())}
    return range(symbols["idle_begin"], symbols["idle_end"] + 1)


def stop_when_idle(machine):
    wait = idle_wait(machine)
    for _ in range(200):
        machine.qmp("stop")
        rip = int(re.search(r"RIP=([0-9a-f]+)", monitor(machine, "info registers")).group(1), 16)
        if rip in wait:
            return
        machine.qmp("cont")
        time.sleep(0.05)
    raise Failure("the first processor was never seen in the hypervisor's idle wait")


fault = GROUP.scenario("fault", Plan(cpus=2), needs=("hv",))


@fault.check("report")
def _(machine):
    """Registers and a back-trace with the names of functions."""
    stop_when_idle(machine)
    monitor(machine, MACHINE_CHECK)
    machine.qmp("cont")
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
