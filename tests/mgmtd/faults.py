# SPDX-License-Identifier: MIT
"""What goes wrong around the daemon, and what it does then.

usage: faults.py BUILD
"""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

from daemon import Daemon, run


def make_vm(daemon, name, words="", **more):
    daemon.good("POST", "/v1/vms", {"name": name, "memory": {"size": 67108864},
                                    "boot": {"kernel": "k", "cmdline": words}, **more})


def state_of(daemon, name):
    return daemon.good("GET", f"/v1/vms/{name}")["status"]


def wait_for(daemon, name, state, seconds=20):
    end = time.monotonic() + seconds
    while state_of(daemon, name)["state"] != state:
        assert time.monotonic() < end, (name, state, state_of(daemon, name))
        time.sleep(0.05)
    return state_of(daemon, name)


def a_newer_poweroff_cancels_an_older_start(daemon):
    make_vm(daemon, "late", "sim.late=60000")
    start = daemon.good("POST", "/v1/vms/late/start")
    queued = daemon.good("POST", "/v1/vms/late/reset")
    waiting = daemon.good("GET", f"/v1/operations/{queued['uuid']}")
    assert waiting["state"] == "queued" and waiting["holder"] == start["uuid"], waiting
    assert waiting["position"] == 1
    assert state_of(daemon, "late")["operation"] == start["uuid"], state_of(daemon, "late")
    begin = time.monotonic()
    daemon.good("POST", "/v1/vms/late/poweroff?wait=30")
    assert time.monotonic() - begin < 10
    for operation in (start, queued):
        ended = daemon.good("GET", f"/v1/operations/{operation['uuid']}")
        assert ended["state"] == "cancelled", ended
    assert state_of(daemon, "late")["state"] == "stopped"
    assert not daemon.workers()


def a_start_goes_on_after_a_restart(daemon):
    make_vm(daemon, "slow", "sim.late=700")
    for pause in (0, 0.01, 0.03, 0.1, 0.3, 0.7):
        start = daemon.good("POST", "/v1/vms/slow/start")
        time.sleep(pause)
        before = daemon.worker_pids()
        daemon.kill()
        daemon.start()
        ended = daemon.good("GET", f"/v1/operations/{start['uuid']}?wait=30")
        assert ended["state"] == "succeeded", ended
        assert state_of(daemon, "slow")["state"] == "running"
        assert len(daemon.worker_pids()) == 1, daemon.worker_pids()
        assert not before or daemon.worker_pids() == before, "another worker was started"
        daemon.good("POST", "/v1/vms/slow/poweroff?wait=30")
        assert not daemon.worker_pids(), daemon.worker_pids()


def a_shutdown_that_is_ignored(daemon):
    make_vm(daemon, "deaf", "sim.deaf")
    daemon.good("POST", "/v1/vms/deaf/start?wait=30")
    daemon.good("POST", "/v1/vms/deaf/shutdown?wait=30", {"force_after": 1})
    assert state_of(daemon, "deaf")["state"] == "stopped"


def a_worker_that_dies(daemon):
    make_vm(daemon, "dies", "sim.die=300")
    daemon.good("POST", "/v1/vms/dies/start?wait=30")
    status = wait_for(daemon, "dies", "crashed")
    assert "ended unexpectedly" in status["reason"], status


def restarts_back_off_and_give_up(daemon):
    make_vm(daemon, "loop", "sim.crash=50",
            restart={"policy": "on-failure", "delay": 1, "attempts": 2})
    daemon.good("POST", "/v1/vms/loop/start?wait=30")
    end = time.monotonic() + 30
    while "No more restarts" not in state_of(daemon, "loop").get("reason", ""):
        assert time.monotonic() < end, state_of(daemon, "loop")
        time.sleep(0.1)
    assert state_of(daemon, "loop")["restarts"] == 2
    events = daemon.good("GET", "/v1/events?limit=1000&filter=object=loop,type=vm.started")["items"]
    times = [event["time"] for event in events]
    assert len(times) == 3, times


def set_words(daemon, name, words):
    """They change between two runs only."""
    end = time.monotonic() + 30
    while daemon.call("PATCH", f"/v1/vms/{name}?wait=30", {"boot": {"cmdline": words}})[0] != 200:
        assert time.monotonic() < end, state_of(daemon, name)
        time.sleep(0.05)


def a_start_that_fails_leaves_no_worker(daemon):
    """One that the restart policy asked for is tried again, until the VM runs."""
    make_vm(daemon, "full", "sim.refuse")
    status, _, problem = daemon.call("POST", "/v1/vms/full/start?wait=30")
    assert status == 500 and "There is no room." in problem["detail"], problem
    assert state_of(daemon, "full")["state"] == "stopped" and not daemon.worker_pids(), daemon.worker_pids()
    make_vm(daemon, "again", restart={"policy": "always", "delay": 2, "maximum_delay": 2})
    daemon.good("POST", "/v1/vms/again/start?wait=30")
    os.kill(daemon.worker_pids()[0], signal.SIGKILL)
    set_words(daemon, "again", "sim.refuse")
    end = time.monotonic() + 30
    while state_of(daemon, "again")["restarts"] < 2 or "no room" not in state_of(daemon, "again").get("reason", ""):
        assert time.monotonic() < end, state_of(daemon, "again")
        time.sleep(0.1)
    set_words(daemon, "again", "")
    wait_for(daemon, "again", "running")
    assert len(daemon.worker_pids()) == 1, daemon.worker_pids()
    daemon.good("POST", "/v1/vms/again/poweroff?wait=30")
    assert not daemon.worker_pids(), daemon.worker_pids()


def a_shutdown_ends_the_restarts(daemon):
    make_vm(daemon, "tired", "sim.crash=50", restart={"policy": "always", "delay": 3000, "maximum_delay": 3000})
    daemon.good("POST", "/v1/vms/tired/start?wait=30")
    wait_for(daemon, "tired", "crashed")
    daemon.good("POST", "/v1/vms/tired/shutdown?wait=30")
    assert daemon.good("GET", "/v1/vms/tired")["desired_state"] == "stopped"
    make_vm(daemon, "never", boot={})
    status, _, problem = daemon.call("POST", "/v1/vms/never/start?wait=30")
    assert status == 409 and problem["errors"][0]["pointer"] == "/boot/kernel", problem
    daemon.good("POST", "/v1/vms/never/shutdown?wait=30")
    assert daemon.good("GET", "/v1/vms/never")["desired_state"] == "stopped"


def a_planned_restart_survives_the_daemon(daemon):
    for name, policy in (("comes", "on-failure"), ("stays", "never")):
        make_vm(daemon, name, restart={"policy": policy, "delay": 3, "maximum_delay": 3})
        daemon.good("POST", f"/v1/vms/{name}/start?wait=30")
    for pid in daemon.worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_for(daemon, "comes", "crashed")
    wait_for(daemon, "stays", "crashed")
    daemon.kill()
    daemon.start()
    wait_for(daemon, "comes", "running")
    assert state_of(daemon, "comes")["restarts"] == 1 and state_of(daemon, "stays")["state"] == "crashed"
    daemon.good("POST", "/v1/vms/comes/poweroff?wait=30")


def each_worker_has_a_user_of_its_own(daemon):
    if os.geteuid() != 0:
        return
    for name in ("user-a", "user-b"):
        make_vm(daemon, name)
        daemon.good("POST", f"/v1/vms/{name}/start?wait=30")
    daemon.kill()
    daemon.start()
    make_vm(daemon, "user-c")
    daemon.good("POST", "/v1/vms/user-c/start?wait=30")
    users = [os.stat(f"/proc/{pid}").st_uid for pid in daemon.workers().values()]
    assert len(set(users)) == 3 and 0 not in users, users
    for name in ("user-a", "user-b", "user-c"):
        daemon.good("POST", f"/v1/vms/{name}/poweroff?wait=30")


def a_guest_that_powers_off_stays_off(daemon):
    make_vm(daemon, "off", "sim.off=200", restart={"policy": "on-failure"})
    daemon.good("POST", "/v1/vms/off/start?wait=30")
    status = wait_for(daemon, "off", "stopped")
    assert "powered off" in status["reason"], status
    assert daemon.good("GET", "/v1/vms/off")["desired_state"] == "stopped"


def types_of(daemon, name):
    return [event["type"] for event in daemon.good("GET", f"/v1/events?limit=1000&filter=object={name}")["items"]]


def what_ended_while_the_daemon_was_away(daemon):
    make_vm(daemon, "away-off", "sim.off=3000", restart={"policy": "on-failure"})
    make_vm(daemon, "away-crash", "sim.crash=3000", restart={"policy": "on-failure", "delay": 3000})
    make_vm(daemon, "away-die", "sim.die=3000")
    make_vm(daemon, "away-stop", "sim.slow=3000")
    for name in ("away-off", "away-crash", "away-die", "away-stop"):
        daemon.good("POST", f"/v1/vms/{name}/start?wait=30")
    shutdown = daemon.good("POST", "/v1/vms/away-stop/shutdown")
    wait_for(daemon, "away-stop", "stopping")
    daemon.kill()
    end = time.monotonic() + 20
    while daemon.workers():
        assert time.monotonic() < end, daemon.workers()
        time.sleep(0.1)
    daemon.start()
    status = wait_for(daemon, "away-off", "stopped")
    assert "powered off" in status["reason"], status
    assert daemon.good("GET", "/v1/vms/away-off")["desired_state"] == "stopped"
    status = wait_for(daemon, "away-crash", "crashed")
    assert "The guest crashed" in status["reason"], status
    status = wait_for(daemon, "away-die", "crashed")
    assert "unexpectedly" in status["reason"], status
    wait_for(daemon, "away-stop", "stopped")
    assert daemon.good("GET", f"/v1/operations/{shutdown['uuid']}?wait=30")["state"] == "succeeded"
    for name in ("away-off", "away-stop"):
        assert "vm.crashed" not in types_of(daemon, name), types_of(daemon, name)
    daemon.good("POST", "/v1/vms/away-crash/poweroff?wait=30")  # takes the planned restart back


def what_the_guest_says_is_in_the_status(daemon):
    make_vm(daemon, "says", "sim.address=10.9.8.7 sim.address=fe80::1 sim.address=\"}nonsense")
    daemon.good("POST", "/v1/vms/says/start?wait=30")
    end = time.monotonic() + 10
    while state_of(daemon, "says").get("addresses") != ["10.9.8.7", "fe80::1"]:
        assert time.monotonic() < end, state_of(daemon, "says")
        time.sleep(0.05)
    daemon.kill()
    daemon.start()
    end = time.monotonic() + 10
    while state_of(daemon, "says").get("addresses") != ["10.9.8.7", "fe80::1"]:
        assert time.monotonic() < end, state_of(daemon, "says")
        time.sleep(0.05)
    assert state_of(daemon, "says")["console_end"] > 0
    daemon.good("PATCH", "/v1/vms/says?wait=10", {"cloud_init": {"hostname": "other"}})
    end = time.monotonic() + 5
    while state_of(daemon, "says").get("pending") != ["/cloud_init"]:
        assert time.monotonic() < end, state_of(daemon, "says")
        time.sleep(0.02)
    daemon.good("PATCH", "/v1/vms/says?wait=10", {"description": "told at once"})
    daemon.kill()
    daemon.start()
    assert state_of(daemon, "says")["pending"] == ["/cloud_init"]
    daemon.good("POST", "/v1/vms/says/poweroff?wait=30")
    status = state_of(daemon, "says")
    assert "addresses" not in status and "pending" not in status, status
    assert status["console_end"] > 0 and status["operation"] is None, status


def a_worker_that_hangs_is_unknown_not_gone(daemon):
    make_vm(daemon, "hung", restart={"policy": "always"})
    daemon.good("POST", "/v1/vms/hung/start?wait=30")
    pid = daemon.workers()[daemon.good("GET", "/v1/vms/hung")["uuid"]]
    os.kill(pid, signal.SIGSTOP)
    status = wait_for(daemon, "hung", "unknown", 30)
    assert status["last_known"] == "running" and status["pid"] == pid, status
    daemon.kill()
    daemon.start()
    time.sleep(4)
    assert state_of(daemon, "hung")["state"] == "unknown"
    assert daemon.workers()[daemon.good("GET", "/v1/vms/hung")["uuid"]] == pid, "it was replaced"
    os.kill(pid, signal.SIGCONT)
    wait_for(daemon, "hung", "running", 30)
    daemon.good("POST", "/v1/vms/hung/poweroff?wait=30")


def a_host_that_starts_again(daemon):
    make_vm(daemon, "auto", autostart=True)
    make_vm(daemon, "manual")
    for name in ("auto", "manual"):
        daemon.good("POST", f"/v1/vms/{name}/start?wait=30")
    before = daemon.workers()
    daemon.kill()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    while daemon.worker_pids():  # on a busy machine they die a while later
        time.sleep(0.01)
    os.unlink(daemon.path("run", "adopted"))
    for directory in before:
        os.unlink(daemon.path("run", "vms", directory, "control"))
    daemon.start()
    wait_for(daemon, "auto", "running")
    status = wait_for(daemon, "manual", "stopped")
    assert "host was started again" in status["reason"], status
    daemon.good("POST", "/v1/vms/auto/poweroff?wait=30")


def the_console_survives_the_daemon(daemon):
    make_vm(daemon, "talks", "sim.tick=5")
    daemon.good("POST", "/v1/vms/talks/start?wait=30")
    time.sleep(0.3)
    daemon.kill()
    time.sleep(0.5)
    daemon.start()
    end = time.monotonic() + 10
    while daemon.good("GET", "/v1/vms/talks/console").count(b"tick") < 150:
        assert time.monotonic() < end
        time.sleep(0.1)
    output = daemon.good("GET", "/v1/vms/talks/console").decode()
    ticks = [int(line.split()[-1]) for line in output.splitlines()[1:-1]]
    assert ticks == list(range(len(ticks))), "lines are missing or doubled"
    daemon.good("POST", "/v1/vms/talks/poweroff?wait=30")


def keys_repeat_and_refuse(daemon):
    body = {"name": "once", "memory": {"size": 67108864}}
    key = {"Idempotency-Key": "abc"}
    first = daemon.call("POST", "/v1/vms", body, key)
    again = daemon.call("POST", "/v1/vms", body, key)
    assert first[0] == again[0] == 201
    assert first[2]["uuid"] == again[2]["uuid"]
    status, _, problem = daemon.call("POST", "/v1/vms", {**body, "name": "other"}, key)
    assert status == 422 and "key-reused" in problem["type"], problem
    daemon.kill()
    daemon.start()
    assert daemon.call("POST", "/v1/vms", body, key)[2]["uuid"] == first[2]["uuid"]


def the_database_is_saved_and_put_back(daemon):
    make_vm(daemon, "saved")
    copy = daemon.path("copy.db")
    assert subprocess.run(daemon.arguments("backup", copy), timeout=60).returncode == 0
    assert os.stat(copy).st_mode & 0o077 == 0
    assert subprocess.run(daemon.arguments("backup", copy), capture_output=True,
                          timeout=60).returncode == 1, "a backup was overwritten"
    make_vm(daemon, "newer")
    lost = daemon.good("GET", "/v1/vms")["sequence"]
    refused = subprocess.run(daemon.arguments("restore", copy), capture_output=True, text=True,
                             timeout=60)
    assert refused.returncode == 1 and "stop it first" in refused.stderr, refused
    assert daemon.stop() == 0
    bad = daemon.path("bad.db")
    with open(bad, "wb") as file:
        file.write(b"not a database" * 1000)
    refused = subprocess.run(daemon.arguments("restore", bad), capture_output=True, timeout=60)
    assert refused.returncode == 1
    assert subprocess.run(daemon.arguments("restore", copy), timeout=60).returncode == 0
    daemon.start()
    assert daemon.call("GET", "/v1/vms/saved")[0] == 200
    assert daemon.call("GET", "/v1/vms/newer")[0] == 404
    kept = [e for e in daemon.good("GET", "/v1/events?limit=1000&since=1")["items"] if e["sequence"] < 1000000000]
    for number in range(50):  # more events than were lost
        make_vm(daemon, f"after-{number}")
    status, _, problem = daemon.call("GET", f"/v1/vms?since={lost}")
    assert status == 410 and problem["type"].endswith("unknown-sequence"), (status, problem)
    assert daemon.call("GET", f"/v1/vms?since={kept[-1]['sequence']}")[0] == 200, "the backup has this event"
    first = daemon.good("GET", f"/v1/events?since={kept[-1]['sequence']}&limit=1")["items"][0]
    assert (first["type"], first["object"]["kind"]) == ("host.restored", "host") and first["sequence"] > lost, first
    checked = subprocess.run(daemon.arguments("check"), capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked


def a_locked_database_is_said(daemon):
    other = sqlite3.connect(daemon.path("state", "bulkhead.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, _, problem = daemon.call("POST", "/v1/vms", {"name": "locked",
                                                         "memory": {"size": 67108864}})
    assert status == 503 and "locked" in problem["detail"], (status, problem)
    assert daemon.call("GET", "/v1/vms?limit=1")[0] == 200, "reading goes on"
    assert daemon.call("GET", "/readyz")[0] == 503
    other.execute("ROLLBACK")
    other.close()
    make_vm(daemon, "locked")
    assert daemon.call("GET", "/readyz")[0] == 200


def a_damaged_database_is_refused(daemon):
    daemon.stop()
    path = daemon.path("state", "bulkhead.db")
    with open(path, "rb") as file:
        whole = file.read()
    with open(path, "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xa5" * 4096 * 20)
    ended = subprocess.run(daemon.arguments(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    detail = json.loads(ended.stderr.splitlines()[-1])["detail"]
    assert path in detail and "bulkheadd restore" in detail, detail
    with open(path, "wb") as file:
        file.write(whole)
    daemon.start()


def a_full_disk_is_said_and_nothing_is_lost():
    if os.geteuid() != 0:
        return
    daemon = Daemon(sys.argv[1])
    state = daemon.path("state")
    os.mkdir(state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", state], check=True)
    try:
        daemon.start()
        kept, status = [], 201
        while status == 201:
            name = f"v{len(kept)}"
            status, _, problem = daemon.call("POST", "/v1/vms", {
                "name": name, "memory": {"size": 67108864}, "description": "x" * 1000})
            kept += [name] if status == 201 else []
        assert status in (503, 507), (status, problem)
        assert len(kept) > 10
        found = {vm["name"] for vm in daemon.good("GET", "/v1/vms?limit=1000")["items"]}
        assert set(kept) <= found
        daemon.kill()
        subprocess.run(["mount", "-o", "remount,size=64m", state], check=True)
        daemon.start()
        found = {vm["name"] for vm in daemon.good("GET", "/v1/vms?limit=1000")["items"]}
        assert set(kept) <= found, "an acknowledged change is lost"
        daemon.good("POST", "/v1/vms", {"name": "after", "memory": {"size": 67108864}})
        daemon.stop()
        daemon.check()
    finally:
        daemon.stop()
        subprocess.run(["umount", state], check=False)
        daemon.remove()


def folders_may_begin_here():
    """Paths that begin at the current directory: the worker gets them whole."""
    daemon = Daemon(os.path.abspath(sys.argv[1]))
    before = os.getcwd()
    os.chdir(daemon.root)  # whole paths of sockets have little room
    words = [os.path.relpath(word) if word.startswith("/") else word for word in daemon.arguments()]
    daemon.arguments = lambda *more: [*words, *more]
    try:
        daemon.start()
        daemon.make_kernel()
        make_vm(daemon, "here")
        daemon.good("POST", "/v1/vms/here/start?wait=30")
        assert state_of(daemon, "here")["state"] == "running"
        daemon.good("POST", "/v1/vms/here/poweroff?wait=30")
    finally:
        os.chdir(before)
        daemon.remove()


def a_long_folder_is_refused():
    """The sockets of workers would not fit below it, and no VM would start."""
    daemon = Daemon(sys.argv[1])
    words = [word + "r" * 60 if word.endswith("/run") else word for word in daemon.arguments()]
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1 and "too long for the sockets" in ended.stderr, ended
    finally:
        daemon.remove()


def events_of(daemon, name, kind):
    return daemon.good("GET", f"/v1/events?limit=1000&filter=object={name},type={kind}")["items"]


def wait_for_events(daemon, name, kind, count):
    end = time.monotonic() + 90
    while len(events_of(daemon, name, kind)) < count:
        assert time.monotonic() < end, (name, kind, state_of(daemon, name))
        time.sleep(0.05)
    assert len(events_of(daemon, name, kind)) == count


def kill_kept(daemon):
    """The one worker that has a keeper."""
    pids = [pid for pid, words in daemon.processes()
            if "--kept" in words and any(daemon.root in word for word in words)]
    assert len(pids) == 1, pids
    os.kill(pids[0], signal.SIGKILL)


def a_guest_outlives_its_worker():
    daemon = Daemon(sys.argv[1], "--keep-guests")
    try:
        daemon.start()
        daemon.make_kernel()
        make_vm(daemon, "kept", "sim.tick=20")
        daemon.good("POST", "/v1/vms/kept/start?wait=30")
        uuid = daemon.good("GET", "/v1/vms/kept")["uuid"]
        keeper = state_of(daemon, "kept")["pid"]
        for count in (1, 2, 3):
            if count == 3:  # another daemon finds it, and does not take what was for what is new
                daemon.kill()
                daemon.start()
                wait_for(daemon, "kept", "running")
                wait_for_events(daemon, "kept", "vm.worker_restarted", 2)
                time.sleep(3)  # two looks of the supervisor
            kill_kept(daemon)
            wait_for_events(daemon, "kept", "vm.worker_restarted", count)
            assert state_of(daemon, "kept")["state"] == "running"
            assert state_of(daemon, "kept")["pid"] == keeper, "the keeper is another"
        metrics = daemon.good("GET", "/metrics").decode()
        assert f'bulkhead_vm_worker_restarts{{uuid="{uuid}"}} 3' in metrics, metrics
        assert not events_of(daemon, "kept", "vm.crashed")
        assert state_of(daemon, "kept")["restarts"] == 0, "the policy has nothing to do with it"
        daemon.good("POST", "/v1/vms/kept/poweroff?wait=30")
        assert not daemon.worker_pids(), daemon.worker_pids()
        daemon.good("POST", "/v1/vms/kept/start?wait=30")
        os.kill(state_of(daemon, "kept")["pid"], signal.SIGKILL)
        wait_for(daemon, "kept", "crashed")
        end = time.monotonic() + 10
        while daemon.worker_pids():  # it goes with its keeper
            assert time.monotonic() < end, daemon.worker_pids()
            time.sleep(0.01)
        assert daemon.stop() == 0
    except BaseException:
        print(daemon.tail(), file=sys.stderr)
        raise
    finally:
        daemon.remove()


def a_start_is_quick(daemon):
    connection = daemon.connect()
    headers = {"Authorization": f"Bearer {daemon.token}"}
    for number in range(1000):
        status, _, _ = daemon.send(connection, "POST", "/v1/vms",
                                   {"name": f"many-{number}", "memory": {"size": 67108864}},
                                   headers)
        assert status == 201
    connection.close()
    seconds = []
    for _ in range(5):
        daemon.kill()
        seconds.append(daemon.start())
    print(f"1,000 VMs: first answer after {min(seconds) * 1000:.0f} to "
          f"{max(seconds) * 1000:.0f} ms")
    assert min(seconds) < 0.3, seconds


TESTS = [a_newer_poweroff_cancels_an_older_start, a_start_goes_on_after_a_restart,
         a_shutdown_that_is_ignored, a_worker_that_dies, restarts_back_off_and_give_up,
         a_start_that_fails_leaves_no_worker, a_shutdown_ends_the_restarts, a_planned_restart_survives_the_daemon,
         each_worker_has_a_user_of_its_own, a_guest_that_powers_off_stays_off,
         what_ended_while_the_daemon_was_away, what_the_guest_says_is_in_the_status,
         a_worker_that_hangs_is_unknown_not_gone,
         a_host_that_starts_again, the_console_survives_the_daemon, keys_repeat_and_refuse,
         the_database_is_saved_and_put_back, a_locked_database_is_said,
         a_damaged_database_is_refused, a_start_is_quick]


def test(daemon):
    daemon.start()
    daemon.make_kernel()
    for one in TESTS:
        begin = time.monotonic()
        one(daemon)
        print(f"{one.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
    assert daemon.stop() == 0
    daemon.check()


a_full_disk_is_said_and_nothing_is_lost()
folders_may_begin_here()
a_long_folder_is_refused()
a_guest_outlives_its_worker()
run(test)
