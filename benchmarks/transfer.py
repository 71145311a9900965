"""One file from OpenAI into S3: the archiver's copy beside what one would write first.

Everybody reads from one plain server and writes to one real one that speaks S3 (rclone, in
memory), as a process of its own, in turns.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any, NamedTuple

from benchmarks.child import Child
from benchmarks.tables import print_table
from benchmarks.transfer_store import Store
from local.sizes import show_size

NAMES = {
    "ours": "batchwatch",
    "streaming": "httpx stream, upload_fileobj",
    "whole": "SDK's content().read(), put_object",
}
_CALM = ("file", "who", "seconds", "MB/s", "x", "x from … to", "busy", "peak memory", "object")
_WITH_CUTS = ("cuts", "who", "tries that failed", "moved", "object")
_ALWAYS = -1
_CUT_AT = 0.4  # of the file


class Cuts(NamedTuple):
    """How downloads are cut: `times` of them, quietly or by a broken connection."""

    name: str
    times: int
    quietly: bool = False


NONE = Cuts("none", 0)
CUTS = (
    Cuts("the first two answers break off", 2),
    Cuts("every answer breaks off", _ALWAYS),
    Cuts("the first answer ends early, as if whole", 1, quietly=True),
)


class Run(NamedTuple):
    """What one copy took.

    `busy`: seconds of a processor. `served`: bytes that OpenAI sent. `object`: whole, short or
    none. `errors`: of the tries that failed.
    """

    who: str
    size: int
    cuts: str
    seconds: float
    busy: float
    peak_bytes: int
    served: int
    object: str
    errors: list[str]


def measure(sizes: list[int], runs: int) -> dict[str, Any]:
    """Copy files of these sizes `runs` times each; and the smallest one, once, with cuts."""
    done: list[Run] = []
    with Store(room=2 * max(sizes)) as store:
        for size in sizes:
            with Child("benchmarks.transfer_origin", str(size)) as origin:
                about = origin.ask("begin")
                table = _Table(store, origin, size, **about)
                for turn in range(runs):
                    done += [table.copy(who, NONE) for who in _in_turn(turn)]
                if size == min(sizes):
                    done += [table.copy(who, cuts) for cuts in CUTS for who in NAMES]
    return {"runs": [run._asdict() for run in done]}


class _Table:
    """Where contestants meet: a file of one size, and the bucket."""

    def __init__(self, store: Store, origin: Child, size: int, base_url: str, crc32: int) -> None:
        self._store, self._origin, self._size = store, origin, size
        self._base_url, self._crc32 = base_url, crc32
        self._copies = 0

    def copy(self, who: str, cuts: Cuts) -> Run:
        """Let one of them copy the file, in a new process."""
        self._copies += 1
        key = f"{who}-{self._size}-{self._copies}.jsonl"
        at = round(self._size * _CUT_AT)
        self._origin.ask("cut", at=at, times=cuts.times, quietly=cuts.quietly)
        places = (self._base_url, self._store.endpoint)
        with Child("benchmarks.transfer_ways", who, *places) as child:
            took = child.ask("copy", key=key)
        there, served = self._store.take(key), self._origin.ask("served")
        whole = there == (self._size, self._crc32)
        left = "whole" if whole else "short" if there else "none"
        what = show_size(self._size) + (f", cuts: {cuts.name}" if cuts.times else "")
        print(f"{what}: {NAMES[who]}: {took['seconds']:.1f} s", file=sys.stderr, flush=True)
        return Run(who, self._size, cuts.name, **took, served=served, object=left)


def _in_turn(turn: int) -> list[str]:
    """Let another one begin each time."""
    who = [*NAMES]
    return who[turn % len(who) :] + who[: turn % len(who)]


def show(figures: dict[str, Any]) -> None:
    """Print both tables."""
    runs = [Run(**run) for run in figures["runs"]]
    calm = [run for run in runs if run.cuts == NONE.name]
    sizes = sorted({run.size for run in calm})
    print(
        "A file copied from OpenAI to S3; medians, of memory the most; x: times the speed of the"
        " simplest stream\nin the same turn, and its smallest and largest; busy: seconds of a"
        " processor; object: what is in the bucket"
    )
    print_table(_CALM, [_rows(calm, size) for size in sizes], words=["who", "object"])
    print(
        f"With cuts, {_CUT_AT:.0%} into the file; moved: what OpenAI sent, in sizes of the file;"
        " object: what is in the bucket in the end"
    )
    groups = [[_row_of_cut(run) for run in runs if run.cuts == cuts.name] for cuts in CUTS]
    print_table(_WITH_CUTS, groups, words=["cuts", "who", "tries that failed", "object"])


def _rows(runs: list[Run], size: int) -> list[list[str]]:
    by = {who: [run for run in runs if (run.who, run.size) == (who, size)] for who in NAMES}
    rows = []
    for who, mine in by.items():
        seconds = statistics.median(run.seconds for run in mine)
        pairs = zip(mine, by["streaming"], strict=True)
        ratios = sorted(other.seconds / run.seconds for run, other in pairs)
        rows.append(
            [
                show_size(size),
                NAMES[who],
                f"{seconds:.2f}",
                f"{size / seconds / 1e6:,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{ratios[0]:.2f} … {ratios[-1]:.2f}",
                f"{statistics.median(run.busy for run in mine):.2f}",
                show_size(max(run.peak_bytes for run in mine)),
                " ".join(sorted({run.object for run in mine})),
            ]
        )
    return rows


def _row_of_cut(run: Run) -> list[str]:
    failed = f"{len(run.errors)} ({', '.join(sorted({*run.errors}))})" if run.errors else "0"
    return [run.cuts, NAMES[run.who], failed, f"{run.served / run.size:.2f}", run.object]
