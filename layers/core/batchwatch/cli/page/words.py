"""What the status page says in sentences. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.page.figures import DAY, HOUR, RECENT, Outcome, percentile
from batchwatch.cli.page.plots import day, hour, moment, occasion, share
from batchwatch.notify.wording import clean, duration, number, plural, size

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from batchwatch.cli.page.figures import Span, Spent
    from batchwatch.cli.page.overview import Card, Overview, Stored

OUTCOMES = {
    Outcome.WELL: "ended well",
    Outcome.ERRORS: "with errors",
    Outcome.CUT: "cut short",
    Outcome.FAILED: "failed or without success",
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


def headline(needs: int, batches: int, jobs: int, overview: Overview) -> str:
    """Say how things are, in one sentence; `batches` and `jobs` are those under way."""
    if not (overview.batches or overview.jobs or needs):
        return f"No batches in the last {period(overview)}."
    who = {0: "Nothing needs you", 1: "1 needs you"}.get(needs, f"{number(needs)} need you")
    told = [plural(batches, "batch")] if batches else []
    told += [plural(jobs, "job")] if jobs else []
    going = f"{' and '.join(told)} under way" if told else "nothing is under way"
    return f"{who}, {going}."


def tally(found: Counter[Outcome], overview: Overview) -> str:
    """`300 batches made in the last 30 days: 288 ended well, 12 cut short.`; empty if none were."""
    total = found.total()
    if not total:
        return ""
    parts = (
        f"{number(found[each])}\u00a0{OUTCOMES[each]}"  # not to be broken between these
        for each in Outcome
        if found[each]
    )
    return f"{plural(total, 'batch')} made in the last {period(overview)}: {', '.join(parts)}."


def calm(overview: Overview) -> str:
    """Say that nothing needs anybody, and among which batches that was looked for."""
    looked = overview.looked
    if looked is None or looked <= overview.at - RECENT:
        return "All is well: nothing is stuck, and nothing ended badly in the last seven days."
    since = when(looked, overview.at)
    return (
        f"Nothing is stuck, and of the batches made since {since} none ended badly. "
        "Those before were not looked through."
    )


def span_name(spans: Sequence[Span]) -> str:
    """`hour`, `day`, `week`, or `30 days`: what a bar stands for."""
    seconds = spans[0].seconds
    known = {HOUR: "hour", DAY: "day", 7 * DAY: "week"}
    return known.get(seconds, f"{seconds // DAY} days")


def span_label(span: Span) -> str:
    """`3 Nov`, `3 Nov, 14:00`: as it stands in a table."""
    return f"{day(span.start)}, {hour(span.start)}" if span.seconds < DAY else day(span.start)


def told_of_days(spans: Sequence[Span], undated: int = 0) -> str:
    """Sum up how many batches there were, and how they ended; `undated` are in no span."""
    total = sum(span.total for span in spans)
    bad = sum(span.outcomes[Outcome.FAILED] for span in spans)
    most = max(spans, key=lambda span: span.total)
    busiest = f", most {occasion(most)} ({number(most.total)})" if len(spans) > 1 else ""
    failed = f"{number(bad)} {OUTCOMES[Outcome.FAILED]}" if bad else "none failed"
    are = "is" if undated == 1 else "are"
    lack = f" {number(undated)} under way {are} older, or not dated yet." if undated else ""
    return f"{plural(total, 'batch')}{busiest}; {failed}.{lack}"


def told_of_rates(spans: Sequence[Span]) -> str:
    """Sum up how many requests succeeded."""
    asked = sum(span.requests for span in spans)
    answered = sum(span.completed for span in spans)
    rate = answered / asked if asked else 0
    return f"{share(rate)} of {plural(asked, 'request')} succeeded."


def told_of_durations(ordered: Sequence[float], highest: int) -> str:
    """Sum up how long batches took; `highest`: how many the highest bar stands for."""
    if len(ordered) == 1:
        return f"The one that completed took {duration(ordered[0])}."
    half, ninth = (_whole(duration(percentile(ordered, part))) for part in (0.5, 0.9))
    heights = f"The higher a bar, the more took so long: the highest is {plural(highest, 'batch')}."
    return f"Half completed within {half}, nine in ten within {ninth}. {heights}"


def _whole(text: str) -> str:
    return text.replace(" ", "\u00a0")  # not to be broken at the end of a line


def told_of_cost(spans: Sequence[Span], shown: Sequence[str], unpriced: int) -> str:
    """Sum up what was spent, but for batches without a price; `shown`: by span, then in all."""
    most = max(range(len(spans)), key=lambda place: spans[place].cost)
    dearest = f", most {occasion(spans[most])} ({shown[most]})" if len(spans) > 1 else ""
    lack = f"; without {plural(unpriced, 'batch')} of unknown cost" if unpriced else ""
    return f"{shown[-1]} in all{dearest}{lack}."


def told_of_models(spent: Sequence[Spent], batches: int) -> str:
    """Say which model costs most, and of how many of the batches the cost is known."""
    known = sum(each.batches for each in spent)
    of = f"The cost is known of {number(known)} of {plural(batches, 'batch')}."
    total = sum(each.cost for each in spent)
    if not total:
        return f"Nothing was charged. {of}"
    return f"{clean(spent[0].model, 60)} takes {share(spent[0].cost / total)} of it. {of}"


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


def folders(files: Sequence[Stored]) -> list[str]:
    """Return where the files of a batch are, as a rule one folder: `s3://…/`."""
    return [*dict.fromkeys(file.place.rpartition("/")[0] + "/" for file in files if file.place)]


def stored(file: Stored) -> str:
    """`output archived as output.jsonl, 8.4 MB, 1,200 lines`."""
    name = f" as {clean(file.place.rpartition('/')[2], 80)}" if file.place else ""
    parts = [f"{clean(file.role, 20)} {clean(file.state, 20)}{name}"]
    parts += [size(file.bytes)] if file.bytes is not None else []
    parts += (
        [plural(file.lines, "line")] if file.lines is not None and file.role != "record" else []
    )
    return ", ".join(parts)
