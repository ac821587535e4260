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

    def test_a_killed_daemon_knows_what_it_answered(self):
        """Of a piece that was answered all is there; of the one after it the status says nothing, nor counts it."""
        content = os.urandom(3000000)
        self.api.good("POST", "/v1/images", {"name": "killed", "kind": "kernel", "size": len(content)})
        self.assertEqual(self.put("killed", content[:1000000], at=(0, 999999, len(content))).status, 200)
        context = ssl.create_default_context(cafile=self.daemon.ca)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.daemon.port)),
                                 server_hostname="127.0.0.1") as stream:
            stream.sendall((f"PUT /v1/images/killed/content HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n"
                            f"Content-Range: bytes 1000000-2999999/{len(content)}\r\n"
                            f"Authorization: Bearer {self.daemon.token}\r\n\r\n").encode() + content[1000000:2000000])
            part = self.daemon.folder / "state" / "images" / (self.api.get("/v1/images/killed").json["uuid"] + ".upload")
            limit = time.monotonic() + 20
            while part.stat().st_size <= 1000000:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.01)
            self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.api.get("/v1/images/killed").json["status"]["received"], 1000000)
        done = self.put("killed", content[1000000:], at=(1000000, 2999999, len(content)))
        self.assertEqual(done.json["status"]["sha256"], hashlib.sha256(content).hexdigest())

    def test_a_gap_is_refused(self):
        self.api.good("POST", "/v1/images", {"name": "gap", "kind": "kernel"})
        answer = self.api.call("PUT", "/v1/images/gap/content", b"later",
                               {"Content-Range": "bytes 100-104/105"})
        self.assert_problem(answer, 416, "range-not-satisfiable")

    def put(self, name, content, key=None, at=None, **headers):
        if key:
            headers["Idempotency-Key"] = key
        if at:
            headers["Content-Range"] = "bytes %d-%d/%d" % at
        return self.api.call("PUT", f"/v1/images/{name}/content?wait=30", content, headers)

    def test_a_repeated_upload_is_answered_as_the_first(self):
        content = os.urandom(1 << 20)
        self.api.good("POST", "/v1/images", {"name": "twice", "kind": "kernel"})
        first = self.put("twice", content, "twice")
        self.assertEqual(first.status, 200, first)
        before = self.api.get("/v1/events?limit=1000").json["sequence"]
        again = self.put("twice", content, "twice")
        self.assertEqual((again.status, again.headers["Idempotency-Replayed"]), (200, "true"), again)
        self.assertEqual(again.headers["Operation"], first.headers["Operation"])
        self.assertEqual(again.json["status"]["sha256"], hashlib.sha256(content).hexdigest())
        for other in (self.put("twice", content[:-1] + b"x", "twice"), self.put("twice", b"", "twice"),
                      self.put("twice", content, "twice", (0, len(content) - 1, len(content)))):
            self.assert_problem(other, 422, "key-reused")
        self.assertEqual(self.api.get("/v1/events?limit=1000").json["sequence"], before, "something changed")
        self.assert_problem(self.put("twice", content, "another key"), 409, "wrong-state")
        self.api.good("DELETE", "/v1/images/twice")
        self.assert_problem(self.put("twice", content, "twice"), 404, "not-found")

    def test_a_repeated_piece_does_not_shorten_the_file(self):
        content = os.urandom(3000)
        self.api.good("POST", "/v1/images", {"name": "pieces", "kind": "kernel", "size": 3000})
        pieces = [(content[at:at + 1000], f"piece {at}", (at, at + 999, 3000)) for at in (0, 1000, 2000)]
        for piece in pieces[:2]:
            self.assertEqual(self.put("pieces", *piece).status, 200)
        again = self.put("pieces", *pieces[0])
        self.assertEqual((again.status, again.headers["Idempotency-Replayed"]), (200, "true"), again)
        self.assertEqual(self.api.get("/v1/images/pieces").json["status"]["received"], 2000)
        event = self.api.get("/v1/events?limit=1000&filter=object=pieces&fields=type").json["items"]
        self.assertEqual([one["type"] for one in event].count("image.received"), 2)
        self.assertEqual(self.put("pieces", *pieces[2]).json["status"]["sha256"], hashlib.sha256(content).hexdigest())

    def test_a_repeat_fails_as_the_first_did(self):
        self.api.good("POST", "/v1/images", {"name": "spoilt", "kind": "kernel", "sha256": "0" * 64})
        first, again = (self.put("spoilt", b"else", "spoilt") for _ in "12")
        for answer in (first, again):
            self.assert_problem(answer, 422, "digest-mismatch")
        self.assertEqual(again.json["operation"], first.json["operation"])

    def test_a_stale_tag_keeps_what_came_before(self):
        self.api.good("POST", "/v1/images", {"name": "tagged", "kind": "kernel", "size": 10})
        tag = self.api.get("/v1/images/tagged").headers["ETag"]
        self.api.good("PATCH", "/v1/images/tagged", {"description": "another revision"})
        self.assertEqual(self.put("tagged", b"12345", at=(0, 4, 10)).status, 200)
        self.assert_problem(self.put("tagged", b"xxx", at=(0, 2, 10), **{"If-Match": tag}), 412, "precondition-failed")
        tag = self.api.get("/v1/images/tagged").headers["ETag"]
        done = self.put("tagged", b"67890", at=(5, 9, 10), **{"If-Match": tag})
        self.assertEqual(done.json["status"]["sha256"], hashlib.sha256(b"1234567890").hexdigest())

    def test_one_upload_at_a_time(self):
        """The second is refused while the first goes on, and the first is whole."""
        content = os.urandom(1 << 20)
        self.api.good("POST", "/v1/images", {"name": "contested", "kind": "kernel"})
        context = ssl.create_default_context(cafile=self.daemon.ca)
        stream = context.wrap_socket(socket.create_connection(("127.0.0.1", self.daemon.port)),
                                     server_hostname="127.0.0.1")
        stream.sendall((f"PUT /v1/images/contested/content?wait=30 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        f"Content-Length: {len(content)}\r\nAuthorization: Bearer {self.daemon.token}\r\n\r\n").encode()
                       + content[:1000])
        limit = time.monotonic() + 20
        while (other := self.put("contested", b"", **{"If-Match": '"stale"'})).status != 409:
            self.assertLess(time.monotonic(), limit, other)
        self.assert_problem(other, 409, "in-use")
        stream.sendall(content[1000:])
        answer = b""
        while part := stream.recv(65536):
            answer += part
        stream.close()
        self.assertIn(b"200 OK", answer)
        self.assertIn(hashlib.sha256(content).hexdigest().encode(), answer)

    def test_a_disk_is_made_from_an_image(self):
        self.api.upload("base", os.urandom(1 << 20), kind="disk", format="raw")
        disk = self.api.good("POST", "/v1/disks", {"name": "from-base", "image": "base"})
        self.assertEqual(disk["size"], 1 << 20)
        self.assertEqual(disk["status"]["state"], "ready")


if __name__ == "__main__":
    unittest.main()
