# SPDX-License-Identifier: MIT
"""A child of a running test machine: its worker in the parent, and the shell on its console.

All goes through the parent's own shell (lib/machine.py). The console is what `bhctl SOCKET console`
copies into a file of the parent, from which new text is fetched; input goes in through a pipe. The
guest runs the same first process as the parent, tests/system/guest/init. When the console ends, so has
the worker: what is then awaited fails at once, with the last words of worker and hypervisor.
"""

import json
import re
import shlex
import time
import uuid
from dataclasses import dataclass

from lib.machine import Failure

READY = "init: ready"
BOOT_SECONDS = 300
POLL = 0.3  # seconds between looks at a file of the parent
FIRST_UID = 60000
LAST_LINES = 5


def difference(before, after):
    """Counters that moved, by how much; those in a counter's own object under its name."""
    moved = {}
    for name, value in after.items():
        if isinstance(value, dict):
            moved.update(difference(before[name], value))
        elif value != before[name]:
            moved[name] = value - before[name]
    return moved


@dataclass(frozen=True)
class Guest:
    """What a child boots and what it gets."""
    kernel: str = "/guest/cloud"
    initrd: str = "/guest/initrd.img"
    options: str = "console=ttyS0 shell=ttyS0 quiet pci=noearly panic=-1"
    vps: int = 1
    memory: int = 160  # MiB
    on_crash: str = "stop"
    disks: tuple = ()                # as in the worker's configuration
    nics: tuple = ()                 # likewise
    nbd: bool = False
    keep: bool = False               # a worker that falls is started again


class Child:
    """One worker. `number` tells children of a machine apart; a number may be used again later."""

    poll = POLL

    def __init__(self, machine, number, guest):
        self.machine = machine
        self.number = number
        self.guest = guest
        self.uid = FIRST_UID + number
        self.socket = f"/run/child{number}.sock"
        self.files = f"/tmp/child{number}"
        self.text = ""          # of the console, as far as it is read
        self.read = 0           # bytes of the file
        self.position = 0       # in text, behind the last match
        self.commands = 0

    def config(self):
        boot = {"kernel": self.guest.kernel, "command_line": self.guest.options}
        if self.guest.initrd:
            boot["initrd"] = self.guest.initrd
        return {"version": 1, "id": str(uuid.UUID(int=self.number + 1)),
                "name": f"child{self.number}", "vps": self.guest.vps,
                "memory_bytes": self.guest.memory << 20, "boot": boot,
                "on_crash": self.guest.on_crash, "disks": list(self.guest.disks),
                "nics": list(self.guest.nics), "nbd": self.guest.nbd}

    def start(self, paused=False):
        """Starts the worker, its console and its log of events, and the guest."""
        status, said = self.try_start(paused)
        if status != 0:
            raise Failure(f"child {self.number} was not started: {said} {self.log()}")

    def try_start(self, paused=False):
        """As start; returns the status and the words of the request to start the guest."""
        ask, files = self.machine.ask, self.files
        ask(f"rm -rf {files}; mkdir {files}; rm -f {self.socket}")
        ask(f"echo {shlex.quote(json.dumps(self.config()))} >{files}/config")
        keep = "--keep" if self.guest.keep else ""
        ask(f"(bulkhead-worker {keep} --config {files}/config --control {self.socket} --user {self.uid} "
            f"--group {self.uid} >{files}/log 2>&1; echo $? >{files}/status) & "
            f"until test -S {self.socket} -o -e {files}/status; do usleep 20000; done",
            BOOT_SECONDS)  # the first of a kernel unpacks it
        if self.machine.run(f"test -e {files}/status")[0] == 0:
            raise Failure(f"child {self.number}: the worker ended: {self.log()}")
        self.connect()
        return self.machine.run(f"bhctl {self.socket} start "
                                f"{shlex.quote(json.dumps({'paused': paused}))} 2>&1", BOOT_SECONDS)

    def connect(self):
        """The console and the events, from now on: also after another worker has gone on."""
        files = self.files
        # From inside the folder: a console that ends late must not mark the end of the next run's.
        self.machine.ask(f"cd {files}; rm -f in over; mkfifo in; >out; cd - >/dev/null; "
                         f"(cd {files}; bhctl {self.socket} console <>in >out 2>/dev/null; true >over) & "
                         f"bhctl {self.socket} events >>{files}/events 2>/dev/null & true")
        self.text, self.read, self.position = "", 0, 0

    def reconnect(self):
        """To the next worker, which shows again what the guest has written: that is passed over."""
        self.connect()
        self.run("true", BOOT_SECONDS)

    def boot(self):
        """Starts it and waits for its shell."""
        self.start()
        self.wait_ready()
        return self

    # The control socket

    def control(self, method, seconds=60, **params):
        """Result of one request; a refusal is a failure."""
        words = f" {shlex.quote(json.dumps(params))}" if params else ""
        status, said = self.machine.run(f"bhctl {self.socket} {method}{words}", seconds)
        if status != 0:
            raise Failure(f"child {self.number}: {method}: {said[-300:]}; {self.last_words()}")
        return json.loads(said)

    def state(self):
        return self.control("status")["state"]

    def pid(self):
        return self.control("status")["pid"]

    def events(self, name):
        """Events of that name so far."""
        lines = self.machine.ask(f"cat {self.files}/events").splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def log(self):
        """What the worker wrote to its standard error."""
        return self.machine.ask(f"cat {self.files}/log")

    def last_words(self):
        """For a failure's text: the worker's status, if it has ended, and the last of both logs."""
        status = self.machine.run(f"cat {self.files}/status 2>/dev/null")[1]
        worker = f"ended with status {status}" if status else "runs"
        log = self.log().splitlines()[-LAST_LINES:]
        return (f"its worker {worker}, whose log ends with {log}; the hypervisor's last lines are "
                f"{self.machine.complaints(LAST_LINES)}, the parent's kernel's first "
                f"{self.machine.kernel_complaints(LAST_LINES)}; {self.vital_signs()}; "
                f"{self.machine.whereabouts()}")

    def vital_signs(self):
        """What the machine's LPs and VPs did in a second: a guest that stands still says why here."""
        status, said = self.machine.run("bhstat --json -n 2 -i 1")
        if status != 0:
            return f"bhstat: {said[-200:]}"
        before, after = map(json.loads, said.strip().splitlines())
        signs = [f"LP {lp['index']} {difference(old, lp)}"
                 for old, lp in zip(before["lps"], after["lps"])]
        for old, partition in zip(before["partitions"], after["partitions"]):
            signs += [f"partition {partition['id']} VP {vp['index']} {difference(past, vp)}"
                      for past, vp in zip(old["vps"], partition["vps"])]
        return f"within a second: {', '.join(signs)}"

    def wait_exit(self, seconds=60):
        """Waits for the worker to end; returns its exit status."""
        return int(self.machine.ask(
            f"until test -s {self.files}/status; do usleep 50000; done; cat {self.files}/status",
            seconds))

    def stop(self):
        """Powers it off, if it still runs."""
        self.machine.run(f"test -s {self.files}/status || bhctl {self.socket} power_off", 60)
        return self.wait_exit()

    # The console

    def fetch(self):
        """Reads what the console has new; returns False when that was the last."""
        said = self.machine.ask(f"test -e {self.files}/over; echo $?; "
                                f"tail -c +{self.read + 1} {self.files}/out; echo .")
        goes_on, new = said[:-1].split("\n", 1)
        self.read += len(new.encode(errors="replace"))
        self.text += new.replace("\r", "")
        return goes_on != "0"

    def expect(self, pattern, seconds):
        """Waits until the console shows the pattern behind the place of the last match."""
        deadline = time.monotonic() + seconds
        while True:
            goes_on = self.fetch()
            match = re.compile(pattern, re.MULTILINE).search(self.text, self.position)
            if match:
                before = self.text[self.position:match.start()]
                self.position = match.end()
                return before, match
            if not goes_on or time.monotonic() > deadline:
                when = f"within {seconds} s" if goes_on else "before its end"
                raise Failure(f"child {self.number} did not show {pattern!r} {when}; its console "
                              f"ends with {self.text[-300:]!r}; {self.last_words()}")
            time.sleep(self.poll)

    def wait_ready(self, seconds=BOOT_SECONDS):
        self.expect(f"^{READY}$", seconds)

    def tell(self, command):
        """Types a command whose end is not awaited."""
        self.type(f"%untold {command}")

    def type(self, line):
        """Opens the pipe for both directions, since that does not wait for a reader."""
        self.machine.ask(f"echo {shlex.quote(line)} 1<>{self.files}/in")

    def run(self, command, seconds=60):
        """Runs a shell command in the guest; returns (status, output)."""
        self.commands += 1
        mark = f"%{self.commands}"
        self.type(f"{mark} {command}")
        output, match = self.expect(rf"\n{mark} (\d+)@\n", seconds)
        output = re.sub(r"^%untold \d+@$", "", output, flags=re.MULTILINE)  # of what was told before
        return int(match.group(1)), output.strip("\n")

    def ask(self, command, seconds=60):
        """Output of a command that must succeed."""
        status, output = self.run(command, seconds)
        if status != 0:
            raise Failure(f"child {self.number}: {command!r} ended with status {status}: "
                          f"{output[-300:]}")
        return output
