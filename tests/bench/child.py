#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a child costs, beside a guest of KVM and QEMU in the same emulated machine.

    child.py --build FOLDER [--short]

Two machines of one processor each: in one the parent runs bulkhead-worker, in the other the same kernel
without the hypervisor runs Debian's QEMU with kvm-amd, which QEMU's TCG can nest. Both run the same guests
with the same memory: bench/guest, which measures one operation at a time, and Debian's two kernels with a
first process that says when it began. KVM offers the enlightenments of the TLFS to bench/guest, so that it
makes the same calls.

A figure is the time-stamp counter's difference, so the instructions of everything in between: guest,
hypervisor, parent. KVM's guests see a counter with an offset, which KVM tells. Exits are those that KVM
and the hypervisor counted for the guest, less those of an empty row. Idle time flies by under -icount;
nothing here waits for time, but for what the kernels themselves wait while a guest starts, which both do.

What a start contains. KVM+QEMU: exec of QEMU with its libraries, SeaBIOS (to see what it takes: the
first row is without it, the second with it), its loader, and the bzImage, which unpacks itself. Ours: exec
of the worker, the look into the cache, which has the kernel as after any earlier start of it, and the
unpacked kernel. Memory cleared for the guest is in both; ours clears all of it, KVM what is touched. From
there on both kernels do the same, and no hypervisor can change it: half of the cloud kernel's way to its
first process is self-tests of ciphers. So the aim of a third is for the kernel whose unpacking is most of a
start, and a line below each start of Linux tells what was spent outside the guest: all but the guest's own
instructions (for KVM by the ticks of the process's guest time, so within a hundredth). SeaBIOS and a
bzImage's unpacking are the guest's own.

The peer's machine is tried again when it fails: TCG's nested SVM does now and then. Ours is not.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import bench, child_image  # noqa: E402
from lib.machine import Failure  # noqa: E402
from lib.parent import Plan  # noqa: E402

MEMORY = 256  # MiB of a guest
INSTRUCTIONS_A_TICK = 10_000_000  # of /proc/PID/stat
COMMAND_LINE = "console=ttyS0 quiet panic=-1"
# Without a reliable TSC KVM gives its guests a slower clock.
# TCG counts each byte of `rep stosb` as an instruction, which no processor does; without ERMS and FSRM
# kernels and libraries clear and copy by words.
PLAN = Plan(cpus=1, memory=2048, limit=1200, accelerator="tcg", cpu="max,-erms,-fsrm", devices=bench.ICOUNT,
            kernel_options="console=ttyS0 tsc=reliable clocksource=tsc")

FILES = "/lib/bench"
QEMU = (f"qemu-system-x86_64 -M pc -accel kvm -m {MEMORY} -nodefaults -vga none -display none "
        "-L /usr/share/qemu -chardev stdio,id=out -serial chardev:out -no-reboot")
ENLIGHTENED = ("-cpu host,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-runtime,hv-synic,hv-stimer,"
               "hv-stimer-direct,hv-frequencies,hv-tlbflush,hv-ipi")

# Repeats each line of the guest, with what {look} tells after those around which it waits.
READER = ("while read -r line; do echo \"$line\"; case $line in begin*|end*|first*) {look};; "
          "done*) break;; esac; done; {memory}; {stop}")


@dataclass(frozen=True)
class Row:
    name: str
    run: str            # the run it is taken from
    work: str           # what the guest calls it
    aim: float = 1.0    # below so much of the peer's figure
    limit: int = 0      # below so many; 0: any


ROWS = (
    Row("start to the first instruction", "rom", "first"),
    Row("start to a small kernel", "alone", "first"),
    Row("start to init, linux-image-amd64", "stock", "first", aim=1 / 3),
    Row("start to init, linux-image-cloud-amd64", "cloud", "first"),
    Row("CPUID and back", "alone", "cpuid", limit=600),
    Row("hypercall and back", "alone", "hypercall"),
    Row("port read in user space and back", "alone", "port"),
    Row("timer interrupt, armed to ended", "alone", "timer"),
    Row("interrupt to another VP, one way", "pair", "ipi"),
)
# From the event to the handler in a VP that halts; the figure of the peer stands beside it, there is no aim.
WAKES = (
    Row("wake-up by timer, deadline to handler", "alone", "timer-wake"),
    Row("wake-up by another VP, request to handler", "pair", "ipi-wake"),
)
RUNS = ("alone", "pair", "cloud", "stock")
SHORT_RUNS = ("alone", "pair")
LINUX = ("cloud", "stock")
HYPERVISOR_MEMORY = 1 << 20  # bytes at most, above the guest's RAM
WORKER_MEMORY = 8 << 20


@dataclass
class Result:
    """What one run of a guest said."""
    ticks: dict = field(default_factory=dict)         # work -> instructions
    outside: int = 0     # of ticks["first"], instructions that were not the guest's own
    exits: dict = field(default_factory=dict)         # work -> exits of the guest, each repetition
    parent_exits: dict = field(default_factory=dict)  # work -> exits of the parent meanwhile
    tail: dict = field(default_factory=dict)          # work -> 90th and 99th percentile, the highest
    process: int = 0     # bytes of the worker or of QEMU, less the guest's RAM
    hypervisor: int = 0  # bytes that the hypervisor keeps for the child

    def add(self, work, rest, exits, parent_exits=0):
        """rest: what the guest says of a row, ticks, repetitions and percentiles."""
        ticks, count, *self.tail[work] = (int(word) for word in rest.split())
        self.ticks[work] = ticks
        self.exits[work] = exits / count
        self.parent_exits[work] = parent_exits / count


def words_of(run):
    return {"alone": "alone", "pair": "ipi"}.get(run, COMMAND_LINE)


def process_bytes(said):
    """Resident memory by /proc/PID/smaps, without the mapping that is the guest's RAM."""
    total = 0
    for mapping in re.findall(r"^Size:\s+(\d+) kB\n(?:.*\n)*?Rss:\s+(\d+) kB$", said, re.MULTILINE):
        size, resident = (int(number) for number in mapping)
        total += resident if size != MEMORY << 10 else 0
    return total << 10


# --- the peer ---------------------------------------------------------------------------------

class Peer:
    name = "peer"
    bare = True

    def prepare(self, site):
        def fill(root):
            self.modules = child_image.add_peer(root, site)
            add_guests(root, site)
            child_image.add_file(root, site.build / "tests/bench/guest/bench_rom", f"{FILES}/rom")
        return child_image.make(site, "bench-peer", fill)

    def begin(self, machine):
        for name in self.modules:
            machine.ask(f"insmod /lib/kvm/{name}")
        machine.ask("mount -t debugfs none /sys/kernel/debug; mkdir -p /var/tmp")

    def read(self, machine, command, given):
        look = ("cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset; cat /sys/kernel/debug/kvm/exits; "
                "cut -d ' ' -f 43 /proc/$(pidof qemu-system-x86_64)/stat")
        memory = "echo memory; cat /proc/$(pidof qemu-system-x86_64)/smaps"
        reader = READER.format(look=look, memory=memory, stop="kill $(pidof qemu-system-x86_64)")
        return machine.ask(f"({given}) | measure exec {command} 2>&1 | ({reader}); true", 900)

    def start_rom(self, machine):
        """When a guest of QEMU runs its very first instruction, which is its firmware's."""
        reader = ("read -r line; read -r tsc; echo $line $tsc $(cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset); "
                  "kill $(pidof qemu-system-x86_64)")
        said = machine.ask(f"true | measure exec {QEMU} -cpu host -bios {FILES}/rom | ({reader}); true", 300)
        began, first, offset = re.search(r"tsc (\d+) ([0-9a-f]{16}) (-?\d+)", said).groups()
        return Result(ticks={"first": int(first, 16) - int(offset) - int(began)})

    def run(self, machine, run):
        if run == "rom":
            return self.start_rom(machine)
        if run in LINUX:
            said = self.read(machine, f"{QEMU} -cpu host -kernel {FILES}/{run} -initrd {FILES}/initrd "
                             f"-append '{COMMAND_LINE}'", "true")
        else:
            said = self.read(machine, f"{QEMU} {ENLIGHTENED} -smp {2 if run == 'pair' else 1} "
                             f"-kernel {FILES}/guest -append {words_of(run)}", "sleep 1; echo go")
        return self.parse(said)

    def parse(self, said):
        looks = re.findall(r"^(begin|end|first) ?(\S+)(.*)\n(-?\d+)\n(\d+)\n(\d+)$", said, re.MULTILINE)
        began = int(re.search(r"tsc (\d+)", said).group(1))
        result = Result(process=process_bytes(said))
        before = 0
        for what, name, rest, offset, exits, guest in looks:
            if what == "first":
                result.ticks["first"] = int(name) - int(offset) - began
                result.outside = result.ticks["first"] - int(guest) * INSTRUCTIONS_A_TICK
                result.exits["first"] = int(exits)
            elif what == "begin":
                before = int(exits)
            else:
                result.add(name, rest, int(exits) - before)
        return result


# --- ours -------------------------------------------------------------------------------------

class Ours:
    name = "ours"
    bare = False

    def prepare(self, site):
        def fill(root):
            child_image.add_ours(root, site)
            add_guests(root, site)
            for run in RUNS:
                file = root / f"lib/bench/{run}.json"
                file.write_text(json.dumps(self.config(run)))
        return child_image.make(site, "bench-ours", fill)

    @staticmethod
    def config(run):
        boot = {"kernel": f"{FILES}/guest", "command_line": words_of(run)}
        if run in LINUX:
            boot |= {"kernel": f"{FILES}/{run}", "initrd": f"{FILES}/initrd"}
        return {"version": 1, "id": "7d3c1a52-0000-4000-8000-000000000001", "name": run,
                "vps": 2 if run == "pair" else 1, "memory_bytes": MEMORY << 20, "boot": boot}

    def begin(self, machine):
        machine.ask("insmod /lib/bulkhead.ko")

    def run(self, machine, run):
        if run == "rom":  # the first instruction is the kernel's
            return self.run(machine, "alone")
        if run in LINUX:  # as its first start leaves the cache
            machine.ask(f"bulkhead-unpack /var/cache/bulkhead {FILES}/{run}", 300)
        look = "echo @$(bhstat --json)"
        memory = "echo memory; cat /proc/$(pidof bulkhead-worker)/smaps"
        reader = READER.format(look=look, memory=memory, stop="bhctl /tmp/control power_off >/dev/null")
        said = machine.ask(
            f"rm -f /tmp/control; measure exec bulkhead-worker --config {FILES}/{run}.json "
            "--control /tmp/control --start --user 60001 --group 60001 2>&1 & "
            "until test -S /tmp/control && bhctl /tmp/control status >/dev/null 2>&1; do usleep 50000; done; "
            f"echo go | bhctl /tmp/control console | ({reader}); wait; true", 900)
        return self.parse(said)

    def parse(self, said):
        looks = re.findall(r"^(begin|end|first) ?(\S+)(.*)\n@(.*)$", said, re.MULTILINE)
        began = int(re.search(r"tsc (\d+)", said).group(1))
        result = Result(process=process_bytes(said))
        before = parent_before = 0
        for what, name, rest, text in looks:
            exits, parent = (self.count(text, which) for which in (1, 0))
            result.hypervisor = json.loads(text)["partitions"][1]["deposited_bytes"]
            if what == "first":
                result.ticks["first"] = int(name) - began
                result.outside = result.ticks["first"] - self.guest_ns(text)
                result.exits["first"] = exits
            elif what == "begin":
                before, parent_before = exits, parent
            else:
                result.add(name, rest, exits - before, parent - parent_before)
        return result

    @staticmethod
    def guest_ns(text):
        """Instructions of the child itself; one takes a nanosecond."""
        return sum(vp["guest_ns"] for vp in json.loads(text)["partitions"][1]["vps"])

    @staticmethod
    def count(text, which):
        """All exits of the parent (0) or of the child (1)."""
        partition = json.loads(text)["partitions"][which]
        return sum(sum(vp["exits"].values()) for vp in partition["vps"])


# --- both -------------------------------------------------------------------------------------

def add_guests(root, site):
    guest = site.build / "tests/bench/guest"
    child_image.add_file(root, guest / "bench_guest", f"{FILES}/guest")
    child_image.add_file(root, child_image.cloud_kernel(site), f"{FILES}/cloud")
    child_image.add_file(root, site.image / "vmlinuz", f"{FILES}/stock")
    initrd = child_image.small_initrd(site, "bench-initrd", guest / "bench_init")
    child_image.add_file(root, initrd, f"{FILES}/initrd")


def run_side(site, side, runs):
    """One machine, all runs: name of the run -> Result."""
    def work(machine):
        side.begin(machine)
        results = {run: side.run(machine, run) for run in runs}
        missing = [row.name for row in (*ROWS, *WAKES)
                   if row.run in runs and row.work not in results[row.run].ticks]
        if missing:
            raise Failure(f"{side.name}: no figure for {', '.join(missing)}, log in tests/logs/bench-child")
        return results
    return bench.run_machine(site, f"child/{side.name}", PLAN, side.prepare(site), work)


# --- the report -------------------------------------------------------------------------------

def exits_of(result, work):
    """Exits of a repetition, less those of an empty row."""
    if work == "first":
        return f"{result.exits[work]:,}" if work in result.exits else "-"
    return f"{result.exits[work] - result.exits['nothing']:.2f}"


def report_row(row, peer, ours):
    """Prints it; returns the aims it misses, as sentences."""
    theirs, own = peer.ticks[row.work], ours.ticks[row.work]
    missed = []
    if own >= theirs * row.aim:
        missed.append(f"{row.name}: {own / theirs:.3f} of the peer's, aim below {row.aim:.3f}")
    if row.limit and own >= row.limit:
        missed.append(f"{row.name}: {own}, aim below {row.limit}")
    aim = f"{row.aim:.2f}" + (f", {row.limit}" if row.limit else "") + (" MISSED" if missed else "")
    print(f"{row.name:<40} {theirs:>14,} {own:>14,} {own / theirs:>7.3f} {exits_of(peer, row.work):>8} "
          f"{exits_of(ours, row.work):>8}  {aim}")
    if row.run in LINUX:
        print(f"{'  of it outside the guest':<40} {peer.outside:>14,} {ours.outside:>14,} "
              f"{ours.outside / peer.outside:>7.3f}")
    return missed


def report_memory(name, peer, ours, aim):
    print(f"{name:<40} {peer:>14,} {ours:>14,} {'':>7} {'':>8} {'':>8}  {aim:,}"
          f"{' MISSED' if ours >= aim else ''}")
    return [f"{name}: {ours:,}, aim below {aim:,}"] if ours >= aim else []


def report_wakes(peer, ours):
    print(f"{'instructions':<42} {'':<9} {'median':>10} {'90 %':>10} {'99 %':>10} {'highest':>10}")
    for row in WAKES:
        for name, results in (("KVM+QEMU", peer), ("ours", ours)):
            result = results[row.run]
            figures = (result.ticks[row.work], *result.tail[row.work])
            print(f"{row.name:<42} {name:<9}" + "".join(f" {figure:>10,}" for figure in figures))


def report(peer, ours):
    print(f"{'instructions':<40} {'KVM+QEMU':>14} {'ours':>14} {'ratio':>7} {'exits':>8} {'ours':>8}  aim: below")
    missed = []
    for row in ROWS:
        if row.run in peer:
            missed += report_row(row, peer[row.run], ours[row.run])
    report_wakes(peer, ours)
    print(f"{'bytes above ' + str(MEMORY) + ' MiB of RAM':<40}")
    missed += report_memory("hypervisor's frames of the child", 0, ours["alone"].hypervisor, HYPERVISOR_MEMORY)
    missed += report_memory("resident in the worker, or in QEMU", peer["alone"].process, ours["alone"].process,
                            WORKER_MEMORY)
    return missed


def measure(bare, with_hv, short):
    runs = ("rom", *(SHORT_RUNS if short else RUNS))
    ours = run_side(with_hv, Ours(), runs)
    return report(bench.run_peer("child", lambda: run_side(bare, Peer(), runs)), ours)


if __name__ == "__main__":
    bench.main("child", "Benches children beside guests of KVM and QEMU.", measure)
