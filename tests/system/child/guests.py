# SPDX-License-Identifier: MIT
"""Debian's kernels, unmodified, as children: two kernels, 1 to 4 VPs, 1 and 2 LPs; matrix.py has the other combinations."""

import re

from lib.child import Child, Guest
from lib.parent import Plan
from system.child import GROUP, sandbox
from system.child.device import memory as owners
from system.parent.boot import expect
from system.parent.isolation import load_driver

# Lines of a guest's kernel log that a sound machine does not cause.
UNSOUND = ("BUG:|WARNING:|Oops:|unchecked MSR|rcu.*stall|soft lockup|not responding|call trace:|"
           "Kernel panic|Lost interrupt")
ENLIGHTENMENTS = ("Hypervisor detected: Microsoft Hyper-V", "Hyper-V: Using IPI hypercalls",
                  "Hyper-V: Using hypercall for remote TLB flush",
                  "clocksource: Switched to clocksource hyperv_clocksource_tsc_page")
FLUSH_ROUNDS = 200
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


def plan(cpus, memory=1536):
    """A parent whose RAM disk holds the worker and what it boots."""
    return Plan(cpus=cpus, memory=memory, initrd="children.img")


def healthy(child):
    """Searched in the guest, as each byte of its console costs an exit."""
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def enlightened(child):
    """The kernel knows where it runs and uses what it is offered."""
    log = child.ask("dmesg | grep -E 'Hyper-V|clocksource: Sw|root partition'")
    for line in ENLIGHTENMENTS:
        expect(line in log, f"the guest's kernel log does not say {line!r}")
    expect("root partition" not in log, "the kernel log speaks of a root partition")
    source = child.ask(f"cat {CLOCK_SOURCE}")
    expect(source == "hyperv_clocksource_tsc_page", f"the clock source is {source}")


def processors(child):
    """All VPs are up, each runs a program, and each one's tick comes from its synthetic timer."""
    count = child.guest.vps
    all_vps = f"for cpu in $(seq 0 {count - 1})"
    expect(child.ask("nproc") == str(count), "not all processors are up")
    before = synthetic_timers(child)
    ran = child.ask(f"{all_vps}; do taskset -c $cpu sh -c 'sleep 0.3; echo ran'; done", 120)
    expect(ran.split() == ["ran"] * count, f"not every processor ran a program: {ran!r}")
    after = synthetic_timers(child)
    expect(len(after) == count and all(a > b for a, b in zip(after, before)),
           f"synthetic timer interrupts went from {before} to {after}")


def synthetic_timers(child):
    row = re.search(r"HVS:((?:\s+\d+)+)", child.ask("grep HVS /proc/interrupts"))
    return [int(number) for number in row.group(1).split()] if row else []


def nothing_left(machine):
    left = owners(machine)
    expect(left["deposited"] == 0 and left["shared"] == 0, f"left behind: {left}")


def kernel_offset(child):
    """By how much the kernel's addresses are moved."""
    text = child.ask("grep -w _text /proc/kallsyms")
    return int(text.split()[0], 16) - 0xffffffff81000000


def register(scenario, name, number, guest):
    """One guest from its start to its end; the checks go on with what the one before left."""
    children = {}

    @scenario.check(f"{name}.boot")
    def _(machine):
        load_driver(machine)
        children[0] = Child(machine, number, guest).boot()

    @scenario.check(f"{name}.enlightened")
    def _(_machine):
        enlightened(children[0])

    @scenario.check(f"{name}.processors")
    def _(_machine):
        processors(children[0])

    @scenario.check(f"{name}.kernel-log")
    def _(_machine):
        healthy(children[0])

    return children


one = GROUP.scenario("guests-1", plan(1), needs=("hv",))
two = GROUP.scenario("guests-2", plan(2), needs=("hv",))
small = register(one, "cloud-1", 1, Guest("/guest/cloud", vps=1))


@one.check("cloud-1.unpacked")
def _(machine):
    """It came from the cache, which holds its kernel once, and not from where it is linked."""
    names = machine.ask("ls /var/cache/bulkhead").split()
    expect(len(names) == 2 and len([name for name in names if name[0] != "@"]) == 1,
           f"the cache holds {names}")
    expect("nokaslr" not in small[0].guest.options and kernel_offset(small[0]) != 0,
           "the kernel lies where it is linked")


@one.check("cloud-1.reboot")
def _(_machine):
    """The guest reboots; its worker lives on and says so."""
    child = small[0]
    pid = child.pid()
    before = kernel_offset(child)
    child.tell("reboot -f")
    child.wait_ready()
    expect(kernel_offset(child) != before, "the kernel lies where it lay before")
    status = child.control("status")
    expect(status["state"] == "running" and status["reason"] == "guest_reset" and
           status["resets"] == 1 and status["pid"] == pid, f"after a reboot: {status}")


@one.check("cloud-1.power-off")
def _(_machine):
    child = small[0]
    child.tell("poweroff -f")
    expect(child.wait_exit(60) == 0, f"the worker failed: {child.log()}")
    last = child.events("state")[-1]
    expect((last["state"], last["reason"]) == ("stopped", "guest_power_off"), f"last: {last}")


pair = register(one, "generic-2", 2, Guest("/guest/generic", vps=2, memory=192))


@one.check("generic-2.panic")
def _(_machine):
    """A panic's crash registers reach the control socket; the worker ends as the policy says."""
    child = pair[0]
    child.tell("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
    expect(child.wait_exit(60) == 0, f"the worker failed: {child.log()}")
    crashes = child.events("guest_crash")
    expect(len(crashes) == 1, f"crash events: {crashes}")
    numbers = [int(number, 16) for number in crashes[0]["parameters"]]
    expect(len(numbers) == 5 and any(numbers), f"crash parameters: {numbers}")
    last = child.events("state")[-1]
    expect((last["state"], last["reason"]) == ("stopped", "guest_crash"), f"last: {last}")


legacy = register(one, "xapic-2", 1, Guest("/guest/cloud", vps=2,
                                           options=f"{Guest.options} nox2apic"))


@one.check("xapic-2.mode")
def _(_machine):
    """It uses its local APICs through their registers in memory."""
    child = legacy[0]
    said = child.ask("dmesg | grep -i x2apic; true")
    expect("x2apic disabled" in said.lower(), f"the guest's kernel log says {said!r}")
    expect(child.stop() == 0, f"the worker failed: {child.log()}")


@one.check("accounting")
def _(machine):
    """All pages of the guests are back with the parent."""
    nothing_left(machine)


big = register(two, "generic-4", 1, Guest("/guest/generic", vps=4, memory=224))


@two.check("generic-4.sandbox")
def _(_machine):
    sandbox.locked_in(big[0])


@two.check("generic-4.files")
def _(_machine):
    sandbox.only_own_files(big[0])


@two.check("generic-4.stop")
def _(_machine):
    expect(big[0].stop() == 0, f"the worker failed: {big[0].log()}")


spread = register(two, "cloud-2", 2, Guest("/guest/cloud", vps=2))


def shootdowns(child):
    """Flushes by interrupts, of all processors."""
    return sum(map(int, re.findall(r"\d+", child.ask("grep TLB: /proc/interrupts"))))


@two.check("cloud-2.flush")
def _(_machine):
    """No processor uses a translation that another one had flushed, and flushes are hypercalls."""
    before = shootdowns(spread[0])
    said = spread[0].ask(f"flush {FLUSH_ROUNDS} 0 1; flush {FLUSH_ROUNDS} 1 0", 120)
    expect(said.split("\n") == ["lost 0"] * 2, f"flush said: {said}")
    by_interrupt = shootdowns(spread[0]) - before
    expect(by_interrupt < FLUSH_ROUNDS / 10, f"{by_interrupt} flushes went by interrupts")
