# SPDX-License-Identifier: MIT
"""Services of a child: the kernel's own hv_utils against the worker's."""

import time

from lib.child import Child
from lib.parent import Plan
from system.child.control import uptime
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.network import MACS, PARENT, PORT, bring_up, guest, healthy

PLAN = Plan(cpus=2, memory=1024, initrd="children.img", limit=1200)
CLOSE = 10_000  # microseconds
SCENARIO = GROUP.scenario("vmbus-services", PLAN, needs=("hv",))
state = {}


def heartbeat(child):
    return child.control("status")["guest"].get("heartbeat")


def wait_for(what, seconds, question):
    deadline = time.monotonic() + seconds
    while not question():
        expect(time.monotonic() < deadline, what)
        time.sleep(0.5)


def distance(child):
    """How far the guest's clock is from the parent's, in microseconds."""
    ahead, _took = child.ask(f"flow time {PARENT} {PORT}", 120).split()
    return abs(int(ahead))


@SCENARIO.check("guest")
def _(machine):
    load_driver(machine)
    machine.ask("load-network && tunctl -t bh0 && "
                f"ip addr add {PARENT}/24 dev bh0 && ip link set bh0 up", 60)
    machine.ask(f"(flow serve {PORT} >/dev/null 2>&1 &) ; true")
    state["child"] = Child(machine, 0, guest(0)).boot()
    bring_up(state["child"])


@SCENARIO.check("versions")
def _(_machine):
    child = state["child"]
    log = child.ask("dmesg | grep 'IC version'")
    for line in ("Shutdown IC version 3.2", "TimeSync IC version 4.0", "Heartbeat IC version 3.0"):
        expect(line in log, f"the guest's kernel log does not say {line!r}: {log[-300:]}")
    healthy(child)


@SCENARIO.check("heartbeat")
def _(_machine):
    child = state["child"]
    wait_for("no heartbeat was heard", 60, lambda: heartbeat(child) == "ok")
    expect(len(child.events("guest_info")) > 0, "no event told of it")


@SCENARIO.check("time")
def _(_machine):
    """Set at boot, and again when a guest that was set wrong goes on after a pause of 30 s, which
    its other clocks do not see.
    """
    child = state["child"]
    expect(distance(child) < CLOSE, f"{distance(child)} us after the boot")
    child.ask("date -s 2030-01-01")
    began, before = time.monotonic(), uptime(child)  # a slow answer must not shorten the time
    child.control("pause")
    time.sleep(30)
    child.control("resume")
    wait_for("the clock was not set", 60, lambda: distance(child) < CLOSE)
    passed, meanwhile = uptime(child) - before, time.monotonic() - began
    expect(passed < meanwhile - 29.9, f"{passed} s of {meanwhile} passed in the guest")
    wait_for("the heart does not beat after the pause", 60, lambda: heartbeat(child) == "ok")


@SCENARIO.check("reboot")
def _(_machine):
    """A reboot in order: the same worker, and all services again."""
    child = state["child"]
    expect(child.control("shutdown", action="reboot")["state"] == "stopping", "it does not stop")
    child.wait_ready()
    expect(child.control("status")["resets"] == 1, "the guest was not reset")
    bring_up(child)
    expect(child.ask("cat /sys/class/net/eth0/address") == MACS[0], "the card is not back")
    wait_for("no heartbeat after the reboot", 60, lambda: heartbeat(child) == "ok")


@SCENARIO.check("shutdown")
def _(_machine):
    """The end in order: the guest says so, and the worker ends."""
    child = state["child"]
    child.control("shutdown", reason="test")
    status = child.wait_exit(120)
    expect(status == 0, f"the worker ended with status {status}: {child.log()}")
    ends = [event for event in child.events("state") if event["state"] == "stopped"]
    expect(ends and ends[-1]["reason"] == "guest_power_off", f"the worker said {ends}")
