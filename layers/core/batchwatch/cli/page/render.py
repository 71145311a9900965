"""The status page: an overview as one HTML file that asks nobody for anything. Pure.

Style and script are part of the file, and the only ones that its content security policy lets run:
each is named there by its hash. Jinja escapes every text; `clean` takes from those of others what
turns the direction or cannot be seen.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup

from batchwatch.cli.page import bars, figures, plots, words
from batchwatch.cli.page.figures import Outcome
from batchwatch.notify.wording import clean, duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from batchwatch.cli.page.overview import Card, Overview

LISTED, URGENT, RUNNING, JOBS = 250, 12, 40, 20
"""How many batches, at most, are listed; shown as in need of somebody; as under way; and jobs."""


_MOST, _FEW = 600_000, 10
"""Bytes of a page; so many batches are listed even where that makes it larger."""


def render(overview: Overview) -> str:
    """Return the page as HTML; fewer batches are listed where their texts are long."""
    few = LISTED
    while len((text := _rendered(overview, few)).encode(errors="replace")) > _MOST and few > _FEW:
        few //= 2
    return text


def _rendered(overview: Overview, few: int) -> str:
    style, script = _part("style.css"), _part("script.js")
    return _template().render(
        overview=overview,
        now=overview.at,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=policy(style, script),
        **_parts(overview, few),
    )


def policy(style: str, script: str) -> str:
    """Return the content security policy: nothing is loaded, this style and this script apply."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _parts(overview: Overview, few: int) -> dict[str, Any]:
    now = overview.at
    every = (*overview.batches, *overview.earlier)
    urgent = [card for card in every if figures.needs_you(card, now)]
    urgent.sort(key=figures.urgency)
    asking = {card.id for card in urgent}
    going = [card for card in overview.batches if card.good is None]
    running = [card for card in going if card.id not in asking]
    open_jobs = sum(job.good is None for job in overview.jobs)
    jobs = [job for job in overview.jobs if figures.job_needs_you(job, now)]
    within = figures.within(overview)
    listed = overview.batches[:few]
    return {
        "headline": words.headline(len(urgent) + len(jobs), len(going), open_jobs, overview),
        "tally": words.tally(Counter(map(figures.outcome, within)), overview),
        "calm": words.calm(overview),
        "urgent": figures.alike(urgent)[:URGENT],
        "urgent_jobs": jobs[:URGENT],
        "needing": len(urgent) + len(jobs),
        "running": running[:RUNNING],
        "under_way": len(going),
        "unlisted": len(running) - len(running[:RUNNING]),
        "stuck": len(going) - len(running),
        "open_jobs": open_jobs,
        "listed": listed,
        "places": {card.id: place for place, card in enumerate(listed)},
        "counts": [
            (each, sum(figures.outcome(card) is each for card in listed)) for each in Outcome
        ],
        "jobs": overview.jobs[:JOBS],
        "told": bool(every or overview.jobs or overview.older),
        "plots": _plots(overview, within),
        "several": len({card.account for card in overview.batches}) > 1,
    }


class Plot(NamedTuple):
    """A plot, what it says, and its figures as a table: the heads, and rows of texts."""

    title: str
    told: str
    drawn: Markup
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    key: Sequence[tuple[Outcome, int]] = ()


def _plots(overview: Overview, within: Sequence[Card]) -> list[Plot]:
    if not within:
        return []
    spans = figures.spans(overview)
    some = [span for span in spans if span.total]
    by = words.span_name(spans)
    undated = sum(card.good is None for card in overview.batches)
    undated -= sum(span.outcomes[Outcome.OPEN] for span in spans)
    title, told = f"Batches by {by}", words.told_of_days(spans, undated)
    totals = [(each, sum(span.outcomes[each] for span in spans)) for each in Outcome]
    shown = [
        Plot(
            title,
            told,
            plots.by_day(spans, title, told),
            (by, *words.OUTCOMES.values()),
            [(words.span_label(s), *(number(s.outcomes[each]) for each in Outcome)) for s in some],
            [(each, count) for each, count in totals if count],
        )
    ]
    if any(span.requests for span in spans):
        title, told = "Requests that succeeded", words.told_of_rates(spans)
        rates = [
            (words.span_label(s), plots.share(s.rate), number(s.completed), number(s.requests))
            for s in some
            if s.rate is not None
        ]
        heads = (by, "share", "succeeded", "of")
        shown.append(Plot(title, told, plots.rates(spans, title, told), heads, rates))
    if ordered := figures.durations(within):
        shown.append(_durations(ordered))
    if any(span.cost for span in spans):
        costs = plots.amounts([span.cost for span in spans])
        told = words.told_of_cost(spans, costs, figures.unpriced(within))
        title = f"Cost by {by}"
        rows = [(words.span_label(s), c) for s, c in zip(spans, costs, strict=False) if s.cost]
        drawn = plots.cost_by_day(spans, title, told)
        shown.append(Plot(title, told, drawn, (by, "cost"), rows))
    return shown


def _durations(ordered: Sequence[float]) -> Plot:
    median, ninth = (figures.percentile(ordered, share) for share in (0.5, 0.9))
    sorted_in = figures.histogram(ordered)
    told = words.told_of_durations(ordered, max(sorted_in.counts))
    title = "How long batches take"
    parts = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)
    rows = [(f"{part:.0%}", duration(figures.percentile(ordered, part))) for part in parts]
    drawn = plots.spread(sorted_in, median, ninth, title, told)
    return Plot(title, told, drawn, ("of the batches", "within"), rows)


@cache
def _template() -> Template:
    made = Environment(
        loader=BaseLoader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clean": clean,
        "number": number,
        "duration": duration,
        "dollars": plots.dollars,
        "amounts": plots.amounts,
        "outcome": figures.outcome,
        "progress": bars.progress,
        "stages": bars.stages,
        "requests": words.requests,
        "advice": words.advice,
        "iso": _iso,
    }
    made.globals |= {
        "plural": plural,
        "about_it": words.about_it,
        "course": words.course,
        "stored": words.stored,
        "folders": words.folders,
        "when": words.when,
        "lasted": words.lasted,
        "timeline": figures.timeline,
        "period": words.period,
        "bar": bars.bar,
        "by_model": figures.by_model,
        "within": figures.within,
        "told_of_models": words.told_of_models,
        "outcomes": words.OUTCOMES,
    }
    return made.from_string(_part("page.html.j2"))


def _iso(at: float) -> str:
    return f"{plots.moment(at):%Y-%m-%dT%H:%M:%SZ}"
