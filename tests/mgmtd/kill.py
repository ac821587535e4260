# SPDX-License-Identifier: MIT
"""Kills the daemon at random points under load, and looks at what is left.

usage: kill.py BUILD [KILLS]

Writers create, change and delete VMs and start, pause and stop a few of them. After each kill the
daemon is started again, and then: every acknowledged change is there, no operation is stuck, every
worker that ran still runs with the same process id, and the chain of events is whole.
KILLS is 25, or what BULKHEAD_KILLS says; the full proof is 1000.
"""
import http.client
import os
import random
import sys
import threading
import time

from daemon import LocalConnection, run

WRITERS = 4
RUNNING = 3


class Writer(threading.Thread):
    """Changes its own VMs over one connection, and remembers what was acknowledged."""

    def __init__(self, daemon, number):
        super().__init__(daemon=True)
        self.bulkhead = daemon
        self.number = number
        self.state = {}      # name -> description that was acknowledged
        self.maybe = {}      # name -> what a call without an answer would have made of it
        self.acknowledged = 0
        self.stopping = False
        self.count = 0

    def step(self, connection):
        choice = random.random()
        names = list(self.state)
        if choice < 0.5 or not names:
            self.count += 1
            name = f"w{self.number}-{self.count}"
            self.apply(connection, "POST", "/v1/vms", name, "new",
                       {"name": name, "memory": {"size": 67108864}, "description": "new"})
        elif choice < 0.85:
            name = random.choice(names)
            text = f"change {self.acknowledged}"
            self.apply(connection, "PATCH", f"/v1/vms/{name}", name, text, {"description": text})
        else:
            name = random.choice(names)
            self.apply(connection, "DELETE", f"/v1/vms/{name}?wait=20", name, None, None)

    def apply(self, connection, method, path, name, result, body):
        self.maybe[name] = result
        status, _, data = self.bulkhead.send(connection, method, path, body)
        if status == 503:
            return
        assert status in (200, 201, 204), (method, path, status, data)
        del self.maybe[name]
        self.acknowledged += 1
        if result is None:
            self.state.pop(name, None)
        else:
            self.state[name] = result

    def run(self):
        connection = LocalConnection(self.bulkhead.path("run", "api.sock"), 30)
        try:
            while not self.stopping:
                self.step(connection)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the daemon was killed
        finally:
            connection.close()


class Life(threading.Thread):
    """Pauses, resumes and changes VMs that run; never stops them."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.bulkhead = daemon
        self.stopping = False

    def run(self):
        try:
            while not self.stopping:
                name = f"run{random.randrange(RUNNING)}"
                verb = random.choice(["pause", "resume", "start"])
                self.bulkhead.call("POST", f"/v1/vms/{name}/{verb}?wait=2")
                self.bulkhead.call("PATCH", f"/v1/vms/{name}?wait=2",
                                   {"processors": {"weight": random.randrange(1, 1000)}})
        except (OSError, http.client.HTTPException, ValueError):
            pass


def read_all(daemon):
    found, token = {}, ""
    while True:
        page = daemon.good("GET", "/v1/vms?limit=1000" + token)
        found.update({vm["name"]: vm.get("description") for vm in page["items"]})
        if not page["next"]:
            return found
        token = "&page_token=" + page["next"]


def check_writers(writers, found):
    for writer in writers:
        for name, text in writer.state.items():
            allowed = [text] + ([writer.maybe[name]] if name in writer.maybe else [])
            assert found.get(name) in allowed, (name, found.get(name), allowed)
        # What was not answered may have happened or not; from now on it is known.
        for name in writer.maybe:
            if name in found:
                writer.state[name] = found[name]
            else:
                writer.state.pop(name, None)
        mine = {name for name in found if name.startswith(f"w{writer.number}-")}
        assert mine == set(writer.state), mine ^ set(writer.state)
        writer.maybe = {}


def wait_for_operations(daemon):
    """Unfinished operations go on by themselves; none may be stuck."""
    end = time.monotonic() + 60
    while True:
        stuck = [operation for state in ("queued", "running") for operation in
                 daemon.good("GET", f"/v1/operations?filter=state={state}")["items"]]
        if not stuck:
            return
        assert time.monotonic() < end, stuck
        time.sleep(0.05)


def one_round(daemon, counts, workers):
    writers = [Writer(daemon, number) for number in range(WRITERS)]
    for writer, (state, count) in zip(writers, counts):
        writer.state, writer.count = state, count
    life = Life(daemon)
    for thread in writers + [life]:
        thread.start()
    time.sleep(random.uniform(0.01, 0.4))
    daemon.kill()
    for thread in writers + [life]:
        thread.stopping = True
        thread.join(60)
        assert not thread.is_alive(), "a writer hangs"
    assert daemon.workers() == workers, "the kill touched a running VM"
    seconds = daemon.start()
    wait_for_operations(daemon)
    check_writers(writers, read_all(daemon))
    assert daemon.workers() == workers, "the restart touched a running VM"
    return [(w.state, w.count) for w in writers], sum(w.acknowledged for w in writers), seconds


def test(daemon):
    kills = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("BULKHEAD_KILLS", "25"))
    seed = int(os.environ.get("BULKHEAD_SEED", time.time_ns() % 1000000))
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    daemon.start()
    daemon.make_kernel()
    for number in range(RUNNING):
        daemon.good("POST", "/v1/vms", {"name": f"run{number}", "memory": {"size": 67108864},
                                        "boot": {"kernel": "k", "cmdline": "sim.tick=50"}})
        daemon.good("POST", f"/v1/vms/run{number}/start?wait=30")
    workers = daemon.workers()
    assert len(workers) == RUNNING
    counts = [({}, 0) for _ in range(WRITERS)]
    total, slowest = 0, 0.0
    for number in range(kills):
        counts, acknowledged, seconds = one_round(daemon, counts, workers)
        total, slowest = total + acknowledged, max(slowest, seconds)
        if number % 100 == 99:
            print(f"{number + 1} kills, {total} acknowledged changes", flush=True)
    for number in range(RUNNING):
        vm = daemon.good("GET", f"/v1/vms/run{number}")
        assert vm["status"]["state"] in ("running", "paused"), vm["status"]
        output = daemon.good("GET", f"/v1/vms/run{number}/console").decode()
        ticks = [int(line.split()[-1]) for line in output.splitlines()[1:-1] if "tick" in line]
        gaps = [pair for pair in zip(ticks, ticks[1:]) if pair[1] != pair[0] + 1]
        assert ticks and not gaps, f"the console is not whole: {gaps}"
    assert daemon.stop() == 0
    events = daemon.check()
    print(f"{kills} kills, {total} acknowledged changes, {events} events, "
          f"slowest start {slowest * 1000:.0f} ms")


run(test)
