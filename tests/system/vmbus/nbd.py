# SPDX-License-Identifier: MIT
"""Disks of NBD servers, added to a running child whose worker is locked in: others' servers, and QEMU's for qcow2."""

from lib.child import Child, Guest
from lib.parent import Plan
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import calm, expect_busy, healthy, keep_busy, name_disk, pattern, verify
from system.vmbus.restart import kill

PLAN = Plan(cpus=1, memory=1024, initrd="nbd.img", limit=900)
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", memory=192, nbd=True, keep=True,
              disks=({"id": "cow", "path": "/tmp/cow", "format": "qcow2"},))
CALF = {"id": "calf", "path": "/tmp/calf", "format": "qcow2"}
SIZE = 6  # MiB; the guest tells its disks apart by their sizes
COWS = (("cow", 7), ("calf", 8))
DISK = {"id": "net", "path": "nbd+unix:///?socket=/tmp/nbd.sock"}

SCENARIO = GROUP.scenario("vmbus-nbd", PLAN, needs=("hv",))
state = {}


@SCENARIO.check("guest")
def _(machine):
    load_driver(machine)
    for name, size in COWS:
        machine.ask(f"qemu-img create -q -f qcow2 /tmp/{name} {size}M")
    machine.ask(f"truncate -s {SIZE}M /tmp/net.raw && "
                "nbdkit -P /tmp/nbd.pid -U /tmp/nbd.sock file /tmp/net.raw")
    state["child"] = Child(machine, 0, GUEST).boot()


@SCENARIO.check("added")
def _(machine):
    """The guest's data reach the server's file; the disk goes and comes again."""
    child = state["child"]
    for seed in (1, 2):
        child.control("disk_add", disk=DISK)
        name_disk(child, "net", SIZE)
        pattern(child, "/dev/net", SIZE, seed)
        verify(child, "/dev/net", SIZE, seed)
        wanted = child.ask(f"md5sum </tmp/seed{seed}")
        said = machine.ask("sync; head -c 1048576 /tmp/net.raw | md5sum")
        expect(said == wanted, "the server's file has not the data")
        if seed == 1:
            child.control("disk_remove", id="net")
            child.ask("d=$(readlink /dev/net); rm /dev/net; while test -e /sys/block/$d; do sleep 0.2; done", 60)
    healthy(child)


def read_back(machine, name, words):
    """Once the server has ended: the image is sound, and has what the guest wrote."""
    machine.ask(f"until qemu-img check -q /tmp/{name} 2>/dev/null; do usleep 200000; done", 120)
    machine.ask(f"qemu-img convert -O raw /tmp/{name} /tmp/{name}.raw")
    said = machine.ask(f"head -c 1048576 /tmp/{name}.raw | md5sum")
    expect(said == words, f"{name} has not the guest's data")


@SCENARIO.check("qcow2")
def _(machine):
    """One that was there at the start and one that comes and goes; each server is the child's user."""
    child = state["child"]
    child.control("disk_add", disk=CALF)
    for seed, (name, size) in enumerate(COWS, 3):
        name_disk(child, name, size)
        pattern(child, f"/dev/{name}", size, seed)
        verify(child, f"/dev/{name}", size, seed)
    users = machine.ask("stat -c %u $(grep -ls qemu-nbd /proc/[0-9]*/comm | sed 's,/comm,,')").split()
    expect(sorted(users) == ["0", str(child.uid)], f"the servers' users: {users}")
    child.control("disk_remove", id="calf")
    read_back(machine, "calf", child.ask("md5sum </tmp/seed4"))
    state["written"] = child.ask("md5sum </tmp/seed3")
    healthy(child)


@SCENARIO.check("restart")
def _(machine):
    """The worker falls under a guest that writes to its qcow2 disk: the server writes what it has, and another
    one goes on. The disk of somebody else's server is not there meanwhile."""
    child = state["child"]
    child.control("disk_remove", id="net")
    keep_busy(child, "dd if=/tmp/seed3 of=/dev/cow bs=16k count=64 oflag=direct && cmp -n 1048576 /tmp/seed3 /dev/cow")
    expect_busy(child)
    for number in (1, 2):
        kill(child, number)
    child.reconnect()
    expect_busy(child)
    calm(child)
    verify(child, "/dev/cow", COWS[0][1], 3)
    child.control("disk_add", disk=DISK)
    name_disk(child, "net", SIZE)
    healthy(child)


@SCENARIO.check("dead-server")
def _(machine):
    """Its reads fail, the log says why, and the rest goes on."""
    child = state["child"]
    machine.ask("kill -9 $(cat /tmp/nbd.pid)")
    status, _said = child.run("dd if=/dev/net of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null", 120)
    expect(status != 0, "a disk without its server was read")
    expect("Disk net: read at byte 0 failed: the NBD server is gone." in child.log(),
           f"the log: {child.log()}")
    expect(child.events("disk_error")[0]["id"] == "net", "there was no event disk_error")
    child.control("disk_remove", id="net")
    status, said = machine.run(f"bhctl {child.socket} disk_add "
                               "'{\"disk\": {\"id\": \"net\", \"path\": \"nbd+unix:///?socket=/tmp/nbd.sock\"}}' 2>&1")
    expect(status != 0 and "cannot be reached" in said, f"bhctl says {said!r}")


@SCENARIO.check("end")
def _(machine):
    child = state["child"]
    expect(child.stop() == 0, f"the worker's log: {child.log()}")
    read_back(machine, "cow", state["written"])
