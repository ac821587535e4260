# SPDX-License-Identifier: MIT
"""What the hypervisor refuses to start on, or with: one clear line, then a machine that stands still.

A firmware lock of SVM can not be shown in QEMU, whose VM_CR register is always 0.
"""

import random
import re
import time

from lib.machine import Failure
from lib.parent import Plan, prepare_folder, start, variant
from system.parent import GROUP
from system.parent.boot import expect

FATAL = r"^bulkhead: fatal: (.*)\n"
STANDSTILL = 3  # seconds to watch that nothing more happens


def wait_halted(machine, seconds):
    deadline = time.monotonic() + seconds
    while not machine.all_halted():
        if time.monotonic() > deadline:
            raise Failure("the machine is not halted: a processor still runs")
        time.sleep(0.2)


def refuse(site, name, plan, sentence, spoil=None):
    """Boots the plan; spoil(folder) damages a file before. sentence: what the line must match."""
    folder = prepare_folder(site, name, plan)
    if spoil:
        spoil(folder)
    with start(site, folder, plan, extra=("-no-reboot",)) as machine:
        said = machine.expect_log(FATAL, 90).group(1)
        expect(re.search(sentence, said, re.IGNORECASE), f"the refusal was: {said}")
        expect(25 <= len(said) <= 200, f"this is no sentence: {said}")
        wait_halted(machine, 20)
        time.sleep(STANDSTILL)
        expect(machine.process.poll() is None, f"the machine has reset: {machine.exit_reason()}")
        after = machine.log()[machine.log_position:].strip()
        expect(after == "", f"after the refusal the log goes on: {after[:200]}")


def register(name, sentence, spoil=None, **changes):
    @GROUP.test(f"refuse-{name}")
    def _(site):
        refuse(site, f"refuse-{name}", variant(Plan(limit=180, memory=512), **changes), sentence,
               spoil)


def replace_file(folder, name, data):
    (folder / name).unlink()
    (folder / name).write_bytes(data)


def garbage(folder):
    replace_file(folder, "vmlinuz", random.Random(1).randbytes(65536))


def truncated(folder):
    replace_file(folder, "vmlinuz", (folder / "vmlinuz").read_bytes()[:1 << 20])


def header_only(folder):
    replace_file(folder, "vmlinuz", (folder / "vmlinuz").read_bytes()[:1024])


OPTIONS = Plan().hv_options
register("no-svm", "svm|amd-v", cpu="max,-svm")
register("no-nested-paging", "nested", cpu="max,-npt")
register("little-memory", "memory", memory=40)
register("no-module", "kernel|module", modules=False)
register("garbage-kernel", "kernel", spoil=garbage)
register("truncated-kernel", "kernel", spoil=truncated)
register("kernel-header-only", "kernel", spoil=header_only)
register("unknown-option", "colour", hv_options=f"{OPTIONS} colour=blue")
register("bad-lps", "lps", hv_options=f"{OPTIONS} lps=many")
register("bad-memory-size", "parent_memory", hv_options=f"{OPTIONS} parent_memory=12X")
register("little-parent-memory", "memory", hv_options=f"{OPTIONS} parent_memory=16M")
register("too-many-lps", "65", cpus=65, memory=1024)
