# SPDX-License-Identifier: MIT
"""Power cuts: a guest that writes loses its power, and its file system and what it had synced do not.

The guest writes numbered records into SLOTS files in turn, and says a record's number on its console
when fsync has answered. After a cut the disk is looked at from outside: it must hold each record of
which that was heard, or a later one in its place, and nothing torn under a record's name.
"""

import re
import shutil
import subprocess
import time

from lib.child import Child, Guest
from lib.parent import Disk, Plan, copy_sparse
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import SLOW, wait_for

CUTS = 10
SLOTS = 8
HEARD = 5  # records before a cut, at least

PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1800,
            disks=(Disk("root", "virtio-blk-pci,drive={drive}", size=64),))
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2, memory=192,
              disks=({"id": "root", "path": "/dev/vda"},))

# A second writer never syncs.
RESTLESS = "while :; do dd if=/tmp/seed of=/mnt/restless bs=4k count=200 2>/dev/null; done &"


def record(number):
    line = f"record {number}\n".encode()
    size = (number % SLOTS + 1) * 10000
    return (line * (size // len(line) + 1))[:size]


def start_records(child, folder, first, seconds=SLOW):
    """Lets the guest write records from `first` on, and waits until some are on stable storage."""
    child.tell(f"i={first}; while yes \"record $i\" | head -c $((i % {SLOTS} + 1))0000 | "
               f"dd of={folder}/new bs=16k conv=fsync 2>/dev/null; do k={folder}/kept$((i % {SLOTS})); "
               f"mv {folder}/new $k && sync $k {folder} && echo \"synced $i\"; i=$((i+1)); done &")
    child.expect(f"^synced {first + HEARD}$", seconds)


def cut(machine, child, number):
    """Whatever the guest is at: half of the times the worker is killed. Returns the last record heard of."""
    if number % 2 == 0:
        child.control("power_off")
    else:
        machine.ask(f"kill -9 {child.pid()}")
    child.wait_exit()
    while child.fetch():
        time.sleep(child.poll)
    return int(re.findall(r"^synced (\d+)\n", child.text, re.MULTILINE)[-1])


def expect_sound(image):
    check = subprocess.run(["/sbin/e2fsck", "-fn", image], capture_output=True, text=True)
    expect(check.returncode == 0, f"e2fsck -fn: {check.stdout[-300:]}")


def expect_clean(machine, name):
    """The guest has unmounted that disk's file system."""
    image = machine.folder / f"{name}.img"
    said = subprocess.run(["/sbin/debugfs", "-R", "features", image], capture_output=True, text=True).stdout
    expect("has_journal" in said and "needs_recovery" not in said, f"its features are {said}")
    expect_sound(image)


def check_disk(machine, name, folder, heard):
    """A copy of the disk as it was left: the journal is replayed, then nothing is wrong with the file
    system, and the records are there. Returns the last record's number.
    """
    copy, files = machine.folder / "cut.img", machine.folder / "records"
    copy_sparse(machine.folder / f"{name}.img", copy)
    replay = subprocess.run(["/sbin/e2fsck", "-p", copy], capture_output=True, text=True)
    expect(replay.returncode in (0, 1), f"e2fsck -p: {replay.stdout[-300:]}")
    expect_sound(copy)
    files.mkdir()
    subprocess.run(["/sbin/debugfs", "-R", f"rdump {folder} {files.name}", copy.name], cwd=machine.folder,
                   check=True, capture_output=True)
    last = check_records(files, heard)
    shutil.rmtree(files)
    copy.unlink()
    return last


def check_records(files, heard):
    kept = {}
    for slot in range(SLOTS):
        for path in files.glob(f"**/kept{slot}"):
            data = path.read_bytes()
            said = re.match(rb"record (\d+)\n", data)
            expect(said and data == record(int(said[1])), f"the file of slot {slot} is torn: {data[:20]}")
            kept[slot] = int(said[1])
    for number in range(max(0, heard - SLOTS + 1), heard + 1):
        found = kept.get(number % SLOTS, -1)
        expect(found >= number, f"record {number} was synced, and there is {found}, of {kept}")
    return max(kept.values())


SCENARIO = GROUP.scenario("vmbus-power", PLAN, needs=("hv",))


@SCENARIO.check("cuts")
def _(machine):
    load_driver(machine)
    last = -1
    for number in range(CUTS):
        child = Child(machine, 0, GUEST).boot()
        wait_for(child, "test -b /dev/sda")
        child.ask("mkdir -p /mnt && mount /dev/sda /mnt", SLOW)
        child.ask("dd if=/dev/urandom of=/tmp/seed bs=16k count=50 2>/dev/null")
        child.tell(RESTLESS)
        start_records(child, "/mnt", last + 1)
        heard = cut(machine, child, number)
        last = check_disk(machine, "root", "/", heard)
