# SPDX-License-Identifier: MIT
"""The hypervisor's own options do what they say."""

from lib.parent import Plan, prepare_folder, start, wait_ready
from system.parent import GROUP
from system.parent.boot import expect


def boots(site, name, plan):
    """Starts the plan and waits for the parent; the caller stops it."""
    machine = start(site, prepare_folder(site, name, plan), plan)
    try:
        wait_ready(machine)
    except BaseException:
        machine.stop()
        raise
    return machine


def hypervisor_lines(text):
    return [line for line in text.splitlines() if line.startswith("bulkhead: ")]


@GROUP.test("option-lps")
def _(site):
    plan = Plan(cpus=4, hv_options="console=com1 lps=2")
    with boots(site, "option-lps", plan) as machine:
        expect(machine.ask("nproc") == "2", "not two processors are online")


@GROUP.test("option-parent-memory")
def _(site):
    plan = Plan(memory=1024, hv_options="console=com1 parent_memory=512M")
    with boots(site, "option-parent-memory", plan) as machine:
        total = int(machine.ask("awk '/MemTotal/ {print $2}' /proc/meminfo")) >> 10
        expect(380 <= total <= 512, f"the parent has {total} MiB")


@GROUP.test("option-console-none")
def _(site):
    plan = Plan(hv_options="console=none loglevel=debug")
    with boots(site, "option-console-none", plan) as machine:
        lines = hypervisor_lines(machine.log())
        expect(not lines, f"the console holds: {lines[:1]}")


@GROUP.test("option-console-port")
def _(site):
    plan = Plan(hv_options="console=0x3e8 loglevel=debug", devices=("-serial", "file:com3.log"))
    with boots(site, "option-console-port", plan) as machine:
        expect(not hypervisor_lines(machine.log()), "COM1 has the hypervisor's lines")
        written = (machine.folder / "com3.log").read_text()
        expect(hypervisor_lines(written), "the port 0x3e8 has no line of the hypervisor")


@GROUP.test("option-loglevel")
def _(site):
    counts = {}
    for level in ("error", "debug"):
        plan = Plan(hv_options=f"console=com1 loglevel={level}")
        with boots(site, "option-loglevel", plan) as machine:
            counts[level] = len(hypervisor_lines(machine.log()))
    expect(counts["error"] == 0, f"with loglevel=error there are {counts['error']} lines")
    expect(counts["debug"] > 0, "with loglevel=debug there is no line")
