# SPDX-License-Identifier: MIT
"""Replays every example of the contract and checks every answer against its schema."""
import json
import unittest

from case import ApiCase

# Reads first, then changes, then what takes things away, users of a thing before the thing.
LAST = ["operation_cancel", "vm_poweroff", "vm_clone", "snapshot_revert", "snapshot_delete", "vm_delete", "disk_delete",
        "image_delete", "network_delete", "token_delete", "user_delete", "host_rotate_ca"]
ACTIONS = ["vm_start", "vm_pause", "vm_resume", "vm_reset", "console_write", "vm_shutdown"]
# Examples that name something of another run.
FREE = {"page_token"}


class Examples(ApiCase):
    @classmethod
    def prepare(cls):
        api = cls.api
        api.good("POST", "/v1/networks", {"name": "lan", "mode": "isolated", "subnet": "10.64.0.0/24"})
        api.upload("linux-6.1", b"kernel" * 1000)
        api.good("POST", "/v1/disks", {"name": "web-root", "size": "64MiB"})
        api.good("POST", "/v1/users", {"name": "alice", "role": "operator"})
        api.good("POST", "/v1/tokens", {"name": "ci", "role": "viewer"})
        cls.names = {"vm": "web", "snapshot": "clean"}

    def substitute(self, op, path, parameters):
        """The path with the examples in it."""
        for parameter in parameters:
            if parameter["in"] != "path":
                continue
            value = str(parameter["example"])
            if parameter["name"] == "operation":
                value = self.api.get("/v1/operations?limit=1").json["items"][0]["uuid"]
            if op["operationId"] == "image_upload":
                value = "rescue"
            path = path.replace("{" + parameter["name"] + "}", value)
        return path

    def parameters(self, item, op):
        return [self.api.contract.resolve(p) for p in item.get("parameters", []) + op.get("parameters", [])]

    @staticmethod
    def header_examples(operation_id, parameters):
        """A key is for one change, so each gets its own."""
        headers = {p["name"]: p["example"] for p in parameters if p["in"] == "header"}
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] += f" of {operation_id}"
        return headers

    def replay(self, operation_id):
        method, path, item, op = self.api.contract.operation(operation_id)
        parameters = self.parameters(item, op)
        path = self.substitute(op, path, parameters)
        body, media = None, None
        for media, content in op.get("requestBody", {}).get("content", {}).items():
            body = content["example"]
            break
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": media} if media else {}
        for parameter in parameters:
            if parameter["in"] == "query" and parameter["name"] not in FREE and method == "get":
                value = parameter["example"]
                value = str(value).lower() if isinstance(value, bool) else value
                answer = self.api.call(method.upper(), f"{path}?{parameter['name']}={value}", raw, headers)
                self.assertLess(answer.status, 300, f"{operation_id} with {parameter['name']}: {answer}")
        names = {p["name"] for p in parameters}
        headers.update(self.header_examples(operation_id, parameters))
        if "dry_run" in names:
            answer = self.api.call(method.upper(), path + "?dry_run=true", raw, headers)
            self.assertIn(answer.status, (200, 204), f"{operation_id} dry run: {answer}")
        target = path + ("?wait=30" if "wait" in names else "")
        answer = self.api.call(method.upper(), target, raw, headers)
        allowed = {int(code) for code in op["responses"] if code.isdigit()}
        if operation_id == "operation_cancel":
            allowed.add(409)  # it ended long ago
        self.assertIn(answer.status, allowed, f"{operation_id}: {answer}")

    def test_every_example(self):
        every = [op["operationId"] for *_, op in self.api.contract.routes]
        creates = ["vm_create", "snapshot_create"]
        rest = [o for o in every if o not in LAST + ACTIONS + creates]
        self.replay("vm_create")
        self.api.good("POST", "/v1/vms/web/snapshots", {"name": "clean"})
        self.replay("snapshot_create")
        reads = [o for o in rest if self.api.contract.operation(o)[0] == "get"]
        changes = [o for o in rest if o not in reads]
        for operation_id in reads + changes + ACTIONS + LAST:
            if operation_id == "vm_clone":
                self.api.wait_state("web", "stopped")
            with self.subTest(operation_id):
                self.replay(operation_id)
            if operation_id == "vm_clone":
                self.api.good("DELETE", "/v1/vms/web-copy")
        self.assertEqual(sorted(set(reads + changes + ACTIONS + LAST + creates)), sorted(every))

    def test_every_change_tells_its_headers(self):
        for method, path, _, item, op in self.api.contract.routes:
            names = {p["name"] for p in self.parameters(item, op)}
            with self.subTest(f"{method} {path}"):
                if "x-mutation" in op:
                    self.assertLessEqual({"If-Match", "Idempotency-Key", "Prefer", "wait", "dry_run"}, names)
                if "x-list" in op and op["x-list"] != "events":
                    self.assertIn("If-None-Match", names)

    def test_the_page_needs_nothing_from_outside(self):
        page = self.api.get("/docs").body.decode()
        for word in ("<script", "src=", "@import", "url(", "http://", "<link"):
            self.assertNotIn(word, page)
        self.assertEqual(page.count("https://"), page.count("https://HOST:8443"))
        for *_, op in self.api.contract.routes:
            self.assertIn(f'id="{op["operationId"]}"', page)


if __name__ == "__main__":
    unittest.main()
