# SPDX-License-Identifier: MIT
"""Four children at once on two LPs: none sees another's memory, and each costs little above it."""

import json
import re

from lib.child import Child, Guest
from system.child import GROUP
from system.child.guests import nothing_left, plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

COUNT = 4
PLANTED_MIB = 8
PAGES = PLANTED_MIB << 8
HV_LIMIT = 1 << 20       # bytes of the hypervisor for a child, above its RAM
WORKER_LIMIT = 8 << 20   # resident bytes of a worker, without its guest's RAM

together = GROUP.scenario("together", plan(2, memory=2048), needs=("hv",))
children = []


def partition_bytes(machine, partition):
    """What is deposited in the hypervisor for a child."""
    found = json.loads(machine.ask("bhstat --json"))["partitions"]
    return next(one["deposited_bytes"] for one in found if one["id"] == partition)


def worker_bytes(machine, pid, ram):
    """Resident bytes of a worker in all mappings but that of its guest's RAM, of `ram` bytes."""
    sizes = machine.ask(f"grep -E '^(Size|Rss):' /proc/{pid}/smaps")
    pairs = re.findall(r"^Size: +(\d+) kB\nRss: +(\d+) kB$", sizes, re.MULTILINE)
    others = [int(rss) for size, rss in pairs if int(size) != ram >> 10]
    expect(len(others) == len(pairs) - 1, f"not one mapping of {ram >> 10} KiB: {pairs}")
    return sum(others) << 10


@together.check("start")
def _(machine):
    """All are started before the first is waited for."""
    load_driver(machine)
    children.extend(Child(machine, number, Guest(memory=128)) for number in range(1, COUNT + 1))
    for child in children:
        child.start()
    for child in children:
        child.wait_ready()


@together.check("own-names")
def _(machine):
    """Four workers, four partitions, four users."""
    seen = [child.control("status") for child in children]
    expect(len({status["partition_id"] for status in seen}) == COUNT, f"partitions: {seen}")
    uids = machine.ask("".join(f"grep -h ^Uid: /proc/{status['pid']}/status; " for status in seen))
    expect(len(set(uids.splitlines())) == COUNT, f"users: {uids}")


@together.check("isolation")
def _(_machine):
    """Each plants pages of its own and searches all its memory for everybody's."""
    for child in children:
        child.ask(f"marker plant {child.number} {PLANTED_MIB} >/tmp/planted & "
                  "until grep -q planted /tmp/planted; do usleep 50000; done")
    numbers = " ".join(str(child.number) for child in children)
    for child in children:
        said = child.ask(f"marker find {numbers}", 120)
        searched = int(re.search(r"^searched (\d+)$", said, re.MULTILINE).group(1))
        expect(searched > child.guest.memory << 19, f"too little memory was searched: {said}")
        found = {int(a): int(b) for a, b in re.findall(r"^(\d+) (\d+)$", said, re.MULTILINE)}
        expect(found.pop(child.number) >= PAGES, f"child {child.number} misses its own: {said}")
        expect(found and not any(found.values()), f"child {child.number} sees another's: {said}")


@together.check("memory")
def _(machine):
    """What a child costs above its RAM, in the hypervisor and in its worker."""
    for child in children:
        status = child.control("status")
        deposited = partition_bytes(machine, status["partition_id"])
        resident = worker_bytes(machine, status["pid"], status["memory_bytes"])
        print(f"child {child.number}: {deposited >> 10} KiB in the hypervisor, "
              f"{resident >> 10} KiB in the worker", flush=True)
        expect(0 < deposited < HV_LIMIT, f"{deposited} bytes are deposited for a child")
        expect(0 < resident < WORKER_LIMIT, f"a worker has {resident} bytes beside its guest's")


@together.check("one-dies")
def _(machine):
    """A killed worker takes its own child along and no other."""
    machine.ask(f"kill -9 {children[0].control('status')['pid']}")
    expect(children[0].wait_exit() == 137, "the killed worker ended otherwise")
    for child in children[1:]:
        child.ask("true")


@together.check("end")
def _(machine):
    for child in children[1:]:
        expect(child.stop() == 0, f"the worker failed: {child.log()}")
    nothing_left(machine)
