# SPDX-License-Identifier: MIT
"""The parent's own devices with their stock drivers: disks across a reboot, networks both ways."""

import hashlib
import re
import socket
import subprocess
import threading

from lib.machine import Failure
from lib.parent import Disk, Plan, wait_ready
from system.parent import GROUP
from system.parent.boot import expect, healthy

# name -> (disk, device file, driver's folder in sysfs)
DISKS = {
    "virtio-blk": (Disk("virtio", "virtio-blk-pci,drive={drive},serial=virtio"), "/dev/vda",
                   "/sys/bus/virtio/drivers/virtio_blk"),
    "nvme": (Disk("nvme", "nvme,drive={drive},serial=nvme"), "/dev/nvme0n1",
             "/sys/bus/pci/drivers/nvme"),
    "ahci": (Disk("ahci", "ide-hd,drive={drive},bus=ide.0,serial=ahci"), "/dev/sda",
             "/sys/bus/pci/drivers/ahci"),
}
FILE_BYTES = 24 << 20
SEEDS = {name: 1000 + number for number, name in enumerate(DISKS)}


def write_disk(machine, name):
    """Fills a file on the disk's ext4 with the seed's bytes and unmounts."""
    _, device, driver = DISKS[name]
    expect(machine.run(f"ls -d {driver}/*:* {driver}/virtio*")[1].count(driver) >= 1,
           f"the stock driver has bound no device in {driver}")
    machine.ask(f"mkdir -p /mnt/{name} && mount -t ext4 {device} /mnt/{name}")
    machine.ask(f"pattern {SEEDS[name]} {FILE_BYTES} >/mnt/{name}/data", 120)
    machine.ask(f"sync && umount /mnt/{name}", 120)


def check_disk(machine, name):
    """Compares the file, read from the disk again, with the seed's bytes."""
    _, device, _ = DISKS[name]
    machine.ask(f"mkdir -p /mnt/{name} && mount -t ext4 -o ro {device} /mnt/{name}")
    machine.ask(f"pattern --check {SEEDS[name]} {FILE_BYTES} </mnt/{name}/data", 120)
    machine.ask(f"umount /mnt/{name}")


def reboot(machine):
    """The parent restarts the machine, which boots all the way again."""
    machine.ask("touch /tmp/before-reboot")
    machine.tell("reboot -f")
    wait_ready(machine)
    expect(machine.run("test -e /tmp/before-reboot")[0] != 0, "the machine has not restarted")


def poweroff(machine):
    """The parent switches the machine off, and QEMU ends as it does then."""
    machine.tell("poweroff -f")
    status = machine.wait_exit(60)
    expect(status == 0, f"QEMU ended with {machine.exit_reason()}")


disks = GROUP.scenario("disks", Plan(cpus=2, disks=tuple(disk for disk, _, _ in DISKS.values())))
for _name in DISKS:
    disks.check(f"{_name}-write")(lambda machine, name=_name: write_disk(machine, name))
disks.check("reboot")(reboot)
for _name in DISKS:
    disks.check(f"{_name}-read-back")(lambda machine, name=_name: check_disk(machine, name))
disks.check("kernel-log")(healthy)


@disks.check("poweroff")
def _(machine):
    poweroff(machine)
    for disk, _, _ in DISKS.values():
        checked = subprocess.run(["/sbin/e2fsck", "-f", "-n", f"{disk.name}.img"], text=True,
                                 cwd=machine.folder, capture_output=True, timeout=120)
        expect(checked.returncode == 0, f"{disk.name}: the file system is not clean: "
               f"{checked.stdout[-300:]}")


# Networks. QEMU's user network connects 10.0.2.2 in the machine with loopback here, and one port
# of loopback here with port 7000 of the machine.

STREAM_BYTES = 4 << 20
GUEST_PORT = 7000


def forwarded_port(machine):
    """The port of loopback here that QEMU chose for port 7000 of the machine."""
    table = machine.qmp("human-monitor-command", **{"command-line": "info usernet"})
    match = re.search(rf"HOST_FORWARD\].*127\.0\.0\.1\s+(\d+)\s+\S+\s+{GUEST_PORT}\b", table)
    expect(match, f"QEMU forwards no port: {table}")
    return int(match.group(1))


class Server:
    """Takes one connection on loopback, reads it to its end or sends the given bytes."""

    def __init__(self, outgoing=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(120)
        self.port = self.listener.getsockname()[1]
        self.outgoing = outgoing
        self.received = b""
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(120)
                self.received = exchange(connection, self.outgoing)
        except OSError:
            pass  # what arrived is compared by the test
        finally:
            self.listener.close()

    def result(self):
        self.thread.join(130)
        return self.received


def exchange(connection, outgoing):
    """Sends outgoing, or receives until the other side ends; returns what was received."""
    if outgoing is not None:
        connection.sendall(outgoing)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return b""
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def stream(seed):
    """Bytes to send, the same for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(STREAM_BYTES)


def compare(what, left, right):
    expect(left == right, f"{what}: the sums differ, {left} sent and {right} received")


def bring_up(machine):
    machine.ask("ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0")
    for _ in range(30):
        if machine.ask("cat /sys/class/net/eth0/carrier") == "1":
            return
        machine.ask("sleep 0.2")
    raise Failure("eth0 has no carrier")


def parent_sends(machine):
    """The parent connects and sends."""
    server = Server()
    machine.ask(f"pattern 7 {STREAM_BYTES} | nc 10.0.2.2 {server.port}", 120)
    sent = machine.ask(f"pattern 7 {STREAM_BYTES} | sha256sum").split()[0]
    compare("parent to outside", sent, digest(server.result()))


def parent_receives(machine):
    """The parent connects and receives."""
    data = stream("receives")
    server = Server(outgoing=data)
    received = machine.ask(f"nc 10.0.2.2 {server.port} </dev/null | sha256sum", 120).split()[0]
    compare("outside to parent", digest(data), received)


def outside_connects(machine, outgoing):
    """A connection from here to the parent; the parent must listen already or soon."""
    for _ in range(50):
        if machine.run(f"netstat -ltn | grep -q ':{GUEST_PORT} '")[0] == 0:
            break
        machine.ask("sleep 0.1")
    with socket.create_connection(("127.0.0.1", forwarded_port(machine)), 60) as connection:
        connection.settimeout(120)
        return exchange(connection, outgoing)


def parent_serves(machine):
    """The outside connects to the parent and receives."""
    machine.ask(f"pattern 9 {STREAM_BYTES} | nc -l -p {GUEST_PORT} >/dev/null 2>&1 & true")
    received = outside_connects(machine, None)
    sent = machine.ask(f"pattern 9 {STREAM_BYTES} | sha256sum").split()[0]
    compare("parent serving", sent, digest(received))


def parent_takes(machine):
    """The outside connects to the parent and sends."""
    data = stream("takes")
    machine.ask(f"nc -l -p {GUEST_PORT} </dev/null 2>/dev/null | sha256sum >/tmp/taken & true")
    outside_connects(machine, data)
    machine.ask("for i in $(seq 100); do test -s /tmp/taken && break; sleep 0.1; done")
    compare("parent taking", digest(data), machine.ask("cat /tmp/taken").split()[0])


def register_network(name, device, driver):
    plan = Plan(cpus=2, devices=(
        "-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:0-:{GUEST_PORT}",
        "-device", f"{device},netdev=net0"))
    network = GROUP.scenario(f"network-{name}", plan)

    @network.check("driver")
    def _(machine):
        bound = machine.ask("readlink -f /sys/class/net/eth0/device/driver").rsplit("/", 1)[-1]
        expect(bound == driver, f"eth0 is driven by {bound}")
        bring_up(machine)

    network.check("parent-sends")(parent_sends)
    network.check("parent-receives")(parent_receives)
    network.check("parent-serves")(parent_serves)
    network.check("parent-takes")(parent_takes)
    network.check("kernel-log")(healthy)


register_network("virtio", "virtio-net-pci", "virtio_net")
register_network("e1000e", "e1000e", "e1000e")
