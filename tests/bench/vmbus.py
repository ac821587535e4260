#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a request to a provider of VMBus costs, beside the parent's own use of the same disk.

    vmbus.py --build FOLDER [--short]

One machine with -icount shift=0 and one processor (lib/bench.py says what that means). The small
guest of vsc/ reads and writes a disk and sends echo requests; then a program of the parent reads and
writes the same disk through io_uring. The disk is in the parent's memory (brd), so that nothing waits
and a figure is all instructions of the machine: guest, hypervisor, worker, kernel.

Counts a request: interrupts and signals are the guest's own figures; exits are those that the
hypervisor counted for the guest between two lines of it, and for the parent meanwhile, less those of a
row in which the guest only rests.

There is no peer here: QEMU has no storage on VMBus, and the small guest has no driver of virtio.
vmbus_linux.py compares the two with Linux in the guest.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.child import PLAN  # noqa: E402
from lib import bench, child_image  # noqa: E402
from lib.guest_image import add_network  # noqa: E402
from lib.machine import Failure  # noqa: E402
from lib.parent_image import kernel_release, module_files  # noqa: E402

FILES = "/lib/bench"
DISK = "/dev/ram0"
DISK_KIB = 16384
DEPTH = 32
REQUESTS = 2000
SHORT_REQUESTS = 400
ADDRESS = "10.1.0.1"  # the small guest's peer
READER = ("while read -r line; do echo \"$line\"; case $line in begin*|end*) echo @$(bhstat --json);; "
          "self-test*|failed*) break;; esac; done")

# Requests in a batch share a signal and an interrupt: fewer than one in four may have their own.
SHARED = 0.25
SIZES = (4096, 65536)


@dataclass
class Row:
    """Figures of one row of the guest, each for one request."""
    ticks: int = 0
    interrupts: float = 0
    signals: float = 0
    exits: float = 0
    parent_exits: float = 0


@dataclass
class Run:
    rows: dict = field(default_factory=dict)  # name -> Row
    own: dict = field(default_factory=dict)   # name -> ticks of the parent's own


def config(tests, size, requests):
    words = f"wait=1 pause=100 tests={tests} size={size} depth={DEPTH} requests={requests} peer={ADDRESS}"
    return {"version": 1, "id": "7d3c1a52-0000-4000-8000-000000000001", "name": "small", "vps": 1,
            "memory_bytes": 64 << 20, "boot": {"kernel": f"{FILES}/small", "command_line": words},
            "disks": [{"id": "disk", "path": DISK}],
            "nics": [{"id": "nic0", "tap": "bh0", "mac": "52:54:00:00:01:01"}]}


def prepare(site):
    def fill(root):
        child_image.add_ours(root, site)
        add_network(root, site)
        child_image.add_file(root, site.build / "vsc/guest/vsc_guest", f"{FILES}/small")
        child_image.add_file(root, site.build / "tests/bench/guest/disk_load", "/bin/disk_load")
        release = kernel_release()
        for file in module_files(site.image / f"linux-{release}" / "lib" / "modules" / release, ["brd"]):
            child_image.add_file(root, file, f"{FILES}/{file.name}")
    return child_image.make(site, "bench-vmbus", fill)


def begin(machine):
    machine.ask("insmod /lib/bulkhead.ko")
    machine.ask(f"insmod {FILES}/brd.ko rd_nr=1 rd_size={DISK_KIB}")
    machine.ask("load-network && tunctl -t bh0 && "
                f"ip addr add {ADDRESS}/24 dev bh0 && ip link set bh0 up", 60)


def exits(text, which):
    """All exits so far of the parent (0) or of the child (1)."""
    partition = json.loads(text)["partitions"][which]
    return sum(sum(vp["exits"].values()) for vp in partition["vps"])


def parse(said):
    rows = {}
    for name, what, value in re.findall(r"^(\w+\.\w+\.\w+)\.(\w+) ([\d.]+) \S+$", said, re.MULTILINE):
        row = rows.setdefault(name, Row())
        if what in ("interrupts", "signals"):
            setattr(row, what, float(value))
        elif what == "ticks":
            row.ticks = int(value)
    looks = re.findall(r"^(begin|end) (\S+)(?: (\d+))?\n@(.*)$", said, re.MULTILINE)
    before, rest = {}, [0, 0]
    for what, name, count, text in looks:
        now = [exits(text, which) for which in (0, 1)]
        if what == "begin":
            before[name] = now
            continue
        spent = [after - first for after, first in zip(now, before[name])]
        if name == "nothing":
            rest = spent
        elif name in rows:
            parent, child = (max(0, all_of - idle) / int(count) for all_of, idle in zip(spent, rest))
            rows[name].exits, rows[name].parent_exits = child, parent
    return rows


def run_guest(machine, tests, size, requests):
    text = json.dumps(config(tests, size, requests))
    machine.ask(f"echo '{text}' >/tmp/small.json")
    said = machine.ask(
        "rm -f /tmp/control; bulkhead-worker --config /tmp/small.json --control /tmp/control --start --user 60001 "
        "--group 60001 2>&1 & until test -S /tmp/control; do usleep 20000; done; sleep 1; "
        f"echo go | bhctl /tmp/control console | ({READER}); wait", 900)
    if "self-test: ok" not in said:
        raise Failure(f"the guest says: {said[-300:]}")
    return parse(said)


def run_own(machine, size, requests):
    """name of the guest's row -> ticks"""
    own = {}
    for way in ("read", "write"):
        for name, depth in (("one", 1), ("deep", DEPTH)):
            said = machine.ask(f"disk_load {DISK} {way} random {size} {depth} {requests}", 600)
            own[f"{way}.{name}"] = int(re.match(r"ticks (\d+)", said).group(1))
    return own


def measure(site, sizes, requests):
    """All runs in one machine: name -> Run."""
    def work(machine):
        begin(machine)
        runs = {f"disk, {size} bytes": Run(run_guest(machine, "storage", size, requests),
                                           run_own(machine, size, requests)) for size in sizes}
        runs["network"] = Run(run_guest(machine, "network", 4096, requests))
        return runs
    return bench.run_machine(site, "vmbus", PLAN, prepare(site), work)


def report(runs):
    """Prints the table; returns the aims that are missed, as sentences."""
    missed = []
    print(f"{'for one request':<34} {'ticks':>9} {'own':>9} {'speed':>6} {'interrupts':>10} "
          f"{'signals':>8} {'exits':>7} {'parent':>7}")
    for title, run in runs.items():
        for name, row in run.rows.items():
            own = run.own.get(name.partition(".")[2], 0)
            ratio = f"{own / row.ticks:.2f}" if own else "-"
            print(f"{title + ', ' + name.partition('.')[2]:<34} {row.ticks:>9,} {own or '-':>9} {ratio:>6} "
                  f"{row.interrupts:>10.2f} {row.signals:>8.2f} {row.exits:>7.2f} {row.parent_exits:>7.2f}")
            if name.endswith("deep") and (row.interrupts > SHARED or row.signals > SHARED):
                missed.append(f"{title}, {name}: {row.interrupts} interrupts and {row.signals} signals a "
                              f"request, aim at most {SHARED}")
    return missed


def measure_and_report(_, with_hv, short):
    return report(measure(with_hv, SIZES[:1] if short else SIZES, SHORT_REQUESTS if short else REQUESTS))


if __name__ == "__main__":
    bench.main("vmbus", "Benches the providers of VMBus with the small guest.", measure_and_report)
