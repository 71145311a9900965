"""What a sweep found: the shape of its JSON, and the table of it that people read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.tables import print_table
from local.sizes import show_size

if TYPE_CHECKING:
    from pathlib import Path

OURS = "batchwatch"
_COLUMNS = (
    "open",
    "changed",
    "who",
    "requests",
    "x",
    "seconds",
    "x",
    "peak",
    "x",
    "reads",
    "writes",
)


class Figure(NamedTuple):
    """One look at all open batches.

    changed            share of the open batches that changed since the look before; None: whoever
                       looks keeps nothing, so that it makes no difference
    requests           made to OpenAI; `kinds`: lists and retrieves among them
    peak_bytes         of the whole process, from its start to the end of this look
    reads, writes      calls to DynamoDB, and the units that it would charge
    calls              to AWS, by service and operation
    extrapolated_from  open batches that were really measured, if not all

    Of polls at scale, besides:

    accounts           that the open batches are divided among
    within             seconds that the poll was given, as the deployed one is; None: all it wanted
    busy               seconds of a processor that the process had, all threads together
    threads, files     the most that it had at once; a connection is a file
    left               batches that there was no time for
    problems           that were set aside
    secret_bytes       of the secret with all keys
    """

    who: str
    open: int
    changed: float | None
    requests: float
    seconds: float
    peak_bytes: int
    kinds: dict[str, int] | None = None
    events: int = 0
    reads: int = 0
    read_units: float = 0
    writes: int = 0
    write_units: float = 0
    calls: dict[str, int] | None = None
    extrapolated_from: int | None = None
    accounts: int = 1
    within: float | None = None
    busy: float = 0
    threads: int = 0
    files: int = 0
    left: int = 0
    problems: int = 0
    secret_bytes: int = 0


class Figures(NamedTuple):
    """A whole run: when, where and with what (`facts`), and each look."""

    facts: dict[str, Any]
    looks: list[Figure]

    def to_json(self) -> str:
        """Spell it, a look a line."""
        looks = ",\n    ".join(json.dumps(_kept(look)) for look in self.looks)
        facts = json.dumps(self.facts, indent=2).removesuffix("\n}")
        return f'{facts},\n  "looks": [\n    {looks}\n  ]\n}}\n'

    @classmethod
    def read(cls, path: Path) -> Figures:
        """Read what `to_json` spelled, alone or among all tables."""
        said = json.loads(path.read_text())
        facts = said.get("sweep", said)
        looks = [Figure(**look) for look in facts.pop("looks")]
        return cls(facts, looks)

    def ours(self, open_batches: int, changed: float) -> Figure:
        """Return our look at so many open batches, or else at the next larger or largest number."""
        looks = [look for look in self.looks if (look.who, look.changed) == (OURS, changed)]
        by_size = sorted(
            looks, key=lambda look: (look.open < open_batches, abs(look.open - open_batches))
        )
        if not by_size:
            raise ValueError(f"no figures of a poll in which {changed:.0%} changed")
        return by_size[0]


def _kept(look: Figure) -> dict[str, Any]:
    said, usual = look._asdict(), look._field_defaults
    return {name: value for name, value in said.items() if value != usual.get(name, ...)}


def show(figures: Figures) -> None:
    """Print a table; ratios are against our poll of as many batches in which nothing changed."""
    facts = figures.facts
    print(f"One look at all open batches, {facts['latency'] * 1000:.0f} ms an answer.")
    print("x: against batchwatch with 0% changed. reads, writes: calls (units). ~: extrapolated.")
    sizes = dict.fromkeys(look.open for look in figures.looks)
    groups = [[_cells(figures, look) for look in figures.looks if look.open == n] for n in sizes]
    print_table(_COLUMNS, groups, words=["who"])
    print(", ".join(f"{name} {value}" for name, value in facts["machine"].items()))
    print(f"{facts['date']}; " + ", ".join(f"{n} {v}" for n, v in facts["versions"].items()))


def _cells(figures: Figures, look: Figure) -> list[str]:
    ours = figures.ours(look.open, 0)
    about = "~" if look.extrapolated_from else ""
    changed = "" if look.changed is None else f"{look.changed:.0%}"
    of_ours = look.who == OURS
    return [
        f"{look.open:,}",
        changed,
        look.who,
        f"{about}{look.requests:,.0f}",
        _times(look.requests, ours.requests),
        f"{about}{look.seconds:,.2f}",
        _times(look.seconds, ours.seconds),
        show_size(look.peak_bytes),
        _times(look.peak_bytes, ours.peak_bytes),
        f"{look.reads:,} ({look.read_units:,.1f})" if of_ours else "",
        f"{look.writes:,} ({look.write_units:,.0f})" if of_ours else "",
    ]


def _times(theirs: float, ours: float) -> str:
    """Say how many times as much as ours; nothing if ours is none."""
    times = theirs / ours if ours else 0
    return f"{times:.3g}" if 0 < times < 1 else f"{times:,.1f}" if times else ""
