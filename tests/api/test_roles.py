# SPDX-License-Identifier: MIT
"""Tries each role on each route, as the contract says who may."""
import unittest

from case import ApiCase
from client import Api

ROLES = ("admin", "operator", "viewer", "metrics", "console")


class Roles(ApiCase):
    options = ("--rate", "0")

    @classmethod
    def prepare(cls):
        cls.make_vm("web")
        cls.clients = {role: cls.client(role) for role in ROLES if role != "console"}
        cls.clients["console"] = cls.client("console", vm="web")
        cls.clients["nobody"] = Api(cls.daemon)

    def attempt(self, role, method, path):
        """A call that is refused for its role, or for what it says, or does no harm."""
        target = path
        for name in ("vm", "snapshot", "disk", "image", "network", "host", "operation", "user", "token"):
            target = target.replace("{" + name + "}", "nothing-there")
        body = b"{" if method in ("post", "patch") else b"x" if method == "put" else None
        headers = {"Content-Type": "application/json"} if body else {}
        return self.clients[role].call(method.upper(), target, body, headers)

    def test_each_role_on_each_route(self):
        for method, path, _, _, op in self.api.contract.routes:
            for role in ROLES:
                with self.subTest(route=f"{method} {path}", role=role):
                    status = self.attempt(role, method, path).status
                    if role in op["x-roles"] or "public" in op["x-roles"]:
                        self.assertNotIn(status, (401, 403))
                    else:
                        self.assertEqual(status, 403)

    def test_nobody_gets_only_what_is_public(self):
        for method, path, _, _, op in self.api.contract.routes:
            with self.subTest(route=f"{method} {path}"):
                status = self.attempt("nobody", method, path).status
                if "public" in op["x-roles"]:
                    self.assertNotIn(status, (401, 403))
                else:
                    self.assertEqual(status, 401)

    def test_a_console_token_reaches_its_vm_only(self):
        self.make_vm("other")
        console = self.clients["console"]
        self.assertEqual(console.get("/v1/vms/web/console").status, 200)
        self.assert_problem(console.get("/v1/vms/other/console"), 403, "forbidden")
        self.assert_problem(console.get("/v1/vms"), 403, "forbidden")

    def test_an_operator_makes_console_tokens_only(self):
        operator = self.clients["operator"]
        made = operator.post("/v1/tokens", {"name": "mine", "role": "console", "vm": "web", "lifetime": 600})
        self.assertEqual(made.status, 201, made)
        self.assertEqual(Api(self.daemon, made.json["secret"]).get("/v1/vms/web/console").status, 200)
        for body in ({"name": "too-much", "role": "admin"}, {"name": "too-much", "role": "viewer"},
                     {"name": "too-long", "role": "console", "vm": "web", "lifetime": 86400}):
            self.assertIn(operator.post("/v1/tokens", body).status, (403, 422))


if __name__ == "__main__":
    unittest.main()
