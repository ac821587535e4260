# SPDX-License-Identifier: MIT
"""Calls of an appliance's API that outlive its daemon, and somebody who makes changes all the time.

A call that is not answered is sent again, with the same Idempotency-Key, until it is: a daemon that was killed has
either done what was asked, and then says so, or does it now. So each change that was answered was made once.
"""

import http.client
import json
import random
import ssl
import threading
import time
import uuid
from collections import Counter
from urllib.parse import urlsplit

from lib.machine import Failure

WAIT = 300      # seconds that a change is waited for, the most that the API allows
PATIENCE = 400  # for one call, in a busy emulated machine, the daemon's return included
MERGE = "application/merge-patch+json"


class Client:
    """Belongs to one thread."""

    def __init__(self, url, authority, token):
        self.place = urlsplit(url)
        self.context = ssl.create_default_context(cadata=authority)
        self.token = token
        self.connection = None

    def send(self, method, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.place.hostname, self.place.port,
                                                          context=self.context, timeout=PATIENCE)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def call(self, method, path, body=None):
        """Returns the status and what was sent. body: bytes, or what to send as JSON."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body)
            headers["Content-Type"] = MERGE if method == "PATCH" else "application/json"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.send(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                self.connection = None
                if time.monotonic() > deadline:
                    raise Failure(f"{method} {path}: no answer within {PATIENCE} s: {error}") from None
                time.sleep(0.2)

    def good(self, method, path, body=None):
        """A call that must succeed; changes are waited for. Returns the object."""
        if method != "GET":
            path += f"?wait={WAIT}"
        status, data = self.call(method, path, body)
        if status not in (200, 201, 204):
            raise Failure(f"{method} {path}: {status} {data[:400].decode(errors='replace')}")
        return json.loads(data) if data else None

    def get(self, path):
        return self.good("GET", path)


class Writer(threading.Thread):
    """Changes VMs that run and makes others, and notes what was answered."""

    def __init__(self, client, names, seed):
        super().__init__(daemon=True)
        self.client = client
        self.names = names
        self.random = random.Random(seed)
        self.enough = threading.Event()
        self.fields = {name: {} for name in names}  # as they were acknowledged last
        self.updates = Counter()                    # how many changes of each VM were
        self.refused = []
        self.failure = None
        self.count = 0

    def acknowledged(self):
        return sum(self.updates.values()) + len(self.fields) - len(self.names)

    def make(self):
        name = f"note-{self.count}"
        spec = {"name": name, "description": f"made {self.count}", "memory": {"size": 64 << 20}}
        self.client.good("POST", "/v1/vms", spec)
        self.fields[name] = {"description": spec["description"]}

    def change(self):
        """One field of one VM. A refusal says that nothing was changed, and is held to it."""
        name = self.random.choice(self.names)
        field, value = self.random.choice([("description", f"change {self.count}"),
                                           ("tags", [f"tag-{self.count}"]),
                                           ("processors", {"weight": 100 + self.count % 200})])
        status, data = self.client.call("PATCH", f"/v1/vms/{name}?wait={WAIT}", {field: value})
        if status == 200:
            self.fields[name][field] = value
            self.updates[name] += 1
        else:
            self.refused.append(f"{name} {field}: {status} {data[:300].decode(errors='replace')}")

    def run(self):
        try:
            while not self.enough.wait(0.3):
                self.count += 1
                self.make() if self.count % 5 == 0 else self.change()
        except Exception as failure:  # told by verify
            self.failure = failure

    def finish(self):
        self.enough.set()
        self.join(2 * PATIENCE)
        if self.is_alive() or self.failure:
            raise Failure(f"the client that makes changes: {self.failure or 'it hangs'}")

    def verify(self, client):
        """All that was acknowledged is there, and was done once."""
        for name, fields in self.fields.items():
            vm = client.get(f"/v1/vms/{name}")
            for field, value in fields.items():
                found = vm.get(field)
                if isinstance(value, dict):
                    found = {key: found[key] for key in value}
                if found != value:
                    raise Failure(f"{name}: {field} is {found!r}, acknowledged was {value!r}")
        for name in self.names:
            _, data = client.call("GET", f"/v1/events?since=0&limit=1000&filter=object={name},type=vm.updated"
                                         "&fields=sequence")
            found = len(json.loads(data)["items"])
            if found != self.updates[name]:
                raise Failure(f"{name}: {found} events of changes, acknowledged were {self.updates[name]}")
