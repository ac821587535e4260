# SPDX-License-Identifier: MIT
"""Disks of a child: the kernel's own hv_storvsc against the worker's SCSI controller."""

from lib.child import Child, Guest
from lib.machine import Failure
from lib.parent import Disk, Plan
from system.child.guests import UNSOUND
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP

SLOW = 120  # seconds for a command that moves megabytes in an emulated machine

# The parent's /dev/vda and /dev/vdb are the guest's first disks; a file is hot-added.
PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1500,
            disks=(Disk("root", "virtio-blk-pci,drive={drive}", size=64),
                   Disk("data", "virtio-blk-pci,drive={drive}", size=32, filesystem=False),
                   Disk("frozen", "virtio-blk-pci,drive={drive}", size=24)))
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2, memory=320,
              disks=({"id": "root", "path": "/dev/vda"}, {"id": "data", "path": "/dev/vdb"},
                     {"id": "cd0", "kind": "cd"}))
CHUNK = 1 << 20


def healthy(child):
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}|I/O error|hv_storvsc.*(fail|error)'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def wait_for(child, condition, seconds=60):
    """Until a shell condition holds in the guest."""
    child.ask(f"i=0; until {condition}; do sleep 0.2; i=$((i+1)); test $i -lt {seconds * 5} "
              "|| exit 1; done", seconds + 30)


def pattern(child, device, megabytes, seed):
    """Fills a device with pseudo-random bytes from the parent's side of nothing: the guest's own."""
    child.ask(f"dd if=/dev/urandom of=/tmp/seed{seed} bs=64k count=16 2>/dev/null && "
              f"for i in $(seq 0 {megabytes - 1}); do dd if=/tmp/seed{seed} of={device} bs=1M "
              f"seek=$i conv=notrunc oflag=direct 2>/dev/null || exit 1; done", SLOW)


def verify(child, device, megabytes, seed):
    wanted = child.ask(f"md5sum </tmp/seed{seed}")
    said = child.ask(f"for i in $(seq 0 {megabytes - 1}); do dd if={device} bs=1M skip=$i count=1 "
                     f"iflag=direct 2>/dev/null | md5sum; done | sort -u", SLOW)
    expect(said == wanted, f"{device} reads as {said!r}, and not as {wanted!r}")


def name_disk(child, name, size):
    """/dev/NAME is the disk of so many MiB, as soon as it is there."""
    wait_for(child, f"for d in /sys/block/sd*; do test \"$(cat $d/size)\" != {size * 2048} || "
                    f"ln -sf ${{d##*/}} /dev/{name}; done; test -b /dev/{name}")


def name_disks(child):
    """/dev/root and /dev/data: the kernel looks at disks at once and names them as they come."""
    wait_for(child, "test -b /dev/sr0")
    for disk in PLAN.disks[:2]:
        name_disk(child, disk.name, disk.size)


SCENARIO = GROUP.scenario("vmbus-disks", PLAN, needs=("hv",))
state = {}


@SCENARIO.check("guest")
def _(machine):
    load_driver(machine)
    state["child"] = Child(machine, 0, GUEST).boot()


@SCENARIO.check("found")
def _(_machine):
    """The controller, both disks and the CD-ROM drive, with sub-channels, and no error."""
    child = state["child"]
    name_disks(child)
    log = child.ask("dmesg | grep -E 'Vmbus version|storvsc|scsi 0|sd 0|sr 0'")
    for line in ("Vmbus version:5.3", "scsi host0: storvsc_host_t",
                 "Direct-Access     BULKHEAD Virtual Disk", "131072 512-byte logical blocks",
                 "Write cache: enabled"):
        expect(line in log, f"the guest's kernel log does not say {line!r}: {log[-600:]}")
    channels = child.ask("ls -d $(dirname $(ls -d /sys/bus/vmbus/devices/*/host0))/channels/* | wc -l")
    expect(channels == "2", f"{channels} channels for 2 VPs")
    healthy(child)


@SCENARIO.check("mounted")
def _(machine):
    """An ext4 file system: files are written, read back after a remount, and counted."""
    child = state["child"]
    child.ask("mkdir -p /mnt && mount /dev/root /mnt", SLOW)
    child.ask("dd if=/dev/urandom of=/mnt/a bs=64k count=64 2>/dev/null && cp /mnt/a /mnt/b && "
              "sync && md5sum </mnt/a >/tmp/sum", SLOW)
    child.ask("umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount /dev/root /mnt", SLOW)
    said = child.ask("md5sum </mnt/a; md5sum </mnt/b; cat /tmp/sum", SLOW).split("\n")
    expect(len(said) == 3 and len(set(said)) == 1, f"the files read back as {said}")
    stats = {disk["id"]: disk for disk in child.control("stats")["disks"]}["root"]
    expect(stats["write_bytes"] >= 8 << 20 and stats["flush_ops"] > 0 and stats["errors"] == 0,
           f"the worker counted {stats}")
    healthy(child)


@SCENARIO.check("verified-load")
def _(_machine):
    """Direct writes and reads of both VPs at once."""
    child = state["child"]
    pattern(child, "/dev/data", 8, 1)
    verify(child, "/dev/data", 8, 1)
    child.ask("for cpu in 0 1; do taskset -c $cpu sh -c \"for i in 0 1 2 3; do dd if=/tmp/seed1 "
              "of=/dev/data bs=4k count=64 seek=\\$((2048 + cpu * 1024 + i * 64)) conv=notrunc "
              "oflag=direct 2>/dev/null || exit 1; done\" & done; wait", SLOW)
    verify(child, "/dev/data", 8, 1)
    healthy(child)


def keep_busy(child, work):
    """Repeats a command of the guest until calm() ends that; each success is a line in /tmp/loads."""
    child.tell(f"rm -f /tmp/loads /tmp/enough /tmp/wrong; (while test ! -e /tmp/enough; do {work} && "
               "echo >>/tmp/loads || touch /tmp/wrong; done; touch /tmp/calm) >/dev/null 2>&1 &")


def expect_busy(child):
    """The load goes on: one repetition begins and ends meanwhile."""
    before = int(child.ask("cat /tmp/loads 2>/dev/null | wc -l"))
    wait_for(child, f"test $(cat /tmp/loads 2>/dev/null | wc -l) -ge {before + 2} -o -e /tmp/wrong")


def calm(child):
    child.ask("touch /tmp/enough; until test -e /tmp/calm; do sleep 0.2; done; rm /tmp/calm", SLOW)
    child.ask("test ! -e /tmp/wrong")


@SCENARIO.check("hot-add-and-remove")
def _(machine):
    """A disk comes and goes while the other is written; its data stays in the parent's file."""
    child = state["child"]
    machine.ask("dd if=/dev/zero of=/tmp/hot.raw bs=1M count=8 2>/dev/null")
    keep_busy(child, "dd if=/tmp/seed1 of=/mnt/load bs=64k count=16 conv=fsync && cmp /tmp/seed1 /mnt/load")
    for _round in range(3):
        child.control("disk_add", disk={"id": "hot", "path": "/tmp/hot.raw"})
        wait_for(child, "test -b /dev/sdc")
        child.ask("echo marker | dd of=/dev/sdc bs=512 conv=sync,notrunc oflag=direct 2>/dev/null")
        expect(machine.ask("head -c 6 /tmp/hot.raw") == "marker", "the file has not the data")
        expect_busy(child)
        child.control("disk_remove", id="hot")
        wait_for(child, "test ! -b /dev/sdc")
    expect_busy(child)
    calm(child)
    child.ask("umount /mnt", SLOW)
    healthy(child)


@SCENARIO.check("cd")
def _(machine):
    """A disc is put in, read and taken out."""
    child = state["child"]
    machine.ask("dd if=/dev/urandom of=/tmp/cd.iso bs=2048 count=500 2>/dev/null")
    child.control("cd_insert", id="cd0", path="/tmp/cd.iso")
    wanted = machine.ask("md5sum </tmp/cd.iso")
    said = child.ask("dd if=/dev/sr0 bs=2048 count=500 2>/dev/null | md5sum", SLOW)
    expect(said == wanted, f"the disc reads as {said!r}")
    child.control("cd_eject", id="cd0")
    status, _said = child.run("dd if=/dev/sr0 bs=2048 count=1 2>/dev/null")
    expect(status != 0, "an empty drive was read")


@SCENARIO.check("reset")
def _(_machine):
    """After a reset without a word to the bus the guest finds everything again."""
    child = state["child"]
    child.control("reset")
    child.wait_ready()
    name_disks(child)
    child.ask("mount /dev/root /mnt && ls /mnt/a /mnt/b", SLOW)
    healthy(child)


@SCENARIO.check("kexec")
def _(machine):
    """The next kernel takes over from a running one, which reads a disk: the bus is given up and
    found again, without a reset."""
    child = state["child"]
    before = child.control("status")["resets"]
    machine.ask(f"cat {GUEST.kernel} {GUEST.initrd} >/tmp/next && truncate -s 40M /tmp/next")
    sizes = machine.ask(f"stat -c %s {GUEST.kernel} {GUEST.initrd}").split()
    child.control("disk_add", disk={"id": "next", "path": "/tmp/next"})
    name_disk(child, "next", 40)
    child.ask(f"head -c {sizes[0]} /dev/next >/tmp/kernel && tail -c +{int(sizes[0]) + 1} /dev/next "
              f"| head -c {sizes[1]} >/tmp/initrd", SLOW)
    child.tell("while :; do dd if=/dev/data of=/dev/null bs=64k iflag=direct 2>/dev/null; done &")
    child.tell(f"kexec /tmp/kernel /tmp/initrd '{GUEST.options} second'")
    child.wait_ready()
    expect("second" in child.ask("cat /proc/cmdline"), "it is not the next kernel")
    expect(child.control("status")["resets"] == before, "it was reset")
    expect(child.ask("nproc") == str(GUEST.vps), "it has fewer processors")
    name_disks(child)
    child.control("disk_remove", id="next")
    machine.ask("rm /tmp/next")
    pattern(child, "/dev/data", 8, 2)
    verify(child, "/dev/data", 8, 2)
    healthy(child)


@SCENARIO.check("hung-store")
def _(machine):
    """I/O that does not end: the worker answers, a reset waits for it, an end not for long."""
    child = state["child"]
    machine.ask("mkdir -p /frozen && mount -t ext4 /dev/vdc /frozen && truncate -s 3M /frozen/disk")
    child.control("disk_add", disk={"id": "frozen", "path": "/frozen/disk"})
    name_disk(child, "frozen", 3)
    machine.ask("fsfreeze --freeze /frozen")
    child.tell("dd if=/dev/zero of=/dev/frozen bs=64k count=1 oflag=direct &")
    wait_for(child, "awk '{exit $2 == 0}' /sys/block/$(readlink /dev/frozen)/inflight")
    before = child.control("status")["resets"]
    expect(child.control("reset")["state"] == "stopping", "the reset did not wait")
    expect(child.control("status")["resets"] == before, "it was reset over running I/O")
    expect("I/O of its disks has not ended" in child.log(), f"the log: {child.log()}")
    machine.ask("fsfreeze --unfreeze /frozen")
    child.wait_ready()
    expect(child.control("status")["resets"] == before + 1, "it was not reset")
    name_disks(child)
    child.control("disk_remove", id="frozen")
    machine.ask("umount /frozen")
    child.ask("mount /dev/root /mnt && ls /mnt/a /mnt/b", SLOW)


@SCENARIO.check("error")
def _(machine):
    """A file that became shorter: the guest's read fails, the VM goes on, and the log says why."""
    child = state["child"]
    machine.ask("dd if=/dev/zero of=/tmp/short.raw bs=1M count=4 2>/dev/null")
    child.control("disk_add", disk={"id": "short", "path": "/tmp/short.raw"})
    name_disk(child, "short", 4)
    machine.ask("truncate -s 1M /tmp/short.raw")
    status, _said = child.run("dd if=/dev/short bs=4k skip=512 count=1 iflag=direct 2>/dev/null", SLOW)
    expect(status != 0, "a read behind the end of the file succeeded")
    expect("Disk short: read at byte 2097152 failed" in child.log(), f"the log: {child.log()}")
    expect(child.events("disk_error")[0]["id"] == "short", "there was no event disk_error")
    child.ask("ls /mnt")


@SCENARIO.check("end")
def _(machine):
    child = state["child"]
    child.ask("umount /mnt", SLOW)
    expect(child.stop() == 0, f"the worker's log: {child.log()}")
    if "sanitizer" in child.log():
        raise Failure(child.log())
