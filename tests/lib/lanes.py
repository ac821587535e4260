# SPDX-License-Identifier: MIT
"""Runs machines side by side, each lane of them on one processor of this computer.

Why one: the threads of QEMU 7.2 write each other's flags without a lock. With a thread for each
virtual processor, a guest that restores its x87 state (FXRSTOR, XRSTOR) can so lose another's flag
"nested paging is on", and now and then a machine stands still. All virtual processors of a machine are
therefore run by one thread (`thread=single`), and that one and QEMU's own share a processor, where a
write of one instruction can not be divided. docs/testbeds.md 1.1 and 1.2 say more.

What needs quiet runs alone, after all others, and so do second attempts. What a machine said
is printed as a whole, when it has ended.
"""

import contextlib
import io
import multiprocessing
import os
import random
import shutil
import signal
from dataclasses import dataclass, field

from lib.suite import Counts, Reporter, chooser, run_item

LANES_MAX = 4  # a machine takes up to 3 GiB


@dataclass
class Piece:
    """Items that run one after the other, and which of their tests are wanted."""
    items: list
    wanted: object
    alone: bool  # nothing beside them


@dataclass
class Result:
    """How one item went."""
    piece: int
    position: int
    name: str
    counts: Counts
    text: str

    def failed(self):
        return self.counts.failed > 0


@dataclass
class Totals(Counts):
    unsteady: list = field(default_factory=list)

    def take(self, result):
        self.add(result.counts)
        print(result.text, end="", flush=True)


def choose(groups, selected):
    """Pieces with what is selected of the groups."""
    pieces = []
    for group in groups:
        wanted = chooser(group, selected)
        items = [item for item in group.items if any(map(wanted, item.names()))]
        parts = [items] if group.in_order else [[item] for item in items]
        pieces += [Piece(part, wanted, group.alone) for part in parts if part]
    return pieces


class Lanes:
    def __init__(self, site, pieces, second_attempts):
        self.site = site
        self.pieces = pieces
        self.second_attempts = second_attempts
        self.again = []
        self.totals = Totals()

    def run_item(self, index, position):
        piece = self.pieces[index]
        item = piece.items[position]
        report = Reporter(self.site)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            run_item(self.site, report, item, piece.wanted)
        return Result(index, position, item.name, report.counts, said.getvalue())

    def run_piece(self, index):
        return [self.run_item(index, position) for position in range(len(self.pieces[index].items))]

    def keep_logs(self, result):
        """The first attempt's logs; its failures are called missed, as they do not count."""
        kept = self.site.logs / f"{result.name}-first"
        shutil.rmtree(kept, ignore_errors=True)
        (self.site.logs / result.name).rename(kept)
        print(result.text.replace("FAILED ", "missed "), end="")
        print(f"   {result.name} runs again at the end; logs in {kept.relative_to(self.site.top)}",
              flush=True)

    def take(self, results):
        """Counts and prints; an item that may run again is only noted."""
        for result in results:
            if result.failed() and len(self.again) < self.second_attempts:
                self.again.append(result)
                self.keep_logs(result)
            else:
                self.totals.take(result)

    def run_beside(self, indices):
        """The pieces in as many lanes as there are processors."""
        own = list(os.sched_getaffinity(0))
        processors = random.sample(own, min(len(own), LANES_MAX, len(indices)))
        places = multiprocessing.SimpleQueue()
        for processor in processors:
            places.put(processor)
        fork = multiprocessing.get_context("fork")
        with fork.Pool(len(processors), begin_lane, (places, self)) as pool:
            for results in pool.imap_unordered(run_piece, indices):
                self.take(results)

    def run_again(self, result):
        """With nothing beside it."""
        self.totals.unsteady.append(result.name)
        index, position = result.piece, result.position
        piece = self.pieces[index]
        self.pieces.append(Piece([piece.items[position]], piece.wanted, piece.alone))
        self.run_pieces([len(self.pieces) - 1])

    def run_pieces(self, indices):
        beside = [index for index in indices if not self.pieces[index].alone]
        alone = [[index] for index in indices if self.pieces[index].alone]
        for group in [beside, *alone] if beside else alone:
            self.run_beside(group)

    def run(self):
        """All pieces, and then once more up to second_attempts items that failed."""
        self.run_pieces(range(len(self.pieces)))
        self.second_attempts = 0
        for result in self.again:
            self.run_again(result)
        return self.totals


lane = None  # of this process


def begin_lane(places, lanes):
    """From here on this process and its machines stay on one processor. A connection that a machine left is an error of
    the call that writes to it, not the end of the lane."""
    global lane
    lane = lanes
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    own = list(os.sched_getaffinity(0))
    # None is left for a process that replaces one that died.
    os.sched_setaffinity(0, {random.choice(own) if places.empty() else places.get()})


def run_piece(index):
    return lane.run_piece(index)
