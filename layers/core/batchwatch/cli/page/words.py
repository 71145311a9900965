"""What the status page says in sentences. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.page.figures import DAY, HOUR, Outcome, percentile
from batchwatch.cli.page.plots import day, dollars, hour, moment, occasion, share
from batchwatch.notify.wording import clean, duration, number, plural, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.cli.page.figures import Span, Spent
    from batchwatch.cli.page.overview import Card, Overview, Stored

OUTCOMES = {
    Outcome.WELL: "ended well",
    Outcome.ERRORS: "with errors",
    Outcome.CUT: "cut short",
    Outcome.FAILED: "failed",
    Outcome.OPEN: "under way",
}
_COMMAND = re.compile(r"(.*?)(batchwatch (?:fetch|watch|archive|show|cancel|submit) \S+)(.*)")


class Advice(NamedTuple):
    """What to do: words before a command, the command (maybe empty), and words behind it."""

    before: str
    command: str
    after: str


def advice(text: str) -> Advice:
    """Find the command in what somebody is told to do."""
    line = clean(text, 700)
    found = _COMMAND.fullmatch(line)
    return Advice(*found.groups()) if found else Advice(line, "", "")


def period(overview: Overview) -> str:
    """`30 days`, `24 hours`, `hour`: how far back the page looks, as it reads behind `the last`."""
    seconds = max(0, overview.at - overview.since)
    units = ((DAY, "day", 2 * DAY), (HOUR, "hour", HOUR), (60, "minute", 0))
    unit, name, _ = next(each for each in units if seconds >= each[2])
    count = max(1, round(seconds / unit))
    return name if count == 1 else plural(count, name)


def when(at: float, now: float) -> str:
    """`22 Nov, 03:01`; with its year where that is another one."""
    date, today = map(moment, (at, now))
    year = f" {date.year}" if date.year != today.year else ""
    return f"{date.day} {date:%b}{year}, {date:%H:%M}"


def headline(needs: int, under_way: int, well: int, overview: Overview) -> str:
    """Say how things are, in one sentence."""
    back = f"in the last {period(overview)}"
    if not (overview.batches or overview.jobs):
        return f"No batches {back}."
    who = {0: "Nothing needs you", 1: "1 needs you"}.get(needs, f"{number(needs)} need you")
    going = f"{number(under_way)} under way" if under_way else "nothing is under way"
    return f"{who}, {going}, {number(well) if well else 'none'} ended well {back}."


def span_name(spans: Sequence[Span]) -> str:
    """`hour`, `day`, `week`, or `30 days`: what a bar stands for."""
    seconds = spans[0].seconds
    known = {HOUR: "hour", DAY: "day", 7 * DAY: "week"}
    return known.get(seconds, f"{seconds // DAY} days")


def span_label(span: Span) -> str:
    """`3 Nov`, `3 Nov, 14:00`: as it stands in a table."""
    return f"{day(span.start)}, {hour(span.start)}" if span.seconds < DAY else day(span.start)


def told_of_days(spans: Sequence[Span]) -> str:
    """Sum up how many batches there were, and how they ended."""
    total = sum(span.total for span in spans)
    bad = sum(span.outcomes[Outcome.FAILED] for span in spans)
    most = max(spans, key=lambda span: span.total)
    busiest = f", most {occasion(most)} ({number(most.total)})" if len(spans) > 1 else ""
    failed = f"{number(bad)} failed" if bad else "none failed"
    return f"{plural(total, 'batch')}{busiest}; {failed}."


def told_of_rates(spans: Sequence[Span]) -> str:
    """Sum up how many requests succeeded."""
    asked = sum(span.requests for span in spans)
    answered = sum(span.completed for span in spans)
    rate = answered / asked if asked else 0
    return f"{share(rate)} of {plural(asked, 'request')} succeeded."


def told_of_durations(ordered: Sequence[float]) -> str:
    """Sum up how long batches took."""
    if len(ordered) == 1:
        return f"The one that completed took {duration(ordered[0])}."
    half, ninth = (_whole(duration(percentile(ordered, part))) for part in (0.5, 0.9))
    return f"Half completed within {half}, nine in ten within {ninth}."


def _whole(text: str) -> str:
    return text.replace(" ", "\u00a0")  # not to be broken at the end of a line


def told_of_cost(spans: Sequence[Span], unpriced: int) -> str:
    """Sum up what was spent, but for batches without a price."""
    total = sum(span.cost for span in spans)
    most = max(spans, key=lambda span: span.cost)
    dearest = f", most {occasion(most)} ({dollars(most.cost)})" if len(spans) > 1 else ""
    lack = f"; without {plural(unpriced, 'batch')} of unknown cost" if unpriced else ""
    return f"{dollars(total)} in all{dearest}{lack}."


def told_of_models(spent: Sequence[Spent]) -> str:
    """Say which model costs most."""
    total = sum(each.cost for each in spent)
    first = spent[0]
    if not total:
        return "Nothing was charged."
    return f"{clean(first.model, 60)} takes {share(first.cost / total)} of it."


def requests(card: Card) -> str:
    """`388 of 400`: so many are done, or succeeded; just `400` where all did."""
    done = card.completed if card.good is not None else card.completed + card.failed
    if card.good is not None and done == card.total:
        return number(card.total)
    return f"{number(done)} of {number(card.total)}"


def lasted(card: Card, now: float) -> float | None:
    """Return for how many seconds a batch lived, or has lived so far."""
    if card.created is None:
        return None
    end = card.ended if card.ended is not None else now if card.good is None else None
    return max(0, end - card.created) if end is not None else None


def about_it(card: Card, *, several: bool) -> str:
    """`gpt-5-mini · research`: its model, and its account where there are several."""
    shown = (card.model, card.account if several else None)
    return " · ".join(clean(each, 80) for each in shown if each)


def course(card: Card, now: float) -> str:
    """Tell a timeline in words: `2 min validating, 3 h in progress; completed 9 Nov, 13:41`."""
    told = ", ".join(
        f"{duration(stage.seconds)} {_spoken(stage.status)}"
        for stage in card.stages
        if stage.seconds is not None
    )
    last = card.stages[-1]
    since = "since " if card.good is None else ""
    told += f"{'; ' if told else ''}{_spoken(last.status)} {since}{when(last.at, now)}"
    if card.archived is None:
        return told
    return f"{told}, archived {duration(card.archived - last.at)} later"


def _spoken(status: str) -> str:
    return clean(status.replace("_", " "), 40)


def stored(file: Stored) -> str:
    """`output archived, 8.4 MB, 1,200 lines`."""
    parts = [f"{clean(file.role, 20)} {clean(file.state, 20)}"]
    parts += [size(file.bytes)] if file.bytes is not None else []
    parts += (
        [plural(file.lines, "line")] if file.lines is not None and file.role != "record" else []
    )
    return ", ".join(parts)
