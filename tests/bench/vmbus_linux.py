#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a Linux guest's disk and network card cost: over VMBus, over virtio, and as the parent's own.

    vmbus_linux.py --build FOLDER [--short]

Two machines with -icount shift=0 and one processor each, as in child.py: in one the parent runs
bulkhead-worker, in the other the same kernel without the hypervisor runs Debian's QEMU with kvm-amd. Both
run Debian's cloud kernel with the same loads, which reach a disk in the parent's memory (brd) past the
page cache and a TCP server in the parent over a tap. The peer has what a careful person gives it: virtio-blk
with io_uring and O_DIRECT, virtio-net with vhost. The parent's own: the same loads on the same disk, and
over a veth pair out of another network namespace.

A figure is all instructions of the machine for one request, or for one KiB of a stream: guest, hypervisor,
worker or QEMU, and the parent's kernel. Exits are the guest's; of the rests around a load a few are in it.

Behind these come rows of devices that take their time, as real ones do: two disks of null_blk, which answer
after the time and with at most the throughput that DISKS says and move no data, as DMA costs a processor
nothing; and a veth pair of 1 Gbit/s (tbf both ways), which is the parent's NIC: its other end, in a network
namespace, is the server, and guests reach it routed. There a figure is ticks, waiting included: virtual
nanoseconds, on a processor of 10^9 instructions a second, slower than any of today. So `speed` is requests
a second of the child to those of the parent. Only rows without waiting are held against those of KVM+QEMU.
"""

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.child import FILES, MEMORY, PLAN, QEMU, READER  # noqa: E402
from lib import bench, child_image  # noqa: E402
from lib.machine import Failure  # noqa: E402
from lib.parent_image import DIRECTORIES, make_initrd, module_files  # noqa: E402

DISK_KIB = 65536
ADDRESS = "10.1.0.1"  # the parent's
PORT = 7
MAC = "52:54:00:00:01:01"
NAMESPACE = "ip2 netns exec other"
PARENT_MODULES = ("brd", "veth", "tun", "null_blk", "sch_tbf")
WIRE = "1gbit"
WIRE_ADDRESS = "10.3.0.2"  # of the server beyond the wire


@dataclass(frozen=True)
class Disk:
    """A null_blk: a rough likeness, for what a real one would let through."""
    name: str
    nanoseconds: int   # from a request to its answer
    mib_a_second: int
    depth: int


DISKS = (Disk("sata", 90_000, 525, 32), Disk("nvme", 80_000, 3300, 64))
LOADS = ("disk_load", "net_load")

PARENT_DISKS = ("/dev/ram0", *(f"/dev/nullb{i}" for i in range(len(DISKS))))

SPEED = 0.8    # of the parent's own, at least
MANY_REQUESTS, FEW_REQUESTS = 2000, 400
MANY_KIB, FEW_KIB = 16384, 2048
WAITING_REQUESTS = 2000


@dataclass(frozen=True)
class Row:
    name: str
    load: str      # {disk}, {sata}, {nvme}, {address}, {wire}, {requests}, {kib} and {waits} are filled in
    short: bool = True
    waits: bool = False  # for a device that takes its time


def disk_row(way, order, size, depth, short=True):
    load = f"disk_load {{disk}} {way} {order} {size} {depth} {{requests}}"
    return Row(f"{way}-{order}-{size >> 10}K-{depth}", load, short)


def timed_row(disk, order, size, depth):
    load = f"disk_load {{{disk}}} read {order} {size} {depth} {{waits}}"
    return Row(f"{disk}-read-{order}-{size >> 10}K-{depth}", load, waits=True)


def wire_row(name, kind):
    return Row(name, f"net_load {kind} {{wire}} {PORT} {{kib}}", waits=True)


def net_row(name, kind, count):
    return Row(name, f"net_load {kind} {{address}} {PORT} {{{count}}}")


ROWS = (
    *(disk_row(way, "random", 4096, depth) for way in ("read", "write") for depth in (1, 32)),
    *(disk_row(way, "sequential", 131072, 8, short=False) for way in ("read", "write")),
    net_row("tcp-send-KiB", "send", "kib"),
    net_row("tcp-receive-KiB", "receive", "kib"),
    net_row("tcp-request-answer", "ask", "requests"),
    *(timed_row(disk.name, *work) for disk in DISKS for work in (("random", 4096, 32), ("sequential", 131072, 8))),
    wire_row("wire-send-KiB", "send"),
    wire_row("wire-receive-KiB", "receive"),
)


@dataclass
class Figures:
    ticks: int
    exits: float = 0
    interrupts: float = 0


@dataclass
class Work:
    """The rows that are measured and how much of each."""
    rows: tuple
    requests: int
    kib: int

    def load(self, row, disks, address=ADDRESS):
        """disks: the one in memory, and those of DISKS."""
        return row.load.format(disk=disks[0], sata=disks[1], nvme=disks[2], address=address, wire=WIRE_ADDRESS,
                               requests=self.requests, kib=self.kib, waits=WAITING_REQUESTS)

    def count(self, row):
        if row.name.endswith("KiB"):
            return self.kib
        return WAITING_REQUESTS if row.waits else self.requests

    def lines(self, disks):
        return "".join(f"{row.name} {self.load(row, disks)}\n" for row in self.rows)


def guest_initrd(site, name, modules, loads):
    """A RAM disk with the cloud kernel's modules, in load order, and the loads."""
    root = site.image / f"{name}-root"
    shutil.rmtree(root, ignore_errors=True)
    for folder in DIRECTORIES:
        (root / folder).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin" / "busybox")
    shutil.copy2(site.top / "tests/bench/guest/load_init", root / "init")
    for program in LOADS:
        shutil.copy2(site.build / "tests/bench/guest" / program, root / "bin" / program)
    release = child_image.cloud_kernel(site).name.removeprefix("vmlinuz-")
    files = module_files(site.image / f"linux-{release}" / "lib" / "modules" / release, modules)
    for file in files:
        shutil.copy2(file, root / "lib" / file.name)
    (root / "etc" / "modules").write_text("".join(f"/lib/{file.name}\n" for file in files))
    (root / "etc" / "loads").write_text(loads)
    make_initrd(root, site.image / f"{name}.img")
    return site.image / f"{name}.img"


def add_parent_modules(root, site, names):
    """Copies modules of the parent's kernel; the shell command that loads them."""
    release = (site.image / "release").read_text().strip()
    files = module_files(site.image / f"linux-{release}" / "lib" / "modules" / release, names)
    for file in files:
        child_image.add_file(root, file, f"{FILES}/{file.name}")
    options = {"brd": f" rd_nr=1 rd_size={DISK_KIB}", "null_blk": " nr_devices=0"}
    return " && ".join(f"insmod {FILES}/{file.name}{options.get(file.stem, '')}" for file in files)


def disks_command():
    """Makes the disks that take their time."""
    commands = ["mkdir -p /sys/kernel/config", "mount -t configfs none /sys/kernel/config"]
    for i, disk in enumerate(DISKS):
        folder = f"/sys/kernel/config/nullb/nullb{i}"
        settings = {"irqmode": 2, "completion_nsec": disk.nanoseconds, "mbps": disk.mib_a_second,
                    "hw_queue_depth": disk.depth, "power": 1}
        commands.append(f"mkdir {folder}")
        commands.extend(f"echo {value} >{folder}/{name}" for name, value in settings.items())
    return " && ".join(commands)


def wire_command():
    """Lays the wire and starts the server beyond it."""
    limit = f"root tbf rate {WIRE} burst 128k limit 4m"
    return ("mkdir -p /var/run/netns && ip2 netns add beyond && "
            "ip2 link add wire type veth peer name plug netns beyond && "
            "ip2 addr add 10.3.0.1/24 dev wire && ip2 link set wire up && "
            f"ip2 netns exec beyond ip2 addr add {WIRE_ADDRESS}/24 dev plug && "
            "ip2 netns exec beyond ip2 link set plug up && "
            "ip2 netns exec beyond ip2 route add default via 10.3.0.1 && "
            f"tc2 qdisc add dev wire {limit} && ip2 netns exec beyond tc2 qdisc add dev plug {limit} && "
            "echo 1 >/proc/sys/net/ipv4/ip_forward && "
            f"{{ ip2 netns exec beyond net_load serve {PORT} >/dev/null 2>&1 & }}")


class Side:
    """One of the two machines: how it is filled, made ready, and run."""

    def __init__(self, work):
        self.work = work
        self.load_modules = ""

    def prepare(self, site):
        def fill(root):
            self.load_modules = add_parent_modules(root, site, (*PARENT_MODULES, *self.parent_modules))
            child_image.add_file(root, child_image.cloud_kernel(site), f"{FILES}/cloud")
            initrd = guest_initrd(site, f"bench-loads-{self.name}", self.guest_modules, self.work.lines(self.disks))
            child_image.add_file(root, initrd, f"{FILES}/initrd")
            for program in LOADS:
                child_image.add_file(root, site.build / "tests/bench/guest" / program, f"/bin/{program}")
            for program, name in (("ip", "ip2"), ("tc", "tc2")):
                child_image.add_file(root, shutil.which(program), f"/bin/{name}")
                for library in child_image.libraries_of(shutil.which(program)):
                    child_image.add_file(root, library, library)
            self.add_own(root, site)
        return child_image.make(site, f"bench-vmbus-{self.name}", fill)

    def begin(self, machine):
        machine.ask(self.load_modules, 60)
        machine.ask(disks_command(), 60)
        machine.ask(wire_command(), 60)
        machine.ask(f"tunctl -t bh0 && ip addr add {ADDRESS}/24 dev bh0 && ip link set bh0 up", 60)
        machine.ask(f"(net_load serve {PORT} >/dev/null 2>&1 &); true")

    def parse(self, said, exits_of):
        """exits_of: from what the reader's look said to a number."""
        figures, before = {}, 0
        counts = {row.name: self.work.count(row) for row in self.work.rows}
        for what, name, rest, look in re.findall(r"^(begin|end) (\S+)(.*)\n@(.*)$", said, re.MULTILINE):
            if what == "begin":
                before = exits_of(look)
                continue
            ticks, interrupts = (int(word) for word in rest.split())
            count = counts[name]
            figures[name] = Figures(ticks, (exits_of(look) - before) / count, interrupts / count)
        missing = [name for name in counts if name not in figures]
        if missing:
            raise Failure(f"{self.name}: no figure for {', '.join(missing)}; the guest said: {said[-300:]}")
        return figures


class Peer(Side):
    name = "peer"
    disks = ("/dev/vda", "/dev/vdb", "/dev/vdc")
    guest_modules = ("virtio_pci", "virtio_blk", "virtio_net")
    parent_modules = ("vhost_net",)

    def add_own(self, root, site):
        self.kvm = child_image.add_peer(root, site)

    def run(self, machine):
        for name in self.kvm:
            machine.ask(f"insmod /lib/kvm/{name}")
        machine.ask("mount -t debugfs none /sys/kernel/debug; mkdir -p /var/tmp /dev/net; "
                    "test -c /dev/vhost-net")
        command = (f"{QEMU} -cpu host -kernel {FILES}/cloud -initrd {FILES}/initrd "
                   "-append 'console=ttyS0 quiet panic=-1 net.ifnames=0' "
                   + "".join(f"-drive file={path},format=raw,if=none,id=disk{i},cache=none,aio=io_uring "
                             f"-device virtio-blk-pci,drive=disk{i} " for i, path in enumerate(PARENT_DISKS)) +
                   "-netdev tap,id=net,ifname=bh0,script=no,downscript=no,vhost=on "
                   f"-device virtio-net-pci,netdev=net,mac={MAC},romfile=")
        reader = READER.format(look="echo @$(cat /sys/kernel/debug/kvm/exits)", memory="true",
                               stop="kill $(pidof qemu-system-x86_64)")
        return self.parse(machine.ask(f"{command} 2>&1 </dev/null | ({reader}); true", 900), int)


class Ours(Side):
    name = "ours"
    disks = ("/dev/sda", "/dev/sdb", "/dev/sdc")
    guest_modules = ("hv_vmbus", "sd_mod", "hv_storvsc", "hv_netvsc")
    parent_modules = ()

    def add_own(self, root, site):
        child_image.add_ours(root, site)
        boot = {"kernel": f"{FILES}/cloud", "initrd": f"{FILES}/initrd",
                "command_line": "console=ttyS0 quiet panic=-1 net.ifnames=0"}
        disks = [{"id": f"disk{i}", "path": path} for i, path in enumerate(PARENT_DISKS)]
        config = {"version": 1, "id": "7d3c1a52-0000-4000-8000-000000000001", "name": "loads", "vps": 1,
                  "memory_bytes": MEMORY << 20, "boot": boot, "disks": disks,
                  "nics": [{"id": "nic0", "tap": "bh0", "mac": MAC}]}
        (root / "lib/bench/loads.json").write_text(json.dumps(config))

    @staticmethod
    def exits(text):
        return sum(sum(vp["exits"].values()) for vp in json.loads(text)["partitions"][1]["vps"])

    def run(self, machine):
        machine.ask("insmod /lib/bulkhead.ko")
        reader = READER.format(look="echo @$(bhstat --json)", memory="true",
                               stop="bhctl /tmp/control power_off >/dev/null")
        said = machine.ask(
            f"bulkhead-worker --config {FILES}/loads.json --control /tmp/control --start --user 60001 "
            "--group 60001 2>&1 & until test -S /tmp/control && bhctl /tmp/control status >/dev/null 2>&1; "
            f"do usleep 50000; done; bhctl /tmp/control console </dev/null | ({reader}); wait; true", 900)
        return self.parse(said, self.exits)

    def run_own(self, machine):
        """The loads in the parent: name of the row -> ticks."""
        machine.ask("ip2 netns add other && "
                    "ip2 link add near type veth peer name far netns other && "
                    "ip2 addr add 10.2.0.1/24 dev near && ip2 link set near up && "
                    f"{NAMESPACE} ip2 addr add 10.2.0.2/24 dev far && {NAMESPACE} ip2 link set far up", 60)
        own = {}
        for row in self.work.rows:
            load = self.work.load(row, PARENT_DISKS, "10.2.0.1")
            elsewhere = load.startswith("net") and not row.waits
            said = machine.ask(f"{NAMESPACE} {load}" if elsewhere else load, 600)
            own[row.name] = int(re.match(r"ticks (\d+)", said).group(1))
        return own


def run_side(site, side):
    """Figures of the guest's rows, and of ours the parent's own ticks."""
    def work(machine):
        side.begin(machine)
        figures = side.run(machine)
        return figures, {} if site.bare else side.run_own(machine)
    return bench.run_machine(site, f"vmbus_linux/{side.name}", PLAN, side.prepare(site), work)


def report(work, peer, ours, own):
    """Prints the table; returns the aims that are missed, as sentences."""
    missed = []
    print(f"{'for one request, or one KiB':<27} {'KVM+QEMU':>9} {'ours':>9} {'ratio':>6} {'own':>9} {'speed':>6} "
          f"{'exits':>7} {'ours':>6} {'interrupts':>10} {'ours':>6}")
    for row in work.rows:
        theirs, mine = peer[row.name], ours[row.name]
        ratio, speed = mine.ticks / theirs.ticks, own[row.name] / mine.ticks
        print(f"{row.name:<27} {theirs.ticks:>9,} {mine.ticks:>9,} {ratio:>6.2f} {own[row.name]:>9,} {speed:>6.2f} "
              f"{theirs.exits:>7.2f} {mine.exits:>6.2f} {theirs.interrupts:>10.2f} {mine.interrupts:>6.2f}")
        if ratio >= 1 and not row.waits:
            missed.append(f"{row.name}: {ratio:.2f} of KVM+QEMU's instructions, aim below 1")
        if speed < SPEED:
            missed.append(f"{row.name}: {speed:.2f} of the parent's own speed, aim at least {SPEED}")
    return missed


def measure(bare, with_hv, short):
    work = Work(tuple(row for row in ROWS if row.short or not short),
                FEW_REQUESTS if short else MANY_REQUESTS, FEW_KIB if short else MANY_KIB)
    ours, own = run_side(with_hv, Ours(work))
    peer, _ = bench.run_peer("vmbus_linux", lambda: run_side(bare, Peer(work)))
    return report(work, peer, ours, own)


if __name__ == "__main__":
    bench.main("vmbus_linux", "Benches Linux on VMBus beside virtio and the parent's own devices.", measure)
