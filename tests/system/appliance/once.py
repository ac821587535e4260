# SPDX-License-Identifier: MIT
"""packaging/try, as somebody runs it who has just got the sources."""

import re
import socket
import subprocess
from contextlib import closing

from system.appliance import GROUP
from system.parent.boot import expect

TRY_SECONDS = 1500  # compiling included
STEPS = ("configures the build", "builds hypervisor", "makes the appliance", "makes the demo guest",
         "hypervisor, parent and daemon start", "the guest boots to its shell", "its shell answers")


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
                          cwd=copy, capture_output=True, text=True,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"})


@GROUP.test("try-refuses")
def _(site):
    """Words it does not know, and nothing to stop, are sentences."""
    copy = copy_sources(site, site.logs / "try-refuses")
    for words, sentence in ((["--twice"], "unknown option --twice"),
                            (["--stop"], "no machine of an earlier call is running")):
        ended = run_try(copy, *words)
        expect(ended.returncode != 0 and sentence in ended.stderr, f"{words}: {ended.stderr}")


@GROUP.test("try-once")
def _(site):
    """Sources in a path with a space, a locale without UTF-8, port 8443 taken: a VM all the same."""
    folder = site.logs / "try-once"
    copy = copy_sources(site, folder)
    with occupy(8443):
        ended = run_try(copy, "--once")
    (folder / "try.log").write_text(ended.stdout + ended.stderr)
    expect(ended.returncode == 0, f"status {ended.returncode}: {ended.stderr[-400:]}")
    for step in STEPS:
        expect(re.search(rf"^{step}.*\d+ s$", ended.stdout, re.MULTILINE), f"no step '{step}'")
    expect(":8443/" not in ended.stdout, "the busy port was used")
    expect("42 from demo" in ended.stdout, "the guest's answer is not shown")
    expect(not re.search(r"\bbh_[0-9a-f_]{20}", ended.stdout), "the token is shown")
    expect(ended.stdout.rstrip().endswith("every step worked"), "the last line is missing")
