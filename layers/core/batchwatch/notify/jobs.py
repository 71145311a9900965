"""What there is to say of a job: a file that was dropped, sent as one batch or several. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from batchwatch.notify.advice import job_advice
from batchwatch.notify.facts import files_fact, lost_facts, requests, too_long
from batchwatch.notify.wording import clean, number, plural

if TYPE_CHECKING:
    from batchwatch.job_events import JobEvent, JobEventData
    from batchwatch.notify.facts import Facts

_LONGEST_NAME = 80
_MANY = 3
_ENDS = {"all": "job completed", "some": "job completed with errors", "none": "job without success"}
_WAITS = {
    "token_limit": "the queue of its model at OpenAI is full",
    "rate_limited": "OpenAI takes no more requests for the moment",
    "unreachable": "OpenAI does not answer",
    "account_refused": "OpenAI refuses the account",
    "forbidden": "OpenAI refuses this to the key",
    "file_not_ready": "OpenAI has not yet taken in the file",
    "uncertain": "it is uncertain whether OpenAI has made the batch",
}


def job_said(last: JobEvent) -> str:
    """Say in a few words what is the case: `job waiting`, by the last event that is told."""
    if last.type == "job.completed":
        if lost_facts(last.data.files or {}):
            return "job files lost"
        return _ENDS[last.outcome or "all"]
    return f"job {clean(last.type.removeprefix('job.').replace('_', ' '), 40)}"


def job_title(last: JobEvent) -> str:
    """The name of its file, without the folders; else its id."""
    name = clean(last.data.object.rpartition("/")[2], _LONGEST_NAME)
    return name or clean(last.subject, 512)


def job_facts(last: JobEvent, said: str, bucket: str) -> Facts:
    """Return what its last event tells; cost and tokens are told of its batches."""
    data = last.data
    return [
        *_about(data),
        *_requests(data),
        *_parts(data),
        *_rejected(data),
        *_reasons(data),
        *_files(data),
        *(too_long(last, bucket) if data.reduced else []),
        *job_advice(said, data),
    ]


def _about(data: JobEventData) -> Facts:
    told = [f"account {clean(data.account)}"]
    for noun, values in (
        ("model", {part.model for part in data.parts}),
        ("endpoint", {part.endpoint for part in data.parts}),
    ):
        names = sorted(filter(None, (clean(each, 80) for each in values)))
        told += names if len(names) <= _MANY else [plural(len(names), noun)]
    return [("Job", " · ".join(told))]


def _requests(data: JobEventData) -> Facts:
    totals = data.totals
    if totals:
        total = number(totals.requests)
        text = requests(total, totals.completed, totals.failed, totals.unfinished)
        return [("Requests", text)]
    return [("Requests", number(data.requests))] if data.requests else []


def _parts(data: JobEventData) -> Facts:
    """How many parts have come how far: `2 completed, 1 waiting`."""
    counts = Counter(clean(part.status or part.state, 40) for part in data.parts)
    told = ", ".join(f"{number(count)} {state}" for state, count in counts.items())
    return [("Parts", told)] if told else []


def _rejected(data: JobEventData) -> Facts:
    """How many lines were not taken, and where it stands which."""
    lines = f"{plural(data.rejected, 'line')} set aside" if data.rejected else ""
    told = [text for text in (clean(data.report or "", 1024), lines) if text]
    return [("Rejected", "  ".join(told))] if told else []


def _reasons(data: JobEventData) -> Facts:
    """Why it was refused or waits; else, what the parts say that came to nothing."""
    if data.reason:
        return [("Reason", clean(data.reason))]
    if data.waiting:
        why = data.waiting.reason
        return [
            ("Reason", _WAITS.get(why) or clean(why.replace("_", " "))),
            (
                "Since",
                f"{data.waiting.since:%Y-%m-%d %H:%M} UTC, {plural(data.waiting.parts, 'part')}",
            ),
        ]
    told = [(part.number, clean(part.reason)) for part in data.parts if part.reason]
    facts = [("Reason", f"part {number(which)}: {reason}") for which, reason in told[:_MANY]]
    more = len(told) - _MANY
    return [*facts, ("Reason", f"and {number(more)} more")] if more > 0 else facts


def _files(data: JobEventData) -> Facts:
    files = data.files or {}
    there = any(file.s3_uri for file in files.values())
    return [*lost_facts(files), *(files_fact(files, "") if there else [])]
