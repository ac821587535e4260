# SPDX-License-Identifier: MIT
"""Interrupts of every kind: hotplug, NMIs, and a storm in which each interrupt is counted."""

import re

from lib.machine import Failure
from lib.parent import Disk, Plan
from system.parent import GROUP
from system.parent.boot import expect, healthy, processors_online, timer_interrupts

CPUS = 4
STORM_SECONDS = 15
READS = 1500  # of each disk, during the storm

smp = GROUP.scenario("smp", Plan(cpus=CPUS))


def set_online(machine, cpu, online):
    machine.ask(f"echo {online} >/sys/devices/system/cpu/cpu{cpu}/online", 60)


@smp.check("hotplug")
def _(machine):
    """Each processor but the first goes and comes back, three times, and works after that."""
    for _ in range(3):
        for cpu in range(1, CPUS):
            set_online(machine, cpu, 0)
        expect(machine.ask("nproc") == "1", "processors are still online")
        for cpu in range(1, CPUS):
            set_online(machine, cpu, 1)
    processors_online(machine, CPUS)


@smp.check("nmi-from-outside")
def _(machine):
    """An NMI of the machine's NMI button reaches the kernel, which does not know its reason."""
    before = timer_interrupts(machine, "NMI")
    machine.qmp("inject-nmi")
    for _ in range(50):
        after = timer_interrupts(machine, "NMI")
        if sum(after) > sum(before):
            return
        machine.ask("sleep 0.1")
    raise Failure(f"NMI counts went from {before} to {after}")


@smp.check("nmi-between-processors")
def _(machine):
    """Every processor answers the NMI that asks it for a back-trace."""
    machine.ask("dmesg -c >/dev/null; echo 1 >/proc/sys/kernel/sysrq; echo l >/proc/sysrq-trigger",
                60)
    machine.ask("sleep 1")
    seen = set(re.findall(r"NMI backtrace for cpu (\d+)", machine.ask("dmesg")))
    expect(seen == {str(cpu) for cpu in range(CPUS)}, f"back-traces came from {sorted(seen)} only")
    machine.ask("dmesg -c >/dev/null")


smp.check("kernel-log")(healthy)


# The storm: the test module counts IPIs and timers, while all disks are read and the network moves.

LOADS = {"/dev/vda": "virtio0-", "/dev/nvme0n1": "nvme0q", "/dev/sda": r"ahci\["}


def device_interrupts(machine, name):
    """All interrupts so far of the devices whose action in /proc/interrupts matches name."""
    total = 0
    for line in machine.ask("cat /proc/interrupts").splitlines():
        if re.search(name, line):
            total += sum(int(number) for number in re.findall(r"(?<=\s)\d+(?=\s)", line)[:CPUS])
    return total


def read_disks(machine):
    """Starts the reading of every disk in the background."""
    for number, device in enumerate(LOADS):
        machine.ask(f"(measure read {device} {READS}; echo status $?) >/tmp/load{number} 2>&1 & "
                    "true")


def storm_lines(machine):
    """The module's report: list of (what, numbers by name)."""
    lines = re.findall(r"storm: (\w+) (sent .*)", machine.ask("dmesg"))
    return [(what, {key: int(value) for key, value in re.findall(r"(\w+) (\d+)", numbers)})
            for what, numbers in lines]


def register_storm(cpus):
    plan = Plan(cpus=cpus, limit=900, disks=(
        Disk("virtio", "virtio-blk-pci,drive={drive}", filesystem=False),
        Disk("nvme", "nvme,drive={drive},serial=nvme", filesystem=False),
        Disk("ahci", "ide-hd,drive={drive},bus=ide.0", filesystem=False)))
    storm = GROUP.scenario(f"storm-{cpus}", plan)
    counted = {}

    @storm.check("runs")
    def _(machine):
        counted.update({device: device_interrupts(machine, name)
                        for device, name in LOADS.items()})
        read_disks(machine)
        machine.ask(f"insmod /lib/storm.ko seconds={STORM_SECONDS}", STORM_SECONDS + 180)

    @storm.check("interprocessor-interrupts")
    def _(machine):
        lines = storm_lines(machine)
        calls = [numbers for what, numbers in lines if what in ("pairs", "calls", "self")]
        expect(len(calls) == 1 + 2 * cpus, f"the module reported {len(calls)} counts")
        sent, received, lost = (sum(numbers[key] for numbers in calls)
                                for key in ("sent", "received", "lost"))
        expect(lost == 0 and sent == received, f"{sent} sent, {received} received, {lost} lost")
        expect(sent > 1000, f"only {sent} were sent")

    @storm.check("timers")
    def _(machine):
        timers = [numbers for what, numbers in storm_lines(machine) if what == "timers"]
        expect(len(timers) == cpus, f"{len(timers)} processors reported")
        for numbers in timers:
            expect(numbers["lost"] == 0 and numbers["received"] > STORM_SECONDS * 10
                   and numbers["latest_us"] < 5_000_000, f"a processor's timers: {numbers}")

    @storm.check("disk-interrupts")
    def _(machine):
        for number, (device, name) in enumerate(LOADS.items()):
            machine.ask(f"for i in $(seq 600); do grep -q status /tmp/load{number} && break; "
                        "sleep 0.2; done", 150)
            output = machine.ask(f"cat /tmp/load{number}")
            expect("status 0" in output, f"reading {device}: {output}")
            arrived = device_interrupts(machine, name) - counted[device]
            expect(arrived >= READS, f"{device}: {READS} reads but {arrived} interrupts")

    @storm.check("kernel-log")
    def _(machine):
        healthy(machine)
        bad = re.search(r".*(timeout|completion polled|exception Emask).*", machine.ask("dmesg"))
        expect(not bad, f"the kernel log holds: {bad.group(0) if bad else ''}")


for _cpus in (1, 2, 4):
    register_storm(_cpus)
