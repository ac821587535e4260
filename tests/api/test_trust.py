# SPDX-License-Identifier: MIT
"""Trust: tokens, client certificates, the local socket, rotation of the authority."""
import pathlib
import ssl
import subprocess
import tempfile
import time
import unittest

from case import ApiCase
from client import Api


class Trust(ApiCase):
    @classmethod
    def prepare(cls):
        folder = tempfile.TemporaryDirectory(prefix="bulkhead-trust-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.api.good("POST", "/v1/users", {"name": "carol", "role": "viewer"})

    def make_key(self, name):
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", request, "-subj", "/CN=root/O=admin",
                        "-addext", "basicConstraints=critical,CA:TRUE"], check=True, capture_output=True)
        return key, request.read_text()

    def sign(self, user, name, **more):
        key, request = self.make_key(name)
        answer = self.api.post(f"/v1/users/{user}/certificates", {"request": request, **more})
        self.assertEqual(answer.status, 201, answer)
        certificate = self.folder / f"{name}.crt"
        certificate.write_text(answer.json["certificate"])
        return certificate, key

    def test_a_client_certificate_stands_for_its_user(self):
        certificate, key = self.sign("carol", "carol")
        client = Api(self.daemon, certificate=(certificate, key))
        root = client.get("/v1").json["caller"]
        self.assertEqual((root["role"], root["via"]), ("viewer", "certificate"))
        self.assertIn("carol", root["name"])
        self.assert_problem(client.post("/v1/vms", {"name": "x", "memory": {"size": "64MiB"}}), 403, "forbidden")
        text = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-text"], check=True,
                              capture_output=True, text=True).stdout
        self.assertNotIn("CA:TRUE", text)
        self.assertNotIn("O = admin", text)
        # a wrong token beside a good certificate is refused, not ignored
        self.assertEqual(client.get("/v1", headers={"Authorization": "Bearer bh_wrong"}).status, 401)

    def test_a_new_role_counts_at_once_and_deletion_ends_it(self):
        self.api.good("POST", "/v1/users", {"name": "dave", "role": "viewer"})
        client = Api(self.daemon, certificate=self.sign("dave", "dave"))
        self.assertEqual(client.get("/v1").json["caller"]["role"], "viewer")
        self.api.good("PATCH", "/v1/users/dave", {"role": "operator"})
        self.assertEqual(client.get("/v1").json["caller"]["role"], "operator")
        self.api.good("DELETE", "/v1/users/dave")
        self.assertEqual(client.get("/v1").status, 401)

    def test_a_certificate_of_another_authority_is_nobody(self):
        key, certificate = self.folder / "foreign.key", self.folder / "foreign.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-subj", "/CN=carol", "-days", "1"],
                       check=True, capture_output=True)
        self.assertEqual(Api(self.daemon, certificate=(certificate, key)).get("/v1").status, 401)
        self.assert_problem(self.api.post("/v1/users/carol/certificates", {"request": "nonsense"}), 422, "invalid-fields")

    def test_tokens_expire_and_are_revoked(self):
        secret = self.make_token("brief", "viewer", lifetime=1)
        brief = Api(self.daemon, secret)
        self.assertEqual(brief.get("/v1").status, 200)
        time.sleep(1.5)
        self.assertEqual(brief.get("/v1").status, 401)
        secret = self.make_token("gone", "viewer")
        gone = Api(self.daemon, secret)
        self.assertEqual(gone.get("/v1").status, 200)
        self.api.good("DELETE", "/v1/tokens/gone")
        self.assertEqual(gone.get("/v1").status, 401)
        self.assertNotIn(secret, self.api.get("/v1/tokens").body.decode())

    def test_a_token_never_has_more_than_its_user(self):
        answer = self.api.post("/v1/tokens", {"name": "climb", "user": "carol", "role": "admin"})
        if answer.status == 201:  # taken, but worth no more than the user
            self.assertEqual(Api(self.daemon, answer.json["secret"]).get("/v1").json["caller"]["role"], "viewer")
        else:
            self.assertIn(answer.status, (403, 409, 422), answer)

    def test_the_local_socket_is_an_administrator(self):
        caller = Api(self.daemon, local=True).get("/v1").json["caller"]
        self.assertEqual((caller["role"], caller["via"]), ("admin", "socket"))

    def test_the_last_administrator_stays(self):
        users = self.api.get("/v1/users?filter=role=admin").json["items"]
        if len(users) == 1:
            answer = self.api.delete(f"/v1/users/{users[0]['name']}")
            self.assertEqual(answer.status, 409, answer)

    def test_z_two_authorities_during_a_rotation(self):
        before = self.api.get("/v1/ca").json["items"]
        old = Api(self.daemon, certificate=self.sign("carol", "old"))
        self.assertEqual(old.get("/v1").status, 200)
        answer = self.api.post("/v1/hosts/self/rotate-ca?wait=30")
        self.assertEqual(answer.status, 200, answer)
        after = self.api.get("/v1/ca").json["items"]
        self.assertEqual(len(after), len(before) + 1)
        bundle = "".join(entry["certificate"] for entry in after)
        context = ssl.create_default_context(cadata=bundle)
        fresh = Api(self.daemon, self.daemon.token)
        fresh.context = context
        self.assertEqual(fresh.get("/v1").status, 200)
        old.close()
        old.context.load_verify_locations(cadata=bundle)
        self.assertEqual(old.get("/v1").status, 200)  # signed by the older authority, still good


if __name__ == "__main__":
    unittest.main()
