# SPDX-License-Identifier: MIT
"""Network cards of children: the kernel's own hv_netvsc against the worker's, on a bridge of the parent."""

from lib.child import Child, Guest
from lib.parent import Plan
from system.child.guests import UNSOUND
from system.parent.boot import expect
from system.parent.isolation import load_driver
from system.vmbus import GROUP
from system.vmbus.disks import calm, expect_busy, keep_busy

SLOW = 180  # seconds for a command that moves megabytes in an emulated machine
PORT = 7
PARENT = "10.1.0.1"
MACS = ("52:54:00:00:01:01", "52:54:00:00:01:02")

PLAN = Plan(cpus=2, memory=1536, initrd="children.img", limit=1500)


def guest(number, **nic):
    card = {"id": "nic0", "tap": f"bh{number}", "mac": MACS[number], **nic}
    return Guest(kernel="/guest/generic", initrd="/guest/vmbus.img", vps=2 - number, memory=192,
                 nics=(card,))


def address(number):
    return f"10.1.0.{2 + number}"


def healthy(child):
    bad = child.ask(f"dmesg | grep -iE '{UNSOUND}|hv_netvsc.*(err|fail|invalid|too|unknown)'; true")
    expect(bad == "", f"the guest's kernel log holds: {bad[:300]}")


def bring_up(child):
    """An address, and the server of tests/system/guest/flow.c."""
    child.ask("until test -e /sys/class/net/eth0; do sleep 0.2; done", 60)
    child.ask(f"ip addr add {address(child.number)}/24 dev eth0 && ip link set eth0 up")
    child.ask(f"(flow serve {PORT} >/dev/null 2>&1 &); true")


def flows(source, target, megabytes=2):
    """TCP and UDP both ways between two shells; every byte is checked."""
    source.ask(f"flow tcp {target} {PORT} {megabytes << 20}", SLOW)
    source.ask(f"flow udp {target} {PORT} 60", SLOW)


def stats(child):
    return {nic["id"]: nic for nic in child.control("stats")["nics"]}["nic0"]


SCENARIO = GROUP.scenario("vmbus-network", PLAN, needs=("hv",))
state = {}


@SCENARIO.check("guests")
def _(machine):
    """Two children with a card each, on one bridge of the parent."""
    load_driver(machine)
    machine.ask("load-network && brctl addbr br0 && "
                f"ip addr add {PARENT}/24 dev br0 && ip link set br0 up", 60)
    for number, make in enumerate(("flow tap bh0", "tunctl -t bh1")):
        machine.ask(f"{make} && brctl addif br0 bh{number} && ip link set bh{number} up")
    state["a"] = Child(machine, 0, guest(0, queues=2)).boot()
    state["b"] = Child(machine, 1, guest(1)).boot()
    machine.ask(f"(flow serve {PORT} >/dev/null 2>&1 &) ; true")
    for child in (state["a"], state["b"]):
        bring_up(child)


@SCENARIO.check("found")
def _(_machine):
    """The address, the queues, the carrier, and no error."""
    child = state["a"]
    expect(child.ask("cat /sys/class/net/eth0/address") == MACS[0], "another address")
    expect(child.ask("cat /sys/class/net/eth0/carrier") == "1", "no carrier")
    queues = child.ask("ls /sys/class/net/eth0/queues | grep -c rx-")
    expect(queues == "2", f"{queues} queues for 2 VPs")
    healthy(child)


@SCENARIO.check("ping")
def _(machine):
    for child in (state["a"], state["b"]):
        for size in (56, 1400, 4000):
            child.ask(f"ping -c 3 -W 5 -s {size} {PARENT}", 60)
            machine.ask(f"ping -c 3 -W 5 -s {size} {address(child.number)}", 60)
    healthy(state["a"])


@SCENARIO.check("flows-with-the-parent")
def _(machine):
    child = state["a"]
    flows(child, PARENT)
    flows(machine, address(0))
    counted = stats(child)
    expect(counted["rx_bytes"] > 4 << 20 and counted["tx_bytes"] > 4 << 20 and
           counted["tx_dropped"] == 0, f"the worker counted {counted}")
    healthy(child)


@SCENARIO.check("both-queues")
def _(machine):
    """Flows spread over both channels of the guest and both queues of its tap, each way."""
    child = state["a"]
    expect(child.control("status")["nics"][0]["tap_queues"] == 2, "the tap has not two queues")
    for _flow in range(16):
        child.ask(f"flow tcp {PARENT} {PORT} 20000", SLOW)
        machine.ask(f"flow tcp {address(0)} {PORT} 20000", SLOW)
        counted = stats(child)
        counts = [queue[way] for queues in ("queues", "tap_queues") for queue in counted[queues]
                  for way in ("rx_packets", "tx_packets")]
        if len(counts) == 8 and min(counts) > 20:
            break
    expect(len(counts) == 8 and min(counts) > 20, f"the worker counted {counted}")
    healthy(child)


@SCENARIO.check("flows-between-children")
def _(_machine):
    flows(state["a"], address(1))
    flows(state["b"], address(0))
    for child in (state["a"], state["b"]):
        healthy(child)


@SCENARIO.check("coalesced")
def _(machine):
    """Frames longer than the MTU, in parts, once the guest has asked for them."""
    child = state["a"]
    before = stats(child)
    child.ask("flow coalesce eth0")
    flows(machine, address(0))
    after = stats(child)
    frames = after["rx_packets"] - before["rx_packets"]
    expect((after["rx_bytes"] - before["rx_bytes"]) / frames > 1514, "no long frames came")
    healthy(child)


@SCENARIO.check("mtu")
def _(_machine):
    """A smaller MTU opens the card again, with its queues; traffic goes on."""
    child = state["a"]
    child.ask("ip link set eth0 mtu 1000", 60)
    flows(child, PARENT, megabytes=1)
    child.ask("ip link set eth0 mtu 1500", 60)
    flows(child, PARENT, megabytes=1)
    healthy(child)


@SCENARIO.check("own-address-only")
def _(_machine):
    """The guest cannot take another address: not by asking, and not by sending."""
    child = state["a"]
    status, _output = child.run("ip link set eth0 address 52:54:00:00:09:09")
    expect(status != 0, "the card took another address")
    child.ask(f"ping -c 1 -W 5 {PARENT}", 30)


@SCENARIO.check("link")
def _(_machine):
    """The cable is pulled and put in again."""
    child = state["a"]
    wait = "i=0; until test $(cat /sys/class/net/eth0/carrier) = {}; do sleep 0.2; " \
           "i=$((i+1)); test $i -lt 100 || exit 1; done"
    child.control("nic_set", id="nic0", link_up=False)
    child.ask(wait.format(0), 60)
    status, _output = child.run(f"ping -c 1 -W 2 {PARENT}", 30)
    expect(status != 0, "a card without a link carries frames")
    child.control("nic_set", id="nic0", link_up=True)
    child.ask(wait.format(1), 60)
    child.ask(f"ping -c 3 -W 5 {PARENT}", 60)
    healthy(child)


@SCENARIO.check("hot-add-and-remove")
def _(machine):
    """A second card comes and goes while the first is busy."""
    child = state["a"]
    machine.ask("tunctl -t bh8 && brctl addif br0 bh8 && ip link set bh8 up")
    keep_busy(child, f"flow tcp {PARENT} {PORT} 200000")
    for _round in range(3):
        child.control("nic_add", nic={"id": "hot", "tap": "bh8", "mac": "52:54:00:00:01:08"})
        child.ask("until test -e /sys/class/net/eth1; do sleep 0.2; done", 60)
        expect_busy(child)
        child.control("nic_remove", id="hot")
        child.ask("until test ! -e /sys/class/net/eth1; do sleep 0.2; done", 60)
    expect_busy(child)
    calm(child)
    flows(child, PARENT, megabytes=1)
    healthy(child)


@SCENARIO.check("a-tap-of-one-queue")
def _(machine):
    """A card of two channels on a tap that was made for one queue: it works, and the log says so."""
    child = state["a"]
    for tap, queues in (("bh8", 1), ("bh9", 2)):
        if tap == "bh9":
            machine.ask("flow tap bh9 && brctl addif br0 bh9 && ip link set bh9 up")
        child.control("nic_add", nic={"id": tap, "tap": tap, "mac": "52:54:00:00:01:09", "queues": 8})
        said = {nic["id"]: nic for nic in child.control("status")["nics"]}[tap]["tap_queues"]
        expect(said == queues, f"{tap} has {said} queues")
        child.ask("until test -e /sys/class/net/eth1; do sleep 0.2; done", 60)
        child.ask("ip addr flush dev eth0 && ip link set eth0 down && "
                  f"ip addr add {address(20 + queues)}/24 dev eth1 && ip link set eth1 up")
        flows(child, PARENT, megabytes=1)
        child.control("nic_remove", id=tap)
        child.ask("until test ! -e /sys/class/net/eth1; do sleep 0.2; done", 60)
    expect(child.log().count("gives 1 of the 2 queues that the guest can use") == 1 and
           "NIC bh8" in child.log(), f"the log: {child.log()}")
    child.ask(f"ip addr add {address(0)}/24 dev eth0 && ip link set eth0 up")
    flows(child, PARENT, megabytes=1)
    healthy(child)


@SCENARIO.check("the-end")
def _(machine):
    for child in (state["a"], state["b"]):
        status = child.stop()
        expect(status == 0, f"the worker ended with status {status}: {child.log()}")
