"""Everything known of a job, a file that was dropped, and of its parts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.look import history as transitions
from batchwatch.cli.look import view
from batchwatch.cli.look.detail import Line, at, block, fact, file_lines
from batchwatch.job_events import JobEvent
from batchwatch.notify.advice import job_advice
from batchwatch.notify.facts import requests
from batchwatch.notify.jobs import job_facts, job_said
from batchwatch.notify.wording import clean, duration, number, plural, size
from batchwatch.record import FileState
from batchwatch.submit.job import UNSENT, PartState, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchwatch.cli.look.history import Told
    from batchwatch.record import Record
    from batchwatch.submit.job import Job, Part

    Batches = Mapping[str, Record]
    """What the ledger has of the batches of a job, by their ids."""

_TOLD_OF = {"Reason", "Since", "Rejected", "Lost"}
_UNSENT = {*UNSENT, PartState.SENDING}


def problems(job: Job, told: Sequence[Told]) -> list[str]:
    """Return why it waits, was refused, or has parts and files that came to nothing."""
    last = _last(job, told)
    if last:
        facts = job_facts(last, job_said(last), "")
        return [
            text if name == "Reason" else f"{name.lower()} {text}"
            for name, text in facts
            if name in _TOLD_OF
        ]
    return [clean(job.reason)] if job.reason else []


def what_next(job: Job, told: Sequence[Told]) -> list[str]:
    """Return what to do about it, and with which command."""
    last, job_id = _last(job, told), clean(job.job_id)
    texts = [text for _, text in job_advice(job_said(last), last.data)] if last else []
    if any(file.state is FileState.ARCHIVED for file in job.merged.values()):
        texts.append(f"To have its files here: batchwatch fetch {job_id}")
    elif job.stage is not Stage.DONE:
        texts.append(f"To follow it: batchwatch watch {job_id}")
    return texts


def _last(job: Job, told: Sequence[Told]) -> JobEvent | None:
    """Return the last thing that was told of it, if that is still so."""
    events = [each.event for each in told if isinstance(each.event, JobEvent)]
    now = {view.status_of_job(job), "submitted"}
    return events[-1] if events and events[-1].data.status in now else None


def said(job: Job, bucket: str, batches: Batches, told: Sequence[Told]) -> dict[str, Any]:
    """Return all of it as one JSON object: times in ISO 8601 and UTC."""
    return {
        **of_job(job, batches).said,
        "object": f"s3://{bucket}/{job.key}",
        "version": job.version,
        "bytes": job.size,
        "problems": problems(job, told),
        "next": what_next(job, told),
        "metadata": job.options.metadata,
        "parts": [_said_part(part, batches) for part in job.parts],
        "history": [transitions.said(each) for each in told],
    }


def _said_part(part: Part, batches: Batches) -> dict[str, Any]:
    held = part.held if part.state in _UNSENT else None
    known = batches.get(part.batch_id or "")
    counts = known and known.batch and known.batch.counts
    return {
        "number": part.number,
        "state": part.state.value,
        "endpoint": part.endpoint,
        "model": part.model,
        "requests": part.requests,
        "bytes": part.size,
        "batch_id": part.batch_id,
        "round": part.round,
        "status": view.status_of(known) if known else part.status,
        "completed": (counts.completed or 0) if counts else part.completed,
        "failed": (counts.failed or 0) if counts else part.failed,
        "reason": held.why.value if held else part.reason,
        "tries": held.tries if held else None,
        "tried_again_at": view.iso(held.until) if held else None,
    }


def page(job: Job, bucket: str, batches: Batches, told: Sequence[Told], now: float) -> list[Line]:
    """Return what people read, problems first."""
    status, job_id = view.status_of_job(job), clean(job.job_id)
    name = clean(job.key.rpartition("/")[2], 80)
    lines = [Line(f"{name}  {job_id}", "bold"), Line(status, view.style_of_job(job))]
    lines += [Line(f"  ! {text}", "red") for text in problems(job, told)]
    lines += [Line(f"  → {text}") for text in what_next(job, told)]
    lines += [
        Line(""),
        fact("Account", clean(job.account)),
        fact("File", f"{clean(f's3://{bucket}/{job.key}', 1100)}  {size(job.size)}"),
        fact("Arrived", f"{at(job.arrived)} ({duration(now - job.arrived)} ago)"),
        fact("Requests", _requests(job)),
    ]
    lines += [fact("Report", clean(job.report, 1100))] if job.report else []
    lines += block("Parts", [text for part in job.parts for text in _part(part, batches, now)])
    files = [text for role, file in job.merged.items() for text in file_lines(role, file)]
    return [*lines, *block("Files", files), *block("History", transitions.timeline(told))]


def _requests(job: Job) -> str:
    taken = number(job.requests)
    if job.outcome and any(part.batch_id for part in job.parts):
        completed = sum(part.completed or 0 for part in job.parts)
        failed = sum(part.failed or 0 for part in job.parts)
        left = max(0, job.requests - completed - failed)
        taken = requests(taken, completed, failed, left)
    return taken + (f"; {plural(job.rejected, 'line')} set aside" if job.rejected else "")


def _part(part: Part, batches: Batches, now: float) -> list[str]:
    known = batches.get(part.batch_id or "")
    state = view.status_of(known) if known else part.status or part.state.value
    counts = known.batch.counts if known and known.batch else None
    done = f"{number(counts.done)}/" if counts else ""
    what = f"{clean(part.model, 40)} {clean(part.endpoint, 40)}"
    lines = [
        f"{part.number:>3}  {clean(state, 20):<12} {done}{number(part.requests)} requests  {what}"
    ]
    if part.batch_id:
        again = f"  (batch {part.round} of this part)" if part.round > 1 else ""
        lines.append(f"     {clean(part.batch_id, 512)}{again}")
    if part.state in _UNSENT and part.held:
        wait = duration(part.held.until - now) if part.held.until > now else "a moment"
        why = part.held.why.value.replace("_", " ")
        lines.append(f"     waits: {why}; tried again in {wait}")
    elif part.reason:
        lines.append(f"     {clean(part.reason)}")
    return lines
