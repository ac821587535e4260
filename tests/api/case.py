# SPDX-License-Identifier: MIT
"""The base of the end-to-end tests: one daemon a class, an administrator's client, common objects."""
import unittest

from client import Api
from daemon import Daemon


class ApiCase(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.options).start()
        cls.addClassCleanup(cls.daemon.remove)
        cls.api = Api(cls.daemon, cls.daemon.token)
        cls.api.upload("linux", b"kernel" * 1000)
        cls.prepare()

    @classmethod
    def prepare(cls):
        """What the class's tests share."""

    @classmethod
    def make_token(cls, name, role, **more):
        answer = cls.api.post("/v1/tokens", {"name": name, "role": role, **more})
        assert answer.status == 201, answer
        return answer.json["secret"]

    @classmethod
    def client(cls, role, **more):
        """A client with a new token of this role."""
        cls.tokens = getattr(cls, "tokens", 0) + 1
        return Api(cls.daemon, cls.make_token(f"{role}-{cls.tokens}", role, **more))

    @classmethod
    def make_vm(cls, name, **more):
        body = {"name": name, "memory": {"size": "64MiB"}, "boot": {"kernel": "linux"}, **more}
        return cls.api.good("POST", "/v1/vms", body)

    def assert_problem(self, response, status, name):
        self.assertEqual(response.status, status, response)
        self.assertEqual(response.problem, name, response)
