# SPDX-License-Identifier: MIT
"""Power cuts: a guest that writes loses its power, and its file system and what it had synced do not."""

import shutil
import subprocess

from lib.child import Child, Guest
from lib.parent import Disk, Plan
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import SLOW, wait_for

CUTS = 10

PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1800,
            disks=(Disk("root", "virtio-blk-pci,drive={drive}", size=64),))
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2, memory=192,
              disks=({"id": "root", "path": "/dev/vda"},))

# A file is kept under its name only when it was synced; a second writer never syncs.
WRITER = ("i=0; while :; do dd if=/tmp/seed of=/mnt/new bs=16k count=$((i % 8 + 1)) conv=fsync "
          "2>/dev/null; md5sum </mnt/new >/mnt/sum.new; sync; mv /mnt/new /mnt/kept$((i % 4)); "
          "mv /mnt/sum.new /mnt/sum$((i % 4)); sync; i=$((i+1)); done &")
RESTLESS = "while :; do dd if=/tmp/seed of=/mnt/restless bs=4k count=200 2>/dev/null; done &"

# Between the two renames name and sum are of different files; both are whole.
INTACT = ("for i in 0 1 2 3; do test -e /mnt/kept$i || continue; set -- $(md5sum </mnt/kept$i); "
          "grep -q $1 /mnt/sum* || echo kept$i; done")


def check_file_system(machine, number):
    """A copy of the disk as it was left: the journal is replayed, then nothing is wrong."""
    copy = machine.folder / f"cut{number}.img"
    shutil.copy(machine.folder / "root.img", copy)
    replay = subprocess.run(["/sbin/e2fsck", "-p", copy], capture_output=True, text=True)
    expect(replay.returncode in (0, 1), f"cut {number}: e2fsck -p: {replay.stdout[-300:]}")
    check = subprocess.run(["/sbin/e2fsck", "-fn", copy], capture_output=True, text=True)
    expect(check.returncode == 0, f"cut {number}: e2fsck -fn: {check.stdout[-300:]}")
    copy.unlink()


SCENARIO = GROUP.scenario("vmbus-power", PLAN, needs=("hv",))


@SCENARIO.check("cuts")
def _(machine):
    load_driver(machine)
    for number in range(CUTS):
        child = Child(machine, 0, GUEST).boot()
        wait_for(child, "test -b /dev/sda")
        child.ask("mkdir -p /mnt && mount /dev/sda /mnt", SLOW)
        broken = child.ask(INTACT, SLOW)
        expect(broken == "", f"cut {number}: files that were synced are broken: {broken}")
        child.ask("dd if=/dev/urandom of=/tmp/seed bs=16k count=50 2>/dev/null")
        child.tell(WRITER)
        child.tell(RESTLESS)
        wait_for(child, f"test /mnt/kept{number % 4} -nt /tmp/seed", SLOW)
        # Whatever the guest is at: half of the times the worker is killed, too.
        if number % 2 == 0:
            child.control("power_off")
        else:
            machine.ask(f"kill -9 {child.pid()}")
        child.wait_exit()
        machine.ask("sync")
        check_file_system(machine, number)
