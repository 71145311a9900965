"""What polls at scale take, and how long a storm lasts in Lambda, computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.crew import AT_ONCE
from benchmarks.figures import OURS
from benchmarks.lambda_time import A_CALL, share
from benchmarks.tables import print_table
from local.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.figures import Figure, Figures

STORM = 50_000
"""Transitions that come at once."""
SHARE = share(0.5)
"""Of a processor, that Poller has."""
POLL = 110
"""Seconds of a poll."""
_COLUMNS = (
    "accounts", "open", "changed", "given", "requests", "seconds", "busy", "peak",
    "threads", "files", "told", "left", "set aside", "reads", "writes",
)  # fmt: skip


class Pace(NamedTuple):
    """What a transition takes: seconds of a processor, and calls of AWS one after another."""

    busy: float
    calls: float

    def rate(self, share: float, at_once: int = AT_ONCE) -> float:
        """Transitions a second: what the processor can do, or else what the threads can wait."""
        alone = self.busy / share + self.calls * A_CALL
        return min(share / self.busy, at_once / alone)

    def polls(self, share: float, transitions: int = STORM) -> float:
        """Polls of 110 s until all are told."""
        return transitions / (self.rate(share) * POLL)


def pace(looks: Iterable[Figure]) -> Pace | None:
    """Compare polls that told something with those of as many batches that did not."""
    ours = [look for look in looks if look.who == OURS]
    told = [look for look in ours if look.events]
    events = sum(look.events for look in told)
    if not events:
        return None
    calls = sum(sum((look.calls or {}).values()) for look in told)
    return Pace(sum(look.busy for look in told) / events, calls / events)


def show_scale(figures: Figures) -> None:
    """Print a line for each poll of ours, and what follows for a storm."""
    ours = [look for look in figures.looks if look.who == OURS]
    print(
        "given: seconds that a poll may take. busy: seconds of a processor. reads, writes: units."
    )
    print_table(_COLUMNS, [[_cells(look) for look in ours]], words=[])
    for look in {look.accounts: look for look in ours}.values():
        print(f"secret of {look.accounts:,}: {look.secret_bytes:,} bytes; AWS takes 65,536")
    for look in (look for look in ours if look.changed == 1):
        if each := pace([look]):
            _show_pace(look, each)


def _show_pace(look: Figure, each: Pace) -> None:
    print(
        f"{look.open:,} open, {look.events:,} told: {each.busy * 1e3:.1f} ms of a processor and "
        f"{each.calls:.1f} calls for each. With {A_CALL * 1e3:.0f} ms a call, computed:"
    )
    for memory in (512, 1769):
        share = memory / 1769
        print(
            f"  {memory} MB: {each.rate(share):.0f} a second; "
            f"{STORM:,} in {each.polls(share):.0f} polls"
        )


def _cells(look: Figure) -> list[str]:
    return [
        f"{look.accounts:,}",
        f"{look.open:,}",
        f"{look.changed or 0:.0%}",
        "" if look.within is None else f"{look.within:g}",
        f"{look.requests:,.0f}",
        f"{look.seconds:,.1f}",
        f"{look.busy:,.1f}",
        show_size(look.peak_bytes),
        f"{look.threads:,}",
        f"{look.files:,}",
        f"{look.events:,}",
        f"{look.left:,}",
        f"{look.problems:,}",
        f"{look.read_units:,.0f}",
        f"{look.write_units:,.0f}",
    ]
