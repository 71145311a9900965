"""What to do next about a batch or a job that did not simply succeed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.batch import Batch, Role
from batchwatch.events import outcome
from batchwatch.notify.wording import clean, plural
from batchwatch.submit.unrun import MARK, Why, refused_unrun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.events import ArchivedFile
    from batchwatch.job_events import JobEventData

WHEN_SENT = {
    "token_limit": (
        "It is sent again by itself when batches of that model end. If none is under way, a part "
        "has more than the limit: cancel the job, and drop the file with a smaller part_requests."
    ),
    "rate_limited": "It is sent again by itself as soon as OpenAI allows.",
    "unreachable": (
        "It is sent by itself as soon as OpenAI answers. See whether it tells of trouble "
        "(status.openai.com)."
    ),
    "account_refused": (
        "Look after the key and the credit of that account; then it is sent by itself."
    ),
    "forbidden": (
        "Let the key write batches and files, and use that model; then it is sent by itself."
    ),
    "file_not_ready": "It is sent by itself as soon as OpenAI has the file ready.",
    "uncertain": (
        "It is looked for at OpenAI first, and sent again only if it is not there, so that nothing "
        "is paid twice."
    ),
}


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
        case "sent again":
            job = clean((batch.metadata or {}).get(MARK, "")).partition("/")[0] or "a job"
            return (
                f"Nothing ran, nothing is charged: the queue of that model was full. As a part of "
                f"{job} it is sent again by itself when batches of that model end."
            )
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
    if refused_unrun(batch) is Why.TOKEN_LIMIT:
        return (
            "Nothing ran, nothing is charged: the queue of that model was full. Send it again "
            "once other batches have ended."
        )
    return "Nothing ran, nothing is charged. Fix the input file, and send it again."


def job_advice(said: str, data: JobEventData) -> list[tuple[str, str]]:
    """Return at most one fact `Next` about a job."""
    text = _job_advice(said, data)
    return [("Next", text)] if text else []


def _job_advice(  # noqa: PLR0911 - one each
    said: str, data: JobEventData
) -> str | None:
    totals = data.totals
    reasons = "The reasons are in error.jsonl. " if "error" in (data.files or {}) else ""
    match said:
        case "job refused":
            report = "The report tells which lines, and why. " if data.report else ""
            return (
                f"Nothing was sent, nothing is charged. {report}Mend that, and drop the file again."
            )
        case "job waiting":
            usual = "It is sent by itself as soon as that is over."
            return WHEN_SENT.get(data.waiting.reason if data.waiting else "", usual)
        case "job without success":
            return (
                f"Most often one mistake is in all of them. {reasons}Mend it, and drop the file "
                "again."
            )
        case "job files lost":
            return "What each of its batches answered lies in the folder of that batch."
        case "job completed with errors":
            return f"{reasons}Those that did not succeed can be sent again."
        case "job cancelled" if totals and totals.unfinished:
            kept = "What was done is kept, and paid for. " if totals.completed else ""
            rest = plural(totals.unfinished, "request")
            return f"{kept}{rest} never ran, and can be sent again."
        case _:
            return None


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
