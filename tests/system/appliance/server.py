# SPDX-License-Identifier: MIT
"""packaging/try with the server guest: Debian with systemd, its settings by cloud-init, asked by ssh.

Minutes long, therefore only on request: BULKHEAD_SERVER=1 tests/run system try-server
"""

import os
import re

from lib.suite import Skip
from system.appliance import GROUP
from system.appliance.once import copy_sources, run_try
from system.parent.boot import expect


@GROUP.test("try-server")
def _(site):
    """A disk from the image, user, key, name and address from the seed, an orderly end asked for by the API."""
    if not os.environ.get("BULKHEAD_SERVER"):
        raise Skip("minutes, and an image made of packages from Debian's archive: BULKHEAD_SERVER=1")
    folder = site.logs / "try-server"
    ended = run_try(copy_sources(site, folder), "--once", "--server")
    (folder / "try.log").write_text(ended.stdout + ended.stderr)
    expect(ended.returncode == 0, f"status {ended.returncode}: {ended.stderr[-400:]}")
    for step in ("makes the server guest", "the server boots to its login", "ssh answers through", "cloud-init has done"):
        expect(re.search(rf"^{step}.*\d+ s$", ended.stdout, re.MULTILINE), f"no step '{step}'")
    for shown in ("| server.example", "| status: done", "| running", "10.0.3.20/24"):
        expect(shown in ended.stdout, f"{shown!r} is not shown")
    expect("PRIVATE KEY" not in ended.stdout, "the key is shown")
    expect(ended.stdout.rstrip().endswith("every step worked"), "the last line is missing")
