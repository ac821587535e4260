# SPDX-License-Identifier: MIT
"""The daemon over the real worker, as far as both go on a machine without the hypervisor.

usage: worker.py BUILD

The worker reads the configuration that the daemon wrote and takes it; then it says that there is no
hypervisor, and the client reads that sentence in the problem, with the VM stopped and nothing left behind.
With the hypervisor the same is done by the system tests that boot it.
"""
import os
import subprocess
import sys

from daemon import Daemon

NOT_HERE = "does not run on the Bulkhead hypervisor"


class RealDaemon(Daemon):
    def arguments(self, *more):
        words = super().arguments(*more)
        words[words.index("--worker") + 1] = os.path.join(self.build, "parent", "worker", "bulkhead-worker")
        return words


def start(daemon, name, **more):
    daemon.good("POST", "/v1/vms", {"name": name, "memory": {"size": 67108864}, "boot": {"kernel": "k"}, **more})
    status, _, problem = daemon.call("POST", f"/v1/vms/{name}/start?wait=30")
    vm = daemon.good("GET", f"/v1/vms/{name}")
    assert vm["status"]["state"] == "stopped" and vm["status"]["operation"] is None, vm["status"]
    assert not daemon.worker_pids(), daemon.worker_pids()
    assert not os.path.exists(daemon.path("run", "vms", vm["uuid"], "control"))
    return status, problem


def a_refusal_is_read_by_the_client(daemon):
    status, problem = start(daemon, "plain", processors={"count": 2, "weight": 200, "cap": 50, "reserve": 10})
    assert status == 500 and problem["type"].endswith("operation-failed"), problem
    assert "could not begin" in problem["detail"], problem
    operation = daemon.good("GET", f"/v1/operations/{problem['operation']}")
    assert operation["state"] == "failed" and operation["problem"]["detail"] in problem["detail"], operation
    assert "It ended with status 1." in problem["detail"], problem
    assert os.path.exists(problem["detail"].split("all it said in ")[1].split()[0].rstrip(".")), problem
    return problem["detail"]


def every_field_is_one_that_the_worker_knows(daemon):
    """What the daemon writes must never be refused as an unknown or wrong member."""
    daemon.good("POST", "/v1/disks?wait=30", {"name": "root", "size": 1 << 20})
    daemon.good("POST", "/v1/images", {"name": "disc", "kind": "cdrom"})
    daemon.good("PUT", "/v1/images/disc/content?wait=30", b"x" * 2048)
    status, problem = start(daemon, "whole", disks={"root": {"disk": "root"}, "data": {"cdrom": True, "image": "disc"},
                                                    "empty": {"cdrom": True}},
                            cloud_init={"hostname": "x"},
                            boot={"kernel": "k", "cmdline": "console=ttyS0 quiet"})
    assert status == 500 and "is not known here" not in problem["detail"] and "must " not in problem["detail"], problem
    return problem["detail"]


class FallingDaemon(Daemon):
    """Its workers say one thing and are ended by a signal."""

    def arguments(self, *more):
        words = super().arguments(*more)
        program = self.path("falls")
        with open(program, "w") as file:
            file.write("#!/bin/sh\necho here I am >&2\nkill -SEGV $$\n")
        os.chmod(program, 0o755)
        words[words.index("--worker") + 1] = program
        return words


def a_worker_that_falls_is_told_with_its_signal(daemon):
    detail = start(daemon, "plain")[1]["detail"]
    assert "here I am Signal 11 (Segmentation fault) ended it." in detail, detail
    return detail


def run(daemon, *checks):
    try:
        daemon.start()
        daemon.make_kernel()
        for one in checks:
            print(f"{one.__name__}: {one(daemon)}")
    except BaseException:
        print(daemon.tail(), file=sys.stderr)
        raise
    finally:
        daemon.remove()


def there_is_no_hypervisor(daemon):
    version = subprocess.run([daemon.arguments()[daemon.arguments().index("--worker") + 1], "--version"],
                             capture_output=True, text=True, timeout=10, check=True).stdout.split()[1]
    assert version == daemon.good("GET", "/v1/hosts/self")["version"], version
    assert NOT_HERE in daemon.good("GET", "/v1/vms/plain")["status"]["reason"]
    assert daemon.good("GET", "/v1/hosts/self")["status"]["hypervisor"] is None
    return version


def main():
    if os.path.exists("/dev/mshv"):
        print("SKIPPED: this machine has the hypervisor")
        return 77
    run(RealDaemon(sys.argv[1]), a_refusal_is_read_by_the_client, every_field_is_one_that_the_worker_knows,
        there_is_no_hypervisor)
    run(FallingDaemon(sys.argv[1]), a_worker_that_falls_is_told_with_its_signal)
    return 0


sys.exit(main())
