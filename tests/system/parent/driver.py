# SPDX-License-Identifier: MIT
"""bulkhead.ko and bhstat: version, log and statistics of the hypervisor, read in the parent."""

import json

from lib.parent import Plan
from system.parent import GROUP
from system.parent.boot import expect
from system.parent.isolation import load_driver

CPUS = 2

driver = GROUP.scenario("driver", Plan(cpus=CPUS), needs=("hv",))


def statistics(machine):
    return json.loads(machine.ask("bhstat --json"))


def exits(document, vp, reason):
    return document["partitions"][0]["vps"][vp]["exits"][reason]


@driver.check("loads")
def _(machine):
    machine.ask("insmod /lib/bulkhead.ko")
    machine.ask("test -c /dev/bulkhead")


@driver.check("says-why-not")
def _(machine):
    """Without the module bhstat ends with status 1 and one sentence."""
    machine.ask("rmmod bulkhead")
    status, output = machine.run("bhstat --once")
    load_driver(machine)
    expect(status == 1 and "bulkhead" in output and len(output.splitlines()) == 1,
           f"status {status}: {output}")


@driver.check("version")
def _(machine):
    hypervisor = statistics(machine)["hypervisor"]
    expect(hypervisor["vendor"] == "svm", f"the vendor is {hypervisor['vendor']}")
    expect(hypervisor["release"] and hypervisor["build"], f"no version: {hypervisor}")
    expect("console=com1" in hypervisor["command_line"],
           f"the command line is {hypervisor['command_line']!r}")


@driver.check("log")
def _(machine):
    """The log read in the parent is what the console showed."""
    log = machine.ask("bhstat --log").splitlines()
    console = [line for line in machine.log().splitlines() if line.startswith("bulkhead: ")]
    expect(console, "the console has no line of the hypervisor")
    text = "\n".join(log)
    absent = [line for line in console if line.removeprefix("bulkhead: ") not in text]
    expect(not absent, f"the log lacks: {absent[:1]}")


@driver.check("memory")
def _(machine):
    """Every frame has one owner."""
    memory = statistics(machine)["memory"]
    owners = ("hypervisor", "parent", "deposited", "shared", "unassigned")
    total = sum(memory[f"{owner}_bytes"] for owner in owners)
    expect(total == memory["total_bytes"], f"the owners have {total} bytes: {memory}")
    expect(memory["parent_bytes"] > 900 << 20, f"the parent has {memory['parent_bytes']} bytes")
    expect(memory["hypervisor_bytes"] > 0, "the hypervisor has no memory")


@driver.check("exit-counts")
def _(machine):
    """What a processor does shows in its counts, and only what it does."""
    before = statistics(machine)
    count = 10000
    machine.ask(f"taskset -c 1 measure cpuid {count}")
    after = statistics(machine)
    grown = [exits(after, vp, "cpuid") - exits(before, vp, "cpuid") for vp in range(CPUS)]
    expect(count <= grown[1] < count + 1000 and grown[0] < 1000, f"CPUID exits grew by {grown}")


@driver.check("times")
def _(machine):
    """Each processor's times add up to the time that passed."""
    before = statistics(machine)
    machine.ask("measure cpu 40; sleep 2", 120)
    after = statistics(machine)
    passed = after["hypervisor"]["uptime_ns"] - before["hypervisor"]["uptime_ns"]
    expect(len(after["lps"]) == CPUS, f"{len(after['lps'])} processors are listed")
    for old, new in zip(before["lps"], after["lps"]):
        parts = {key: new[key] - old[key] for key in ("idle_ns", "hypervisor_ns", "guest_ns")}
        expect(all(part >= 0 for part in parts.values()), f"a time ran backwards: {parts}")
        expect(abs(sum(parts.values()) - passed) < 0.1 * passed,
               f"of {passed} ns processor {new['index']} names {parts}")


@driver.check("interrupts")
def _(machine):
    """Halts, timer expirations and kicks are counted while the parent sleeps and wakes."""
    before = statistics(machine)
    machine.ask("taskset -c 0 sleep 1")
    after = statistics(machine)
    for name in ("timer_expirations", "interrupts_injected"):
        old, new = (document["partitions"][0]["vps"][0][name] for document in (before, after))
        expect(new > old, f"{name} stayed at {new}")
    expect(exits(after, 0, "hlt") > exits(before, 0, "hlt"), "no halt was counted")


@driver.check("live")
def _(machine):
    """The live table repeats."""
    output = machine.ask("bhstat -i 1 -n 2", 30)
    expect(output.lower().count("cpuid") >= 2, f"two reports were expected: {output[:200]}")


@driver.check("unloads")
def _(machine):
    machine.ask("rmmod bulkhead")
    machine.ask("test ! -e /dev/bulkhead")
