# SPDX-License-Identifier: MIT
"""Streams: server-sent events and the console, by plain GET and by WebSocket."""
import base64
import json
import os
import socket
import ssl
import struct
import threading
import time
import unittest

from case import ApiCase
from client import Api


def open_stream(daemon, token, target, headers=""):
    """A raw TLS connection on which the request was sent."""
    context = ssl.create_default_context(cafile=daemon.ca)
    raw = context.wrap_socket(socket.create_connection(("127.0.0.1", daemon.port), timeout=15),
                              server_hostname="127.0.0.1")
    raw.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{headers}\r\n".encode())
    return raw


def read_until(stream, text, data=b""):
    while text not in data:
        part = stream.recv(65536)
        if not part:
            raise AssertionError(f"the stream ended: {data[-500:]!r}")
        data += part
    return data


class WebSocket:
    def __init__(self, daemon, token, target, protocols="bulkhead.console"):
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream = open_stream(daemon, token, target,
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocols}\r\n")
        answer = read_until(self.stream, b"\r\n\r\n")
        self.head, _, self.data = answer.partition(b"\r\n\r\n")

    def need(self, size):
        while len(self.data) < size:
            part = self.stream.recv(65536)
            if not part:
                return False
            self.data += part
        return True

    def receive(self):
        """(opcode, payload) of the next frame, or None at the end."""
        if not self.need(2):
            return None
        size, at = self.data[1] & 127, 2
        if size == 126:
            self.need(4)
            size, at = struct.unpack(">H", self.data[2:4])[0], 4
        self.need(at + size)
        frame = self.data[0] & 15, self.data[at:at + size]
        self.data = self.data[at + size:]
        return frame

    def send(self, payload, opcode=2):
        mask = os.urandom(4)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.stream.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def read_until(self, text):
        seen = b""
        while text not in seen:
            frame = self.receive()
            assert frame and frame[0] != 8, (seen, frame)
            seen += frame[1] if frame[0] == 2 else b""
        return seen


class Events(ApiCase):
    def test_a_stream_resumes_where_it_stopped(self):
        stream = open_stream(self.daemon, self.daemon.token, "/v1/events", "Accept: text/event-stream\r\n")
        read_until(stream, b"retry:")
        self.make_vm("one")
        data = read_until(stream, b"event: vm.created")
        last = data.rpartition(b"id: ")[2].split()[0].decode()
        stream.close()
        self.make_vm("two")
        again = open_stream(self.daemon, self.daemon.token, "/v1/events",
                            f"Accept: text/event-stream\r\nLast-Event-ID: {last}\r\n")
        data = read_until(again, b'"name":"two"')
        self.assertNotIn(b'"name":"one"', data)
        numbers = [int(line[4:]) for line in data.decode(errors="replace").splitlines() if line.startswith("id: ")]
        self.assertEqual(numbers, list(range(int(last) + 1, int(last) + 1 + len(numbers))))

    def test_many_listeners_do_not_hold_up_others(self):
        streams = [open_stream(self.daemon, self.daemon.token, "/v1/events", "Accept: text/event-stream\r\n")
                   for _ in range(100)]
        for stream in streams:
            read_until(stream, b"retry:")
        begun = time.monotonic()
        self.assertEqual(self.api.get("/v1/vms").status, 200)
        self.assertLess(time.monotonic() - begun, 1)
        self.make_vm("heard")
        for stream in streams:
            read_until(stream, b'"name":"heard"')
            stream.close()

    def test_a_revoked_token_loses_its_stream(self):
        token = self.make_token("short", "viewer")
        stream = open_stream(self.daemon, token, "/v1/events", "Accept: text/event-stream\r\n")
        read_until(stream, b"retry:")
        self.api.good("DELETE", "/v1/tokens/short")
        read_until(stream, b"0\r\n\r\n")
        stream.close()
        self.assertEqual(Api(self.daemon, token).get("/v1/vms").status, 401)

    def test_pages_follow_next_to_the_end(self):
        whole = [e["sequence"] for e in self.api.get("/v1/events?limit=1000").json["items"]]
        found, target = [], "/v1/events?limit=2"
        while target:
            page = self.api.get(target).json
            found += [e["sequence"] for e in page["items"]]
            target = page["next"] and f"/v1/events?limit=2&page_token={page['next']}"
        self.assertEqual(found[:len(whole)], whole)
        self.assertGreater(len(whole), 2)
        self.assert_problem(self.api.get("/v1/events?page_token=99999999999999999999"), 400, "invalid-parameter")

    def test_the_chain_of_hashes_holds(self):
        """Each hash is over the hash before and the event up to its own hash."""
        import hashlib
        self.make_vm("chained")
        before, since = bytes(32), 0
        while True:
            answer = self.api.get(f"/v1/events?since={since}&limit=100", headers={"Accept": "application/x-ndjson"})
            lines = answer.body.splitlines()
            if not lines:
                break
            for line in lines:
                text, _, rest = line.rpartition(b',"hash":"')
                expected = hashlib.sha256(before + text).hexdigest()
                self.assertEqual(rest[:64].decode(), expected, line)
                before = bytes.fromhex(expected)
                since = json.loads(line)["sequence"]
        self.assertGreater(since, 2)


class Console(ApiCase):
    @classmethod
    def prepare(cls):
        cls.make_vm("web")
        cls.api.good("POST", "/v1/vms/web/start")
        cls.tok = cls.daemon.token

    def type(self, text):
        self.assertEqual(self.api.post("/v1/vms/web/console", text).status, 204)

    def test_what_is_typed_comes_back_and_stays(self):
        self.type(b"marker-1\n")
        limit = time.monotonic() + 10
        while b"marker-1" not in (kept := self.api.get("/v1/vms/web/console").body):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)
        offset = kept.index(b"marker-1")
        part = self.api.get(f"/v1/vms/web/console?offset={offset}&limit=8")
        self.assertEqual(part.body, b"marker-1")
        self.assertEqual(int(part.headers["Console-Offset"]), offset)

    def test_following(self):
        stream = open_stream(self.daemon, self.tok, "/v1/vms/web/console?follow=true&offset=-1")
        read_until(stream, b"\r\n\r\n")
        self.type(b"followed\n")
        read_until(stream, b"followed")
        stream.close()

    def test_websocket_reads_and_types(self):
        console = WebSocket(self.daemon, self.tok, "/v1/vms/web/console?write=true")
        self.assertIn(b"101", console.head.splitlines()[0])
        console.send(b"by websocket\n")
        console.read_until(b"by websocket")
        second = WebSocket(self.daemon, self.make_token("second", "operator"), "/v1/vms/web/console?write=true")
        self.assertIn(b"409", second.head.splitlines()[0])
        reader = WebSocket(self.daemon, self.tok, "/v1/vms/web/console")
        reader.read_until(b"by websocket")
        taker = WebSocket(self.daemon, self.make_token("taker", "operator"), "/v1/vms/web/console?write=true&take=true")
        self.assertIn(b"101", taker.head.splitlines()[0])
        console.send(b"x")
        while (frame := console.receive()) and frame[0] != 8:
            pass
        self.assertEqual(struct.unpack(">H", frame[1][:2])[0], 1008)
        for open_one in (console, second, reader, taker):
            open_one.stream.close()
        limit = time.monotonic() + 5
        while self.api.post("/v1/vms/web/console", b"\n").status == 409:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)

    def test_a_browser_sends_its_token_as_a_protocol(self):
        token = self.make_token("browser", "console", vm="web")
        console = WebSocket(self.daemon, "", "/v1/vms/web/console", f"bulkhead.console, bulkhead.token.{token}")
        self.assertIn(b"401", console.head.splitlines()[0])  # an empty bearer is a wrong one
        context = ssl.create_default_context(cafile=self.daemon.ca)
        raw = context.wrap_socket(socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10),
                                  server_hostname="127.0.0.1")
        raw.sendall(b"GET /v1/vms/web/console HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    b"Sec-WebSocket-Protocol: bulkhead.console, bulkhead.token." + token.encode() + b"\r\n\r\n")
        self.assertIn(b"101", read_until(raw, b"\r\n\r\n").splitlines()[0])
        raw.close()

    def test_many_websockets(self):
        readers = [WebSocket(self.daemon, self.tok, "/v1/vms/web/console?offset=-1") for _ in range(20)]
        self.type(b"to all of you\n")
        threads = [threading.Thread(target=reader.read_until, args=(b"to all of you",)) for reader in readers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            self.assertFalse(thread.is_alive())


if __name__ == "__main__":
    unittest.main()
