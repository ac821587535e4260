# SPDX-License-Identifier: MIT
"""Small test kernels by the worker's other loaders, in 32- and in 64-bit mode."""

import re

from lib.child import Child, Guest
from system.child import GROUP
from system.child.guests import nothing_left, plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

OPTIONS = "one two=3"
MEMORY = 64
CPIO = 0x37303730  # the first four bytes of an archive, "0707"

kernels = GROUP.scenario("kernels", plan(1), needs=("hv",))


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
