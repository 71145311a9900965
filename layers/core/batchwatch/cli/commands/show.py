"""`batchwatch show`: everything known of one batch or job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.look import detail, job_detail
from batchwatch.cli.look.history import history
from batchwatch.cli.look.kept import kept_events
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.submit.job import is_job_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.cli.look.detail import Line
    from batchwatch.submit.job import Job


@command("show")
def show_one(
    stack: Stack,
    out: Output,
    subject: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a batch (batch_…) or of a job (job_…).")
    ],
    account: AccountName = None,
) -> None:
    """Show everything known of a batch or a job.

    Of a batch, what is wrong comes first, with the lines of the file that failed validation, and
    what to do next; then requests, cost, the time that each status took, metadata, the files in
    the bucket with size, lines and checksum, and each transition as it was told. Of a job (a file
    that was dropped): why it waits, its parts with their batches, the merged files.

    \b
      batchwatch show batch_6b49d200819080aa9c1f3de5b7a90c42
      batchwatch show job_0f5ab2c91d7e4463a80b1c22 --json | jq '.parts[].batch_id'

    --json prints one object with all of it; "batch" in it is what OpenAI said last.

    Exit code: 0 however it fares (watch has one that tells); 3 it is not known.
    """  # noqa: D301 - click reads \b
    if is_job_id(subject):
        _show_job(stack, out, find_job(stack, subject))
        return
    known = stack.find(subject, account)
    told = history(kept_events(stack, known.account, known.batch_id), known.outbox)
    if out.as_json:
        out.emit(detail.said(known, stack.prices, told))
    _print(out, detail.page(known, stack.prices, told, time.time()))


def find_job(stack: Stack, job_id: str) -> Job:
    """Return what is known of a job; CommandError where there is none."""
    job = stack.jobs.get(job_id)
    if job is None:
        raise CommandError(
            Code.NOT_FOUND,
            f"the stack {stack.name!r} knows no job {job_id}",
            "a file that was just dropped is known within seconds; otherwise look at --stack",
        )
    return job


def _show_job(stack: Stack, out: Output, job: Job) -> None:
    told = history(kept_events(stack, job.account, job.job_id), job.outbox)
    keys = [(job.account, part.batch_id) for part in job.parts if part.batch_id]
    rows = stack.catalogue.batches(keys)
    batches = {row.known.batch_id: row.known for row in rows if not row.trouble}
    if out.as_json:
        out.emit(job_detail.said(job, stack.bucket, batches, told))
    _print(out, job_detail.page(job, stack.bucket, batches, told, time.time()))


def _print(out: Output, lines: Iterable[Line]) -> None:
    for line in lines:
        out.show(Text(line.text, style=line.style))
