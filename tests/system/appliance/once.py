# SPDX-License-Identifier: MIT
"""packaging/try, as somebody runs it who has just got the sources and read docs/getting-started.md."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import closing

from system.appliance import GROUP
from system.parent.boot import expect

TRY_SECONDS = 1500  # compiling included
STEPS = ("configures the build", "builds hypervisor", "makes the appliance", "makes the demo guest",
         "hypervisor, parent and daemon start", "the guest boots to its shell", "its shell answers",
         "its web server answers")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}


def copy_sources(site, folder):
    """What git knows of this tree, in a folder whose name has a space."""
    copy = folder / "a copy"
    copy.mkdir(exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=site.top, check=True,
                           capture_output=True).stdout
    with subprocess.Popen(["tar", "--null", "-T", "-", "-cf", "-"], cwd=site.top,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pack:
        unpack = subprocess.Popen(["tar", "-xf", "-"], cwd=copy, stdin=pack.stdout)
        pack.stdin.write(names)
        pack.stdin.close()
        expect(unpack.wait() == 0 and pack.wait() == 0, "the sources could not be copied")
    return copy


def occupy(port):
    """A listener on the port, or nothing where somebody listens already: both make it busy."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        pass
    return closing(listener)


def run_try(copy, *words):
    return subprocess.run(["timeout", "--kill-after=30", str(TRY_SECONDS), "packaging/try", *words],
                          cwd=copy, capture_output=True, text=True, env=ENVIRONMENT)


def refused(ended, sentence):
    expect(ended.returncode != 0 and sentence in ended.stderr,
           f"status {ended.returncode}, not {sentence!r}: {ended.stderr[-400:]}")


@GROUP.test("try-refuses")
def _(site):
    """What it can not do is a sentence, and nothing is left behind."""
    copy = copy_sources(site, site.logs / "try-refuses")
    refused(run_try(copy, "--twice"), "unknown option --twice")
    refused(run_try(copy, "--stop"), "no machine of an earlier call is running")
    made = copy / "build-try"
    made.mkdir()
    with open(made / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(run_try(copy), "another packaging/try is at work")
    small = subprocess.run(["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64m tmpfs build-try && "
                            "exec packaging/try"], cwd=copy, capture_output=True, text=True, env=ENVIRONMENT)
    refused(small, "MiB free; ")
    expect(sorted(path.name for path in made.iterdir()) == ["lock", "machine"], "it built something")


def interrupt(copy):
    """Ctrl-C while it builds: it ends at once, and with it what it started."""
    with open(copy / "interrupted.log", "wb") as output:
        running = subprocess.Popen(["packaging/try"], cwd=copy, stdout=output, stderr=output,
                                   env=ENVIRONMENT, start_new_session=True)
    try:
        while not list((copy / "build-try").glob("CMakeFiles")):
            expect(running.poll() is None, "it ended by itself: " + (copy / "interrupted.log").read_text())
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        running.wait(30)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    text = (copy / "interrupted.log").read_text()
    expect(running.returncode == 130 and "broken off" in text, f"status {running.returncode}: {text[-400:]}")


def judge_once(ended):
    """--once made every step, and shows what it must and no more."""
    expect(ended.returncode == 0, f"status {ended.returncode}: {ended.stderr[-400:]}")
    for step in STEPS:
        expect(re.search(rf"^{step}.*\d+ s$", ended.stdout, re.MULTILINE), f"no step '{step}'")
    expect(":8443/" not in ended.stdout, "the busy port was used")
    for shown in ("42 from demo", "Hello from a child partition", "bulkhead_vm_info{"):
        expect(shown in ended.stdout, f"{shown!r} is not shown")
    expect("\x1b" not in ended.stdout and "[6n" not in ended.stdout, "terminal escapes are shown")
    expect(not re.search(r"\bbh_[0-9a-f_]{20}", ended.stdout), "the token is shown")
    expect(ended.stdout.rstrip().endswith("every step worked"), "the last line is missing")


@GROUP.test("try-once")
def _(site):
    """Sources in a path with a space, a locale without UTF-8, port 8443 taken, broken off once: a VM all
    the same."""
    folder = site.logs / "try-once"
    copy = copy_sources(site, folder)
    interrupt(copy)
    with occupy(8443):
        ended = run_try(copy, "--once")
    (folder / "try.log").write_text(ended.stdout + ended.stderr)
    judge_once(ended)
