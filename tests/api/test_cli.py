# SPDX-License-Identifier: MIT
"""bh, the command line, against the daemon."""
import json
import os
import subprocess
import time
import unittest

from case import ApiCase


class CommandLine(ApiCase):
    @classmethod
    def prepare(cls):
        cls.config = cls.daemon.folder / "config"
        cls.bh_ok("context", "add", "lab", f"url={cls.daemon.url}", f"ca={cls.daemon.ca}", f"token={cls.daemon.token}")
        kernel = cls.daemon.folder / "kernel"
        kernel.write_bytes(b"kernel" * 1000)
        cls.bh_ok("image", "create", "vmlinux", "kind=kernel")
        cls.bh_ok("image", "upload", "vmlinux", str(kernel))

    @classmethod
    def bh(cls, *words, text=None, **environment):
        env = {**os.environ, "XDG_CONFIG_HOME": str(cls.config), **environment}
        return subprocess.run([os.environ["BULKHEAD_BH"], *words], capture_output=True, text=True, input=text,
                              env=env, timeout=60)

    @classmethod
    def bh_ok(cls, *words, **more):
        done = cls.bh(*words, **more)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def test_the_life_of_a_vm(self):
        self.bh_ok("disk", "create", "root", "size=4MiB")
        self.bh_ok("vm", "create", "web", "memory.size=64MiB", "boot.kernel=vmlinux", "disks.root.disk=root", 'tags=["a"]')
        table = self.bh_ok("vm", "list")
        self.assertRegex(table, r"web +stopped +1 +64 MiB")
        self.bh_ok("vm", "start", "web")
        self.assertIn("running", self.bh_ok("vm", "list", "name=web"))
        self.bh_ok("vm", "set", "web", "processors.weight=300", "description=Front")
        vm = json.loads(self.bh_ok("--json", "vm", "show", "web"))
        self.assertEqual((vm["processors"]["weight"], vm["description"]), (300, "Front"))
        self.assertIn("processors.weight", self.bh_ok("vm", "show", "web"))
        console = self.bh_ok("api", "GET", "/v1/vms/web/console")
        self.assertIsInstance(console, str)
        self.assertRegex(self.bh_ok("top"), r"web +running")
        self.bh_ok("vm", "poweroff", "web")
        self.bh_ok("snapshot", "create", "web", "clean")
        for words in (("web",), (), ("vm=web",), ("web", "name=cl*")):
            self.assertIn("clean", self.bh_ok("snapshot", "list", *words))
        self.assertNotIn("clean", self.bh_ok("snapshot", "list", "name=other"))
        self.bh_ok("snapshot", "revert", "web", "clean")
        self.bh_ok("vm", "clone", "web", "web-2")
        self.bh_ok("vm", "delete", "web-2")
        self.bh_ok("snapshot", "delete", "web", "clean")
        self.bh_ok("vm", "delete", "web")
        self.assertNotIn("web", self.bh_ok("vm", "list"))

    def test_refusals_are_explained(self):
        done = self.bh("vm", "create", "bad", "memory.size=lots")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/memory/size", done.stderr)
        self.assertEqual(self.bh("vm", "frobnicate").returncode, 2)
        self.assertEqual(self.bh("vm", "list", BULKHEAD_URL="https://127.0.0.1:1").returncode, 1)
        self.assertEqual(self.bh("api", "GET", "/v1", BULKHEAD_URL="https://127.0.0.1:1").returncode, 3)

    def test_the_server_is_not_trusted_blindly(self):
        done = self.bh("api", "GET", "/livez", BULKHEAD_URL=self.daemon.url)
        self.assertEqual(done.returncode, 3)
        self.assertIn("ca=", done.stderr)

    def test_contexts_are_private(self):
        path = self.config / "bulkhead" / "contexts.json"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        path.chmod(0o644)
        done = self.bh("vm", "list")
        path.chmod(0o600)
        self.assertEqual(done.returncode, 2)
        self.assertIn("chmod 600", done.stderr)
        self.assertIn("* lab", self.bh_ok("context", "list"))

    def test_the_local_socket_needs_no_token(self):
        self.assertIn("socket", self.bh_ok("api", "GET", "/v1", BULKHEAD_SOCKET=self.daemon.socket))

    def test_completion(self):
        self.bh_ok("network", "create", "tabbed", "mode=isolated", "subnet=10.77.0.0/24")
        self.assertEqual(self.bh_ok("complete", "network", "show", "ta").split(), ["tabbed"])
        self.assertEqual(self.bh_ok("complete", "vm", "sta").split(), ["start"])
        script = self.bh_ok("completion", "bash")
        subprocess.run(["bash", "-nc", script], check=True)
        self.bh_ok("network", "delete", "tabbed")

    def test_console_shows_and_types(self):
        self.bh_ok("vm", "create", "term", "memory.size=64MiB", "boot.kernel=vmlinux")
        self.bh_ok("vm", "start", "term")
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.config)}
        with subprocess.Popen([os.environ["BULKHEAD_BH"], "console", "term"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=env) as console:
            console.stdin.write(b"typed by bh\n")
            console.stdin.flush()
            seen, limit = b"", time.monotonic() + 10
            os.set_blocking(console.stdout.fileno(), False)
            while b"typed by bh" not in seen and time.monotonic() < limit:
                seen += console.stdout.read(4096) or b""
                time.sleep(0.02)
            console.terminate()
        self.assertIn(b"typed by bh", seen)

    def test_events(self):
        self.bh_ok("user", "create", "eve", "role=viewer")
        self.assertIn("user.created", self.bh_ok("events", "--since", "0"))


if __name__ == "__main__":
    unittest.main()
