#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the hypervisor costs the parent: the same kernel does the same work with it and without.

    parent.py --build FOLDER [--short]

Both machines run with -icount shift=0: one tick of the time-stamp counter is one instruction of
everything in the machine, so the figures are path lengths, not times, and repeat. One processor,
because QEMU counts instructions of one only. Disk reads go to QEMU's null back end and the TCP
stream from one virtio-net card of the machine through a hub to its other one, each in a network
namespace of its own: no work of the outside, whose timing varies, is in the way.

Idle time is no work, but -icount lets the counter fly over it to the next timer. Both ways it is taken
out as the kernel measured it (idle_sleeptime of /proc/timer_list). With the hypervisor that takes out
too much, namely what the hypervisor does for a HLT and the wake-up after it; the share of its time that
HLT has among all exits is put in again. A job is run several times and its cheapest run counts.

Exits are counted by the hypervisor and read with bhstat around each run; reading them costs some
exits itself, which are measured and subtracted. The budgets are checked; what exceeds its budget
makes the exit status 1. A short run judges only the processor's budgets: of few disk reads and packets
the figures vary by some percent with the moment at which QEMU's other threads answer.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import bench  # noqa: E402
from lib.parent import Plan, prepare_folder, start, tidy_folder, wait_ready  # noqa: E402

PLAN = Plan(
    cpus=1, limit=1200, accelerator="tcg", cpu="max", devices=(
        *bench.ICOUNT,
        "-blockdev", "driver=null-co,node-name=null,size=1073741824,read-zeroes=on",
        "-device", "virtio-blk-pci,drive=null,ioeventfd=off",
        "-netdev", "hubport,hubid=0,id=left", "-device", "virtio-net-pci,netdev=left",
        "-netdev", "hubport,hubid=0,id=right", "-device", "virtio-net-pci,netdev=right"))

NETWORK = (
    "unshare -n sh -c 'echo $$ >/tmp/far; while ! ip addr add 10.1.0.2/24 dev eth1 2>/dev/null; do "
    "sleep 0.1; done; ip link set eth1 up; exec measure sink 7000' >/dev/null 2>&1 & "
    "while ! test -s /tmp/far; do sleep 0.1; done; ip link set eth1 netns $(cat /tmp/far); "
    "ip addr add 10.1.0.1/24 dev eth0; ip link set eth0 up; sleep 2; ping -c 1 10.1.0.2")


@dataclass(frozen=True)
class Job:
    name: str
    unit: str
    work: str            # arguments of measure, {count} stands for how much
    count: int
    short: int
    budget: float        # how many times the bare machine's instructions are allowed; 0: none
    outside: bool = False  # threads of QEMU have a part in it


JOBS = (
    Job("CPU-bound: sort and hash", "round", "cpu {count}", 50, 15, 1.03),
    Job("fork, exec, exit, wait", "process", "fork {count}", 400, 100, 0),
    Job("virtio-blk, random 4 KiB reads", "read", "read /dev/vda {count}", 4000, 1000, 1.10, True),
    Job("virtio-net, TCP stream", "KiB", "send 10.1.0.2 7000 {count}", 16384, 4096, 1.10, True),
    Job("CPUID", "CPUID", "cpuid {count}", 20000, 10000, 0),
)
RUNS = 6             # of each job; the first warms up and does not count
CPUID_BUDGET = 500  # instructions that the hypervisor may add to one


@dataclass
class Figure:
    ticks: int
    exits: int = 0
    reasons: dict = None


def counters(text):
    """What bhstat tells in a JSON document: exits by reason, ticks spent in the hypervisor."""
    document = json.loads(text)
    return document["partitions"][0]["vps"][0]["exits"], document["lps"][0]["hypervisor_ns"]


def between(machine, work):
    """Exits and ticks of the hypervisor between two readings with work in between; its output."""
    mark = "--work--"
    said = machine.ask(f"bhstat --json; echo {mark}; {work}; echo {mark}; bhstat --json", 600)
    before, output, after = said.split(mark)
    (exits_before, ticks_before), (exits_after, ticks_after) = counters(before), counters(after)
    exits = {reason: exits_after[reason] - exits_before[reason] for reason in exits_before}
    return exits, ticks_after - ticks_before, output


READ_IDLE = "grep -o 'idle_sleeptime *: *[0-9]*' /proc/timer_list"


def busy_ticks(output):
    """Ticks of the work without the idle time that the kernel measured around it."""
    before, after = re.findall(r"idle_sleeptime *: *(\d+)", output)
    return ticks_of(output) - (int(after) - int(before))


def run_job(machine, work, bare):
    """One run's figure: ticks, and its exits without those of reading the counters."""
    measured = f"{READ_IDLE}; measure {work}; {READ_IDLE}"
    if bare:
        return Figure(busy_ticks(machine.ask(measured, 600)))
    reading, _, _ = between(machine, "true")
    exits, in_hypervisor, output = between(machine, measured)
    reasons = {reason: max(0, exits[reason] - reading[reason]) for reason in exits}
    for_idle = in_hypervisor * exits["hlt"] // sum(exits.values())
    return Figure(busy_ticks(output) + for_idle, sum(reasons.values()), reasons)


def ticks_of(output):
    return int(re.search(r"ticks (\d+)", output).group(1))


def run_machine(site, short):
    """All figures of one machine: name of the job -> Figure."""
    name = "bench-parent/bare" if site.bare else "bench-parent/hypervisor"
    folder = prepare_folder(site, name, PLAN)
    figures = {}
    with start(site, folder, PLAN) as machine:
        wait_ready(machine, 600)
        began = re.search(r"init: tsc (\d+) at start", machine.log())
        figures["boot"] = Figure(int(began.group(1)))
        if not site.bare:
            machine.ask("insmod /lib/bulkhead.ko")
            reasons, _ = counters(machine.ask("bhstat --json"))
            figures["boot"].exits = sum(reasons.values())
            figures["boot"].reasons = reasons
        machine.ask(NETWORK)
        for job in JOBS:
            work = job.work.format(count=job.short if short else job.count)
            runs = [run_job(machine, work, site.bare) for _ in range(RUNS)]
            figures[job.name] = min(runs[1:], key=lambda figure: figure.ticks)
    tidy_folder(folder, keep_logs=False)
    return figures


def row(name, bare, with_hv, count, note=""):
    print(f"{name:<34} {bare.ticks / count:>15,.0f} {with_hv.ticks / count:>15,.0f} "
          f"{with_hv.ticks / bare.ticks:>7.3f} {with_hv.exits / count:>10,.3f}  {note}")


def reasons_line(figure, count):
    """The most frequent exits per unit."""
    top = sorted(figure.reasons.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{reason} {number / count:.3f}" for reason, number in top if number)


def report(bare, with_hv, short):
    """Prints the table; returns the budgets that are exceeded, as sentences."""
    exceeded = []
    print(f"{'work, per unit':<34} {'bare':>15} {'hypervisor':>15} {'ratio':>7} {'exits':>10}")
    row("boot to user space", bare["boot"], with_hv["boot"], 1)
    for job in JOBS:
        count = job.short if short else job.count
        plain, ours = bare[job.name], with_hv[job.name]
        ratio = ours.ticks / plain.ticks
        note = f"budget {job.budget:.2f}" if job.budget else ""
        judged = job.budget and not (short and job.outside)
        if judged and ratio > job.budget:
            note += " EXCEEDED"
            exceeded.append(f"{job.name}: ratio {ratio:.3f}, budget {job.budget:.2f}")
        row(f"{job.name} (a {job.unit})", plain, ours, count, note)
        print(f"    exits: {reasons_line(ours, count)}")
    count = JOBS[-1].short if short else JOBS[-1].count
    null_exit = (with_hv["CPUID"].ticks - bare["CPUID"].ticks) / count
    print(f"null exit (CPUID): {null_exit:.0f} instructions in the hypervisor, "
          f"budget under {CPUID_BUDGET}")
    if null_exit >= CPUID_BUDGET:
        exceeded.append(f"null exit: {null_exit:.0f} instructions")
    return exceeded


def measure(bare, with_hv, short):
    return report(run_machine(bare, short), run_machine(with_hv, short), short)


if __name__ == "__main__":
    bench.main("parent", "Benches the parent with and without hypervisor.", measure)
