#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs system tests: boots machines and looks at them. Called by tests/run.

    main.py --build FOLDER [--bare] [--second-attempts N] [--counts FILE] [list | NAME...]

NAME is a group, a scenario or a single test; none means all. --bare boots the same parent without
the hypervisor, to tell a defect of the test or of the emulator from one of the hypervisor. Up to N
machines that failed run once more, at the end; each is named.
"""

import argparse
import signal
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))

from lib.lanes import Lanes, choose  # noqa: E402
from lib.parent import Site  # noqa: E402
from system.appliance import GROUP as APPLIANCE  # noqa: E402
from system.child import GROUP as CHILD  # noqa: E402
from system.child.scheduling import GROUP as SCHEDULING  # noqa: E402
from system.parent import GROUP as PARENT  # noqa: E402
from system.vmbus import GROUP as VMBUS  # noqa: E402

GROUPS = [APPLIANCE, VMBUS, CHILD, PARENT, SCHEDULING]  # what takes longest comes first


def list_tests():
    for group in GROUPS:
        for item in group.items:
            for name in item.names():
                print(f"{group.name} {name}")


def main():
    parser = argparse.ArgumentParser(description="Runs system tests.")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--second-attempts", type=int, default=0)
    parser.add_argument("--counts", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that machines are stopped

    if options.names == ["list"]:
        list_tests()
        return 0
    site = Site(top=TOP, build=options.build.resolve(), logs=TOP / "tests" / "logs",
                bare=options.bare)
    if not site.bare and not site.has_hypervisor():
        sys.exit(f"error: {site.elf32} and bulkhead.elf are not built; --bare runs without them")
    pieces = choose(GROUPS, options.names)
    if not pieces:
        sys.exit(f"error: no test is called {' '.join(options.names)}; tests/run system list")
    totals = Lanes(site, pieces, options.second_attempts).run()
    if totals.unsteady:
        print(f"unsteady, failed and tried again: {', '.join(totals.unsteady)}")
    if options.counts:
        options.counts.write_text(f"{totals.passed} {totals.failed} {totals.skipped}\n")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
