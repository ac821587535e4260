# SPDX-License-Identifier: MIT
"""Changes: idempotency, preconditions, dry runs, waiting, refusals that name the field."""
import json
import os
import pathlib
import signal
import socket
import time
import unittest

from case import ApiCase


class Changes(ApiCase):
    def test_a_created_vm_is_there(self):
        answer = self.api.post("/v1/vms", {"name": "first", "memory": {"size": "64MiB"}, "tags": ["a"]})
        self.assertEqual(answer.status, 201, answer)
        vm = answer.json
        self.assertEqual(answer.headers["Location"], f"/v1/vms/{vm['uuid']}")
        self.assertEqual(vm["memory"]["size"], 64 << 20)
        self.assertEqual(vm["processors"], {"count": 1, "weight": 100, "reserve": 0, "cap": 100})
        self.assertEqual(vm["status"]["state"], "stopped")
        self.assertEqual(self.api.get(f"/v1/vms/{vm['uuid']}").json["name"], "first")

    def test_the_same_key_does_it_once(self):
        body = {"name": "once", "memory": {"size": "64MiB"}}
        first = self.api.post("/v1/vms", body, headers={"Idempotency-Key": "k-1"})
        again = self.api.post("/v1/vms", body, headers={"Idempotency-Key": "k-1"})
        self.assertEqual((first.status, again.status), (201, 201), again)
        self.assertEqual(first.json["uuid"], again.json["uuid"])
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        other = self.api.post("/v1/vms", {**body, "name": "twice"}, headers={"Idempotency-Key": "k-1"})
        self.assert_problem(other, 422, "key-reused")

    def test_names_are_unique(self):
        self.make_vm("taken")
        answer = self.api.post("/v1/vms", {"name": "taken", "memory": {"size": "64MiB"}})
        self.assert_problem(answer, 409, "name-taken")
        self.assertIn("/name", answer.pointers)

    def test_if_match_sees_the_document_not_the_status(self):
        self.make_vm("guarded")
        etag = self.api.get("/v1/vms/guarded").headers["ETag"]
        self.api.good("POST", "/v1/vms/guarded/start")
        ok = self.api.patch("/v1/vms/guarded", {"description": "x"}, headers={"If-Match": etag})
        self.assertEqual(ok.status, 200, ok)
        self.assertNotEqual(ok.headers["ETag"], etag)
        stale = self.api.patch("/v1/vms/guarded", {"description": "y"}, headers={"If-Match": etag})
        self.assert_problem(stale, 412, "precondition-failed")
        self.assertEqual(self.api.get("/v1/vms/guarded").json["description"], "x")

    def test_a_patch_of_what_is_so_already_changes_nothing(self):
        self.make_vm("steady", description="as it is", tags=["t"])
        self.api.good("POST", "/v1/vms/steady/start")
        before = self.api.get("/v1/vms/steady")
        for body in ({}, {"description": "as it is"}, {"memory": {"size": "64MiB"}, "tags": ["t"], "cloud_init": None}):
            answer = self.api.patch("/v1/vms/steady", body, headers={"If-Match": before.headers["ETag"]})
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["ETag"], before.headers["ETag"])
            for member in ("revision", "sequence", "updated_at", "description", "memory"):
                self.assertEqual(answer.json[member], before.json[member], body)
        self.assertEqual(self.api.patch("/v1/vms/steady", {"description": "other"}).json["revision"],
                         before.json["revision"] + 1)
        self.api.good("POST", "/v1/networks", {"name": "steady", "mode": "isolated"})
        network = self.api.get("/v1/networks/steady")
        answer = self.api.patch("/v1/networks/steady", {})
        self.assertEqual((answer.status, answer.json["revision"]), (200, network.json["revision"]), answer)

    def test_a_recreated_name_does_not_match(self):
        self.make_vm("phoenix")
        etag = self.api.get("/v1/vms/phoenix").headers["ETag"]
        self.api.good("DELETE", "/v1/vms/phoenix")
        self.make_vm("phoenix")
        answer = self.api.delete("/v1/vms/phoenix", headers={"If-Match": etag})
        self.assert_problem(answer, 412, "precondition-failed")

    def test_a_dry_run_changes_nothing(self):
        plan = self.api.post("/v1/vms?dry_run=true", {"name": "ghost", "memory": {"size": "64MiB"}})
        self.assertEqual(plan.status, 200, plan)
        self.assertEqual(plan.json["name"], "ghost")
        self.assertEqual(self.api.get("/v1/vms/ghost").status, 404)
        self.make_vm("solid")
        plan = self.api.patch("/v1/vms/solid?dry_run=true", {"description": "new"})
        self.assertEqual(plan.json["description"], "new")
        self.assertNotIn("new", self.api.get("/v1/vms/solid").json.get("description", ""))

    def test_a_change_is_an_operation(self):
        self.make_vm("worker")
        answer = self.api.post("/v1/vms/worker/start")
        self.assertIn(answer.status, (200, 202), answer)
        path = answer.headers["Operation"]
        done = self.api.get(path + "?wait=20").json
        self.assertEqual(done["state"], "succeeded", done)
        self.assertEqual(done["kind"], "vm.start")
        self.assertEqual(done["object"]["name"], "worker")
        self.assertTrue(done["finished_at"])
        self.assertEqual(done["request_id"], answer.headers["X-Request-Id"])

    def test_verbs_succeed_when_nothing_is_to_do(self):
        self.make_vm("lazy")
        for verb in ("start", "start", "poweroff", "poweroff"):
            self.api.good("POST", f"/v1/vms/lazy/{verb}")

    def test_preference_waits(self):
        self.make_vm("patient")
        answer = self.api.post("/v1/vms/patient/start", headers={"Prefer": "wait=30"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Preference-Applied"], "wait=30")
        self.assertEqual(answer.json["status"]["state"], "running")

    def test_live_changes(self):
        self.make_vm("live", memory={"size": "64MiB", "minimum": "32MiB", "maximum": "128MiB"})
        self.api.good("POST", "/v1/disks", {"name": "extra", "size": "1MiB"})
        self.api.good("POST", "/v1/vms/live/start")
        for change in ({"processors": {"weight": 300}}, {"processors": {"cap": 50}}, {"memory": {"size": "96MiB"}},
                       {"tags": ["x"]}, {"restart": {"policy": "always"}},
                       {"disks": {"extra": {"disk": "extra"}}}, {"disks": {"extra": None}}):
            with self.subTest(change):
                self.api.good("PATCH", "/v1/vms/live", change)
        self.assertEqual(self.api.get("/v1/vms/live").json["processors"]["weight"], 300)

    def worker_status(self, vm):
        """What the VM's worker itself says, over its control socket."""
        uuid = self.api.get(f"/v1/vms/{vm}").json["uuid"]
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.daemon.folder / "run" / "vms" / uuid / "control"))
            s.sendall(b'{"id":1,"method":"status"}\n')
            for line in s.makefile():
                if "result" in json.loads(line):
                    return json.loads(line)["result"]

    def descriptors(self, vm):
        """Files that the VM's worker has open, by name."""
        folder = f"/proc/{self.api.get(f'/v1/vms/{vm}').json['status']['pid']}/fd"
        return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]

    def test_devices_of_a_running_vm(self):
        self.api.good("POST", "/v1/networks", {"name": "plug", "mode": "isolated", "subnet": "10.77.0.0/24"})
        self.addCleanup(self.api.good, "DELETE", "/v1/networks/plug")
        self.api.upload("disc-a", b"a" * 2048, "cdrom")
        self.api.upload("disc-b", b"b" * 2048, "cdrom")
        self.api.good("POST", "/v1/disks", {"name": "fixed", "size": "1MiB"})
        disk = self.api.good("POST", "/v1/disks", {"name": "plugged", "size": "1MiB"})
        self.make_vm("plugs", disks={"root": {"disk": "fixed"}, "cd": {"cdrom": True}}, nics={"a": {"network": "plug"}})
        vm = self.api.good("POST", "/v1/vms/plugs/start")
        self.addCleanup(self.api.good, "DELETE", "/v1/vms/plugs")
        self.addCleanup(self.api.good, "POST", "/v1/vms/plugs/poweroff")
        self.assertGreater(os.stat(f"/proc/{vm['status']['pid']}").st_uid, 0, "the worker is root")
        ignored = pathlib.Path(f"/proc/{vm['status']['pid']}/status").read_text().split("SigIgn:")[1].split()[0]
        self.assertFalse(int(ignored, 16) & 1 << signal.SIGPIPE - 1, "the worker ignores SIGPIPE as the daemon does")
        file = str(self.daemon.folder / "state" / "disks" / disk["uuid"])
        self.api.good("PATCH", "/v1/vms/plugs", {"disks": {"more": {"disk": "plugged"}, "cd": {"image": "disc-a"}},
                                                 "nics": {"b": {"network": "plug"}}})
        status = self.worker_status("plugs")
        self.assertEqual({d["id"] for d in status["disks"]}, {"root", "cd", "more"})
        self.assertEqual({n["id"] for n in status["nics"]}, {"a", "b"})
        self.assertTrue(any(name.startswith(file) for name in self.descriptors("plugs")), self.descriptors("plugs"))
        self.assertEqual(self.descriptors("plugs").count("/dev/net/tun"), 2)
        taps = {n["tap"] for n in status["nics"]}
        self.api.good("PATCH", "/v1/vms/plugs", {"disks": {"more": None, "cd": {"image": "disc-b"}}, "nics": {"b": None}})
        self.assertFalse(any(name.startswith(file) for name in self.descriptors("plugs")))
        self.assertEqual(self.descriptors("plugs").count("/dev/net/tun"), 1)
        left = [tap for tap in taps if tap in pathlib.Path("/proc/net/dev").read_text()]
        self.assertEqual(len(left), 1, "the tap of the removed NIC stays")
        self.api.good("PATCH", "/v1/vms/plugs", {"disks": {"cd": {"image": None}}})
        self.assertFalse(any("images" in name for name in self.descriptors("plugs")))

    def worker_config(self, vm):
        """The configuration that the VM's worker was started with."""
        uuid = self.api.get(f"/v1/vms/{vm}").json["uuid"]
        return json.loads((self.daemon.folder / "run" / "vms" / uuid / "config.json").read_text())

    def test_limits_and_cables(self):
        self.api.good("POST", "/v1/networks", {"name": "wire", "mode": "isolated", "subnet": "10.78.0.0/24", "mtu": 1400})
        self.addCleanup(self.api.good, "DELETE", "/v1/networks/wire")
        self.api.good("POST", "/v1/disks", {"name": "slow", "size": "1MiB"})
        self.make_vm("limits", disks={"root": {"disk": "slow", "iops": 500, "bytes_per_second": "10MiB"}},
                     nics={"a": {"network": "wire", "mtu": 9000, "queues": 2, "trusted": True, "receive_bytes_per_second": "1MiB"}})
        self.addCleanup(self.api.good, "DELETE", "/v1/vms/limits")
        self.api.good("POST", "/v1/vms/limits/start")
        self.addCleanup(self.api.good, "POST", "/v1/vms/limits/poweroff")
        config = self.worker_config("limits")
        self.assertEqual((config["disks"][0]["iops"], config["disks"][0]["bytes_per_second"]), (500, 10 << 20))
        nic = config["nics"][0]
        self.assertEqual((nic["mtu"], nic["queues"], nic["trusted"], nic["link_up"]), (1400, 2, True, True))
        self.assertEqual((nic["receive_bytes_per_second"], nic["transmit_bytes_per_second"]), (1 << 20, 0))
        self.api.good("PATCH", "/v1/vms/limits", {"nics": {"a": {"connected": False, "transmit_bytes_per_second": "2MiB"}}})
        said = self.worker_status("limits")["nics"][0]
        self.assertEqual((said["link_up"], said["transmit_bytes_per_second"]), (False, 2 << 20))
        self.api.good("PATCH", "/v1/vms/limits", {"nics": {"a": {"connected": True, "transmit_bytes_per_second": None}}})
        said = self.worker_status("limits")["nics"][0]
        self.assertEqual((said["link_up"], said["transmit_bytes_per_second"]), (True, 0))
        for change, pointer in (({"disks": {"root": {"iops": 9}}}, "/disks/root/iops"), ({"nics": {"a": {"mtu": 1000}}}, "/nics/a/mtu"),
                                ({"nics": {"a": {"trusted": None}}}, "/nics/a/trusted")):
            answer = self.api.patch("/v1/vms/limits", change)
            self.assertEqual((answer.status, answer.json["errors"][0]["pointer"]), (409, pointer))

    def test_the_guest_says_who_it_is(self):
        self.make_vm("speaks", boot={"kernel": "linux", "cmdline": "sim.address=10.1.2.3"})
        self.api.good("POST", "/v1/vms/speaks/start")
        end = time.monotonic() + 20
        while not (status := self.api.get("/v1/vms/speaks").json["status"]).get("addresses"):
            self.assertLess(time.monotonic(), end, status)
            time.sleep(0.05)
        self.assertEqual(status["guest"], {"heartbeat": "ok", "os": "Simulated 1.0", "host_name": "speaks"})
        self.assertEqual(status["addresses"], ["10.1.2.3"])
        self.assertIn("bulkhead_vm_guest_heartbeat{uuid=\"%s\"} 1" % self.api.get("/v1/vms/speaks").json["uuid"],
                      self.api.get("/metrics").body.decode())
        self.api.good("POST", "/v1/vms/speaks/poweroff")
        self.assertNotIn("guest", self.api.get("/v1/vms/speaks").json["status"])

    def test_a_refused_device_leaves_the_vm_as_it_was(self):
        self.api.good("POST", "/v1/disks", {"name": "whole", "size": "1MiB"})
        gone = self.api.good("POST", "/v1/disks", {"name": "gone", "size": "1MiB"})
        self.make_vm("refused")
        self.api.good("POST", "/v1/vms/refused/start")
        (self.daemon.folder / "state" / "disks" / gone["uuid"]).unlink()
        answer = self.api.patch("/v1/vms/refused?wait=20", {
            "processors": {"weight": 777}, "disks": {"one": {"disk": "whole"}, "two": {"disk": "gone"}}})
        self.assert_problem(answer, 500, "operation-failed")
        self.assertIn("/disks/two", answer.pointers)
        vm = self.api.get("/v1/vms/refused").json
        self.assertEqual((vm["processors"]["weight"], vm.get("disks", {})), (100, {}))
        status = self.worker_status("refused")
        self.assertEqual((status["weight"], status["disks"]), (100, []))

    def test_what_cannot_change_live_is_named(self):
        self.make_vm("stiff")
        self.api.good("POST", "/v1/vms/stiff/start")
        answer = self.api.patch("/v1/vms/stiff?wait=10", {"processors": {"count": 4}})
        self.assert_problem(answer, 409, "not-changeable")
        self.assertIn("/processors/count", answer.pointers)
        self.assert_problem(self.api.delete("/v1/vms/stiff"), 409, "wrong-state")

    def test_memory_stays_without_a_balloon(self):
        """As every worker of this version answers: 409, and the document says what is true."""
        self.make_vm("rigid", boot={"kernel": "linux", "cmdline": "sim.rigid"}, memory={"size": "64MiB", "maximum": "128MiB"})
        self.api.good("POST", "/v1/vms/rigid/start")
        answer = self.api.patch("/v1/vms/rigid?wait=20", {"memory": {"size": "96MiB"}})
        self.assert_problem(answer, 409, "not-changeable")
        self.assertEqual(answer.pointers, ["/memory/size"])
        self.assertIn("balloon", answer.json["detail"])
        self.assertIn("Stop", answer.json["detail"])
        self.assertEqual(self.api.get("/v1/vms/rigid").json["memory"], {"size": 64 << 20, "maximum": 128 << 20})
        for size, words in (("160MiB", "at most /memory/maximum, which is 128 MiB"), ("62MiB", "from 64 MiB to 128 MiB")):
            answer = self.api.patch("/v1/vms/rigid?wait=20", {"memory": {"size": size}})
            self.assertEqual(answer.pointers, ["/memory/size"])
            self.assertIn(words, answer.json["detail"])
        self.api.good("POST", "/v1/vms/rigid/poweroff")  # the remedy helps
        self.api.good("PATCH", "/v1/vms/rigid", {"memory": {"size": "96MiB"}})
        started = self.api.good("POST", "/v1/vms/rigid/start")
        self.assertEqual((started["memory"]["size"], started["status"]["memory_assigned"]), (96 << 20, 96 << 20))
        self.assertNotIn("memory_assigned", self.api.good("POST", "/v1/vms/rigid/poweroff")["status"])

    def test_a_disk_keeps_its_size(self):
        self.api.good("POST", "/v1/disks", {"name": "sized", "size": "1MiB"})
        answer = self.api.patch("/v1/disks/sized", {"size": None})
        self.assert_problem(answer, 422, "invalid-fields")
        self.assertEqual(answer.pointers, ["/size"])
        self.assertEqual(self.api.get("/v1/disks/sized").json["size"], 1 << 20)

    def test_what_is_not_there_yet_is_refused(self):
        for boot, pointer in (({"firmware": "seabios"}, "/boot/firmware"), ({"kernel": "linux", "order": ["root"]}, "/boot/order")):
            answer = self.api.post("/v1/vms", {"name": "early", "memory": {"size": "64MiB"}, "boot": boot})
            self.assert_problem(answer, 422, "invalid-fields")
            self.assertIn(pointer, answer.pointers)

    def test_disks_in_qcow2(self):
        """Each has a server, that the simulated worker asks; it ends with the VM, and the file is free again."""
        for name in ("cow", "bull"):
            self.api.good("POST", "/v1/disks", {"name": name, "size": "1MiB", "format": "qcow2"})
        self.make_vm("cows", disks={"root": {"disk": "cow"}})
        for _ in "12":
            self.api.good("POST", "/v1/vms/cows/start")
            self.api.good("PATCH", "/v1/vms/cows", {"disks": {"more": {"disk": "bull", "read_only": True}}})
            self.api.good("PATCH", "/v1/vms/cows", {"disks": {"more": None}})
            self.api.good("POST", "/v1/vms/cows/poweroff")
            self.api.good("PATCH", "/v1/disks/cow", {"size": self.api.get("/v1/disks/cow").json["size"] + (1 << 20)})
        self.api.good("POST", "/v1/vms/cows/snapshots", {"name": "before"})
        self.api.good("POST", "/v1/vms/cows/snapshots/before/revert")
        self.api.good("POST", "/v1/vms/cows/clone", {"name": "calves"})
        self.assertEqual(self.api.get("/v1/disks/calves-root").json["format"], "qcow2")
        self.api.good("POST", "/v1/vms/calves/start")
        self.api.good("POST", "/v1/vms/calves/poweroff")
        bull = self.daemon.folder / "state" / "disks" / self.api.get("/v1/disks/bull").json["uuid"]
        bull.write_bytes(b"this is no qcow2" * 1000)
        self.api.good("PATCH", "/v1/vms/cows", {"disks": {"root": {"disk": "bull"}}})
        answer = self.api.post("/v1/vms/cows/start?wait=60")
        self.assertEqual(answer.status, 500, answer)
        self.assertIn("not in qcow2 format", answer.json["detail"])

    def test_references_are_checked(self):
        answer = self.api.post("/v1/vms", {"name": "lost", "memory": {"size": "64MiB"},
                                           "disks": {"root": {"disk": "nowhere"}},
                                           "nics": {"lan": {"network": "nowhere"}}})
        self.assertIn(answer.status, (409, 422), answer)
        self.assertIn("/disks/root/disk", answer.pointers)
        self.assertIn("/nics/lan/network", answer.pointers)
        self.assertEqual(self.api.get("/v1/vms/lost").status, 404)

    def test_what_is_used_stays(self):
        self.api.good("POST", "/v1/disks", {"name": "held", "size": "1MiB"})
        self.make_vm("holder", disks={"root": {"disk": "held"}})
        self.assert_problem(self.api.delete("/v1/disks/held?wait=10"), 409, "in-use")
        status = self.api.get("/v1/disks/held").json["status"]
        self.assertEqual(status["used_by"], [self.api.get("/v1/vms/holder").json["uuid"]])
        self.assertIsNone(status["operation"])
        self.api.good("PATCH", "/v1/vms/holder", {"disks": {"root": None}})
        self.assertEqual(self.api.get("/v1/disks/held").json["status"]["used_by"], [])

    def test_a_second_change_waits_in_line(self):
        self.make_vm("busy")
        asked = [self.api.post(f"/v1/vms/busy/{verb}") for verb in ("start", "pause", "resume", "reset") * 2]
        for answer in asked:
            self.assertIn(answer.status, (200, 202), answer)
            done = self.api.get(answer.headers["Operation"] + "?wait=30").json
            self.assertEqual(done["state"], "succeeded", done)
        self.assertEqual(self.api.state("busy"), "running")

    def test_who_waits_sees_for_whom_and_a_newer_poweroff_ends_it(self):
        self.make_vm("queue", boot={"kernel": "linux", "cmdline": "sim.late=60000"})
        start, pause, resume = (self.api.post(f"/v1/vms/queue/{verb}") for verb in ("start", "pause", "resume"))
        for position, asked in enumerate((start, pause, resume)):
            self.assertEqual(asked.status, 202, asked)
            self.assertEqual(asked.headers["Location"], asked.headers["Operation"])
            seen = self.api.get(asked.headers["Location"]).json
            self.assertEqual((seen["position"], seen.get("holder")), (position, start.json["uuid"] if position else None))
        self.assertEqual(self.api.get("/v1/vms/queue").json["status"]["operation"], start.json["uuid"])
        waiting = self.api.get("/v1/operations?filter=object=queue,state=queued").json["items"]
        self.assertLessEqual({pause.json["uuid"], resume.json["uuid"]}, {one["uuid"] for one in waiting})
        off = self.api.good("POST", "/v1/vms/queue/poweroff")
        self.assertEqual((off["status"]["state"], off["status"]["operation"]), ("stopped", None))
        for asked in (start, pause, resume):
            ended = self.api.get(asked.headers["Location"]).json
            self.assertEqual((ended["state"], ended["problem"]["status"]), ("cancelled", 409))

    def test_an_operation_is_polled_by_its_tag(self):
        self.make_vm("polled", boot={"kernel": "linux", "cmdline": "sim.late=60000"})
        start, pause = (self.api.post(f"/v1/vms/polled/{verb}").headers["Location"] for verb in ("start", "pause"))
        queued = self.api.get(pause)
        for wait in ("", "?wait=1"):
            same = self.api.get(pause + wait, headers={"If-None-Match": queued.headers["ETag"]})
            self.assertEqual((same.status, same.body, same.headers["ETag"]), (304, b"", queued.headers["ETag"]))
        self.api.good("POST", "/v1/vms/polled/poweroff")
        for operation in (start, pause):
            ended = self.api.get(operation, headers={"If-None-Match": queued.headers["ETag"]})
            self.assertEqual((ended.status, ended.json["state"]), (200, "cancelled"))
            again = self.api.get(operation, headers={"If-None-Match": ended.headers["ETag"]})
            self.assertEqual(again.status, 304)

    def test_a_place_in_the_queue_is_in_the_tag(self):
        self.make_vm("places", boot={"kernel": "linux", "cmdline": "sim.late=60000"})
        start, pause, resume = (self.api.post(f"/v1/vms/places/{verb}").headers["Location"]
                                for verb in ("start", "pause", "resume"))
        tag = self.api.get(resume).headers["ETag"]
        self.api.good("POST", f"{start}/cancel")
        moved = self.api.get(resume + "?wait=20", headers={"If-None-Match": tag})
        self.assertEqual(moved.status, 200)
        self.assertNotEqual(moved.headers["ETag"], tag)
        self.api.get(pause + "?wait=20")
        self.api.good("POST", "/v1/vms/places/poweroff")

    def test_only_what_was_seen_is_cancelled(self):
        self.make_vm("spared", boot={"kernel": "linux", "cmdline": "sim.late=60000"})
        start, pause = (self.api.post(f"/v1/vms/spared/{verb}").headers["Location"] for verb in ("start", "pause"))
        queued = self.api.get(pause).headers["ETag"]
        limit = time.monotonic() + 20
        while self.api.get(start).json["state"] == "queued":
            self.assertLess(time.monotonic(), limit)
        stale = self.api.post(f"{start}/cancel", headers={"If-Match": queued})
        self.assert_problem(stale, 412, "precondition-failed")
        self.assertIn("running", stale.json["detail"])
        self.assertEqual(self.api.post(f"{pause}/cancel?dry_run=true", headers={"If-Match": queued}).json["state"], "queued")
        self.assert_problem(self.api.post("/v1/operations/0b9d1c52-6a7e-4f0c-9f0e-3d8f6f1c2a11/cancel"), 404, "not-found")
        self.assertEqual(self.api.post(f"{pause}/cancel", headers={"If-Match": queued}).status, 202)
        ended = self.api.good("POST", f"{start}/cancel", headers={"If-Match": self.api.get(start).headers["ETag"]})
        self.assertEqual(ended["state"], "cancelled")
        self.assertEqual(self.api.get(pause + "?wait=20").json["state"], "cancelled")
        asked = self.api.get("/v1/events?filter=object=spared,type=operation.cancelling").json["items"]
        self.assertEqual([(e["operation"], e["actor"]) for e in asked],
                         [(path.rpartition("/")[2], "user:admin") for path in (pause, start)])
        again = self.api.good("POST", f"{start}/cancel")
        self.assertEqual(again["state"], "cancelled")
        self.assertEqual(len(self.api.get("/v1/events?filter=object=spared,type=operation.cancelling").json["items"]), 2)

    def test_clone_and_snapshots(self):
        self.api.good("POST", "/v1/disks", {"name": "orig-root", "size": "4MiB"})
        self.make_vm("orig", disks={"root": {"disk": "orig-root"}})
        self.api.good("POST", "/v1/vms/orig/snapshots", {"name": "clean"})
        self.assertEqual(self.api.get("/v1/vms/orig/snapshots").json["items"][0]["name"], "clean")
        self.api.good("POST", "/v1/vms/orig/snapshots/clean/revert")
        copy = self.api.good("POST", "/v1/vms/orig/clone", {"name": "copy"})
        self.assertEqual(copy["name"], "copy")
        self.assertNotEqual(copy["disks"]["root"]["disk"], "orig-root")
        self.api.good("DELETE", "/v1/vms/orig/snapshots/clean")
        self.assertEqual(self.api.get("/v1/snapshots").json["items"], [])


if __name__ == "__main__":
    unittest.main()
