# SPDX-License-Identifier: MIT
"""The small guest of vsc/ with a disk and a network card: its self-tests of all providers."""

import hashlib
import re
import struct

from lib.child import Child, Guest
from lib.parent import Plan
from system.child.guests import nothing_left
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.network import MACS, PARENT

PLAN = Plan(cpus=2, memory=1024, initrd="children.img", limit=600)
DISK = "/tmp/small.raw"
DISK_SIZE = 8 << 20
U64 = (1 << 64) - 1
SECONDS = 240  # of a run on a loaded machine; it takes a few

SCENARIO = GROUP.scenario("vmbus-client", PLAN, needs=("hv",))


def guest(options):
    return Guest(kernel="/guest/small", initrd="", options=options, memory=64,
                 disks=({"id": "disk", "path": DISK},),
                 nics=({"id": "nic0", "tap": "bh0", "mac": MACS[0]},))


def run(machine, options):
    """Runs the guest to the end of its self-test; returns the child and its figures by name."""
    child = Child(machine, 0, guest(options))
    child.start()
    child.expect(r"^(self-test: ok|waiting for shutdown|failed: .*)$", SECONDS)
    figures = {name: float(value) for name, value in
               re.findall(r"^([\w.]+) ([\d.]+) \S+$", child.text, re.MULTILINE)}
    expect("failed: " not in child.text, f"the guest says: {child.text[-300:]}")
    return child, figures


def ended(child, reason):
    """The worker is gone, without a fault, because of `reason`."""
    status = child.wait_exit()
    last = child.events("state")[-1]
    expect(status == 0 and last["reason"] == reason,
           f"the worker ended with status {status} by {last}: {child.log()}")
    return last


@SCENARIO.check("parent")
def _(machine):
    load_driver(machine)
    machine.ask("load-network && tunctl -t bh0 && "
                f"ip addr add {PARENT}/24 dev bh0 && ip link set bh0 up", 60)
    machine.ask(f"truncate -s {DISK_SIZE} {DISK} && chmod 666 {DISK}")


@SCENARIO.check("bus")
def _(machine):
    """Each version, offers, refusals, lists of pages, unload."""
    child, figures = run(machine, "tests=bus")
    expect(figures["bus.offers"] == 6, f"its figures: {figures}")
    expect(ended(child, "debug_exit")["exit_code"] == 0, "its exit code")


def written(seed, size=1 << 20):
    """What test_storage.c leaves at the disk's beginning."""
    words = []
    for place in range(size // 8):
        value = ((place + 1) * 0x9E3779B97F4A7C15 ^ seed * 0xBF58476D1CE4E5B9) & U64
        words.append(value ^ value >> 29)
    return struct.pack(f"<{len(words)}Q", *words)


@SCENARIO.check("storage")
def _(machine):
    """Data over one channel and several, wrong requests, channels closed in the middle of I/O."""
    child, figures = run(machine, "tests=storage requests=128 depth=16")
    ended(child, "debug_exit")
    expect(figures["storage.size"] == DISK_SIZE and figures["storage.luns"] == 1 and
           figures["storage.write.deep.operations"] == 128, f"its figures: {figures}")
    said = machine.ask(f"head -c {1 << 20} {DISK} | md5sum").split()[0]
    expect(said == hashlib.md5(written(3)).hexdigest(), "the file does not hold what was written")


@SCENARIO.check("network")
def _(machine):
    """The parent's kernel answers echo requests of each size; what is spoofed goes nowhere."""
    child, figures = run(machine, f"tests=network peer={PARENT} requests=200 depth=16")
    expect(figures["network.frame.deep.operations"] == 200, f"its figures: {figures}")
    ended(child, "debug_exit")


@SCENARIO.check("services")
def _(machine):
    """Heartbeat, time and pairs; then a shutdown that is asked for."""
    child, figures = run(machine, "tests=services,shutdown")
    now = int(machine.ask("date +%s"))
    expect(abs(figures["services.time"] - now) < 60, f"the guest was told {figures}, it is {now}")
    child.control("shutdown", reason="test")
    child.expect("^self-test: ok$", SECONDS)
    ended(child, "guest_power_off")
    nothing_left(machine)
