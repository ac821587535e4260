# SPDX-License-Identifier: MIT
"""Six VMs under load while a worker and the daemon are killed: nothing that was acknowledged is lost.

Four run Debian's kernel with loads that verify what they do: a disk, memory, a TCP stream between two of them,
computing. Two are hostile: one does random acts (tests/system/guest/kernel/hostile.c), with another seed in each of
its lives; the other sends VMBus what is wrong, spoofs frames and closes channels in the middle (vsc/guest), again and
again. Meanwhile a client makes changes. The moments of the kills and the victims are random:

    BULKHEAD_ENDURE_SECONDS=600 [BULKHEAD_ENDURE_SEED=N] tests/run system appliance-endures

Without the first of them it is skipped: six VMs want a machine that has nothing else to do.

All of it is asked for over the API but the kills: for these the appliance's RAM disk gets a shell on the second serial
port.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from lib.machine import Failure
from lib.parent_image import make_initrd
from lib.suite import Skip
from system.appliance import GROUP
from system.appliance.calls import Client, Writer
from system.appliance.host import (BOOT_SECONDS, READY, blank, boot, first_token, kernel_arguments, make_appliance,
                                   power_off, reach)
from system.appliance.life import COMMAND_LINE, make_guest
from system.parent.boot import expect

SECONDS = int(os.environ.get("BULKHEAD_ENDURE_SECONDS", "0"))
SEED = int(os.environ.get("BULKHEAD_ENDURE_SEED", random.randrange(1 << 31)))
SECONDS_A_KILL = 120   # of a long run; in each as many of either kind, one at least
PATIENCE = 600         # seconds until something happens that must, in a busy emulated machine
SILENT_SECONDS = 20    # a hostile guest that says nothing for so long hangs, by its own doing

MIB = 1 << 20
SUBNET = "10.90.0"
SLOTS = 4              # of the disk, each a round's data
BLOCKS = MIB // 65536  # of a slot, in the guest's words
WORK = (7, 1000000)    # seed and bytes
HOSTILE = "hostile"
MISUSE = "misuse"

# What each healthy VM's shell reads at its start, by its name. A round ends with a line.
COMMON = f"""
right() {{ echo "$load: round $1 right"; sleep 0.3; }}
wrong() {{ echo "$load: WRONG: $*"; }}
address() {{ ip addr add {SUBNET}.$1/24 dev eth0 2>/dev/null; }}
n=0
"""
LOADS = {
    # Each round fills a slot; the one before must still hold what it held, even over a loss of the worker.
    "disk": f"""
umount /mnt
slot() {{ dd if=/dev/sda bs=64k skip=$(($1 % {SLOTS} * {BLOCKS})) count={BLOCKS} iflag=direct 2>/dev/null; }}
check() {{ [ $1 = 0 ] || slot $1 | pattern --check $1 {MIB} || wrong slot of round $1; }}
n=$(dd if=/dev/sda bs=64k skip={SLOTS * BLOCKS} count=1 iflag=direct 2>/dev/null | sed -n 's/^round //p')
n=${{n:-0}}
while :; do
    check $n
    n=$((n + 1))
    pattern $n {MIB} | dd of=/dev/sda bs=64k seek=$((n % {SLOTS} * {BLOCKS})) iflag=fullblock oflag=direct \\
        conv=notrunc,fsync 2>/dev/null || wrong write of round $n
    check $n
    echo "round $n" | dd of=/dev/sda bs=512 seek={SLOTS * MIB // 512} conv=notrunc,sync,fsync oflag=direct 2>/dev/null
    right $n
done
""",
    # It also answers the stream's VM, which checks what comes back.
    "memory": f"""
address 2
nc -ll -p 7 -e /bin/cat >/dev/null 2>&1 &
while :; do
    n=$((n + 1))
    pattern $n {4 * MIB} >/tmp/data
    sleep 1
    pattern --check $n {4 * MIB} </tmp/data || wrong memory of round $n
    right $n
done
""",
    "stream": f"""
address 3
while :; do
    n=$((n + 1))
    if said=$(flow tcp {SUBNET}.2 7 500000 2>&1); then right $n; fi
    case $said in *wrong*) wrong $said ;; esac
done
""",
    "computing": f"""
while :; do
    n=$((n + 1))
    sum=$(pattern {WORK[0]} {WORK[1]} | sha256sum)
    [ "${{sum%% *}}" = "$WANTED" ] || wrong sum $sum
    right $n
done
""",
}

# The appliance's shell: lines as tests/system/guest/init answers them.
SHELL = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 115200 raw -echo
while read -r tag command; do
    sh -c "$command" </dev/null 3<&-
    printf '\\n%s %d@\\n' "$tag" $?
done <&3 >&3 2>&3
"""


# --- what is booted ------------------------------------------------------------------------

def program(site, name):
    return site.build / "tests" / "system" / "guest" / name


def digest_of_pattern(site, seed, size):
    """Of what tests/system/guest/pattern.c writes, as the guests compute it."""
    made = subprocess.run([program(site, "pattern"), str(seed), str(size)], check=True, capture_output=True).stdout
    return hashlib.sha256(made).hexdigest()


def append_archive(source, root, target):
    """A RAM disk, and behind it one more of this tree; the kernel wants them at multiples of four bytes."""
    added = target.with_suffix(".added")
    make_initrd(root, added)
    first = source.read_bytes()
    target.write_bytes(first + b"\0" * (-len(first) % 512) + added.read_bytes())
    added.unlink()


def guest_initrd(site, folder, initrd):
    root = folder / "guest-root"
    for part in ("bin", "load"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for name in ("pattern", "flow"):
        shutil.copy2(program(site, name), root / "bin" / name)
    wanted = digest_of_pattern(site, *WORK)
    for name, text in LOADS.items():
        (root / "load" / name).write_text(f"load={name} WANTED={wanted}\n{COMMON}{text}")
    append_archive(initrd, root, folder / "guest.img")
    return folder / "guest.img"


def with_shell(site, folder):
    """The appliance by -kernel, its RAM disk with the shell."""
    arguments = kernel_arguments(site, folder)
    root = folder / "shell-root"
    (root / "etc").mkdir(parents=True, exist_ok=True)
    inittab = (site.top / "packaging/appliance/root/etc/inittab").read_text()
    (root / "etc" / "inittab").write_text(inittab + "::respawn:/test-shell\n")
    (root / "test-shell").write_text(SHELL)
    (root / "test-shell").chmod(0o755)
    (folder / "initrd.img").unlink()
    append_archive(make_appliance(site) / "initrd.img", root, folder / "initrd.img")
    return arguments


def upload(client, name, kind, path):
    client.good("POST", "/v1/images", {"name": name, "kind": kind})
    client.good("PUT", f"/v1/images/{name}/content", path.read_bytes())


def prepare(client, site, folder):
    """Images, the network, disks."""
    kernel, initrd = map(Path, make_guest(site))
    upload(client, "linux", "kernel", kernel)
    upload(client, "loads", "initrd", guest_initrd(site, folder, initrd))
    upload(client, HOSTILE, "kernel", site.build / "tests/system/guest/kernel/hostile.elf")
    upload(client, MISUSE, "kernel", site.build / "vsc/guest/vsc_guest")
    client.good("POST", "/v1/networks", {"name": "lan", "mode": "isolated", "subnet": f"{SUBNET}.0/24",
                                         "dhcp": {"first": f"{SUBNET}.10", "last": f"{SUBNET}.99"}})
    for name in ("disk", HOSTILE, MISUSE):
        client.good("POST", "/v1/disks", {"name": name, "size": 8 * MIB})


def make_all(client):
    restart = {"policy": "always", "delay": 1, "maximum_delay": 1}
    lan = {"lan": {"network": "lan"}}
    small = {"memory": {"size": 64 * MIB}, "nics": lan}
    misuse = f"tests=bus,storage,network requests=100 rounds=4 address={SUBNET}.5 peer={SUBNET}.1"
    for name in LOADS:
        devices = {"disks": {"data": {"disk": name}}} if name == "disk" else {}
        if name in ("memory", "stream"):
            devices["nics"] = lan
        client.good("POST", "/v1/vms", {
            "name": name, "memory": {"size": 128 * MIB}, "restart": restart, **devices,
            "processors": {"count": 2 if name == "computing" else 1},
            "boot": {"kernel": "linux", "initrd": "loads", "cmdline": f"{COMMAND_LINE} ENV=/load/{name}"}})
    client.good("POST", "/v1/vms", {"name": MISUSE, "restart": restart, "disks": {"data": {"disk": MISUSE}}, **small,
                                    "boot": {"kernel": MISUSE, "cmdline": misuse}})
    client.good("POST", "/v1/vms", {"name": HOSTILE, "processors": {"count": 2}, **small,
                                    "disks": {"data": {"disk": HOSTILE}},
                                    "boot": {"kernel": HOSTILE, "cmdline": f"seed={SEED | 1}"}})


def start(client, names):
    for name in names:
        client.good("POST", f"/v1/vms/{name}/start")


# --- what happens meanwhile ----------------------------------------------------------------

class Vm:
    """What a VM's console said so far."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.offset = 0
        self.text = ""

    def status(self):
        return self.client.get(f"/v1/vms/{self.name}")["status"]

    def read(self):
        status, data = self.client.call("GET", f"/v1/vms/{self.name}/console?offset={self.offset}")
        expect(status == 200, f"the console of {self.name}: {status} {data[:200]}")
        self.offset += len(data)
        self.text += data.decode(errors="replace").replace("\r", "")

    def rounds(self):
        """Rounds that were right, over all its lives; fails when one was not."""
        self.read()
        bad = re.search(r"WRONG.*|pattern: .*|^failed: .*|Kernel panic.*", self.text, re.MULTILINE)
        expect(not bad, f"{self.name} says: {bad and bad.group(0)}")
        line = r"^self-test: ok$" if self.name == MISUSE else rf"^{self.name}: round \d+ right$"
        return len(re.findall(line, self.text, re.MULTILINE))

    def last_round(self):
        return int(re.findall(r"round (\d+) right$", self.text, re.MULTILINE)[-1])


class Hostile(Vm):
    """Each of its ends, and its silence, is followed by a start with the next seed."""

    def __init__(self, client):
        super().__init__(client, HOSTILE)
        self.lives = 1
        self.acts = 0
        self.heard = time.monotonic()

    def end_life(self):
        told = re.findall(r"^acts (0x[0-9a-f]+)$", self.text, re.MULTILINE)
        self.acts += int(told[-1], 16) if told else 0
        self.text = ""

    def step(self):
        before = self.offset
        self.read()
        if self.offset != before:
            self.heard = time.monotonic()
        if time.monotonic() - self.heard > SILENT_SECONDS:
            self.client.call("POST", f"/v1/vms/{self.name}/poweroff?wait=60")  # unless it has just ended
        if self.status()["state"] not in ("stopped", "crashed"):
            return
        self.read()
        self.end_life()
        self.client.good("PATCH", f"/v1/vms/{self.name}", {"boot": {"cmdline": f"seed={(SEED | 1) + self.lives}"}})
        self.client.good("POST", f"/v1/vms/{self.name}/start")
        self.lives += 1
        self.heard = time.monotonic()


class Run:
    """All of a run; `step` is one look at everything."""

    def __init__(self, site, folder, machine, client):
        self.site = site
        self.folder = folder
        self.machine = machine
        self.client = client
        self.healthy = {name: Vm(client, name) for name in LOADS}
        self.hostile = Hostile(client)
        self.misuse = Vm(client, MISUSE)

    def say(self, text):
        """For the report, which comes at the end, and for who looks on."""
        print(f"endure: {text}", flush=True)
        with open(self.folder / "endure.log", "a") as log:
            print(time.strftime("%H:%M:%S"), text, file=log)

    def step(self):
        if self.hostile.status()["state"] != "stopped" or self.hostile.offset:
            self.hostile.step()
        return {vm.name: vm.rounds() for vm in (*self.healthy.values(), self.misuse)}

    def until(self, condition, what):
        """Steps until condition(rounds)."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.step()):
            expect(time.monotonic() < deadline, f"{what}: not within {PATIENCE} s")
            time.sleep(1)

    def all_go_on(self, what, more=1):
        """Each healthy VM and the one of VMBus gets so many rounds further."""
        before = self.step()
        self.until(lambda rounds: all(rounds[name] >= count + more for name, count in before.items()), what)

    def workers(self, names):
        """The processes of those that run."""
        found = {name: self.healthy[name].status() for name in names}
        return {name: status.get("pid") for name, status in found.items() if status["state"] == "running"}

    def kill_worker(self, name):
        """The VM comes back by its policy."""
        pid = self.workers([name])[name]
        self.say(f"kills the worker of {name}")
        self.machine.ask(f"kill -9 {pid}")

        def is_back(_rounds):
            status = self.healthy[name].status()
            return status["state"] == "running" and status.get("pid") != pid
        self.until(is_back, f"{name} comes back after its worker was killed")
        self.say(f"{name} is back")
        self.all_go_on(f"all go on after the worker of {name} was killed")

    def kill_daemon(self):
        """Init starts it again, and it finds the workers that run."""
        before = self.workers(LOADS)
        self.say("kills the daemon")
        pid = self.machine.ask("pidof bulkheadd")
        self.machine.ask(f"kill -9 {pid}")
        self.until(lambda _: self.workers(LOADS) == before, f"the new daemon knows the workers {before}")
        expect(self.machine.ask("pidof bulkheadd") != pid, "it is the same daemon")
        self.all_go_on("all go on after the daemon was killed")

    def endure(self, chance):
        """Kills at random moments. One that comes while the one before is awaited follows it."""
        count = max(1, SECONDS // SECONDS_A_KILL)
        moments = sorted([(chance.uniform(0, SECONDS), kind) for kind in ("worker", "daemon") for _ in range(count)])
        began = time.monotonic()
        for moment, kind in moments:
            while time.monotonic() - began < moment:
                self.step()
                time.sleep(1)
            self.kill_daemon() if kind == "daemon" else self.kill_worker(chance.choice(list(LOADS)))
        while time.monotonic() - began < SECONDS:
            self.step()
            time.sleep(1)


# --- how it ends ----------------------------------------------------------------------------

def verify_disk(run):
    """What the guest's last round wrote is in the parent's file."""
    last = run.healthy["disk"].last_round()
    disk = run.client.get("/v1/disks/disk")["uuid"]
    said = run.machine.ask(f"dd if=/var/lib/bulkhead/disks/{disk} bs=64k skip={last % SLOTS * BLOCKS} "
                           f"count={BLOCKS} 2>/dev/null | sha256sum").split()[0]
    expect(said == digest_of_pattern(run.site, last, MIB), f"the disk's file does not hold what round {last} wrote")


def verify_host(run):
    """Events and database are whole, and neither the parent's kernel nor the hypervisor complains."""
    said = run.machine.ask("bulkheadd check", 120)
    expect(said.startswith("good: "), f"bulkheadd check: {said}")
    bad = run.machine.ask("dmesg | grep -E 'BUG|WARNING|Oops|bulkhead: .*(keeps|lost|not )'; true")
    expect(bad == "", f"the parent's kernel says: {bad}")
    expect("fatal" not in run.machine.log(), "the hypervisor speaks of a fault of its own")
    return said


def keep_logs(run):
    """For whoever looks for the cause: what daemon, workers and the parent's kernel said last."""
    for name, command in {"daemon": "tail -n 300 /data/log/bulkheadd.jsonl", "kernel": "dmesg",
                          "workers": "tail -n 40 /run/bulkhead/vms/*/log"}.items():
        (run.folder / f"{name}.log").write_text(run.machine.ask(f"{command}; true", 120))
    for vm in (*run.healthy.values(), run.misuse, run.hostile):
        (run.folder / f"{vm.name}.console").write_text(vm.text)


def finish(run, writer):
    run.all_go_on("all go on at the end")
    writer.finish()
    rounds = run.step()
    for name in (*LOADS, MISUSE, HOSTILE):
        run.client.call("POST", f"/v1/vms/{name}/poweroff?wait=120")  # a hostile one may have ended by itself
        state = run.client.get(f"/v1/vms/{name}")["status"]["state"]
        expect(state in ("stopped", "crashed"), f"{name} is {state} after a power-off")
    run.healthy["disk"].read()
    run.hostile.end_life()
    verify_disk(run)
    writer.verify(run.client)
    events = verify_host(run)
    expect(run.hostile.acts > 0, "the hostile guest did nothing")
    run.say(f"rounds {rounds}; hostile: {run.hostile.lives} lives, {run.hostile.acts} acts; "
            f"{writer.acknowledged()} changes acknowledged, {len(writer.refused)} refused; {events}")
    for refusal in writer.refused:
        run.say(f"refused: {refusal}")


def endure(run, client, writer):
    prepare(client, run.site, run.folder)
    make_all(client)
    start(client, LOADS)
    run.until(lambda rounds: all(rounds[name] for name in LOADS), "all loads begin")
    start(client, [MISUSE, HOSTILE])
    run.until(lambda rounds: rounds[MISUSE], "the one that misuses VMBus has a life behind it")
    run.say("all loads run")
    writer.start()
    run.endure(random.Random(SEED))
    run.say("the time is over")
    finish(run, writer)


@GROUP.test("appliance-endures")
def _(site):
    if not SECONDS:
        raise Skip("six VMs for minutes want a machine that has nothing else to do: BULKHEAD_ENDURE_SECONDS=600")
    folder = site.logs / "appliance-endures"
    with boot(site, folder, [blank(folder, "data.img")], medium=with_shell, memory=3072,
              limit=SECONDS + 900) as machine:
        machine.expect_log(READY, BOOT_SECONDS)
        place = (*reach(machine), first_token(machine))
        client = Client(*place)
        run = Run(site, folder, machine, client)
        run.say(f"{SECONDS} s, seed {SEED}")
        try:
            endure(run, client, Writer(Client(*place), [*LOADS, MISUSE], SEED))
        except Failure as failure:
            run.say(f"failed: {failure}")
            try:
                keep_logs(run)
            except Failure as silent:
                run.say(f"its logs could not be kept: {silent}")
            raise
        power_off(machine)
    checked = subprocess.run(["/sbin/e2fsck", "-fn", str(folder / "data.img")], capture_output=True, text=True)
    if checked.returncode != 0:
        raise Failure(f"e2fsck: {checked.stdout[-300:]}")
