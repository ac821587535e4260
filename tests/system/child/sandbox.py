# SPDX-License-Identifier: MIT
"""What a worker still has while its guest runs, as the parent's kernel tells it.

What it can not do any more is shown attempt by attempt in tests/unit/parent/test_sandbox.c, with the
same code of parent/worker/sandbox.c.
"""

import re

from system.parent.boot import expect

NAMESPACES = ("mnt", "net", "ipc", "uts")

# Descriptors by what their links say; a number is one of its kind.
OWN_FILES = re.compile(r"^(/dev/null|/dev/mshv|/dev/bulkhead|socket:\[\d+\]|pipe:\[\d+\]|"
                       r"anon_inode:(\[(io_uring|eventpoll|eventfd|timerfd|signalfd)\]|mshv.*)|"
                       r"/tmp/child{number}/log)$".replace("(", "(?:"))


def locked_in(child):
    """Own user, no capabilities, a filter of system calls, no files, no networks."""
    machine, pid = child.machine, child.pid()
    text = machine.ask(f"cat /proc/{pid}/status")
    status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", text, re.MULTILINE))
    for field in ("Uid", "Gid"):
        expect(status[field].split() == [str(child.uid)] * 4, f"{field}: {status[field]}")
    expect(status["Groups"].strip() == "", f"groups: {status['Groups']}")
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        expect(int(status[field], 16) == 0, f"{field}: {status[field]}")
    expect(status["Seccomp"] == "2" and status["NoNewPrivs"] == "1",
           f"seccomp {status['Seccomp']}, no new privileges {status['NoNewPrivs']}")
    threads = machine.ask(f"grep -h ^Seccomp: /proc/{pid}/task/*/status").split()
    expect(set(threads) == {"Seccomp:", "2"}, f"a thread has another filter: {threads}")
    expect(machine.ask(f"ls -A /proc/{pid}/root/") == "", "its root is not empty")
    expect(machine.ask(f"readlink /proc/{pid}/cwd") == "/", "its folder is not its root")
    for name in NAMESPACES:
        ours, its = (machine.ask(f"readlink /proc/{one}/ns/{name}") for one in (1, pid))
        expect(ours != its, f"it shares the namespace {name} with the parent")
    expect(machine.ask(f"wc -l </proc/{pid}/net/dev").strip() == "3", "it sees network cards")


def only_own_files(child):
    """Each descriptor is one that a worker needs, and none is another child's."""
    links = child.machine.ask(f"for f in /proc/{child.pid()}/fd/*; do readlink $f; done")
    own = re.compile(OWN_FILES.pattern.replace("{number}", str(child.number)))
    foreign = [link for link in links.splitlines() if not own.match(link)]
    expect(not foreign, f"descriptors that are not its own: {foreign}")
    nodes = [link for link in links.splitlines() if link == "/dev/mshv"]
    expect(len(nodes) == 1, f"it holds the driver's node {len(nodes)} times")
