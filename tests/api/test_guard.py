# SPDX-License-Identifier: MIT
"""Hostile clients: ambiguous framing, large and slow requests, old TLS, floods."""
import socket
import ssl
import time
import unittest

from case import ApiCase
from client import Api


class Guard(ApiCase):
    def open(self, version=None):
        context = ssl.create_default_context(cafile=self.daemon.ca)
        if version:
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.daemon.port), timeout=40),
                                   server_hostname="127.0.0.1")

    def raw(self, request):
        """Everything the server says until it closes, or has been quiet for a while."""
        stream, answer = self.open(), b""
        stream.sendall(request)
        stream.settimeout(1)
        try:
            while part := stream.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
        stream.close()
        return answer

    def test_ambiguous_framing_is_refused(self):
        auth = f"Authorization: Bearer {self.daemon.token}\r\n"
        second = f"GET /v1 HTTP/1.1\r\nHost: a\r\n{auth}\r\n"
        for name, head in {
                "two lengths": "Host: a\r\nContent-Length: 0\r\nContent-Length: 60\r\n",
                "length and chunks": "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                "odd encoding": "Host: a\r\nTransfer-Encoding: xchunked\r\n",
                "two encodings": "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "negative length": "Host: a\r\nContent-Length: -1\r\n",
                "no host": "",
                "two hosts": "Host: a\r\nHost: b\r\n",
                "space before colon": "Host: a\r\nContent-Length : 10\r\n",
                "two tokens": f"Host: a\r\n{auth}"}.items():
            with self.subTest(name):
                answer = self.raw(f"POST /v1/vms HTTP/1.1\r\n{head}{auth}\r\n{second}".encode())
                self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer[:300])
                self.assertNotIn(b"HTTP/1.1 200", answer)
                self.assertNotIn(b'"caller"', answer)

    def test_old_tls_is_refused(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with self.subTest(version), self.assertRaises((ssl.SSLError, ConnectionError, OSError)):
                self.open(version)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                self.open(version).close()

    def test_plain_http_gets_nothing(self):
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10) as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            try:
                self.assertNotIn(b"200", plain.recv(1000))
            except ConnectionError:
                pass

    def test_large_bodies_are_refused(self):
        answer = self.raw(f"POST /v1/vms HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.daemon.token}\r\n"
                          "Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{".encode())
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"), answer[:300])
        deep = b'{"a":' * 10000 + b"1" + b"}" * 10000
        self.assert_problem(self.api.post("/v1/vms", deep, headers={"Content-Type": "application/json"}),
                            400, "invalid-json")
        nul = b'{"name":"a\\u0000b","memory":{"size":67108864}}'
        self.assertEqual(self.api.post("/v1/vms", nul, headers={"Content-Type": "application/json"}).status, 400)

    def test_large_headers_are_refused(self):
        answer = self.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 20000 + b"\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 431"), answer[:200])

    def test_slow_requests_are_cut(self):
        stream = self.open()
        stream.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        begun = time.monotonic()
        with self.assertRaises((ConnectionError, ssl.SSLError, OSError)):
            while time.monotonic() - begun < 40:
                stream.sendall(b"x")
                time.sleep(0.5)
        self.assertLess(time.monotonic() - begun, 30)

    def test_secrets_are_not_logged(self):
        self.api.get("/v1/vms")
        secret = self.make_token("leaky", "viewer")
        Api(self.daemon, secret).get("/v1")
        time.sleep(1)
        text = self.daemon.log.read_text()
        self.assertNotIn(self.daemon.token, text)
        self.assertNotIn(secret, text)
        self.assertIn('"path":"/v1/vms"', text)

    def test_the_log_joins_with_the_answer(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        answer = self.api.get("/v1", headers={"X-Request-Id": "find-me", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        self.assertEqual(answer.headers["X-Request-Id"], "find-me")
        time.sleep(1)
        line = next(line for line in self.daemon.log.read_text().splitlines() if "find-me" in line)
        self.assertIn(trace, line)


class Flood(ApiCase):
    options = ("--rate", "20")

    def test_a_flood_is_slowed(self):
        statuses = [self.api.get("/v1").status for _ in range(200)]
        self.assertIn(429, statuses)
        answer = next(a for a in (self.api.get("/v1") for _ in range(200)) if a.status == 429)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertEqual(Api(self.daemon, local=True).get("/v1").status, 200)


if __name__ == "__main__":
    unittest.main()
