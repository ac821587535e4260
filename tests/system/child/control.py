# SPDX-License-Identifier: MIT
"""A running guest's control socket and its console, with two VPs on one LP."""

import time

from lib.child import Child, Guest
from lib.machine import Failure
from system.child import GROUP
from system.child.guests import plan
from system.parent.boot import expect
from system.parent.isolation import load_driver

control = GROUP.scenario("control", plan(1), needs=("hv",))
running = {}


@control.check("start")
def _(machine):
    load_driver(machine)
    child = running[0] = Child(machine, 1, Guest(vps=2))
    child.start(paused=True)
    expect(child.state() == "paused", "a VM that was started paused is not paused")
    child.fetch()
    expect(child.text == "", f"a paused guest wrote {child.text!r}")
    child.control("resume")
    child.wait_ready()


@control.check("status")
def _(_machine):
    status = running[0].control("status")
    expect(status["state"] == "running" and status["vps"] == 2 and status["partition_id"] > 1 and
           status["memory_bytes"] == running[0].guest.memory << 20, f"status: {status}")


@control.check("stats")
def _(machine):
    """Counters move with what the guest does."""
    child = running[0]
    before = child.control("stats")
    child.ask("for i in 1 2 3 4; do echo $i; done; true")
    after = child.control("stats")
    for old, new in zip(before["vps"], after["vps"], strict=True):
        expect(new["guest_ns"] > old["guest_ns"], f"VP {new['index']} did not run: {old}, {new}")
    expect(sum(vp["exits"]["io"] for vp in after["vps"]) >
           sum(vp["exits"]["io"] for vp in before["vps"]), "no port exits were counted")
    expect(after["consoles"][0]["out_bytes"] > before["consoles"][0]["out_bytes"] and
           after["consoles"][0]["in_bytes"] > before["consoles"][0]["in_bytes"],
           f"console: {before['consoles']}, {after['consoles']}")
    expect(after["memory"]["assigned_bytes"] == child.guest.memory << 20, f"{after['memory']}")
    machine.ask("true")


def uptime(child):
    """The guest's own, in seconds."""
    return float(child.ask("cut -d' ' -f1 /proc/uptime"))


@control.check("pause")
def _(_machine):
    """A paused guest does nothing, and goes on where it was, with its clock."""
    child = running[0]
    before, began = uptime(child), time.monotonic()
    child.ask("(while true; do echo tick >>/tmp/ticks; usleep 50000; done) & true")
    child.control("pause")
    first = [vp["guest_ns"] for vp in child.control("stats")["vps"]]
    time.sleep(5)
    expect(first == [vp["guest_ns"] for vp in child.control("stats")["vps"]],
           "a paused guest ran")
    child.control("resume")
    ticks = int(child.ask("wc -l </tmp/ticks"))
    child.ask("usleep 500000")
    expect(int(child.ask("wc -l </tmp/ticks")) > ticks, "the guest's loop did not go on")
    passed, meanwhile = uptime(child) - before, time.monotonic() - began
    expect(0.5 < passed < meanwhile - 4.9, f"{passed} s of {meanwhile} passed in the guest")
    log = child.ask("dmesg | grep -iE 'stall|lockup|skew'; true")
    expect(log == "", f"the guest's kernel noticed: {log}")


@control.check("two-readers")
def _(machine):
    """A second console reader gets the replay and all that follows, as does the first."""
    child = running[0]
    second = f"{child.files}/second"
    machine.ask(f"bhctl {child.socket} console </dev/null >{second} & "
                f"until grep -q 'init: ready' {second}; do usleep 50000; done", 60)
    child.ask("echo both see this")
    machine.ask(f"until grep -q 'both see this' {second}; do usleep 50000; done", 60)
    expect("both see this" in child.text, "the first reader missed it")


@control.check("reset")
def _(_machine):
    child = running[0]
    pid = child.pid()
    child.control("reset")
    child.wait_ready()
    status = child.control("status")
    expect(status["resets"] == 1 and status["pid"] == pid and status["state"] == "running",
           f"after a reset: {status}")
    expect(child.run("test -e /tmp/ticks")[0] != 0, "the reset guest kept its files")


@control.check("power-off")
def _(_machine):
    child = running[0]
    expect(child.stop() == 0, f"the worker failed: {child.log()}")
    last = child.events("state")[-1]
    expect((last["state"], last["reason"]) == ("stopped", "requested"), f"last: {last}")


@control.check("after-the-end")
def _(machine):
    """The harness: what is asked of a guest that has ended fails with what is known of its end."""
    try:
        running[0].ask("true")
    except Failure as failure:
        expect("before its end" in str(failure) and "worker ended with status 0" in str(failure) and
               '"reason":"requested"' in str(failure), f"it failed with: {failure}")
    else:
        raise Failure("a guest that has ended ran a command")
    machine.ask("true")
