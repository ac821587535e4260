# SPDX-License-Identifier: MIT
"""Small test kernels by the worker's other loaders, in 32- and in 64-bit mode."""

import json
import os
import re
import shlex

from lib.child import Child, Guest
from lib.parent import variant
from system.child import GROUP
from system.child.device import memory as owners
from system.child.guests import nothing_left, plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

OPTIONS = "one two=3"
MEMORY = 64
CYCLES = int(os.environ.get("BULKHEAD_CYCLES", "100"))  # 1,000 for a long run
SECONDS_A_CYCLE = 2
# What the parent's kernel may have more of after the cycles than before: of /proc/meminfo in KiB,
# open files, processes. Its caches move by as much, whatever the number of cycles.
SLACK = {"unavailable": 8192, "SUnreclaim": 4096, "AnonPages": 2048, "Shmem": 1024, "files": 64,
         "processes": 8}
CPIO = 0x37303730  # the first four bytes of an archive, "0707"

kernels = GROUP.scenario("kernels", variant(plan(1), limit=600 + SECONDS_A_CYCLE * CYCLES),
                         needs=("hv",))


def run_kernel(machine, name, initrd):
    """Runs it to its end; returns its values by name, and its exit code."""
    load_driver(machine)
    child = Child(machine, 1, Guest(f"/guest/{name}", initrd, OPTIONS, memory=MEMORY))
    child.start(paused=True)
    child.control("resume")
    expect(child.wait_exit(60) == 0, f"the worker failed: {child.log()}")
    child.fetch()
    last = child.events("state")[-1]
    expect(last["reason"] == "debug_exit", f"it ended by {last}: {child.text!r}")
    return dict(re.findall(r"^(\w+) (.*)$", child.text, re.MULTILINE)), last["exit_code"]


def check_common(machine, said, initrd):
    expect(said["command"].endswith(OPTIONS), f"its command line: {said}")
    expect(int(said["memory"], 16) > (MEMORY - 2) << 20, f"its memory map: {said}")
    expect(int(said["modules"], 16) == (1 if initrd else 0), f"its modules: {said}")
    if initrd:
        size = int(machine.ask(f"stat -c %s {initrd}"))
        expect(int(said["module"], 16) == size and int(said["archive"], 16) == CPIO,
               f"its initial RAM disk of {size} bytes: {said}")


@kernels.check("multiboot-32")
def _(machine):
    """Multiboot 1, 32-bit protected mode without paging."""
    said, code = run_kernel(machine, "multiboot32", "/guest/initrd.img")
    expect(code == 32 and said["kernel"] == "multiboot", f"it said {said}, code {code}")
    expect(said["protected"] == "0x1", f"not in protected mode without paging: {said}")
    check_common(machine, said, "/guest/initrd.img")


@kernels.check("pvh-64")
def _(machine):
    """A PVH note in a 64-bit ELF, which goes into long mode by itself."""
    said, code = run_kernel(machine, "pvh64", "/guest/initrd.img")
    expect(code == 64 and said["kernel"] == "pvh" and said["rsdp"] == "0x1",
           f"it said {said}, code {code}")
    check_common(machine, said, "/guest/initrd.img")


@kernels.check("xapic-64")
def _(machine):
    """A local APIC in xAPIC mode: registers in memory, its timer, IPIs to itself."""
    said, code = run_kernel(machine, "xapic64", "")
    expect(code == 65 and said == {"mode": "0x1", "version": said["version"], "kept": "0x1",
                                   "timers": "0x3", "ipis": "0x3"}, f"it said {said}, code {code}")


# What fault64 does by the end of its command line, and what the worker's sentence must say of it.
FAULTS = {"device": ("d", "executes at 0xfec00000,"), "nothing": ("n", "executes at 0x80000000,"),
          "instruction": ("i", "touches 0xfec00000 in a way that is not emulated")}


@kernels.check("guest-faults")
def _(machine):
    """What a guest can not run on from ends it, by its own fault and not by the worker's."""
    load_driver(machine)
    for name, (letter, sentence) in FAULTS.items():
        child = Child(machine, 1, Guest("/guest/fault64", "", letter, memory=MEMORY))
        child.start(paused=True)
        child.control("resume")
        expect(child.wait_exit() == 0, f"{name}: the worker failed: {child.log()}")
        last = child.events("state")[-1]
        expect((last["state"], last["reason"]) == ("stopped", "guest_fault") and
               sentence in last["message"] and last["message"] in child.log(),
               f"{name}: it ended by {last}, its log is {child.log()!r}")
        nothing_left(machine)


@kernels.check("without-initrd")
def _(machine):
    for name in ("multiboot32", "pvh64"):
        said, _ = run_kernel(machine, name, "")
        check_common(machine, said, "")


@kernels.check("refused")
def _(machine):
    """What is no kernel is refused with a sentence, and nothing stays behind."""
    child = Child(machine, 1, Guest("/bin/busybox", memory=MEMORY))
    status, said = child.try_start()
    expect(status != 0 and "kernel" in said, f"busybox as a kernel: {status} {said}")
    expect(child.wait_exit() == 1, "the worker did not end with an error")
    nothing_left(machine)


def run_cycles(machine, count):
    """Workers one after the other, from start to debug exit; each third is killed at some point.

    Returns how many ended by themselves and how many were killed."""
    guest = Guest("/guest/pvh64", "", OPTIONS, memory=MEMORY)
    child = Child(machine, 1, guest)
    machine.ask(f"echo {shlex.quote(json.dumps(child.config()))} >/tmp/cycle")
    worker = ("bulkhead-worker --config /tmp/cycle --control /run/cycle --start --user 60001 "
              "--group 60001 >/dev/null 2>/tmp/cycle.log")
    said = machine.ask(
        f"{{ ended=0 killed=0; for i in $(seq {count}); do {worker} & "
        "if [ $((i % 3)) = 0 ]; then usleep $((RANDOM * 8)); kill -9 $!; fi; wait $!; "
        "case $? in 0) ended=$((ended + 1));; 137) killed=$((killed + 1));; "
        "*) cat /tmp/cycle.log; exit 1;; esac; done; } "
        "2>/dev/null; echo $ended $killed", 60 + 6 * count)
    return [int(number) for number in said.split()]


@kernels.check("cycles")
def _(machine):
    """Create, run and destroy, again and again, leaves every page where it was."""
    load_driver(machine)
    run_cycles(machine, 6)
    before, kernel = owners(machine), held(machine)
    ended, killed = run_cycles(machine, CYCLES)
    expect(ended + killed == CYCLES and ended >= CYCLES // 2,
           f"{ended} ended and {killed} were killed")
    expect(owners(machine) == before, f"before {before}, after {owners(machine)}")
    after = held(machine)
    more = {name: after[name] - kernel[name] for name in SLACK}
    print(f"{CYCLES} cycles, {killed} killed: the parent's kernel has more: {more}", flush=True)
    bad = [name for name, slack in SLACK.items() if more[name] > slack]
    expect(not bad, f"before {kernel}, after {after}")
    bad = machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )'; true")
    expect(bad == "", f"the parent's kernel says: {bad}")


def held(machine):
    """What the parent's kernel has in use: the names of SLACK."""
    machine.ask("sync; echo 3 >/proc/sys/vm/drop_caches")
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", machine.ask("cat /proc/meminfo"), re.MULTILINE))
    # Free pages that the processors keep at hand are not in MemAvailable.
    at_hand = re.findall(r"^ +count: +(\d+)$", machine.ask("cat /proc/zoneinfo"), re.MULTILINE)
    sizes["unavailable"] = int(sizes["MemTotal"]) - int(sizes["MemAvailable"]) \
        - sum(int(pages) for pages in at_hand) * 4
    sizes["files"] = machine.ask("cat /proc/sys/fs/file-nr").split()[0]
    sizes["processes"] = machine.ask("ls /proc | grep -c '^[0-9]'")
    return {name: int(sizes[name]) for name in SLACK}
