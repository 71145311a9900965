"""What the plots and the headline show, counted from an overview. Pure; days are those of UTC."""

from __future__ import annotations

import math
import re
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchwatch.cli.page.overview import Card, Overview, Sending

HOUR, DAY = 3600, 86_400
_STEPS = (DAY, 7 * DAY, 30 * DAY, 91 * DAY, 365 * DAY)
_MOST_SPANS = 62
_BY_HOUR = 2 * DAY
"""Of a time no longer than that, hours are shown."""
RECENT = 7 * DAY
"""How long a batch that ended badly is something to look after; later it is history."""
END = 253_402_300_799  # the last second that a date can be made of


class Outcome(StrEnum):
    """What became of a batch, in the order of the plots.

    WELL    it completed, and every request succeeded
    ERRORS  it completed, and some requests failed
    CUT     it expired, was cancelled, or will be sent again
    FAILED  it failed, or no request succeeded; or it is lost, or its files are
    OPEN    it is under way
    """

    WELL = "well"
    ERRORS = "errors"
    CUT = "cut"
    FAILED = "failed"
    OPEN = "open"


_NUMBER = re.compile(r"[\d,.]*\d")
_TOLD = 700  # characters of a text that are compared
_CUT = {"expired", "cancelled", "sent again"}
_WANTED = {"cancelled", "sent again"}  # somebody asked for it, or it mends itself


def outcome(card: Card) -> Outcome:
    """Say what became of a batch."""
    if card.good is None:
        return Outcome.OPEN
    if card.good:
        return Outcome.ERRORS if card.standing != "completed" or card.failed else Outcome.WELL
    return Outcome.CUT if card.standing in _CUT else Outcome.FAILED


def needs_you(card: Card, now: float) -> bool:
    """Whether somebody should look: trouble under way, or a bad end within the last seven days."""
    if card.good is None or card.standing == "unreadable":
        return bool(card.problems)
    return not card.good and card.standing not in _WANTED and _recent(card, now)


def job_needs_you(job: Sending, now: float) -> bool:
    """Whether a job waits for somebody, was refused, or ended badly within the last seven days."""
    if job.good is None:
        return bool(job.what_next)
    lately = job.created is None or now - job.created <= RECENT
    return not job.good and job.status not in _WANTED and lately


def _recent(card: Card, now: float) -> bool:
    at = next((each for each in (card.ended, card.seen, card.created) if each is not None), now)
    return now - at <= RECENT


def urgency(card: Card) -> tuple[int, float]:
    """Order what needs you: failed first, then troubles under way, then cut short; newest first."""
    order = (Outcome.FAILED, Outcome.OPEN, Outcome.CUT)
    return order.index(outcome(card)), -(card.created or 0)


def alike(cards: Iterable[Card]) -> list[list[Card]]:
    """Put batches together that fare alike, for the same reason: numbers and ids aside."""
    groups: dict[tuple[str, ...], list[Card]] = {}
    for card in cards:
        said = (card.standing, *card.problems, "", *card.what_next)
        key = tuple(_NUMBER.sub("#", text[:_TOLD].replace(card.id, "")) for text in said)
        groups.setdefault(key, []).append(card)
    return list(groups.values())


class Span(NamedTuple):
    """A day, or another time: what became of the batches made then, their requests, their cost.

    start       seconds since 1970
    seconds     how long it is
    requests    of those that have ended; `completed` of them succeeded
    cost        dollars
    """

    start: float
    seconds: int
    outcomes: Counter[Outcome]
    requests: int
    completed: int
    cost: float

    @property
    def total(self) -> int:
        """Batches made then."""
        return self.outcomes.total()

    @property
    def rate(self) -> float | None:
        """The share of requests that succeeded; None where there were none."""
        return self.completed / self.requests if self.requests else None


def spans(overview: Overview) -> list[Span]:
    """Return the days since `since`; hours if they are few, weeks and more if they are too many."""
    until, since = min(overview.at, END), max(0, min(overview.since, overview.at))
    unit = HOUR if until - since <= _BY_HOUR else DAY
    end = until // unit * unit + unit  # the last one has the present in it
    units = math.ceil((end - since) / unit)
    steps = (unit,) if unit == HOUR else _STEPS
    step = next((each for each in steps if units * unit <= each * _MOST_SPANS), _STEPS[-1])
    count = math.ceil(units * unit / step)
    first = end - count * step
    kept: list[list[Card]] = [[] for _ in range(count)]
    for card in within(overview):
        place = int(((card.created or 0) - first) // step)
        kept[min(max(0, place), count - 1)].append(card)
    return [_span(first + place * step, step, cards) for place, cards in enumerate(kept)]


def within(overview: Overview) -> list[Card]:
    """Return the batches made since `since`."""
    return [
        card
        for card in overview.batches
        if card.created is not None and overview.since <= card.created
    ]


def _span(start: float, seconds: int, cards: Sequence[Card]) -> Span:
    ended = [card for card in cards if card.good is not None]
    return Span(
        start,
        seconds,
        Counter(outcome(card) for card in cards),
        sum(card.total for card in ended),
        sum(min(card.completed, card.total) for card in ended),
        math.fsum(card.cost or 0 for card in cards),
    )


def durations(cards: Iterable[Card]) -> list[float]:
    """Return how long completed batches took from being made to their end: seconds, sorted."""
    return sorted(
        card.ended - card.created
        for card in cards
        if card.status == "completed"
        and card.created is not None
        and card.ended is not None
        and card.ended >= card.created
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Histogram(NamedTuple):
    """How many values lie in each of equally wide bins between two bounds, by log scale.

    bounds  seconds, of the first bin's left and the last bin's right edge
    ticks   values within the bounds that are labelled
    """

    bounds: tuple[float, float]
    counts: tuple[int, ...]
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value is, from 0 to 1."""
        low, high = self.bounds
        return math.log(min(max(value, low), high) / low) / math.log(high / low)


_TICKS = (1, 10, 60, 600, HOUR, 6 * HOUR, DAY, 7 * DAY, 70 * DAY)
_BINS = 28


def histogram(ordered: Sequence[float]) -> Histogram:
    """Sort durations into bins. Bounds are round times, so that pages can be compared."""
    low = max((tick for tick in _TICKS[:-1] if tick <= ordered[0]), default=_TICKS[0])
    high = min((tick for tick in _TICKS[1:] if tick > ordered[-1]), default=_TICKS[-1])
    empty = Histogram((low, max(high, low * 10)), (), ())
    counts = Counter(min(_BINS - 1, int(empty.place(value) * _BINS)) for value in ordered)
    ticks = tuple(tick for tick in _TICKS if empty.bounds[0] <= tick <= empty.bounds[1])
    return Histogram(empty.bounds, tuple(counts[place] for place in range(_BINS)), ticks)


class Spent(NamedTuple):
    """What the batches of a model cost: dollars. Models of one price are one, dates aside."""

    model: str
    batches: int
    cost: float


def by_model(cards: Iterable[Card], most: int = 6) -> list[Spent]:
    """Return what each model cost, the dearest first; beyond `most`, the others together."""
    counts: Counter[str] = Counter()
    costs: dict[str, float] = {}
    for card in cards:
        if card.cost is not None:
            model = card.priced or card.model or "no model named"
            counts[model] += 1
            costs[model] = costs.get(model, 0) + card.cost
    spent = sorted(
        (Spent(model, counts[model], cost) for model, cost in costs.items()),
        key=lambda each: (-each.cost, each.model),
    )
    if len(spent) <= most:
        return spent
    others = spent[most - 1 :]
    return [
        *spent[: most - 1],
        Spent(
            f"{len(others)} others",
            sum(each.batches for each in others),
            math.fsum(each.cost for each in others),
        ),
    ]


def unpriced(cards: Iterable[Card]) -> int:
    """Count the batches that have ended with answers, and whose cost is not known."""
    return sum(card.good is not None and card.cost is None and card.completed > 0 for card in cards)


class Segment(NamedTuple):
    """A stage of a timeline: where it begins and how long it is, in percent of all of it."""

    name: str
    start: float
    width: float


_SLIVER = 2.0


def timeline(card: Card, now: float) -> list[Segment]:
    """Return the stages of a batch, by OpenAI's clock; the copying of its files is the last.

    What is too short to be seen is shown a little longer than it was.
    """
    lasted = []
    for stage in card.stages:
        seconds = stage.seconds
        if seconds is None and card.good is None:
            seconds = max(0, int(now - stage.at))
        if seconds is not None:
            lasted.append((stage.status, max(0, seconds)))
    if card.stages and card.archived is not None and card.stages[-1].seconds is None:
        lasted.append(("archived", max(0, int(card.archived - card.stages[-1].at))))
    whole = sum(seconds for _, seconds in lasted) or 1
    widths = [max(_SLIVER, 100 * seconds / whole) for _, seconds in lasted]
    found, start = [], 0.0
    for (name, _), width in zip(lasted, widths, strict=True):
        share = 100 * width / sum(widths)
        found.append(Segment(name, round(start, 1), round(share, 1)))
        start += share
    return found
