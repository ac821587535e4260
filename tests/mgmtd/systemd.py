# SPDX-License-Identifier: MIT
"""Does systemd take the daemon's unit, and is the daemon locked in by it?

usage: systemd.py BUILD
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "systemd" / "bulkheadd.service"
EXPOSURE = 55  # of 100, as systemd-analyze counts; a service without any directive has 96
# Stopping the daemon must spare the workers, and their sockets.
# A keeper fetches its worker's io_uring (pidfd_getfd, which systemd counts among debuggers' calls).
WANTED = ("SystemCallFilter=@system-service @mount @chown @setuid seccomp pidfd_getfd", "KillMode=process", "RuntimeDirectoryPreserve=yes", "NoNewPrivileges=yes", "ProtectSystem=strict")


def analyze(*words):
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, f"{words[0]}: {done.stdout[-2000:]}{done.stderr}"
    return done.stdout


def main():
    if not shutil.which("systemd-analyze"):
        print("SKIPPED: systemd-analyze is not installed")
        return 77
    lines = UNIT.read_text().splitlines()
    for line in WANTED:
        assert line in lines, f"{UNIT.name} lacks {line}"
    with tempfile.TemporaryDirectory() as folder:
        # verify looks whether programs and documents are there, so they are named where they are here.
        unit = pathlib.Path(folder) / UNIT.name
        build = pathlib.Path(sys.argv[1]).resolve()
        text = UNIT.read_text().replace("/usr/sbin/bulkheadd", str(build / "mgmtd" / "bulkheadd"))
        unit.write_text("\n".join(line for line in text.splitlines() if not line.startswith("Documentation=")) + "\n")
        analyze("verify", "--man=no", str(unit))
        found = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))
        print(found.splitlines()[-1])
        # The check itself can fail.
        unit.write_text(text.replace("KillMode=process", "KillMode=processs"))
        bad = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
        assert "kill mode" in bad.stderr, bad
    return 0


sys.exit(main())
