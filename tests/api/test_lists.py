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

    def test_ndjson(self):
        answer = self.api.get("/v1/vms?limit=3", headers={"Accept": "application/x-ndjson"})
        rows = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([row["name"] for row in rows], ["vm-00", "vm-01", "vm-02"])
        self.assertTrue(answer.headers["Next-Page-Token"])

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
