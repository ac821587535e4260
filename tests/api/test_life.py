# SPDX-License-Identifier: MIT
"""life.sh, plain curl, against a daemon with a simulated worker."""
import pathlib
import subprocess
import unittest

from daemon import Daemon

SCRIPT = pathlib.Path(__file__).with_name("life.sh")


class Life(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon().start()
        self.addCleanup(self.daemon.remove)
        self.token = self.daemon.folder / "token"
        self.token.write_text(self.daemon.token)
        self.kernel = self.daemon.folder / "kernel"
        self.kernel.write_bytes(b"kernel" * 100000)

    def run_script(self, *more):
        return subprocess.run([SCRIPT, self.daemon.url, self.daemon.ca, self.token, self.kernel, *more],
                              capture_output=True, text=True, timeout=150)

    def test_a_life(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.tail())
        self.assertIn("15 passed, 0 failed", done.stdout)

    def test_the_script_can_fail(self):
        self.token.write_text("bh_wrong")
        done = self.run_script()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("FAILED POST /v1/vms: 401", done.stderr)


if __name__ == "__main__":
    unittest.main()
