# SPDX-License-Identifier: MIT
"""A daemon of one's own: fresh folders, a free port, a simulated worker.

BULKHEADD and BULKHEAD_WORKER name the programs; BULKHEAD_BH names the command line.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOKEN_PREFIX = "bh_"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    def __init__(self, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-"))
        self.options = options
        self.port = free_port()
        self.process = None
        self.token = None
        self.starts = 0

    @property
    def socket(self):
        return str(self.folder / "run" / "api.sock")

    @property
    def ca(self):
        return str(self.folder / "etc" / "ca.crt")

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.folder / "log"

    def start(self):
        """Start, wait until the API answers, remember the first token."""
        command = [os.environ["BULKHEADD"], "--state", self.folder / "state", "--run", self.folder / "run",
                   "--etc", self.folder / "etc", "--worker", os.environ["BULKHEAD_WORKER"],
                   "--port", str(self.port), *self.options]
        self.starts += 1
        out = self.folder / f"out{self.starts}"
        with open(out, "wb") as stdout, open(self.log, "ab") as stderr:
            self.process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        limit = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the daemon does not answer:\n{out.read_text()}{self.tail()}")
            time.sleep(0.02)
        for word in out.read_text().split():
            if word.startswith(TOKEN_PREFIX):
                self.token = word
        return self

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.socket)
                s.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return s.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        """Ask it to end; it must do so by itself."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("the daemon did not stop within 20 s") from None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def remove(self):
        self.stop()
        self.end_workers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def workers(self):
        """Process ids of this daemon's workers, found by the folder in their command line or folder."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                folder = os.readlink(entry / "cwd")
            except OSError:
                continue
            if str(self.folder).encode() in words and os.path.basename(
                    os.environ["BULKHEAD_WORKER"]).encode() in words or folder.startswith(str(self.folder)):
                found.append(int(entry.name))
        return found

    def end_workers(self):
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
