# SPDX-License-Identifier: MIT
"""The group child-scheduling: who gets how much of the processors, and how soon.

On one LP time is counted in instructions (-icount), so that shares and latencies are those of the
hypervisor and not of the host's load. Children only count (tests/system/guest/spin.c). Two LPs run in
real time, with nothing beside them: with -icount QEMU runs two processors in turn, for as long as it
pleases, in which the time of both goes on, and a VP is charged for time in which it did not run. There
the guests' counts are judged more loosely than the hypervisor's, and latencies not at all. On two LPs
there are two children of each kind, one on each.
"""

import re

from lib.parent import Plan
from lib.suite import Group
from system.parent.boot import expect
from system.parent.isolation import load_driver

GROUP = Group("child-scheduling", alone=True)  # on two LPs it measures time

SHIFT = 3  # an instruction takes 2^3 ns of virtual time
COUNTED = ("-icount", f"shift={SHIFT},sleep=off", "-seed", "1")
SHARE_SLACK = 0.05
COUNT_SLACK = 0.25  # where processors take turns
LIMIT_SLACK = 0.02
PERIOD_NS = 100000000
LATENCY_US = 1000  # p95 of the parent's timer; its kernel's own long work is in the rest

LINE = re.compile(r"phase (\d+) child \d+ share (\S+) lp (\d+) ran (\d+) counted (\d+) of (\d+)")


def spin(machine, milliseconds, *phases):
    """Runs the children; {(phase, lp): {share: (ran, counted, elapsed)}} and the output."""
    cpus = int(machine.ask("grep -c ^processor /proc/cpuinfo"))
    groups = " : ".join(" ".join(share for share in phase for _ in range(cpus)) for phase in phases)
    said = machine.ask(f"spin {milliseconds} {groups}", 120)
    found = {}
    for phase, share, lp, ran, counted, elapsed in LINE.findall(said):
        found.setdefault((int(phase), int(lp)), {})[share] = (int(ran), int(counted), int(elapsed))
    expect(len(found) == cpus * len(phases), f"children are not spread over the LPs: {said}")
    return found, said


def expect_weights(children, count_slack, where):
    """Run times and the guests' own counts are as the weights, within the slack."""
    weights = sum(int(share) for share in children)
    for column, name, slack in ((0, "time", SHARE_SLACK), (1, "counts", count_slack)):
        whole = sum(figures[column] for figures in children.values())
        for share, figures in children.items():
            want = int(share) / weights
            has = figures[column] / whole
            expect(abs(has / want - 1) <= slack,
                   f"{where}: share {share} has {has:.4f} of the {name}, {want:.4f} wanted: {children}")


def most(percent, figures):
    """What a cap allows in that time, wherever in a period it begins and ends."""
    return percent / 100 * (figures[2] + PERIOD_NS) * (1 + LIMIT_SLACK)


def least(percent, figures):
    """What a reserve promises in that time."""
    return percent / 100 * (figures[2] - PERIOD_NS) * (1 - LIMIT_SLACK)


def print_latency(said):
    """The percentiles of how late the parent's timer was; (expirations, p95 in microseconds)."""
    found = re.search(r"samples (\d+) p50 (\d+) p95 (\d+) p99 (\d+) max (\d+)", said)
    samples, *late = map(int, found.groups())
    p50, p95, p99, worst = (nanoseconds // 1000 for nanoseconds in late)
    print(f"   the parent's timer while children spin: {samples} expirations, late by p50 {p50}, "
          f"p95 {p95}, p99 {p99}, max {worst} us of virtual time", flush=True)
    return samples, p95


def register(cpus):
    exact = cpus == 1
    plan = Plan(cpus=cpus, accelerator="tcg", devices=COUNTED) if exact else Plan(cpus=cpus)
    scenario = GROUP.scenario(f"scheduling-{cpus}", plan, needs=("hv",))
    count_slack = SHARE_SLACK if exact else COUNT_SLACK

    @scenario.check("weights")
    def _(machine):
        """1:2:4 over ten seconds, and how late the parent's own timer is meanwhile."""
        load_driver(machine)
        found, said = spin(machine, 10000, ("100", "200", "400"))
        for (_, lp), children in found.items():
            expect_weights(children, count_slack, f"LP {lp}")
        if exact:
            used = sum(ran / elapsed for ran, _, elapsed in found[(0, 0)].values())
            expect(used > 0.9, f"the children together have only {used:.3f}: {said}")
            samples, p95 = print_latency(said)
            expect(samples > 2400, f"only {samples} of 2,500 expirations")
            expect(p95 < LATENCY_US, f"the parent's timer is late: {said}")

    @scenario.check("change-of-weight")
    def _(machine):
        """While they run: 1:1, then 3:1, then 1:2."""
        load_driver(machine)
        found, _ = spin(machine, 4000, ("100", "101"), ("300", "100"), ("50", "100"))
        for (phase, lp), children in found.items():
            expect_weights(children, count_slack, f"phase {phase}, LP {lp}")

    @scenario.check("reserve-and-cap")
    def _(machine):
        """A light child's reserve of 30 % and a heavy one's cap of 20 %, beside heavy ones."""
        load_driver(machine)
        found, said = spin(machine, 8000, ("1/30", "10000/0/20", "9999", "10000"))
        for (_, lp), children in found.items():
            reserved, capped = children["1/30"], children["10000/0/20"]
            expect(reserved[0] >= least(30, reserved), f"LP {lp}: the reserve does not hold: {said}")
            expect(capped[0] <= most(20, capped), f"LP {lp}: the cap does not hold: {said}")
            expect(not exact or capped[0] >= least(20, capped), f"capped too much: {said}")

    @scenario.check("refused-reserve")
    def _(machine):
        """More than an LP can keep: a sentence, and what fits is admitted after it."""
        load_driver(machine)
        status, said = machine.run(f"spin 100 {' '.join(['1/40'] * 2 * cpus)}")
        expect(status == 1 and "reserve of 40.00 %" in said, f"{status}: {said}")
        machine.ask(f"spin 100 {' '.join(['1/60'] * cpus)}")


for count in (1, 2):
    register(count)
