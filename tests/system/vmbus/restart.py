# SPDX-License-Identifier: MIT
"""The worker is killed again and again under a guest that writes, reads and sends: it sees a pause.

BULKHEAD_KILLS says how often (3).
"""

import os
import random
import time

from lib.child import POLL, Child, Guest
from lib.machine import Failure
from lib.parent import Disk, Plan
from system.child.guests import UNSOUND
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import SLOW, wait_for
from system.vmbus.network import PARENT, PORT
from system.vmbus.power import expect_sound

KILLS = int(os.environ.get("BULKHEAD_KILLS", "3"))
ADDRESS = "10.1.0.2"

PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1500,
            disks=(Disk("root", "virtio-blk-pci,drive={drive}", size=64),
                   Disk("data", "virtio-blk-pci,drive={drive}", size=32, filesystem=False)))
GUEST = Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2, memory=192, keep=True,
              disks=({"id": "root", "path": "/dev/vda"}, {"id": "data", "path": "/dev/vdb"}),
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


def healthy(child):
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}|I/O error|hv_storvsc.*(fail|error)|"
                    "hv_netvsc.*(err|fail|invalid|unknown)|hv_vmbus.*(err|fail|invalid)'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def kill(child, number):
    """SIGKILL at some moment; returns when another worker answers."""
    pid = child.pid()
    time.sleep(random.uniform(1.0, 2.5))
    child.machine.ask(f"kill -9 {pid}")
    end = time.monotonic() + SLOW
    while f'"restarts": {number},' not in child.machine.run(
            f"timeout 10 bhctl {child.socket} status 2>/dev/null")[1]:
        if child.machine.run(f"test -s {child.files}/status")[0] == 0 or time.monotonic() > end:
            raise Failure(f"no other worker after kill {number}: {child.log()[-300:]}")
        time.sleep(POLL)


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


@SCENARIO.check("reset")
def _(_machine):
    """A guest that another worker has taken up can be reset like any."""
    child = state["child"]
    child.ask("umount /mnt", SLOW)
    child.control("reset")
    child.wait_ready()
    wait_for(child, "test -b /dev/sda -a -b /dev/sdb")
    healthy(child)


@SCENARIO.check("end")
def _(machine):
    child = state["child"]
    expect(child.stop() == 0, f"the worker's log: {child.log()}")
    machine.ask("sync")
    expect_sound(machine.folder / "root.img")
    if "sanitizer" in child.log():
        raise Failure(child.log())
