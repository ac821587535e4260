# SPDX-License-Identifier: MIT
"""What a request may say beside its body: preconditions, keys, methods, media types; and how it is refused."""
import json
import subprocess
import unittest

from case import ApiCase

# An object for each name of a path; and what the tag of a precondition is compared with.
NAMES = {"vm": "web", "snapshot": "clean", "disk": "root", "image": "empty", "network": "lan", "host": "self",
         "user": "alice", "token": "ci"}
TAGS = {"vms": "/v1/vms/web", "snapshots": "/v1/vms/web/snapshots/clean", "disks": "/v1/disks/root",
        "images": "/v1/images/empty", "networks": "/v1/networks/lan", "hosts": "/v1/hosts/self",
        "users": "/v1/users/alice", "tokens": "/v1/tokens/ci"}


class Requests(ApiCase):
    @classmethod
    def prepare(cls):
        good = cls.api.good
        good("POST", "/v1/networks", {"name": "lan", "mode": "isolated", "subnet": "10.80.0.0/24"})
        good("POST", "/v1/disks", {"name": "root", "size": "1MiB"})
        good("POST", "/v1/images", {"name": "empty", "kind": "kernel"})
        good("POST", "/v1/users", {"name": "alice", "role": "operator"})
        cls.make_token("ci", "viewer")
        cls.make_vm("web")
        good("POST", "/v1/vms/web/snapshots", {"name": "clean"})

    def changes(self):
        """(operation id, method, target, body, headers) of each route that changes something, as a dry run if it has one."""
        last = self.api.get("/v1/operations?limit=1").json["items"][0]["uuid"]
        for method, path, _, _, op in self.api.contract.routes:
            if "x-mutation" not in op and "x-upload" not in op:
                continue
            target = path.replace("{operation}", last)
            for name, value in NAMES.items():
                target = target.replace("{" + name + "}", value)
            body, headers = None, {}
            for media, content in op.get("requestBody", {}).get("content", {}).items():
                body, headers = content["example"], {"Content-Type": media}
            if body is not None:
                body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            yield op["operationId"], method.upper(), target + ("?dry_run=true" if "x-mutation" in op else ""), body, headers

    def tag_of(self, path):
        """The entity tag that If-Match must name for this path; None where an object is made."""
        parts = path.partition("?")[0].split("/")[2:]
        if len(parts) == 1:
            return None
        if parts[0] == "operations":
            return self.api.get(f"/v1/operations/{parts[1]}").headers["ETag"]
        kind = "snapshots" if "snapshots" in parts and parts[-1] != "snapshots" else parts[0]
        return self.api.get(TAGS[kind]).headers["ETag"]

    def test_every_change_minds_its_precondition(self):
        before = self.api.get("/v1/events?limit=1000").json["sequence"]
        tried = 0
        for name, method, target, body, headers in self.changes():
            with self.subTest(name):
                for stale in ('"nonsense"', '"7b514e50-cc5f-99.1000"'):
                    answer = self.api.call(method, target, body, {**headers, "If-Match": stale})
                    self.assert_problem(answer, 412, "precondition-failed")
                for wrong in ("bare", 'W/"weak"', '""', '"two", "tags"'):
                    answer = self.api.call(method, target, body, {**headers, "If-Match": wrong})
                    self.assert_problem(answer, 400, "invalid-request")
                tag = self.tag_of(target)
                for good in ("*", tag) if tag and method != "PUT" else ():
                    answer = self.api.call(method, target, body, {**headers, "If-Match": good})
                    self.assertNotIn(answer.status, (400, 412), answer)
                tried += 1
        self.assertGreater(tried, 25)
        self.assertEqual(self.api.get("/v1/events?limit=1000").json["sequence"], before, "something changed")

    def test_a_repeated_key_gets_the_first_answer(self):
        key = self.daemon.folder / "key"
        made = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                               "-keyout", key, "-subj", "/CN=any"], check=True, capture_output=True, text=True)
        for target, body in (("/v1/users/alice/certificates", {"request": made.stdout}),
                             ("/v1/tokens", {"name": "twice", "role": "viewer"}),
                             ("/v1/disks?wait=20", {"name": "twice", "size": "1MiB"}),
                             ("/v1/vms/web/start?wait=20", None), ("/v1/vms/web/poweroff?wait=20", None)):
            with self.subTest(target):
                first, again = (self.api.post(target, body, headers={"Idempotency-Key": f"key of {target}"}) for _ in "12")
                self.assertIn(first.status, (200, 201), first)
                self.assertEqual((again.status, again.headers["Idempotency-Replayed"]), (first.status, "true"))
                self.assertEqual(again.headers["Operation"], first.headers["Operation"])
                same = {k: v for k, v in first.json.items() if k not in ("secret", "sequence", "status")}
                self.assertEqual({k: v for k, v in again.json.items() if k not in ("sequence", "status")}, same)
        self.assertEqual(len(self.api.get("/v1/tokens?filter=name=twice").json["items"]), 1)

    def test_a_repeat_says_that_the_object_is_gone(self):
        body, headers = {"name": "brief", "memory": {"size": "64MiB"}}, {"Idempotency-Key": "brief"}
        made = self.api.post("/v1/vms", body, headers=headers)
        self.api.good("DELETE", "/v1/vms/brief")
        again = self.api.post("/v1/vms", body, headers=headers)
        self.assert_problem(again, 404, "not-found")
        self.assertEqual(again.json["operation"], made.headers["Operation"].rpartition("/")[2])
        self.assertEqual(self.api.get("/v1/vms/brief").status, 404)

    def test_methods(self):
        for path, allow in (("/v1/vms", "GET, HEAD, POST"), ("/v1/vms/web", "GET, HEAD, PATCH, DELETE"),
                            ("/v1/vms/web/start", "POST"), ("/v1/images/empty/content", "PUT"), ("/livez", "GET, HEAD")):
            for method in ("OPTIONS", "TRACE", "LINK"):
                with self.subTest(path, method=method):
                    answer = self.api.call(method, path)
                    self.assert_problem(answer, 405, "method-not-allowed")
                    self.assertEqual(answer.headers["Allow"], allow)
        for path in ("/v1/vms", "/v1/vms/web", "/metrics", "/livez", "/v1/openapi.json", "/v1/vms/nowhere"):
            with self.subTest(path):
                whole, head = self.api.get(path), self.api.call("HEAD", path, check=False)
                self.assertEqual((head.status, head.body), (whole.status, b""))
                self.assertEqual(head.headers["Content-Type"], whole.headers["Content-Type"])
                self.assertEqual(head.headers["ETag"], whole.headers["ETag"])
        for path in ("/v1/vms/web/", "//v1/vms", "/v1/vms/WEB", "/v1/vms/%77eb", "/v1/vms/..", "/v2"):
            self.assert_problem(self.api.get(path), 404, "no-such-route")

    def test_media_types(self):
        body = b'{"name":"typed","memory":{"size":67108864}}'
        for sent in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
            answer = self.api.call("POST", "/v1/vms?dry_run=true", body, {"Content-Type": sent})
            self.assert_problem(answer, 415, "unsupported-media-type")
        for encoding in ("gzip", "br"):
            answer = self.api.call("POST", "/v1/vms", body, {"Content-Type": "application/json", "Content-Encoding": encoding})
            self.assert_problem(answer, 415, "unsupported-media-type")
        good = self.api.call("POST", "/v1/vms?dry_run=true", body, {"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(good.status, 200, good)
        plain = self.api.get("/v1/vms", headers={"Accept-Encoding": "gzip"})
        self.assertIsNone(plain.headers["Content-Encoding"])
        self.assert_problem(self.api.get("/v1/vms", headers={"Accept": "text/csv"}), 406, "not-acceptable")

    def test_each_wrong_field_is_pointed_at(self):
        wrong = {"name": "Big Web", "memory": {"size": "1XB"}, "processors": {"count": "two", "colour": 1, "weight": 0},
                 "tags": ["fine", 3], "disks": {"root": {"disk": 5, "x": 1}}, "nics": [], "uuid": "x", "autostart": "yes"}
        answer = self.api.post("/v1/vms", wrong)
        self.assert_problem(answer, 422, "invalid-fields")
        self.assertEqual(set(answer.pointers), {
            "/name", "/memory/size", "/processors/count", "/processors/colour", "/processors/weight", "/tags/1",
            "/disks/root/disk", "/disks/root/x", "/nics", "/uuid", "/autostart"})
        self.assertEqual(answer.json["request_id"], answer.headers["X-Request-Id"])
        self.assertEqual(answer.json["instance"], "/v1/vms")
        self.assertEqual(set(self.api.patch("/v1/vms/web", {"status": {}, "name": None}).pointers), {"/name", "/status"})

    def test_each_wrong_parameter_is_named(self):
        for query, names in (("limit=0", ["limit"]), ("limit=1001", ["limit"]), ("limit=ten", ["limit"]), ("since=-1", ["since"]),
                             ("fields=a,,b", ["fields"]), ("colour=red&limit=x", ["colour", "limit"]),
                             ("limit=1&limit=2", ["limit"]), ("wait=5", ["wait"])):
            with self.subTest(query):
                answer = self.api.get(f"/v1/vms?{query}")
                self.assert_problem(answer, 400, "invalid-parameter")
                self.assertEqual(answer.pointers, names)
        for query in ("wait=301", "wait=", "dry_run=1", "dry_run", "force=true"):
            with self.subTest(query):
                self.assert_problem(self.api.post(f"/v1/vms/web/start?{query}"), 400, "invalid-parameter")


if __name__ == "__main__":
    unittest.main()
