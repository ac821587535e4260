# SPDX-License-Identifier: MIT
"""Networks on the host: bridges, rules, DHCP and taps, in a network namespace of their own.

usage: networks.py BUILD

The test starts itself again in a new namespace, so that this machine's network is never touched.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from daemon import run


def sh(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def enter_namespace():
    if os.environ.get("BULKHEAD_NAMESPACE"):
        # /sys shows the links of the namespace it was mounted in.
        sh("mount", "-t", "sysfs", "sysfs", "/sys")
        sh("ip", "link", "set", "lo", "up")
        return
    if os.geteuid() != 0:
        print("needs root for a network namespace")
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv],
               {**os.environ, "BULKHEAD_NAMESPACE": "1"})


def links():
    return {link["ifname"]: link for link in json.loads(sh("ip", "-json", "link"))}


def addresses(link):
    return [f"{address['local']}/{address['prefixlen']}"
            for entry in json.loads(sh("ip", "-json", "address", "show", "dev", link))
            for address in entry["addr_info"] if address["family"] == "inet"]


def ask_for_lease(bridge):
    """A DHCP client behind a veth in the bridge; the address it is offered."""
    guest = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        while os.readlink(f"/proc/{guest.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert guest.poll() is None, "no namespace for a guest"
            time.sleep(0.01)
        sh("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        sh("ip", "link", "set", "va", "master", bridge, "up")
        sh("ip", "link", "set", "vb", "netns", str(guest.pid))
        inside = ["nsenter", "--net", "--target", str(guest.pid)]
        sh(*inside, "ip", "link", "set", "vb", "up")
        done = subprocess.run([*inside, "busybox", "udhcpc", "-i", "vb", "-n", "-q", "-t", "5", "-s",
                               "/bin/true"], capture_output=True, text=True, timeout=60)
        for line in (done.stdout + done.stderr).splitlines():
            if "lease of" in line:
                return line.split("lease of ")[1].split(" ")[0]
        raise AssertionError(done.stdout + done.stderr)
    finally:
        guest.kill()
        guest.wait()
        sh("ip", "link", "delete", "va", check=False)


def networks_are_made(daemon):
    lan = daemon.good("POST", "/v1/networks?wait=30",
                      {"name": "lan", "mode": "nat", "dns": {"domain": "lan.internal"}})
    iso = daemon.good("POST", "/v1/networks?wait=30",
                      {"name": "iso", "mode": "isolated", "subnet": "10.90.0.0/24",
                       "dhcp": {"first": "10.90.0.10", "last": "10.90.0.12"}})
    sh("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    bridged = daemon.good("POST", "/v1/networks?wait=30",
                          {"name": "out", "mode": "bridged", "interface": "up0"})
    bridges = [network["status"]["bridge"] for network in (lan, iso, bridged)]
    assert addresses(bridges[0]) == ["10.64.0.1/24"], addresses(bridges[0])
    assert addresses(bridges[1]) == ["10.90.0.1/24"]
    assert addresses(bridges[2]) == []
    assert links()["up0"]["master"] == bridges[2]
    rules = sh("nft", "list", "ruleset")
    assert "ip saddr 10.64.0.0/24" in rules and "masquerade" in rules
    assert "10.90.0.0" not in rules, "an isolated network is not translated"
    return bridges


def refusals_name_their_field(daemon):
    for body, pointer in (
            ({"name": "x", "mode": "nat", "subnet": "10.90.0.0/16"}, "/subnet"),
            ({"name": "x", "mode": "nat", "subnet": "10.91.0.1/24"}, "/subnet"),
            ({"name": "x", "mode": "bridged"}, "/interface"),
            ({"name": "x", "mode": "bridged", "interface": "up0", "subnet": "10.92.0.0/24"}, "/subnet"),
            ({"name": "x", "mode": "isolated", "dhcp": {"first": "1.2.3.4"}}, "/dhcp/first")):
        status, _, problem = daemon.call("POST", "/v1/networks?wait=30", body)
        assert status == 422, (status, problem)
        assert pointer in [error["pointer"] for error in problem["errors"]], problem
    status, _, problem = daemon.call("POST", "/v1/networks?wait=30",
                                     {"name": "x", "mode": "bridged", "interface": "none0"})
    assert status == 422 and "up0" in problem["errors"][0]["detail"], problem


def queues_open(pid, tap):
    """How many queues of a tap a process has."""
    return sum(f"iff:\t{tap}\n" in info.read_text()
               for info in Path(f"/proc/{pid}/fdinfo").iterdir())


def vms_plug_in(daemon, bridges):
    daemon.make_kernel()
    daemon.good("POST", "/v1/vms", {"name": "web", "memory": {"size": 67108864},
                                    "boot": {"kernel": "k"}, "nics": {"a": {"network": "lan"}}})
    daemon.good("POST", "/v1/vms/web/start?wait=30")
    taps = [name for name, link in links().items() if link.get("master") == bridges[0]]
    assert len(taps) == 1, taps
    daemon.good("PATCH", "/v1/vms/web?wait=30", {"nics": {"b": {"network": "iso", "queues": 2}}})
    others = [name for name, link in links().items() if link.get("master") == bridges[1]]
    assert len(others) == 1, others
    pid = daemon.good("GET", "/v1/vms/web")["status"]["pid"]
    assert queues_open(pid, taps[0]) == 1 and queues_open(pid, others[0]) == 2
    status, _, problem = daemon.call("DELETE", "/v1/networks/lan?wait=30")
    assert status == 409 and problem["holder"], problem
    status, _, problem = daemon.call("PATCH", "/v1/networks/lan?wait=30",
                                     {"subnet": "10.99.0.0/24"})
    assert status == 409 and problem["errors"][0]["pointer"] == "/subnet", problem
    return taps[0]


def test(daemon):
    daemon.start()
    bridges = networks_are_made(daemon)
    assert ask_for_lease(bridges[0]).startswith("10.64.0.")
    assert ask_for_lease(bridges[1]) in ("10.90.0.10", "10.90.0.11", "10.90.0.12")
    assert daemon.good("GET", "/v1/networks/lan")["status"]["leases"] == 1
    assert daemon.good("GET", "/v1/networks/out")["status"]["leases"] == 0
    refusals_name_their_field(daemon)
    tap = vms_plug_in(daemon, bridges)
    # A restart of the daemon makes everything again, and leaves the running VM's tap alone.
    index = links()[tap]["ifindex"]
    sh("nft", "flush", "ruleset")
    daemon.kill()
    daemon.start()
    end = time.monotonic() + 20
    while bridges[0] not in sh("nft", "list", "ruleset"):
        assert time.monotonic() < end, "the rules were not made again"
        time.sleep(0.1)
    assert links()[tap]["ifindex"] == index
    assert ask_for_lease(bridges[0]).startswith("10.64.0.")
    daemon.good("POST", "/v1/vms/web/poweroff?wait=30")
    assert tap not in links(), "the tap stays behind"
    daemon.good("DELETE", "/v1/vms/web?wait=30")
    for name in ("lan", "iso", "out"):
        daemon.good("DELETE", f"/v1/networks/{name}?wait=30")
    assert not [name for name in links() if name.startswith("bh")], links()
    assert "bhbr" not in sh("nft", "list", "ruleset")


enter_namespace()
run(test)
