# SPDX-License-Identifier: MIT
"""What the benches of two machines share: their options, the sites they compare, and how they end.

Both machines run with -icount: one tick of the time-stamp counter is one instruction of everything in
the machine, so figures are path lengths, not times, and repeat.
"""

import argparse
import signal
import sys
from pathlib import Path

from lib.machine import Failure
from lib.parent import Site, prepare_folder, start, tidy_folder, wait_ready

TOP = Path(__file__).resolve().parents[2]
PEER_TRIES = 3
ICOUNT = ("-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1")


def parse_options(description):
    """The options that tests/run gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", type=Path, required=True)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", action="store_true")
    length.add_argument("--full", action="store_true")
    return parser.parse_args()


def run_machine(site, name, plan, image, work):
    """What work(machine) gives, in a parent whose RAM disk is `image`. The logs of a failure stay."""
    folder = prepare_folder(site, f"bench-{name}", plan)
    (folder / "initrd.img").unlink()
    (folder / "initrd.img").symlink_to(image)
    with start(site, folder, plan) as machine:
        wait_ready(machine, 600)
        result = work(machine)
    tidy_folder(folder, keep_logs=False)
    return result


def run_peer(name, run):
    """What run() gives. The peer's machine is tried again: TCG's nested SVM fails now and then."""
    for attempt in range(PEER_TRIES):
        try:
            return run()
        except Failure as failure:
            print(f"the peer's machine failed, try {attempt + 1} of {PEER_TRIES}: {failure}", flush=True)
    sys.exit(f"bench {name}: no figures of the peer")


def main(name, description, measure):
    """Ends the program: status 1 when an aim is missed.

    measure(bare, with_hv, short): the sites of the machines without and with the hypervisor; returns the
    aims that are missed, as sentences.
    """
    options = parse_options(description)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # machines end with the bench
    sites = [Site(top=TOP, build=options.build.resolve(), logs=TOP / "tests" / "logs", bare=bare)
             for bare in (True, False)]
    try:
        missed = measure(*sites, options.short)
    except Failure as failure:
        sys.exit(f"bench {name}: {failure}")
    for sentence in missed:
        print(f"aim missed: {sentence}")
    sys.exit(1 if missed else 0)
