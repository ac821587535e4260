# SPDX-License-Identifier: MIT
"""A real child outlives its worker, with the daemon following: its load and its console go on."""

import time
from pathlib import Path

from system.appliance import GROUP
from system.appliance.calls import Client
from system.appliance.endure import MIB, Vm, guest_initrd, upload, with_shell
from system.appliance.host import BOOT_SECONDS, READY, blank, boot, first_token, power_off, reach
from system.appliance.life import COMMAND_LINE, make_guest
from system.parent.boot import expect

PATIENCE = 300
KILLS = 2


def keeping(site, folder):
    """with_shell, and bulkhead.keep=yes."""
    return [word.replace("vmlinuz ", "vmlinuz bulkhead.keep=yes ", 1) for word in with_shell(site, folder)]


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < deadline, f"{what}: not within {PATIENCE} s")
        time.sleep(0.5)


def restarts_told(client):
    """Events and the metric."""
    status, text = client.call("GET", "/metrics")
    expect(status == 200, f"/metrics: {status}")
    metric = [line for line in text.decode().splitlines() if line.startswith("bulkhead_vm_worker_restarts{")]
    events = client.get("/v1/events?limit=1000")["items"]
    return sum(event["type"] == "vm.worker_restarted" for event in events), [int(line.split()[-1]) for line in metric]


def prepare(client, site, folder):
    """One VM that writes to a disk, and verifies that."""
    kernel, initrd = map(Path, make_guest(site))
    upload(client, "linux", "kernel", kernel)
    upload(client, "loads", "initrd", guest_initrd(site, folder, initrd))
    client.good("POST", "/v1/disks", {"name": "disk", "size": 8 * MIB})
    client.good("POST", "/v1/vms", {
        "name": "disk", "memory": {"size": 128 * MIB}, "disks": {"data": {"disk": "disk"}},
        "boot": {"kernel": "linux", "initrd": "loads", "cmdline": f"{COMMAND_LINE} ENV=/load/disk"}})
    client.good("POST", "/v1/vms/disk/start")


def goes_on(vm):
    before = vm.rounds()
    until(lambda: vm.rounds() >= before + 2, f"{vm.name} goes on after {before} rounds")


def kill_worker(machine):
    """Not its keeper."""
    machine.ask("for pid in $(pidof bulkhead-worker); do ! grep -qa -e --kept /proc/$pid/cmdline || kill -9 $pid; done")


@GROUP.test("appliance-keeps-guests")
def _(site):
    folder = site.logs / "appliance-keeps-guests"
    with boot(site, folder, [blank(folder, "data.img")], medium=keeping) as machine:
        machine.expect_log(READY, BOOT_SECONDS)
        client = Client(*reach(machine), first_token(machine))
        prepare(client, site, folder)
        vm = Vm(client, "disk")
        until(lambda: vm.rounds() >= 1, "the load begins")
        before = vm.status()
        for number in range(1, KILLS + 1):
            kill_worker(machine)
            until(lambda: restarts_told(client) == (number, [number]), f"event and metric tell of kill {number}")
            goes_on(vm)
        expect(vm.status()["state"] == "running" and vm.status()["pid"] == before["pid"], f"it is {vm.status()}")
        expect(vm.text.count("demo: ready") == 1, "it has booted again")
        client.good("POST", "/v1/vms/disk/poweroff")
        power_off(machine)
