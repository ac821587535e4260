# SPDX-License-Identifier: MIT
"""Boots by each path with 1, 2 and 4 processors, and what the kernel then says of its machine."""

import re
import time

from lib.machine import Failure
from lib.parent import PATHS, Plan
from system.parent import GROUP


def expect(condition, reason):
    if not condition:
        raise Failure(reason)


def names_hyperv(machine):
    """The kernel runs as an ordinary enlightened guest, not as Microsoft's root partition."""
    log = machine.ask("dmesg")
    expect("Hypervisor detected: Microsoft Hyper-V" in log, "the kernel log does not name Hyper-V")
    expect("root partition" not in log, "the kernel log speaks of a root partition")


def processors_online(machine, count):
    online = int(machine.ask("nproc"))
    expect(online == count, f"{online} processors are online, not {count}")
    ran = machine.ask("for cpu in $(seq 0 %d); do taskset -c $cpu sh -c 'echo ran'; done"
                      % (count - 1))
    expect(ran.split() == ["ran"] * count, f"not every processor ran a program: {ran!r}")


def clocksource(machine):
    current = machine.ask("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    expect(current == "hyperv_clocksource_tsc_page", f"the clock source is {current}")


def timer_interrupts(machine, row):
    """Sum of the row over all processors in /proc/interrupts; 0 when the row is not there."""
    table = machine.ask("cat /proc/interrupts")
    match = re.search(rf"^\s*{row}:((?:\s+\d+)+)", table, re.MULTILINE)
    return [int(number) for number in match.group(1).split()] if match else []


def synthetic_timers(machine, count):
    """Every processor's tick comes from its synthetic timer."""
    for cpu in range(count):
        device = machine.ask(f"cat /sys/devices/system/clockevents/clockevent{cpu}/current_device")
        expect(device == "Hyper-V clockevent", f"processor {cpu} ticks by {device}")
    before = timer_interrupts(machine, "HVS")
    machine.ask("for cpu in $(seq 0 %d); do taskset -c $cpu sleep 0.3; done" % (count - 1))
    after = timer_interrupts(machine, "HVS")
    expect(len(after) == count and all(a > b for a, b in zip(after, before)),
           f"synthetic timer interrupts went from {before} to {after}")


def clock_rate(machine):
    """A second of the parent is a second outside; each reading lies between two of ours."""
    def read():
        before = time.monotonic()
        uptime = float(machine.ask("cut -d' ' -f1 /proc/uptime"))
        return before, uptime, time.monotonic()
    first_before, first, first_after = read()
    time.sleep(5)
    second_before, second, second_after = read()
    least, most = second_before - first_after, second_after - first_before
    expect(0.98 * least - 0.02 <= second - first <= 1.02 * most + 0.02,
           f"{second - first:.2f} s passed in the parent, {least:.2f} to {most:.2f} s outside")


def healthy(machine):
    """Nothing in the kernel log that a sound machine does not cause."""
    log = machine.ask("dmesg")
    bad = re.search(r"^.*(BUG:|WARNING:|\bOops\b|unchecked MSR|\bstall|soft lockup|not responding|"
                    r"call trace:|Kernel panic|Lost interrupt).*$", log, re.MULTILINE | re.I)
    expect(not bad, f"the kernel log holds: {bad.group(0) if bad else ''}")


def register(path, cpus):
    boot = GROUP.scenario(f"boot-{path}-{cpus}", Plan(path=path, cpus=cpus))
    boot.check("names-hyperv", needs=("hv",))(names_hyperv)
    boot.check("processors")(lambda machine: processors_online(machine, cpus))
    boot.check("clocksource", needs=("hv",))(clocksource)
    boot.check("synthetic-timers", needs=("hv",))(lambda machine: synthetic_timers(machine, cpus))
    boot.check("clock-rate")(clock_rate)
    boot.check("kernel-log")(healthy)


for _path in PATHS:
    for _cpus in (1, 2, 4):
        register(_path, _cpus)
