# SPDX-License-Identifier: MIT
"""The parent can not reach the hypervisor's memory, and its crash reaches the hypervisor's log."""

import json
import re

from lib.parent import Plan
from system.parent import GROUP
from system.parent.boot import expect

PAGE = 4096

isolation = GROUP.scenario("isolation", Plan(cpus=2), needs=("hv",))


def load_driver(machine):
    if machine.run("test -e /dev/bulkhead")[0] != 0:
        machine.ask("insmod /lib/bulkhead.ko")


def hypervisor_ranges(machine):
    """(base, size) of the hypervisor's image and memory pool, as bhstat tells them."""
    load_driver(machine)
    info = json.loads(machine.ask("bhstat --json"))["hypervisor"]
    ranges = [(info[f"{what}_base"], info[f"{what}_bytes"]) for what in ("image", "memory")]
    for base, size in ranges:
        expect(base % PAGE == 0 and size >= PAGE, f"bhstat names no range: {base:#x} {size:#x}")
    return ranges


@isolation.check("memory-map")
def _(machine):
    """No range that the kernel takes for RAM touches the hypervisor's."""
    ram = [(int(low, 16), int(high, 16) + 1) for low, high in re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", machine.ask("cat /proc/iomem"), re.MULTILINE)]
    expect(ram, "/proc/iomem names no RAM")
    for base, size in hypervisor_ranges(machine):
        for low, high in ram:
            expect(base + size <= low or high <= base,
                   f"RAM {low:#x}-{high:#x} overlaps the hypervisor's {base:#x}+{size:#x}")


@isolation.check("dev-mem")
def _(machine):
    """read() and mmap() of /dev/mem give nothing of it."""
    for base, size in hypervisor_ranges(machine):
        result = machine.ask(f"memprobe {base:#x} {size:#x}", 300)
        expect(result.endswith(" read 0 mapped_read 0 mapped_write 0"),
               f"{base:#x}+{size:#x}: {result}")
        expect(result.startswith(f"pages {-(-size // PAGE)} "), f"not all pages tried: {result}")


@isolation.check("page-tables")
def _(machine):
    """Page-table entries of a hostile parent kernel reach nothing of it either."""
    for base, size in hypervisor_ranges(machine):
        machine.ask("dmesg -c >/dev/null")
        machine.run(f"insmod /lib/probe.ko base={base} size={size}", 300)
        said = re.search(r"probe: (pages .*)", machine.ask("dmesg"))
        expect(said and said.group(1).startswith(f"pages {-(-size // PAGE)} "),
               "the module did not try all pages")
        expect(said.group(1).endswith(" read 0 written 0"), f"{base:#x}+{size:#x}: {said.group(1)}")


@isolation.check("both-live-on")
def _(machine):
    hypervisor_ranges(machine)
    machine.ask("pattern 3 1000000 | sha256sum")


@isolation.check("crash-report")
def _(machine):
    """The parent's panic reaches the hypervisor's log, with the five crash parameters."""
    machine.tell("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
    line = machine.expect_log(r"^bulkhead: .*crash.*$", 60).group(0)
    numbers = re.findall(r"\b(?:0x)?[0-9a-f]+\b", line.lower().split("crash", 1)[1])
    expect(len(numbers) >= 5, f"the line has no five parameters: {line}")
    expect(any(int(number, 16) for number in numbers), f"all parameters are zero: {line}")
