# SPDX-License-Identifier: MIT
"""The worker is killed again and again under a guest that writes, reads and sends: it sees a pause.

BULKHEAD_KILLS says how often (3). Devices that were added while it ran are there afterwards, also when
the worker is killed while one comes or goes, and an end that had begun is finished.
"""

import json
import os
import random
import shlex
import time

from lib.child import POLL, Child, Guest
from lib.machine import Failure
from lib.parent import Disk, Plan
from system.child.guests import UNSOUND
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import SLOW, calm, expect_busy, keep_busy, name_disk, wait_for
from system.vmbus.network import PARENT, PORT
from system.vmbus.power import expect_sound

KILLS = int(os.environ.get("BULKHEAD_KILLS", "3"))
ADDRESS = "10.1.0.2"
OTHER_PARENT, OTHER_ADDRESS = "10.2.0.1", "10.2.0.2"
HOT_NIC = {"id": "hot", "tap": "bh8", "mac": "52:54:00:00:01:08", "queues": 2}

PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1500,
            disks=(Disk("root", "virtio-blk-pci,drive={drive}", size=64),
                   Disk("data", "virtio-blk-pci,drive={drive}", size=32, filesystem=False),
                   Disk("frozen", "virtio-blk-pci,drive={drive}", size=24)))
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2, memory=192, keep=True,
              disks=({"id": "root", "path": "/dev/vda"}, {"id": "data", "path": "/dev/vdb"},
                     {"id": "cd0", "kind": "cd"}),
              nics=({"id": "nic0", "tap": "bh0", "mac": "52:54:00:00:01:01", "queues": 2},))

# Each writer ends with a word when what it reads is not what it wrote. The second one writes the
# same blocks with other bytes each time, so a late write of before would be seen.
FILES = ("i=0; while test ! -e /tmp/enough; do cp /tmp/seed /mnt/file$((i % 4)) && sync && "
         "echo 3 >/proc/sys/vm/drop_caches && cmp /tmp/seed /mnt/file$((i % 4)) || "
         "{ echo file $i >>/tmp/bad; break; }; i=$((i+1)); echo . >>/tmp/files; done &")
BLOCKS = ("i=0; while test ! -e /tmp/enough; do dd if=/dev/urandom of=/tmp/block bs=64k count=4 "
          "2>/dev/null; dd if=/tmp/block of=/dev/data bs=16k seek=$((i % 8 * 8)) conv=notrunc "
          "oflag=direct 2>/dev/null && dd if=/dev/data of=/tmp/again bs=16k count=16 "
          "skip=$((i % 8 * 8)) iflag=direct 2>/dev/null && cmp /tmp/block /tmp/again || "
          "{ echo block $i >>/tmp/bad; break; }; i=$((i+1)); echo . >>/tmp/blocks; done &")
STREAM = (f"while test ! -e /tmp/enough; do flow tcp {PARENT} {PORT} 400000 || "
          "{ echo stream >>/tmp/bad; break; }; echo . >>/tmp/streams; done >/dev/null 2>&1 &")


COMPLAINTS = "|hv_storvsc.*(fail|error)|hv_netvsc.*(err|fail|invalid|unknown)|hv_vmbus.*(err|fail|invalid)"


def healthy(child, complaints=COMPLAINTS):
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}|I/O error{complaints}'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def wait_for_next(child, number):
    """Returns when another worker answers."""
    end = time.monotonic() + SLOW
    while f'"restarts": {number},' not in child.machine.run(
            f"timeout 10 bhctl {child.socket} status 2>/dev/null")[1]:
        if child.machine.run(f"test -s {child.files}/status")[0] == 0 or time.monotonic() > end:
            raise Failure(f"no other worker after kill {number}: {child.log()[-300:]}")
        time.sleep(POLL)


def kill(child, number):
    """SIGKILL at some moment; returns when another worker answers."""
    pid = child.pid()
    time.sleep(random.uniform(1.0, 2.5))
    child.machine.ask(f"kill -9 {pid}")
    wait_for_next(child, number)


def restarts(child):
    return child.control("status")["restarts"]


def kill_amid(child, method, params):
    """SIGKILL while a request is under way, whose answer may be lost."""
    pid, number = child.pid(), restarts(child)
    child.machine.ask(f"(bhctl {child.socket} {method} {shlex.quote(json.dumps(params))} >/dev/null 2>&1 &) ; "
                      f"usleep {random.randrange(60000)}; kill -9 {pid}")
    wait_for_next(child, number + 1)


def ids(child, kind):
    return [device["id"] for device in child.control("status")[kind]]


def counts(child):
    return [int(word) for word in child.ask("for f in files blocks streams; do wc -l </tmp/$f; done",
                                            SLOW).split()]


SCENARIO = GROUP.scenario("vmbus-restart", PLAN, needs=("hv",))
state = {}


@SCENARIO.check("guest")
def _(machine):
    load_driver(machine)
    machine.ask("load-network && brctl addbr br0 && "
                f"ip addr add {PARENT}/24 dev br0 && ip link set br0 up", 60)
    machine.ask("tunctl -t bh0 && brctl addif br0 bh0 && ip link set bh0 up")
    machine.ask(f"(flow serve {PORT} >/dev/null 2>&1 &) ; true")
    child = state["child"] = Child(machine, 0, GUEST).boot()
    wait_for(child, "test -b /dev/sda -a -b /dev/sdb -a -e /sys/class/net/eth0")
    child.ask("for d in sda sdb; do test $(cat /sys/block/$d/size) = 131072 && ln -sf $d /dev/root"
              " || ln -sf $d /dev/data; done; mkdir -p /mnt && mount /dev/root /mnt", SLOW)
    child.ask(f"ip addr add {ADDRESS}/24 dev eth0 && ip link set eth0 up")
    child.ask("dd if=/dev/urandom of=/tmp/seed bs=64k count=12 2>/dev/null")


@SCENARIO.check("idle")
def _(_machine):
    """First a guest that does nothing: its shell answers afterwards."""
    child = state["child"]
    kill(child, 1)
    child.reconnect()
    expect(child.ask("echo here") == "here", "the shell says something else")
    expect(child.state() == "running", f"the guest is {child.state()}")
    healthy(child)


@SCENARIO.check("load")
def _(machine):
    child = state["child"]
    for work in (FILES, BLOCKS, STREAM):
        child.tell(work)
    wait_for(child, "test -e /tmp/files -a -e /tmp/blocks -a -e /tmp/streams", SLOW)
    before = counts(child)
    for number in range(2, KILLS + 2):
        kill(child, number)
    child.reconnect()
    # All three go on behind the last one.
    wait_for(child, f"test $(wc -l </tmp/files) -gt {before[0]} -a $(wc -l </tmp/blocks) -gt {before[1]} "
             f"-a $(wc -l </tmp/streams) -gt {before[2]}", SLOW)
    after = counts(child)
    time.sleep(1)
    wait_for(child, f"test $(wc -l </tmp/files) -gt {after[0]} -a $(wc -l </tmp/blocks) -gt {after[1]} "
             f"-a $(wc -l </tmp/streams) -gt {after[2]}", SLOW)
    child.ask("touch /tmp/enough; wait")
    bad = child.ask("cat /tmp/bad 2>/dev/null; true")
    expect(bad == "", f"what was read is not what was written or sent: {bad}")
    healthy(child)
    errors = {disk["id"]: disk["errors"] for disk in child.control("stats")["disks"]}
    expect(not any(errors.values()), f"the worker counted errors: {errors}")
    expect(child.control("status")["restarts"] == KILLS + 1, "another number of restarts")


@SCENARIO.check("added")
def _(machine):
    """A disk, a disc and a card that came while the guest ran; the load of the disk and the card goes on."""
    child = state["child"]
    machine.ask("truncate -s 8M /tmp/hot.raw && dd if=/dev/urandom of=/tmp/cd.iso bs=2048 count=64 2>/dev/null; "
                "flow tap bh8 && brctl addif br0 bh8 && ip link set bh8 up && "
                f"ip addr add {OTHER_PARENT}/24 dev br0")
    child.control("disk_add", disk={"id": "hot", "path": "/tmp/hot.raw"})
    child.control("nic_add", nic=HOT_NIC)
    child.control("cd_insert", id="cd0", path="/tmp/cd.iso")
    name_disk(child, "hot", 8)
    wait_for(child, "test -e /sys/class/net/eth1")
    child.ask(f"ip addr add {OTHER_ADDRESS}/24 dev eth1 && ip link set eth1 up")
    keep_busy(child, f"dd if=/tmp/seed of=/dev/hot bs=64k oflag=direct && cmp -n 786432 /tmp/seed /dev/hot "
              f"&& flow tcp {OTHER_PARENT} {PORT} 100000")
    expect_busy(child)
    for _round in range(2):
        kill(child, restarts(child) + 1)
    child.reconnect()
    expect_busy(child)
    calm(child)
    expect(sorted(ids(child, "disks")) == ["cd0", "data", "hot", "root"], f"disks {ids(child, 'disks')}")
    expect(ids(child, "nics") == ["nic0", "hot"], f"NICs {ids(child, 'nics')}")
    wanted = machine.ask("md5sum </tmp/cd.iso")
    said = child.ask("echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/sr0 bs=2048 count=64 2>/dev/null | md5sum", SLOW)
    expect(said == wanted, f"the disc reads as {said!r}")
    child.control("cd_eject", id="cd0")
    child.control("disk_remove", id="hot")
    child.control("nic_remove", id="hot")
    wait_for(child, "test ! -e /dev/$(readlink /dev/hot) -a ! -e /sys/class/net/eth1")
    healthy(child)


@SCENARIO.check("amid")
def _(_machine):
    """Killed while a disk and a card come and go: each is there or not, for worker and guest alike."""
    child = state["child"]
    for _round in range(2):
        for there in (True, False):
            disk = {"disk": {"id": "hot", "path": "/tmp/hot.raw"}} if there else {"id": "hot"}
            nic = {"nic": HOT_NIC} if there else {"id": "hot"}
            verb = "add" if there else "remove"
            for kind, params in (("disk", disk), ("nic", nic)):
                kill_amid(child, f"{kind}_{verb}", params)
                child.reconnect()
                if ("hot" in ids(child, f"{kind}s")) != there:
                    child.control(f"{kind}_{verb}", **params)
            if there:
                name_disk(child, "hot", 8)
                child.ask("dd if=/tmp/seed of=/dev/hot bs=64k oflag=direct 2>/dev/null && "
                          "cmp -n 786432 /tmp/seed /dev/hot", SLOW)
                wait_for(child, "test -e /sys/class/net/eth1")
                child.ask(f"ip addr add {OTHER_ADDRESS}/24 dev eth1 && ip link set eth1 up && "
                          f"flow tcp {OTHER_PARENT} {PORT} 100000", SLOW)
            else:
                wait_for(child, "test ! -e /dev/$(readlink /dev/hot) -a ! -e /sys/class/net/eth1")
    healthy(child, "")  # a driver may complain of a device that goes while it is looked at


@SCENARIO.check("reset")
def _(_machine):
    """A guest that another worker has taken up can be reset like any."""
    child = state["child"]
    child.ask("umount /mnt", SLOW)
    child.control("reset")
    child.wait_ready()
    wait_for(child, "test -b /dev/sda -a -b /dev/sdb")
    healthy(child)


def hang(machine, child):
    """A request of the guest does not end before thaw()."""
    name_disk(child, "frozen", 3)
    machine.ask("fsfreeze --freeze /frozen")
    child.tell("dd if=/dev/zero of=/dev/frozen bs=64k count=1 oflag=direct &")
    wait_for(child, "awk '{exit $2 == 0}' /sys/block/$(readlink /dev/frozen)/inflight")


@SCENARIO.check("stopping")
def _(machine):
    """Killed while a reset, and then while an end, waits for I/O: the next worker finishes it."""
    child = state["child"]
    machine.ask("mkdir -p /frozen && mount -t ext4 /dev/vdc /frozen && truncate -s 3M /frozen/disk")
    child.control("disk_add", disk={"id": "frozen", "path": "/frozen/disk"})
    hang(machine, child)
    before = child.control("status")
    expect(child.control("reset")["state"] == "stopping", "the reset did not wait")
    machine.ask(f"kill -9 {before['pid']}; fsfreeze --unfreeze /frozen")
    wait_for_next(child, before["restarts"] + 1)
    child.connect()
    for _boot in range(before["resets"] + 2):  # the ends of all boots are shown again, and then this one's
        child.wait_ready()
    expect(child.control("status")["resets"] == before["resets"] + 1, "it was not reset")
    hang(machine, child)
    pid = child.pid()
    expect(child.control("power_off")["state"] == "stopping", "the end did not wait")
    machine.ask(f"kill -9 {pid}; fsfreeze --unfreeze /frozen")


@SCENARIO.check("end")
def _(machine):
    child = state["child"]
    expect(child.stop() == 0, f"the worker's log: {child.log()}")
    last = json.loads(child.log().splitlines()[-1])
    expect(last["state"] == "stopped" and last["reason"] == "requested", f"the last word is {last}")
    machine.ask("sync")
    expect_sound(machine.folder / "root.img")
    if "sanitizer" in child.log():
        raise Failure(child.log())
