"""`batchwatch jobs`: files that are on their way as batches."""

from __future__ import annotations

import time

from rich.text import Text

from batchwatch.cli.command import command
from batchwatch.cli.follow.progress import of_job, parts_of
from batchwatch.cli.look.columns import Cell, Head, Step, fit
from batchwatch.cli.look.view import status_of_job
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.errors import LedgerRowError
from batchwatch.notify.wording import clean, duration, number
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import Job

_HEADS = {
    "job": Head("job"),
    "file": Head("file"),
    "status": Head("status"),
    "age": Head("age", right=True),
    "requests": Head("requests", right=True),
    "parts": Head("parts"),
}
_STEPS = (
    Step("cut", "file", 16),
    Step("narrow"),
    Step("drop", "parts"),
    Step("drop", "requests"),
    Step("drop", "age"),
    Step("cut", "file", 8),
    Step("drop", "file"),
)


@command("jobs")
def show_jobs(stack: Stack, out: Output) -> None:
    """Show the files that are being sent, in the order in which they came.

    A job is a file that was dropped or submitted, with all its batches. It is listed until its
    answers are merged; `batchwatch show JOB` knows ended ones, too.

    \b
      batchwatch jobs
      batchwatch jobs --json | jq -r 'select(.status == "waiting") | .id'

    Exit code: 0, also where there is none.
    """  # noqa: D301 - click reads \b
    troubles: list[LedgerRowError] = []
    jobs = [*stack.jobs.open_jobs(troubles)]
    for trouble in troubles:
        out.note(f"a job of the table cannot be read: {trouble}")
    if out.as_json:
        _emit(stack, out, jobs)
    elif jobs:
        _show(out, jobs)
    else:
        out.note("no file is being sent; to send one: batchwatch submit FILE")


def _emit(stack: Stack, out: Output, jobs: list[Job]) -> None:
    keys = [(job.account, part.batch_id) for job in jobs for part in job.parts if part.batch_id]
    rows = stack.catalogue.batches(dict.fromkeys(keys))
    known = {(row.known.account, row.known.batch_id): row.known for row in rows if not row.trouble}
    for job in jobs:
        batches = {key[1]: each for key, each in known.items() if key[0] == job.account}
        out.emit(of_job(job, batches).said)


def _show(out: Output, jobs: list[Job]) -> None:
    lines = [_cells(job) for job in jobs]
    room = out.answers.width if out.answers.is_terminal else None
    layout = fit(lines, _HEADS, _STEPS, room)
    out.show(Text(layout.head, style="bold"))
    for line in lines:
        text = Text.assemble(*layout.line(line))
        text.rstrip()
        out.show(text)


def _cells(job: Job) -> dict[str, Cell]:
    return {
        "job": Cell(job.job_id),
        "file": Cell(clean(job.key.removeprefix(INBOX))),
        "status": Cell(status_of_job(job)),
        "age": Cell(duration(time.time() - job.arrived)),
        "requests": Cell(number(job.requests)),
        "parts": Cell(parts_of(job)),
    }
