# SPDX-License-Identifier: MIT
"""One emulated machine: a QEMU process, its two serial ports and its monitor.

COM1 goes to the file com1.log in the machine's folder and is only read. COM2 and the monitor are
socket pairs: nothing listens anywhere. QEMU runs in the machine's folder under timeout(1), so it
ends by itself at its time limit even when the harness dies. Every wait has a deadline.
"""

import json
import re
import select
import socket
import subprocess
import time

QEMU = "qemu-system-x86_64"
POLL = 0.05  # seconds between looks at a log file


class Failure(Exception):
    """What a test expected did not happen; the text is the reason to print."""


class Wire:
    """Our end of a socket pair whose other end QEMU holds; text in both directions."""

    def __init__(self, log_path):
        self.ours, self.theirs = socket.socketpair()
        self.log = open(log_path, "ab", buffering=0)
        self.pending = b""

    def close(self):
        for thing in (self.ours, self.theirs, self.log):
            thing.close()

    def send(self, text):
        self.ours.sendall(text.encode())

    def read_until(self, pattern, seconds):
        """Text up to and with the first match of the bytes pattern, and the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.pending)
            if match:
                before = self.pending[:match.start()].decode(errors="replace")
                self.pending = self.pending[match.end():]
                return before, match
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                tail = self.pending[-200:].decode(errors="replace")
                raise Failure(f"no answer within {seconds:.0f} s, last read {tail!r}")
            received = self.ours.recv(65536)
            if not received:
                raise Failure("the machine ended while an answer was awaited")
            self.log.write(received)
            self.pending += received


class Machine:
    """A running QEMU. Use it with `with`: leaving the block kills the process."""

    def __init__(self, folder, arguments, limit):
        """folder: exists, is QEMU's working folder. limit: seconds the process may live."""
        self.folder = folder
        self.com1 = folder / "com1.log"
        self.com1.touch()
        self.shell_wire = Wire(folder / "com2.log")
        self.monitor = Wire(folder / "monitor.log")
        self.log_position = 0
        self.commands = 0
        descriptors = [self.shell_wire.theirs.fileno(), self.monitor.theirs.fileno()]
        command = [
            "timeout", "--kill-after=5", str(limit), QEMU, "-no-user-config", "-nodefaults",
            "-vga", "none", "-display", "none",
            "-serial", "file:com1.log",
            "-chardev", f"socket,id=com2,fd={descriptors[0]}", "-serial", "chardev:com2",
            "-chardev", f"socket,id=monitor,fd={descriptors[1]}",
            "-mon", "chardev=monitor,mode=control", *arguments]
        (folder / "command.log").write_text(" ".join(command) + "\n")
        with open(folder / "qemu.log", "wb") as output:
            self.process = subprocess.Popen(command, cwd=folder, pass_fds=descriptors,
                                            stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT)
        self.shell_wire.theirs.close()
        self.monitor.theirs.close()
        self.qmp_ready = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Kills our own QEMU, by way of its timeout process, and waits for it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.shell_wire.close()
        self.monitor.close()

    # The log on COM1

    def log(self):
        """Everything the machine wrote to COM1 so far."""
        return self.com1.read_text(errors="replace").replace("\r", "")

    def complaints(self, count):
        """The hypervisor's last lines there since the parent was up: it then writes warnings only."""
        return [line for line in self.log_since_ready() if line.startswith("bulkhead: ")][-count:]

    def kernel_complaints(self, count):
        """The first lines of the parent's kernel there since it was up: it then says errors only."""
        return [line for line in self.log_since_ready() if re.match(r"\[ *\d+\.\d+\]", line)][:count]

    def log_since_ready(self):
        return self.log().rpartition("\ninit: ready\n")[2].splitlines()

    def expect_log(self, pattern, seconds):
        """Waits until the log holds the pattern behind the place of the last match."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None  # looked at before the log is read
            text = self.log()
            match = re.compile(pattern, re.MULTILINE).search(text, self.log_position)
            if match:
                self.log_position = match.end()
                return match
            fatal = re.search(r"^bulkhead: fatal: .*\n", text[self.log_position:], re.MULTILINE)
            if fatal:
                raise Failure(fatal.group(0).rstrip())
            if ended:
                raise Failure(f"QEMU ended ({self.exit_reason()}) while the log was to show "
                              f"{pattern!r}")
            if time.monotonic() > deadline:
                lines = text.rstrip().splitlines()
                raise Failure(f"no {pattern!r} in the log within {seconds:.0f} s; it ends with "
                              f"{lines[-1] if lines else ''!r}; {self.whereabouts()}")
            time.sleep(POLL)

    def exit_reason(self):
        status = self.process.returncode
        if status == 124:
            return "time limit"
        words = (self.folder / "qemu.log").read_text(errors="replace").strip().splitlines()
        return f"status {status}" + (f", {words[-1]}" if words else "")

    def wait_exit(self, seconds):
        """Waits for QEMU to end by itself; returns its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the machine still ran after {seconds:.0f} s") from None

    # The shell on COM2

    def run(self, command, seconds=60):
        """Runs a one-line shell command in the parent; returns (status, output)."""
        self.commands += 1
        mark = f"@{self.commands}"
        self.shell_wire.send(f"{mark} {command}\n")
        try:
            output, match = self.shell_wire.read_until(
                rb"\n" + mark.encode() + rb" (\d+)@\n", seconds)
        except Failure as failure:
            raise Failure(f"{command!r}: {failure}; {self.whereabouts()}") from None
        return int(match.group(1)), output.rstrip("\n")

    def ask(self, command, seconds=60):
        """Output of a command that must succeed."""
        status, output = self.run(command, seconds)
        if status != 0:
            raise Failure(f"{command!r} ended with status {status}: {output[-300:]}")
        return output

    def tell(self, command):
        """Types a command whose end is not awaited, like reboot."""
        self.shell_wire.send(f"@untold {command}\n")

    # The monitor

    def qmp(self, command, seconds=20, **arguments):
        """One monitor command; returns its answer. Events are passed over."""
        if not self.qmp_ready:
            self.monitor.read_until(rb'\{"QMP".*\n', seconds)
            self.qmp_ready = True
            self.qmp("qmp_capabilities")
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        while True:
            _, match = self.monitor.read_until(rb"[^\n]*\n", seconds)
            answer = json.loads(match.group(0))
            if "error" in answer:
                raise Failure(f"monitor command {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def all_halted(self):
        """True when every processor sits in HLT."""
        flags = re.findall(r"HLT=(\d)", self.registers())
        return bool(flags) and all(flag == "1" for flag in flags)

    def registers(self):
        return self.qmp("human-monitor-command", **{"command-line": "info registers -a"})

    def whereabouts(self, looks=6):
        """Where each processor is, several times: of a machine that stands still, in guests too.

        It is said beside a failure, so it must not fail itself: a silent monitor ends the list.
        """
        places = []
        try:
            for _ in range(looks):
                found = re.findall(r"RIP=(\w+) RFL=(\w+).*HLT=(\d)", self.registers())
                places.append(" ".join(f"{rip}/{flags}/{halted}" for rip, flags, halted in found))
                time.sleep(POLL)
        except (Failure, OSError) as silence:
            places.append(f"no more: {silence}")
        return f"RIP/RFLAGS/HLT of its processors: {', '.join(places)}"
