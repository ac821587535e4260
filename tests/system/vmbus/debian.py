# SPDX-License-Identifier: MIT
"""A whole Debian as a child: systemd, its root file system on a VMBus disk, a card, and the services.

BULKHEAD_CUTS=10 tests/run system vmbus-debian also reboots it and cuts its power ten times, which takes as many boots.
"""

import os
import time

from lib import debian
from lib.parent import Disk, Plan
from lib.suite import Skip
from system.child.guests import UNSOUND
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.power import check_disk, cut, expect_clean, start_records

PARENT, ADDRESS = "10.1.0.1", "10.1.0.2"
MAC = "52:54:00:00:01:01"
SLOW = 300
CUTS = int(os.environ.get("BULKHEAD_CUTS", "0"))
RECORDS = "/var/records"
SIZES = {"one": 48, "two": 40}  # MiB; the guest tells its disks by their sizes
# Over many boots QEMU gathers blocks of each page that held code, and clears such a page ever slower.
PLAN = Plan(cpus=1, memory=2048, initrd="children.img", limit=1500 + CUTS * 400,
            accelerator="tcg,thread=single,tb-size=256" if CUTS else "tcg,thread=single",
            disks=(debian.disk("root"),
                   *(Disk(name, "virtio-blk-pci,drive={drive}", size=size, filesystem=False)
                     for name, size in SIZES.items())))
GUEST = debian.guest(vps=2, memory=512,
                     disks=tuple({"id": disk.name, "path": f"/dev/vd{letter}"}
                                 for disk, letter in zip(PLAN.disks, "abc")),
                     nics=({"id": "nic0", "tap": "bh0", "mac": MAC, "queues": 2},))
DHCP = (f"start {ADDRESS}", f"end {ADDRESS}", "interface bh0", "lease_file /tmp/leases",
        "option subnet 255.255.255.0", f"option router {PARENT}")

SCENARIO = GROUP.scenario("vmbus-debian", PLAN, needs=("hv",))
state = {}


def healthy(child):
    """Neither systemd nor the kernel complains."""
    failed = child.ask("systemctl list-units --failed --plain --no-legend --no-pager")
    expect(failed == "", f"units failed: {failed}")
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}|I/O error|EXT4-fs error|"
                    "hv_.*(err|fail|invalid|timeout|unknown)'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def sound(child):
    """systemd has started everything, nobody complains, and all devices are there."""
    running = child.run("systemctl is-system-running --wait", SLOW)[1]
    healthy(child)
    expect(running == "running", f"the system is {running}")
    expect(child.ask("nproc") == "2", "another number of processors")
    for name, size in SIZES.items():
        child.ask(f"for d in /sys/block/sd*; do test $(cat $d/size) != {size * 2048} || "
                  f"ln -sf ${{d##*/}} /dev/{name}; done; test -b /dev/{name}")
    child.ask(f"until ping -c 1 -W 1 {PARENT} >/dev/null; do sleep 0.5; done", SLOW)


def only_with_cuts():
    if CUTS == 0:
        raise Skip("minutes of boots, and vmbus-services and vmbus-power do it with a small guest: BULKHEAD_CUTS=10")


def wait_for(what, seconds, question):
    deadline = time.monotonic() + seconds
    while not question():
        expect(time.monotonic() < deadline, what)
        time.sleep(0.5)


def verify(child, engine, jobs, size, *options):
    """fio writes at random to both disks at once, reads everything back and compares it."""
    common = (f"--direct=1 --ioengine={engine} --iodepth=16 --rw=randwrite --size={size} --numjobs={jobs} "
              f"--offset_increment={size} --verify=crc32c --verify_fatal=1 {' '.join(options)}")
    status, said = child.run(f"fio {common} --name=one --filename=/dev/one --name=two "
                             "--filename=/dev/two --minimal >/tmp/fio 2>&1 || "
                             "{ tail -c 300 /tmp/fio; false; }", SLOW)
    expect((status, said) == (0, ""), f"fio with {engine}: {said}")


@SCENARIO.check("guest")
def _(machine):
    load_driver(machine)
    debian.take_kernel(machine, "/dev/vda")
    lines = " ".join(f"'{line}'" for line in DHCP)
    machine.ask("load-network && tunctl -t bh0 && "
                f"ip addr add {PARENT}/24 dev bh0 && ip link set bh0 up && touch /tmp/leases && "
                f"printf '%s\\n' {lines} >/tmp/dhcp && udhcpd /tmp/dhcp", 60)
    state["child"] = debian.Debian(machine, 0, GUEST).boot()
    sound(state["child"])


@SCENARIO.check("told")
def _(_machine):
    """What the guest's own daemon says of it reaches the worker's status."""
    child = state["child"]
    wait_for("its address was not told", 60,
             lambda: ADDRESS in child.control("status")["guest"].get("addresses", []))
    told = child.control("status")["guest"]
    expect(told["host_name"] == "debian" and "Debian" in told["os"] and told["heartbeat"] == "ok",
           f"it told {told}")


@SCENARIO.check("ssh")
def _(machine):
    said = machine.ask(f"nc -w 20 {ADDRESS} 22 </dev/null | head -c 8", 60)
    expect(said == "SSH-2.0-", f"port 22 says {said!r}")


@SCENARIO.check("fio")
def _(_machine):
    """Two disks, two queues each."""
    child = state["child"]
    channels = child.ask("echo $(cat $(ls -d /sys/bus/vmbus/devices/*/host0/..)/channels/*/cpu | sort)")
    expect(channels == "0 1", f"channels on VPs {channels}")
    verify(child, "libaio", 2, "2M", "--bs=4k")
    verify(child, "io_uring", 2, "4M", "--bsrange=4k-256k", "--fsync=16")
    healthy(child)


def used(machine):
    """KiB of the thin disk's file."""
    return int(machine.ask("du -k /thin/disk").split()[0])


@SCENARIO.check("thin")
def _(machine):
    """What is discarded is given back, by fstrim too; a disk that can not grow says so, and is whole."""
    child = state["child"]
    machine.ask("mkdir -p /thin && mount -t tmpfs -o size=4m thin /thin && truncate -s 16M /thin/disk")
    child.control("disk_add", disk={"id": "thin", "path": "/thin/disk"})
    child.ask("until grep -qx 32768 /sys/block/sd*/size; do sleep 0.2; done; "
              "ln -sf /dev/$(grep -lx 32768 /sys/block/sd*/size | cut -d/ -f4) /dev/thin", SLOW)
    child.ask("dd if=/dev/urandom of=/dev/thin bs=1M count=2 oflag=direct 2>/dev/null")
    expect(used(machine) == 2048, "not 2 MiB are used")
    child.ask("blkdiscard -o 1M -l 1M /dev/thin")
    expect(used(machine) == 1024, "nothing was given back")
    child.ask("cmp -n 1M -i 1M /dev/thin /dev/zero")
    status, said = child.run("dd if=/dev/urandom of=/dev/thin bs=1M oflag=direct", SLOW)
    expect(status != 0 and "No space left on device" in said, f"the full disk says {said}")
    expect(child.events("disk_error")[-1]["id"] == "thin", "there was no event disk_error")
    child.ask("blkdiscard /dev/thin && mkfs.ext4 -q -O ^has_journal -N 64 -E lazy_itable_init=0 /dev/thin && "
              "mount /dev/thin /mnt && sync", SLOW)
    sizes = [used(machine)]
    for command in ("head -c 2M /dev/urandom >/mnt/file && sync", "rm /mnt/file && sync && fstrim /mnt"):
        child.ask(command, SLOW)
        sizes.append(used(machine))
    expect(sizes[1] - sizes[0] >= 2048 and abs(sizes[2] - sizes[0]) <= 64, f"empty, full and trimmed are {sizes} KiB")
    child.ask("umount /mnt")
    child.control("disk_remove", id="thin")
    machine.ask("umount /thin")


@SCENARIO.check("reboot")
def _(_machine):
    only_with_cuts()
    child = state["child"]
    before = child.control("status")["resets"]
    child.control("shutdown", action="reboot")
    child.wait_ready()
    expect(child.control("status")["resets"] == before + 1, "it was no reset")
    sound(child)


@SCENARIO.check("cuts")
def _(machine):
    """Records on the root file system, beside fio that seldom syncs; after each cut all units start again."""
    only_with_cuts()
    last = -1
    for number in range(CUTS):
        child = state["child"]
        child.ask(f"mkdir -p {RECORDS}")
        child.tell("fio --name=restless --directory=/var --size=24M --rw=randwrite --bsrange=4k-64k "
                   "--ioengine=io_uring --iodepth=8 --fsync=64 --thinktime=20ms --time_based --runtime=1d "
                   ">/dev/null 2>&1 &")
        start_records(child, RECORDS, last + 1, 2 * SLOW)
        heard = cut(machine, child, number)
        last = check_disk(machine, "root", RECORDS, heard)
        state["child"] = debian.Debian(machine, 0, GUEST).boot()
        sound(state["child"])


@SCENARIO.check("shutdown")
def _(machine):
    """In order: the worker ends, and nothing of the file system is left to the journal."""
    child = state["child"]
    child.control("shutdown", reason="test")
    status = child.wait_exit(SLOW)
    expect(status == 0, f"the worker ended with status {status}: {child.log()}")
    ends = [event for event in child.events("state") if event["state"] == "stopped"]
    expect(ends and ends[-1]["reason"] == "guest_power_off", f"the worker said {ends}")
    expect_clean(machine, "root")
