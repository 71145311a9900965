"""Everything known of a batch: for people, problems first; for programs, one object. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.batch import Role, Status
from batchwatch.cli.look import history as transitions
from batchwatch.cli.look import view
from batchwatch.events import ArchivedFile, BatchEvent, outcome
from batchwatch.notify.advice import advice
from batchwatch.notify.digest import title
from batchwatch.notify.facts import all_tokens, lost_facts, requests
from batchwatch.notify.wording import about, clean, duration, number, plural, size
from batchwatch.record import FileState
from batchwatch.submit.unrun import sent_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.batch import Batch, BatchError
    from batchwatch.cli.look.history import Told
    from batchwatch.prices import Prices
    from batchwatch.record import File, Record

_REASONS = 20
_AS_READ = {
    "sent again": "failed, to be sent again",
    "without success": "completed, but no request succeeded",
    "input lost": "completed, input lost",
    "in progress": "in_progress",
}


class Line(NamedTuple):
    """A line for people."""

    text: str
    style: str = ""


class Stage(NamedTuple):
    """When a batch came to a status, and for how many seconds it stayed; None: until now."""

    status: str
    at: int
    seconds: int | None


def stages(batch: Batch) -> list[Stage]:
    """Return where a batch has been, by OpenAI's own times."""
    times = {"validating": batch.created_at} | {
        status.value: getattr(batch, f"{status.value}_at")
        for status in Status
        if status not in {Status.VALIDATING, Status.UNKNOWN}
    }
    come = sorted((at, Status(name).rank, name) for name, at in times.items() if at is not None)
    left = [at for at, *_ in come[1:]]
    return [
        Stage(name, at, until - at if until is not None else None)
        for (at, _, name), until in zip(come, [*left, None], strict=True)
    ]


def standing(known: Record) -> str:
    """Say in a word what matters most, in the words of the digests: `files lost`, `stalled`."""
    batch = known.batch
    if known.lost:
        return "lost"
    lost = lost_files(known)
    if lost.keys() - {Role.INPUT}:
        return "files lost"
    if batch is None:
        return "new"
    if known.terminal:
        end = _end(batch)
        return "input lost" if lost and end == "completed" else end
    if batch.named_status in known.stalled:
        return "stalled"
    return "unknown" if batch.status is Status.UNKNOWN else view.status_of(known).replace("_", " ")


def _end(batch: Batch) -> str:
    if batch.status is Status.FAILED and sent_again(batch):
        return "sent again"
    if batch.status is not Status.COMPLETED:
        return batch.status.value
    how = {"none": "without success", "some": "completed with errors"}
    return how.get(outcome(batch) or "", "completed")


def lost_files(known: Record) -> dict[str, ArchivedFile]:
    """Return the files that are gone or could not be copied."""
    return {
        role.value: ArchivedFile(
            state="gone" if file.state is FileState.GONE else "failed", reason=file.reason
        )
        for role, file in known.files.items()
        if file.state in {FileState.GONE, FileState.FAILED}
    }


def problems(known: Record, told: Sequence[Told]) -> list[str]:
    """Return what is wrong, a line each; validation errors with their lines."""
    batch = known.batch
    found = _absence(known)
    if batch and batch.errors:
        found += [_reason(error) for error in batch.errors.data[:_REASONS]]
        more = (batch.errors.total or len(batch.errors.data)) - _REASONS
        found += [f"and {number(more)} more errors"] if more > 0 else []
    found += [text for _, text in lost_facts(lost_files(known))]
    if standing(known) == "stalled":
        found += _stall(told)
    if batch and batch.status is Status.UNKNOWN:
        found.append(f"OpenAI says: {clean(batch.raw_status, 60)}")
    if batch and batch.counts and batch.counts.failed:
        found.append(f"{plural(batch.counts.failed, 'request')} failed")
    if batch and batch.status.terminal and not known.terminal and not known.lost:
        found.append(f"OpenAI shows it {batch.status}: told once it names the files")
    return found


def _absence(known: Record) -> list[str]:
    if known.lost:
        looked = "; it is looked for no more" if known.abandoned else "; it is still looked for"
        return [f"OpenAI has not known it since {at(known.missing_since or known.lost_at)}{looked}"]
    if known.misses:
        since = at(known.missing_since)
        return [f"OpenAI did not know it when asked: {plural(known.misses, 'time')} since {since}"]
    return []


def _stall(told: Sequence[Told]) -> list[str]:
    for each in reversed(told):
        if isinstance(each.event, BatchEvent) and (stall := each.event.data.stalled):
            what, usual = clean(stall.reason.replace("_", " ")), clean(stall.usual)
            since = f"at {each.event.time:%Y-%m-%d %H:%M} UTC"
            return [f"stalled: {what} for {duration(stall.seconds)} {since}; usual: {usual}"]
    return ["stalled"]


def _reason(error: BatchError) -> str:
    where = f"line {number(error.line)}: " if error.line is not None else ""
    of = ", ".join(clean(each, 60) for each in (error.code, error.param) if each)
    return f"{where}{clean(error.message or 'no message')}" + (f" ({of})" if of else "")


def what_next(known: Record) -> list[str]:
    """Return what to do about it, and with which command."""
    batch_id, word = clean(known.batch_id, 512), standing(known)
    told = [text for _, text in advice(word, known.batch, lost_files(known))] if known.batch else []
    if word == "new":
        told.append("It is looked at in the next poll.")
    if FileState.FAILED in {file.state for file in known.files.values()}:
        told.append(f"To try the files again: batchwatch archive {batch_id}")
    if any(file.s3_uri for role, file in known.files.items() if role is not Role.RECORD):
        told.append(f"To have its files here: batchwatch fetch {batch_id}")
    elif not view.over(known):
        told.append(f"To follow it: batchwatch watch {batch_id}")
    return told


def said(known: Record, prices: Prices, told: Sequence[Told]) -> dict[str, Any]:
    """Return all of it as one JSON object, with the batch as OpenAI showed it last."""
    batch = known.batch
    return view.said(known, prices) | {
        "problems": problems(known, told),
        "next": what_next(known),
        "stages": [
            {"status": stage.status, "at": view.iso(stage.at), "seconds": stage.seconds}
            for stage in (stages(batch) if batch else [])
        ],
        "missing_since": view.iso(known.missing_since),
        "lost_at": view.iso(known.lost_at),
        "batch": batch.said if batch else None,
        "history": [transitions.said(each) for each in told],
    }


def page(known: Record, prices: Prices, told: Sequence[Told], now: float) -> list[Line]:
    """Return what people read."""
    batch, status = known.batch, view.status_of(known)
    word = standing(known)
    read = _AS_READ.get(word, f"{status}, {word}" if word in _BESIDE else word)
    batch_id = clean(known.batch_id, 512)
    name = title(batch) if batch else batch_id
    lines = [Line(batch_id if name == batch_id else f"{name}  {batch_id}", "bold")]
    lines.append(Line(clean(read, 60), view.style_of(known)))
    lines += [Line(f"  ! {text}", "red") for text in problems(known, told)]
    lines += [Line(f"  → {text}") for text in what_next(known)]
    lines.append(Line(""))
    about_it = [
        clean(known.account),
        *([clean(x, 80) for x in (batch.model, batch.endpoint) if x] if batch else []),
    ]
    lines.append(fact("Account", " · ".join(about_it)))
    if batch:
        lines += _of_batch(known, batch, prices, now)
    lines += block(
        "Files", [text for role, file in known.files.items() for text in file_lines(role, file)]
    )
    lines += block("History", transitions.timeline(told))
    return lines


_BESIDE = {"files lost", "stalled"}


def _of_batch(known: Record, batch: Batch, prices: Prices, now: float) -> list[Line]:
    lines = []
    if counts := batch.counts:
        unfinished = counts.unfinished if batch.status.terminal else 0
        total = number(counts.total or 0)
        text = requests(total, counts.completed or 0, counts.failed or 0, unfinished)
        lines.append(fact("Requests", text + ("" if batch.status.terminal else ", so far")))
    left = view.seconds_left(known)
    if left is not None and known.progressed_at + left > now:
        lines.append(
            fact("Done", f"in about {duration(known.progressed_at + left - now)}, at this pace")
        )
    if tokens := all_tokens(batch):
        cost = prices.cost(batch)
        price = f"; {about(cost.dollars)} by {prices.told}" if cost else ""
        lines.append(fact("Tokens", f"{number(tokens)}{price}"))
    if batch.created_at is not None:
        ended = batch.status_at if batch.status.terminal else None
        age = f"{duration(now - batch.created_at)} ago"
        took = f"{age}; took {duration(ended - batch.created_at)}" if ended is not None else age
        lines.append(fact("Made", f"{at(batch.created_at)} ({took})"))
    if batch.expires_at is not None and not batch.status.terminal:
        lines.append(fact("Expires", at(batch.expires_at)))
    if job := view.job_of(known):
        lines.append(fact("Job", f"{job[0]} part {job[1]}"))
    elif known.tracked:
        lines.append(fact("By hand", "registered with track"))
    lines += block("Stages", [_stage(stage) for stage in stages(batch)])
    metadata = batch.metadata or {}
    return lines + block(
        "Metadata", [f"{clean(key, 64)} = {clean(value, 512)}" for key, value in metadata.items()]
    )


def fact(name: str, text: str) -> Line:
    """Return a fact on a line of its own."""
    return Line(f"{name:<10}{text}")


def block(name: str, texts: Sequence[str]) -> list[Line]:
    """Return a heading and what stands below it; nothing where that is nothing."""
    return [Line(""), Line(name, "bold"), *(Line(f"  {text}") for text in texts)] if texts else []


def _stage(stage: Stage) -> str:
    stayed = duration(stage.seconds) if stage.seconds is not None else ""
    return f"{stage.status:<12}  {at(stage.at)}  {stayed}".rstrip()


def file_lines(role: str, file: File) -> list[str]:
    """Tell of a file how it is; where it is, below."""
    parts = [f"{role:<7} {file.state}"]
    if file.state is FileState.ARCHIVED:
        parts.append(size(file.bytes or 0))
        parts += (
            [plural(file.lines, "line")] if file.lines is not None and role != Role.RECORD else []
        )
        parts += [f"crc32 {file.crc32}"] if file.crc32 else []
    elif file.upload and file.upload.done.size:
        whole = f" of {size(file.upload.size)}" if file.upload.size else ""
        parts.append(f"{size(file.upload.done.size)}{whole} copied")
    parts += [f"{file.tries} tries"] if file.tries > 1 else []
    parts += [clean(file.reason)] if file.reason else []
    where = file.s3_uri or file.location
    return ["  ".join(parts), *([f"        {clean(where, 1100)}"] if where else [])]


def at(seconds: float | None) -> str:
    """Write a time for people: `2026-11-22 08:00:00 UTC`."""
    return (view.iso(seconds) or "").replace("T", " ").replace("Z", " UTC")
