"""What was told of a batch or a job until now, and what is about to be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from batchwatch.cli.look import view
from batchwatch.events import BatchEvent
from batchwatch.job_events import read_event
from batchwatch.notify.wording import clean, duration, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchwatch.cli.look.kept import Kept
    from batchwatch.job_events import Event


class Told(NamedTuple):
    """A transition; `event`: None where its text cannot be read. `sent`: whether it has gone out.

    What has gone out and is not marked so yet counts as sent: the bucket has it.
    """

    sequence: int
    type: str
    event: Event | None
    sent: bool


def history(kept: Iterable[Kept], outbox: Mapping[int, str]) -> list[Told]:
    """Put what was sent and what still lies in the outbox into one sequence."""
    sent = {each.sequence: each for each in kept}
    told = [Told(each.sequence, each.type, _read(each.text), sent=True) for each in sent.values()]
    for sequence in sorted(outbox.keys() - sent.keys()):
        event = _read(outbox[sequence])
        told.append(Told(sequence, event.type if event else "unreadable", event, sent=False))
    return sorted(told, key=lambda each: each.sequence)


def said(told: Told) -> dict[str, Any]:
    """A transition as JSON: when it happened by OpenAI, and when it was seen, by whom."""
    line: dict[str, Any] = {"sequence": told.sequence, "type": told.type, "sent": told.sent}
    if event := told.event:
        line |= {
            "id": event.id,
            "time": view.iso(event.time.timestamp()),
            "observed_at": view.iso(event.data.observed_at.timestamp()),
        }
    if isinstance(told.event, BatchEvent):
        line["observed_by"] = told.event.data.observed_by
    return line


def timeline(entries: Iterable[Told]) -> list[str]:
    """A line for each transition: its number, when, what, and how long after the one before."""
    lines: list[str] = []
    before = None
    for told in entries:
        event = told.event
        when = f"{event.time:%Y-%m-%d %H:%M:%S}" if event else "cannot be read"
        since = (event.time - before).total_seconds() if event and before else 0
        parts = [f"{told.sequence:>3}  {when:<19}  {clean(told.type, 60):<20}"]
        parts.append(f"{f'+{duration(since)}' if since > 0 else '':<13}")
        parts += _more(told)
        lines.append(" ".join(parts).rstrip())
        before = event.time if event else before
    return lines


def _more(told: Told) -> list[str]:
    """How far the requests were, who saw it, and whether it has gone out."""
    parts = []
    if isinstance(told.event, BatchEvent):
        data, counts = told.event.data, told.event.data.batch.counts
        parts += [f"attempt {data.attempt}"] if data.attempt > 1 else []
        if counts:
            parts.append(f"{number(counts.done)}/{number(counts.total or 0)}")
        parts.append(f"by {clean(data.observed_by, 20)}")
    return parts if told.sent else [*parts, "(not sent yet)"]


def _read(text: str) -> Event | None:
    try:
        return read_event(text)
    except ValidationError:
        return None
