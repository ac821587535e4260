# SPDX-License-Identifier: MIT
"""A daemon of its own for a test: directories, process, and calls over its local socket or HTTPS."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time


class LocalConnection(http.client.HTTPConnection):
    """HTTP over the administrator's UNIX socket."""

    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, build, *options):
        self.build = build
        self.options = list(options)
        self.root = tempfile.mkdtemp(prefix="bulkhead-")
        self.process = None
        self.token = None
        self.log = open(os.path.join(self.root, "log"), "ab")

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def arguments(self, *more):
        return [os.path.join(self.build, "mgmtd", "bulkheadd"), "--state", self.path("state"),
                "--run", self.path("run"), "--etc", self.path("etc"),
                "--worker", os.path.join(self.build, "tests", "simworker", "simworker"),
                "--address", "127.0.0.1", "--port", "0", "--rate", "0", *self.options, *more]

    def start(self, wait=True):
        """Starts the daemon; the seconds until its first answer."""
        if os.path.exists(self.path("run", "port")):
            os.unlink(self.path("run", "port"))  # of the daemon before; this one's comes a moment after its first answer
        begin = time.monotonic()
        out = open(self.path("out"), "ab")
        self.process = subprocess.Popen(self.arguments(), stdout=out, stderr=self.log)
        out.close()
        while wait:
            if self.process.poll() is not None:
                raise AssertionError("the daemon ended: " + self.tail())
            try:
                if self.call("GET", "/livez", timeout=2)[0] == 200:
                    break
            except OSError:
                time.sleep(0.002)
            if time.monotonic() - begin > 60:
                raise AssertionError("the daemon does not answer: " + self.tail())
        if wait and not self.token:
            self.token = re.search(r"bh_[0-9a-f_]+", open(self.path("out")).read()).group()
        return time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        return self.process.returncode if self.process else None

    def tail(self):
        self.log.flush()
        with open(self.path("log"), errors="replace") as log:
            return "".join(log.readlines()[-10:])

    def port(self):
        end = time.monotonic() + 20
        while not os.path.exists(self.path("run", "port")) or not os.path.getsize(self.path("run", "port")):
            assert time.monotonic() < end, "the daemon names no port: " + self.tail()
            time.sleep(0.002)
        return int(open(self.path("run", "port")).read())

    def call(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, document) of one call over the local socket."""
        connection = LocalConnection(self.path("run", "api.sock"), timeout)
        try:
            return self.send(connection, method, path, body, headers)
        finally:
            connection.close()

    @staticmethod
    def send(connection, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/merge-patch+json" if method == "PATCH"
                               else "application/json")
        elif body is not None:
            headers.setdefault("Content-Type", "application/octet-stream")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        if "json" in (response.getheader("Content-Type") or ""):
            data = json.loads(data)
        return response.status, response.headers, data

    def connect(self):
        """An HTTPS connection that trusts this daemon's authority."""
        context = ssl.create_default_context(cafile=self.path("etc", "ca.crt"))
        return http.client.HTTPSConnection("127.0.0.1", self.port(), context=context, timeout=60)

    def good(self, method, path, body=None, headers=None):
        """The document of a call that must succeed."""
        status, _, data = self.call(method, path, body, headers)
        if status not in (200, 201, 202, 204):
            raise AssertionError(f"{method} {path}: {status} {data}")
        return data

    def make_kernel(self, name="k"):
        self.good("POST", "/v1/images", {"name": name, "kind": "kernel"})
        return self.good("PUT", f"/v1/images/{name}/content?wait=30", b"not really a kernel")

    def workers(self):
        """Process ids of the workers of this daemon, by VM."""
        return {vm: pid for pid, vm in self.find_workers()}

    def worker_pids(self):
        return sorted(pid for pid, _ in self.find_workers())

    @staticmethod
    def processes():
        """(process id, words of its command line) of each process there is."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    yield int(pid), file.read().decode(errors="replace").split("\0")
            except OSError:
                continue

    def find_workers(self):
        """(process id, VM) of each worker; a VM must not have two."""
        return [(pid, words[4].split("/")[-2]) for pid, words in self.processes()
                if len(words) > 4 and words[4].startswith(self.path("run", "vms"))]

    def check(self):
        """The program's own check of pages, references and the chain of events."""
        done = subprocess.run(self.arguments("check"), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split()[1])

    def remove(self):
        """Ends the daemon and what outlives it: workers, and the name servers of networks."""
        self.stop()
        for pid, words in self.processes():
            if any(self.root + os.sep in word for word in words):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)


def run(test, *options):
    """Runs test(daemon) with the build directory of the command line; keeps the log of a failure."""
    daemon = Daemon(sys.argv[1], *options)
    try:
        test(daemon)
    except BaseException:
        print(daemon.tail(), file=sys.stderr)
        raise
    finally:
        daemon.remove()
