"""What to do next about a batch that did not simply succeed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.notify.wording import plural

if TYPE_CHECKING:
    from batchwatch.batch import Batch
    from batchwatch.events import BatchEvent

_QUEUE_FULL = "token_limit_exceeded"


def advice(said: str, batch: Batch, last: BatchEvent) -> list[tuple[str, str]]:
    """Return at most one fact `Next`."""
    text = _advice(said, batch, last)
    return [("Next", text)] if text else []


def _advice(said: str, batch: Batch, last: BatchEvent) -> str | None:  # noqa: PLR0911 - one each
    match said:
        case "failed":
            return _failed(batch)
        case "expired" | "cancelled":
            return _cut_short(batch)
        case "without success":
            return (
                "Every request failed, most often for one mistake in all of them: error.jsonl "
                "has the reasons. Mend it, and send them again."
            )
        case "completed with errors":
            return "error.jsonl has the reasons; those requests can be sent again."
        case "stalled":
            return (
                "It is watched on. See whether OpenAI tells of trouble (status.openai.com); "
                "if it is cancelled, what it has done so far is kept."
            )
        case "lost":
            return (
                "OpenAI does not know this batch any more. Was it created with the key of another "
                "project? It is looked for, for 30 days more."
            )
        case "files lost":
            return _files_lost(last)
        case "unknown":
            return "OpenAI shows a status that this version does not know. It is watched on."
        case _:
            return None


def _failed(batch: Batch) -> str:
    codes = {error.code for error in (batch.errors.data if batch.errors else [])}
    if _QUEUE_FULL in codes:
        return (
            "Nothing ran, nothing is charged: the queue of that model was full. Send it again "
            "once other batches have ended."
        )
    return "Nothing ran, nothing is charged. Mend the input file, and send it again."


def _cut_short(batch: Batch) -> str | None:
    counts = batch.counts
    if not counts or not counts.unfinished:
        return None
    kept = "What was done is kept, and paid for. " if counts.done else ""
    rest = plural(counts.unfinished, "request")
    return f"{kept}{rest} never ran: error.jsonl names them. Send those again."


def _files_lost(last: BatchEvent) -> str:
    states = {file.state for file in (last.data.files or {}).values()}
    if "failed" in states:
        return "It could not be had whole, though often tried. It may still be had by hand, soon."
    return "OpenAI has it no longer: files are deleted after 30 days, or sooner if you said so."
