# SPDX-License-Identifier: MIT
"""Lists: pages, filters, fields, 304, deltas, NDJSON."""
import json
import unittest

from case import ApiCase


class Lists(ApiCase):
    @classmethod
    def prepare(cls):
        for i in range(25):
            cls.make_vm(f"vm-{i:02}", tags=["even" if i % 2 == 0 else "odd"])

    def names(self, target):
        return [vm["name"] for vm in self.api.get(target).json["items"]]

    def test_unknown_fields_are_refused(self):
        for target in ("/v1/vms", "/v1/vms/nobody"):
            answer = self.api.get(target + "?fields=name,status.colour")
            self.assert_problem(answer, 400, "invalid-parameter")
            self.assertIn("status.colour", answer.json["detail"])
        self.assertEqual(self.api.get("/v1/vms?fields=name,disks.root.disk,status.guest.os").status, 200)
        self.assertEqual(self.api.get("/v1/events?fields=data.state").status, 200)

    def test_pages_cover_everything_once(self):
        seen, token = [], None
        while True:
            page = self.api.get("/v1/vms?limit=7" + (f"&page_token={token}" if token else "")).json
            self.assertGreaterEqual(page["total_estimate"], 25)
            seen += [vm["name"] for vm in page["items"]]
            token = page["next"]
            if not token:
                break
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(seen, sorted(seen))
        self.assertTrue({f"vm-{i:02}" for i in range(25)} <= set(seen))

    def test_filters(self):
        self.assertEqual(self.names("/v1/vms?filter=name=vm-03"), ["vm-03"])
        self.assertEqual(len(self.names("/v1/vms?filter=name=vm-0*")), 10)
        self.assertEqual(len(self.names("/v1/vms?filter=tag=odd")), 12)
        self.assertEqual(len(self.names("/v1/vms?filter=tag=odd,name=vm-0*")), 5)
        self.assertEqual(len(self.names("/v1/vms?filter=tag!=odd,name=vm-*")), 13)
        self.assertEqual(self.names("/v1/vms?filter=state=running"), [])
        self.assert_problem(self.api.get("/v1/vms?filter=colour=red"), 400, "invalid-parameter")

    def test_each_column_filters_and_no_other_does(self):
        """The contract says what each list is filtered by; every one of them divides the list in two."""
        tried = 0
        for method, path, _, _, op in self.api.contract.routes:
            target = path.replace("{vm}", "vm-00") + "?limit=1&filter="
            for column in op.get("x-filter", []):
                with self.subTest(path, column=column):
                    every = self.api.get(target.partition("?")[0] + "?limit=1000").json["items"]
                    for condition, most in ((f"{column}=nothing-like-it", 0), (f"{column}!=nothing-like-it", len(every))):
                        answer = self.api.get(target.replace("limit=1&", "limit=1000&") + condition)
                        self.assertEqual((answer.status, len(answer.json["items"])), (200, most), answer)
                    tried += 1
            for wrong in ("description=x", "colour=x", "status.state=x", "name", "=x", "name>3") if "x-filter" in op else ():
                with self.subTest(path, wrong=wrong):
                    answer = self.api.get(target + wrong)
                    self.assert_problem(answer, 400, "invalid-parameter")
                    self.assertEqual(answer.pointers, ["filter"])
        self.assertGreater(tried, 25)

    def test_filters_find_by_each_column(self):
        good = self.api.good
        good("POST", "/v1/networks", {"name": "lan", "mode": "isolated", "subnet": "10.81.0.0/24", "tags": ["t"]})
        good("POST", "/v1/disks", {"name": "root", "size": "1MiB", "tags": ["t"]})
        good("POST", "/v1/users", {"name": "carol", "role": "viewer"})
        self.make_token("hers", "viewer", user="carol")
        self.make_vm("found", nics={"a": {"network": "lan"}}, disks={"root": {"disk": "root"}}, tags=["t"])
        good("POST", "/v1/vms/found/snapshots", {"name": "snap", "tags": ["t"]})
        self.addCleanup(good, "DELETE", "/v1/vms/found")
        for target, name in (("vms?filter=network=lan", "found"), ("vms?filter=disk=root", "found"),
                             ("vms?filter=image=linux,tag=t", "found"), ("vms?filter=state=stop*,name=found", "found"),
                             ("disks?filter=state=ready,tag=t", "root"), ("images?filter=kind=kernel,state=ready", "linux"),
                             ("networks?filter=mode=isolated,tag=t,state=ready", "lan"), ("snapshots?filter=vm=found,tag=t", "snap"),
                             ("vms/found/snapshots?filter=name=sn*", "snap"), ("users?filter=role=viewer", "carol"),
                             ("tokens?filter=user=carol,role=viewer", "hers")):
            with self.subTest(target):
                self.assertEqual(self.names(f"/v1/{target}"), [name])
        for target in ("operations?filter=kind=vm.create,object=found,state=succeeded,actor=user:admin", "events?filter=type=vm.created,object=found"):
            with self.subTest(target):
                self.assertEqual(len(self.api.get(f"/v1/{target}").json["items"]), 1)

    def test_bad_page_tokens_are_refused(self):
        for token in ("x", "AAAA", "..", "a" * 500):
            self.assert_problem(self.api.get(f"/v1/vms?page_token={token}"), 400, "invalid-parameter")

    def test_fields(self):
        page = self.api.get("/v1/vms?limit=1&fields=name,status.state").json
        self.assertEqual(page["items"], [{"name": "vm-00", "status": {"state": "stopped"}}])

    def test_nothing_changed_is_304(self):
        etag = self.api.get("/v1/vms").headers["ETag"]
        self.assertEqual(self.api.get("/v1/vms", headers={"If-None-Match": etag}).status, 304)
        self.api.good("PATCH", "/v1/vms/vm-00", {"description": "changed"})
        self.assertEqual(self.api.get("/v1/vms", headers={"If-None-Match": etag}).status, 200)

    def test_deltas(self):
        before = self.api.get("/v1/vms?limit=1").json["sequence"]
        self.assertEqual(self.api.get(f"/v1/vms?since={before}").json["items"], [])
        self.make_vm("delta")
        self.api.good("PATCH", "/v1/vms/vm-01", {"description": "delta"})
        delta = self.api.get(f"/v1/vms?since={before}").json
        self.assertEqual(sorted(vm["name"] for vm in delta["items"]), ["delta", "vm-01"])
        self.assertEqual(delta["deleted"], [])
        self.api.good("DELETE", "/v1/vms/delta")
        after = self.api.get(f"/v1/vms?since={delta['sequence']}").json
        self.assertEqual(after["items"], [])
        self.assertEqual([d["name"] for d in after["deleted"]], ["delta"])
        lines = self.api.get(f"/v1/vms?since={before}", headers={"Accept": "application/x-ndjson"}).body.splitlines()
        self.assertEqual([json.loads(line)["name"] for line in lines[:-1]], ["vm-01"])
        self.assertEqual(json.loads(lines[-1])["deleted"]["uuid"], after["deleted"][0]["uuid"])

    def test_ndjson(self):
        answer = self.api.get("/v1/vms?limit=3", headers={"Accept": "application/x-ndjson"})
        rows = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([row["name"] for row in rows], ["vm-00", "vm-01", "vm-02"])
        self.assertTrue(answer.headers["Next-Page-Token"])

    def test_a_number_of_no_event_is_refused(self):
        """A client that knows another history has to list everything again; silence would leave it wrong for ever."""
        newest = self.api.get("/v1/events?limit=1000").json["sequence"]
        for path in ("vms", "disks", "images", "networks", "snapshots", "vms/vm-00/snapshots", "hosts", "operations", "events",
                     "users", "tokens"):
            with self.subTest(path):
                answer = self.api.get(f"/v1/{path}?since={newest + 1}")
                self.assert_problem(answer, 410, "unknown-sequence")
                self.assertEqual(answer.pointers, ["since"])
                self.assertIn(f"newest is {newest}", answer.json["detail"])
                self.assertEqual(self.api.get(f"/v1/{path}?since={newest}").status, 200)
        answer = self.api.get(f"/v1/vms?since={newest + 1}", headers={"Accept": "application/x-ndjson"})
        self.assert_problem(answer, 410, "unknown-sequence")

    def test_the_form_liked_most_is_sent(self):
        for path in ("vms", "events"):
            for accept, form in (("application/x-ndjson;q=0.5, application/json", "application/json"),
                                 ("application/json;q=0.1, application/x-ndjson;q=0.2", "application/x-ndjson"),
                                 ("text/html, */*;q=0.1", "application/json"),
                                 ("application/json;q=0, */*", "application/x-ndjson")):
                with self.subTest(path, accept=accept):
                    answer = self.api.get(f"/v1/{path}", headers={"Accept": accept})
                    self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, form))
            self.assert_problem(self.api.get(f"/v1/{path}", headers={"Accept": "application/json;q=0"}), 406, "not-acceptable")

    def test_all_collections_answer(self):
        for path in ("vms", "disks", "images", "networks", "snapshots", "hosts", "operations", "events", "users", "tokens"):
            with self.subTest(path):
                self.assertEqual(self.api.get(f"/v1/{path}").status, 200)

    def test_events_page_by_sequence(self):
        first = self.api.get("/v1/events?since=0&limit=5").json
        self.assertEqual([e["sequence"] for e in first["items"]], list(range(1, 6)))
        second = self.api.get(f"/v1/events?since={first['sequence']}&limit=5").json
        self.assertEqual(second["items"][0]["sequence"], 6)


if __name__ == "__main__":
    unittest.main()
