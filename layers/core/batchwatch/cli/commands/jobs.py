"""`batchwatch jobs`: files that are on their way as batches."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from rich.table import Table
from rich.text import Text

from batchwatch.cli.command import command
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.view import iso
from batchwatch.errors import LedgerRowError
from batchwatch.notify.wording import clean, duration, number
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import Job


@command("jobs")
def show_jobs(stack: Stack, out: Output) -> None:
    """Show the files that are being sent, in the order in which they came.

    A job is a file that was dropped or submitted, with all its batches. It is listed until its
    answers are merged; `batchwatch show JOB` knows ended ones, too.
    """
    troubles: list[LedgerRowError] = []
    jobs = [*stack.jobs.open_jobs(troubles)]
    for trouble in troubles:
        out.note(f"a job of the table cannot be read: {trouble}")
    if out.as_json:
        for job in jobs:
            out.emit(_said(job))
    elif jobs:
        out.show(_table(jobs))
    else:
        out.note("no file is being sent; to send one: batchwatch submit FILE")


def _table(jobs: list[Job]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "file", "stage", "age", "requests", "parts"):
        table.add_column(column, overflow="fold" if column == "job" else "ellipsis")
    for job in jobs:
        cells = (
            job.job_id,
            clean(job.key.removeprefix(INBOX)),
            _stage(job),
            duration(time.time() - job.arrived),
            number(job.requests),
            ", ".join(f"{count} {state}" for state, count in _parts(job).items()),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _said(job: Job) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "account": job.account,
        "file": job.key,
        "stage": _stage(job),
        "waiting": job.waiting and job.waiting.value,
        "arrived_at": iso(job.arrived),
        "requests": job.requests,
        "rejected": job.rejected,
        "parts": _parts(job),
    }


def _stage(job: Job) -> str:
    if job.cancelled:
        return "cancelling"
    return f"waiting ({job.waiting.value})" if job.waiting else job.stage.value


def _parts(job: Job) -> dict[str, int]:
    return dict(Counter(part.state.value for part in job.parts))
