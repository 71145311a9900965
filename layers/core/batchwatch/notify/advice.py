"""What to do next about a batch that did not simply succeed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.batch import Batch, Role
from batchwatch.events import outcome
from batchwatch.notify.wording import clean, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.events import ArchivedFile

_QUEUE_FULL = "token_limit_exceeded"


def advice(said: str, batch: Batch, lost: Mapping[str, ArchivedFile]) -> list[tuple[str, str]]:
    """Return at most one fact `Next`; `lost` are the files that were not to be had."""
    text = _advice(said, batch, lost)
    return [("Next", text)] if text else []


def _advice(  # noqa: PLR0911 - one each
    said: str, batch: Batch, lost: Mapping[str, ArchivedFile]
) -> str | None:
    match said:
        case "failed":
            return _failed(batch)
        case "expired" | "cancelled":
            return _cut_short(batch)
        case "without success":
            return (
                "Most often one mistake is in all of them. "
                f"{_the_reasons(batch)}Fix it, and send them again."
            )
        case "completed with errors":
            return f"{_the_reasons(batch)}Those that failed can be sent again."
        case "stalled":
            return (
                "It is still watched. See whether OpenAI tells of trouble (status.openai.com). "
                "If you cancel it, what it has done so far is kept, and paid for."
            )
        case "lost":
            return (
                "OpenAI does not know this batch any more. Was it created with the key of another "
                "project, or registered under a wrong id? It is looked for, for 30 more days."
            )
        case "files lost" | "input lost":
            return " ".join(dict.fromkeys(_lost(role, file, batch) for role, file in lost.items()))
        case "unknown":
            return "This version does not know that status. It is still watched."
        case _:
            return None


def _failed(batch: Batch) -> str:
    codes = {error.code for error in (batch.errors.data if batch.errors else [])}
    if _QUEUE_FULL in codes:
        return (
            "Nothing ran, nothing is charged: the queue of that model was full. Send it again "
            "once other batches have ended."
        )
    return "Nothing ran, nothing is charged. Fix the input file, and send it again."


def _cut_short(batch: Batch) -> str | None:
    counts = batch.counts
    if not counts:
        return "Nothing ran, nothing is charged." if outcome(batch) == "none" else None
    if not counts.unfinished:
        return None
    kept = "What was done is kept, and paid for. " if counts.done else ""
    rest = plural(counts.unfinished, "request")
    if batch.file_id(Role.ERROR):
        return f"{kept}{rest} never ran: error.jsonl names them. They can be sent again."
    return f"{kept}{rest} never ran, and can be sent again."


def _the_reasons(batch: Batch) -> str:
    return "The reasons are in error.jsonl. " if batch.file_id(Role.ERROR) else ""


def _lost(role: str, file: ArchivedFile, batch: Batch) -> str:
    known = Role(role) if role in set(Role) else None
    file_id = clean((known and batch.file_id(known)) or "", 100)
    if file.state == "failed":
        return (
            "It is not tried again by itself. OpenAI may have it still, for 30 days at most; its "
            f'SDK fetches it: client.files.content("{file_id or "its id"}")'
        )
    why = "OpenAI has named no such file for a day"
    if file_id:
        why = "OpenAI deletes files after 30 days, or sooner if told so"
    if known is Role.INPUT:
        return f"{why}. What was asked is lacking; what was answered is not affected."
    return f"{why}. If you need what was in it, send the requests again."
