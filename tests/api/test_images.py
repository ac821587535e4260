# SPDX-License-Identifier: MIT
"""Uploads: whole, in chunks, resumed after a break, with a wrong digest."""
import hashlib
import os
import socket
import ssl
import subprocess
import time
import unittest

from case import ApiCase


class Images(ApiCase):
    def curl(self, *words):
        """Plain curl, as people use it."""
        done = subprocess.run(["curl", "-sS", "--cacert", self.daemon.ca, "-H",
                               f"Authorization: Bearer {self.daemon.token}", "-w", "\n%{http_code}", *words],
                              capture_output=True, text=True, check=True)
        return int(done.stdout.rsplit("\n", 1)[1])

    def file(self, content):
        path = self.daemon.folder / "upload"
        path.write_bytes(content)
        return str(path)

    def test_curl_uploads_a_file(self):
        content = os.urandom(3 << 20)
        digest = hashlib.sha256(content).hexdigest()
        self.api.good("POST", "/v1/images", {"name": "whole", "kind": "kernel", "sha256": digest})
        status = self.curl("-T", self.file(content), f"{self.daemon.url}/v1/images/whole/content?wait=30")
        self.assertEqual(status, 200)
        image = self.api.get("/v1/images/whole").json
        self.assertEqual(image["status"]["state"], "ready")
        self.assertEqual(image["status"]["received"], len(content))
        self.assertEqual(image["status"]["sha256"], digest)

    def test_a_wrong_digest_is_refused(self):
        self.api.good("POST", "/v1/images", {"name": "wrong", "kind": "kernel", "sha256": "0" * 64})
        answer = self.api.call("PUT", "/v1/images/wrong/content?wait=30", b"something else")
        self.assert_problem(answer, 422, "digest-mismatch")

    def test_a_broken_upload_goes_on(self):
        content = os.urandom(2 << 20)
        self.api.good("POST", "/v1/images", {"name": "broken", "kind": "kernel",
                                             "sha256": hashlib.sha256(content).hexdigest()})
        context = ssl.create_default_context(cafile=self.daemon.ca)
        stream = context.wrap_socket(socket.create_connection(("127.0.0.1", self.daemon.port)),
                                     server_hostname="127.0.0.1")
        stream.sendall((f"PUT /v1/images/broken/content HTTP/1.1\r\nHost: a\r\nContent-Length: {len(content)}\r\n"
                        f"Authorization: Bearer {self.daemon.token}\r\n\r\n").encode() + content[:1 << 20])
        time.sleep(0.5)
        stream.close()
        limit = time.monotonic() + 10
        while not (received := self.api.get("/v1/images/broken").json["status"].get("received", 0)):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.1)
        self.assertLessEqual(received, 1 << 20)
        status = self.curl("-C", str(received), "-T", self.file(content),
                           f"{self.daemon.url}/v1/images/broken/content?wait=30")
        self.assertEqual(status, 200)
        self.assertEqual(self.api.get("/v1/images/broken").json["status"]["state"], "ready")

    def test_a_gap_is_refused(self):
        self.api.good("POST", "/v1/images", {"name": "gap", "kind": "kernel"})
        answer = self.api.call("PUT", "/v1/images/gap/content", b"later",
                               {"Content-Range": "bytes 100-104/105"})
        self.assert_problem(answer, 416, "range-not-satisfiable")

    def test_a_disk_is_made_from_an_image(self):
        self.api.upload("base", os.urandom(1 << 20), kind="disk", format="raw")
        disk = self.api.good("POST", "/v1/disks", {"name": "from-base", "image": "base"})
        self.assertEqual(disk["size"], 1 << 20)
        self.assertEqual(disk["status"]["state"], "ready")


if __name__ == "__main__":
    unittest.main()
