# SPDX-License-Identifier: MIT
"""A client that checks every answer against the contract."""
import http.client
import json
import re
import socket
import ssl
import time

import jsonschema

MERGE = "application/merge-patch+json"


class Contract:
    def __init__(self, document):
        self.document = document
        self.resolver = jsonschema.RefResolver.from_schema(document)
        self.routes = []
        for path, item in document["paths"].items():
            pattern = re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$")
            for method in ("get", "put", "post", "patch", "delete"):
                if method in item:
                    self.routes.append((method, path, pattern, item, item[method]))

    def resolve(self, node):
        while "$ref" in node:
            _, node = self.resolver.resolve(node["$ref"])
        return node

    def operation(self, operation_id):
        for method, path, _, item, op in self.routes:
            if op["operationId"] == operation_id:
                return method, path, item, op
        raise KeyError(operation_id)

    def find(self, method, path):
        for m, _, pattern, _, op in self.routes:
            if m == method.lower() and pattern.match(path):
                return op
        return None

    def check(self, method, target, response):
        """Raise when the answer is none that the contract promises."""
        path, _, query = target.partition("?")
        op = self.find(method, path)
        if op is None:
            schema, media = self.document["components"]["responses"]["Problem"], "application/problem+json"
            assert response.status >= 400, (method, target, response)
        else:
            schema = op["responses"].get(str(response.status), op["responses"]["default"])
        if response.status == 304 or "fields=" in query:
            return
        content = self.resolve(schema).get("content", {})
        media = response.headers.get("Content-Type", "").partition(";")[0]
        if not content:
            assert not response.body, (method, target, response)
            return
        assert media in content or media == "application/x-ndjson", f"{method} {target}: {response.status} is {media}"
        if media.endswith("json") and media in content:
            jsonschema.Draft202012Validator(content[media]["schema"], resolver=self.resolver).validate(response.json)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The problem's short name."""
        return self.json["type"].rpartition("problem-")[2]

    @property
    def pointers(self):
        return [e.get("pointer", e.get("parameter")) for e in self.json.get("errors", [])]

    def __repr__(self):
        return f"{self.status} {self.body[:2000]!r}"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    contract = None

    def __init__(self, daemon, token=None, certificate=None, local=False):
        self.daemon, self.token, self.local = daemon, token, local
        self.context = ssl.create_default_context(cafile=daemon.ca)
        if certificate:
            self.context.load_cert_chain(*certificate)
        self.connection = None
        if Api.contract is None:
            Api.contract = Contract(self.call("GET", "/v1/openapi.json", check=False).json)

    def connect(self):
        if self.local:
            return UnixConnection(self.daemon.socket)
        return http.client.HTTPSConnection("127.0.0.1", self.daemon.port, context=self.context, timeout=330)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, method, target, body=None, headers=None, check=True, type=None):
        """One call over a kept connection. body: bytes, or something to send as JSON."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", type or (MERGE if method == "PATCH" else "application/json"))
        for attempt in (1, 2):
            self.connection = self.connection or self.connect()
            try:
                self.connection.request(method, target, body, headers)
                answer = self.connection.getresponse()
                break
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if attempt == 2 or method == "POST" and "Idempotency-Key" not in headers:
                    raise
        response = Response(answer.status, answer.headers, answer.read())
        if answer.will_close:
            self.close()
        if check:
            Api.contract.check(method, target, response)
        return response

    def get(self, target, **more):
        return self.call("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.call("POST", target, body, **more)

    def patch(self, target, body, **more):
        return self.call("PATCH", target, body, **more)

    def delete(self, target, **more):
        return self.call("DELETE", target, **more)

    def good(self, method, target, body=None, **more):
        """A change that must succeed; waits for its end."""
        response = self.call(method, target + ("&" if "?" in target else "?") + "wait=30", body, **more)
        assert response.status in (200, 201, 204), f"{method} {target}: {response}"
        return response.json if response.body else None

    def state(self, vm):
        return self.get(f"/v1/vms/{vm}").json["status"]["state"]

    def wait_state(self, vm, state, seconds=20):
        limit = time.monotonic() + seconds
        while self.state(vm) != state:
            assert time.monotonic() < limit, f"{vm} is {self.state(vm)}, not {state}"
            time.sleep(0.05)

    def upload(self, name, content, kind="kernel", **fields):
        self.good("POST", "/v1/images", {"name": name, "kind": kind, **fields})
        return self.good("PUT", f"/v1/images/{name}/content", content)
