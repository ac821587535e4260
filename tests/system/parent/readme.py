# SPDX-License-Identifier: MIT
"""The blocks of README.md on building and on the first boot, as a reader types them."""

import re
import subprocess
import time

from lib.documents import shell_block
from lib.parent import BOOT_SECONDS
from system.parent import GROUP
from system.parent.boot import expect

BUILD_SECONDS = 300
PROMPT = r"^/ # (\x1b\[6n)?$"  # behind it, once, busybox asks a terminal where its cursor is


class Terminal:
    """A command with a terminal's two directions, in a folder."""

    def __init__(self, folder, command):
        self.output = folder / "terminal.log"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(["timeout", "--kill-after=5", str(2 * BOOT_SECONDS), "bash", "-c", command],
                                            cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, pattern, behind=0):
        """Waits until the output behind that place matches; returns it."""
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            ended = self.process.poll() is not None
            text = self.output.read_text(errors="replace").replace("\r", "")
            if re.search(pattern, text[behind:], re.MULTILINE):
                return text
            expect(not ended and time.monotonic() < deadline, f"no {pattern!r}; it ends with {text[-300:]!r}")
            time.sleep(0.05)


@GROUP.test("readme-build", needs=())
def _(site):
    """Apt knows the packages, of which none is installed here, and the tree builds."""
    block = shell_block(site, "README.md", "apt-get install")
    block = block.replace("sudo apt-get install -y", "apt-get install --simulate")
    block = block.replace("-B build ", f"-B '{site.build}' ").replace("--build build", f"--build '{site.build}'")
    done = subprocess.run(["bash", "-euc", block], cwd=site.top, capture_output=True, text=True, timeout=BUILD_SECONDS)
    expect(done.returncode == 0, f"{block!r}: {done.stdout[-200:]} {done.stderr[-400:]}")


@GROUP.test("readme-boot")
def _(site):
    """The machine boots on the terminal to a shell, the driver is loaded there, and bhstat shows its table."""
    folder = site.logs / "readme-boot"
    (folder / "build").symlink_to(site.build)
    with Terminal(folder, "exec " + shell_block(site, "README.md", "qemu-system-x86_64")) as terminal:
        shown = terminal.wait_for(PROMPT)
        for words in ("bulkhead: AMD SVM, 2 LPs", "Hypervisor detected: Microsoft Hyper-V", "Run /bin/busybox as init"):
            expect(words in shown, f"{words!r} is not shown")
        for line in shell_block(site, "README.md", "bhstat --once").splitlines():
            behind = len(shown)
            terminal.type(line + "\n")
            shown = terminal.wait_for(PROMPT, behind + 1)
        expect(re.search(r"^Bulkhead \S+ \(svm\), up .*, 2 LPs, 1 partition", shown, re.MULTILINE), shown[behind:])
        terminal.type("\x01x")
        terminal.process.wait(20)
