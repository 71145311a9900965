"""`batchwatch archive`: what is archived of a batch, verified and mended."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.ids import ids_of
from batchwatch.cli.look import view
from batchwatch.cli.mend.mending import (
    Case,
    incomplete,
    look,
    mend,
    must_keep_versions,
    refuse_jobs,
)
from batchwatch.cli.mend.verifying import Found
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, duration, plural, size
from batchwatch.record import Record

LOOK_EVERY = 1
"""Seconds between two looks at a copy under way."""
_OF_THIS_VERSION = "OperatorsPolicy"
"""An output of stacks whose archiver knows attempts; one that does not would tell the first again,
with other content."""


@command("archive")
def archive(  # noqa: PLR0913 - as many options
    stack: Stack,
    out: Output,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="Batches; - reads ids from standard input.")
    ],
    account: AccountName = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only verify; exit 1 if anything is wrong.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify, and print what would be done.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before an object is deleted.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until all is archived, or do not.")
    ] = True,
) -> Code | None:
    """Verify what is archived of batches, and have copied again what is not there.

    Reads every archived object from end to end and compares it with the ledger: bytes, lines,
    crc32. Files that are missing or different, and those that could not be had before, are copied
    again by the archiver; nothing else is. Then batch.archived is announced again, with an
    `attempt` that is one higher (not of batches that had ended before the watch began).

    An object that is in the way of its copy is deleted first, after a question. The bucket keeps
    versions, so it stays in the history of its key.

    \b
      batchwatch archive batch_6b49…                  verify and mend, wait for the end
      batchwatch archive --check batch_6b49…          only verify
      batchwatch list --json | jq -r .id | batchwatch archive --check -

    Exit code: 0 all of it is there; 1 something is wrong (--check), could not be had, or a batch
    has not ended.
    """  # noqa: D301 - click reads \b
    wanted = ids_of(ids, sys.stdin)
    refuse_jobs(stack, wanted)
    records = stack.find_all(wanted, account)
    cases = _look(stack, out, records)
    for case in cases:
        _show(out, case)
    to_mend = [case for case in cases if case.wrong and not case.in_work]
    if not check:
        _warn(out, to_mend)
    if check or dry_run:
        for case in cases:
            if out.as_json:
                out.emit(_said(case.known, case))
        if check and to_mend:
            names = (clean(case.known.batch_id) for case in to_mend)
            out.note(f"to mend: batchwatch archive {' '.join(names)}")
        return Code.BAD_NEWS if check and not all(case.well for case in cases) else None
    if not _may(stack, out, to_mend, yes=yes):
        out.note("nothing was done")
        return Code.BAD_NEWS
    code, after = _do_all(stack, out, cases)
    if wait:
        after = _wait(stack, out, after)
    for case, known in zip(cases, after, strict=True):
        _tell(out, case, known)
    bad = any(not known.terminal or incomplete(known) for known in after)
    stuck = any(case.wrong and case.in_work for case in cases)
    return code or (Code.BAD_NEWS if bad or stuck else None)


def _look(stack: Stack, out: Output, records: list[Record]) -> list[Case]:
    kept = [f.bytes or 0 for known in records for f in known.files.values() if f.s3_uri]
    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=out.notes, disable=not out.live, transient=True) as bar:
        task = bar.add_task("", total=sum(kept))
        return [look(stack, known, lambda size: bar.advance(task, size)) for known in records]


def _show(out: Output, case: Case) -> None:
    known = case.known
    name, status = clean(known.batch_id), clean(view.status_of(known), 20)
    if not known.terminal:
        then = "there is nothing to archive" if known.lost else "it is archived when it has ended"
        out.note(f"{name} is {status}: {then}")
        return
    out.show(f"{name} ({clean(known.account)}), {status}, attempt {known.attempt}")
    for each in case.findings:
        out.show(f"  {each.role:<7} {each.found:<10} {clean(each.why)}".rstrip())
    if not case.in_work:
        return
    until = case.worker_until(time.time())
    if until is not None:
        left = duration(until - time.time())
        out.note(f"{name} is being archived right now; the worker has it for {left} at most")
    elif any(each.found is Found.PENDING for each in case.findings):
        out.note(f"{name} is about to be archived; nobody is at it at this moment")
    elif any(each.found is Found.UNKNOWN for each in case.findings):
        out.note(f"{name} has a file in a state that this command does not know; update it")
    else:
        out.note(f"{name} has a file without an id yet; OpenAI is asked for it every hour")
    if case.wrong:
        out.note(f"  once that is done, look again: batchwatch archive {name}")


def _warn(out: Output, to_mend: list[Case]) -> None:
    """Say beforehand what will be done, and what will hardly help."""
    for case in to_mend:
        name = clean(case.known.batch_id)
        roles = " and ".join(sorted(each.role for each in case.wrong))
        out.note(f"{name}: {roles} to be copied again, as attempt {case.known.attempt + 1}")
        for key, _ in sorted(case.in_the_way):
            out.note(f"  to be deleted, as it is in the way: {clean(key, 1024)}")
        if case.too_late(time.time()):
            age = duration(time.time() - (case.known.created_at or 0))
            out.note(
                f"  it was made {age} ago; OpenAI keeps files for 30 days, so they will hardly"
                " be had any more"
            )


def _may(stack: Stack, out: Output, to_mend: list[Case], *, yes: bool) -> bool:
    """Whether it may be mended: the stack is of this version, and what is deleted agreed upon."""
    if to_mend:
        stack.output(_OF_THIS_VERSION)
    count = sum(len(case.in_the_way) for case in to_mend)
    if not count:
        return True
    must_keep_versions(stack)
    what = f"Delete {plural(count, 'object')}? The bucket keeps them as older versions."
    return yes or sure(out, what)


def _do_all(stack: Stack, out: Output, cases: list[Case]) -> tuple[Code | None, list[Record]]:
    """Have each mended; where one cannot be, the others are all the same, and it stays as it is."""
    code: Code | None = None
    after: list[Record] = []
    try:
        for case in cases:
            try:
                after.append(_do(stack, out, case))
            except CommandError as trouble:
                out.trouble(trouble)
                code, after = code or trouble.code, [*after, case.known]
    except KeyboardInterrupt:
        out.note("what is ordered by now is archived; the same command goes on with the others")
        raise
    return code, after


def _do(stack: Stack, out: Output, case: Case) -> Record:
    """Have a batch mended; give the order again where nobody is at it."""
    known = case.known
    if not case.in_work:
        return mend(stack, case, time.time())
    pending = any(each.found is Found.PENDING for each in case.findings)
    if pending and case.worker_until(time.time()) is None:
        stack.orders.give(known.account, known.batch_id)
        out.note(f"{clean(known.batch_id)}: the order is given again")
    return known


def _wait(stack: Stack, out: Output, records: list[Record]) -> list[Record]:
    """Look until all are archived that have ended; what is under way does not depend on it."""
    left = _left(records)
    if not left:
        return records
    doing = TextColumn("{task.description}")
    columns = (TextColumn("archiving"), BarColumn(), MofNCompleteColumn(), doing)
    out.note(f"waiting for {plural(left, 'file')}; Ctrl-C leaves it to the archiver")
    files = [file for known in records for file in known.files.values()]
    if until := max((f.give_up_at or 0 for f in files if not f.state.final), default=0):
        out.note(f"  OpenAI is asked for missing ids for {duration(until - time.time())} at most")
    try:
        with Progress(*columns, console=out.notes, disable=not out.live, transient=True) as bar:
            task = bar.add_task("", total=left)
            while now_left := _left(records):
                bar.update(task, completed=left - now_left, description=_doing(records))
                time.sleep(LOOK_EVERY)
                records = [
                    known if _over(known) else stack.ledger.get(known.account, known.batch_id)
                    for known in records
                ]
    except KeyboardInterrupt:
        names = " ".join(clean(known.batch_id) for known in records if not _over(known))
        out.note(f"the archiver goes on by itself; see batchwatch archive --check {names}")
        raise
    return records


def _over(known: Record) -> bool:
    return not known.terminal or known.archived


def _left(records: list[Record]) -> int:
    """Count the files that have not found their end."""
    ended = (known for known in records if known.terminal)
    return sum(not file.state.final for known in ended for file in known.files.values())


def _doing(records: list[Record]) -> str:
    """How far the copies have come that are under way."""
    files = [file for known in records for file in known.files.values() if file.upload]
    return ", ".join(size(file.upload.done.size) for file in files[:3] if file.upload)


def _tell(out: Output, case: Case, known: Record) -> None:
    if out.as_json:
        out.emit(_said(known, case))
    if not known.terminal:
        return
    name, again = clean(known.batch_id), known.attempt > case.known.attempt
    if not known.archived:
        out.show(f"{name}: ordered, attempt {known.attempt}")
    elif incomplete(known):
        lost = [
            f"{role} ({file.state}: {clean(file.reason or '')})"
            for role, file in known.files.items()
            if file.state in {"gone", "failed"}
        ]
        out.show(f"{name}: not to be had: {', '.join(lost)}")
    elif case.well:
        out.show(f"{name}: all of it is there")
    elif known is case.known:
        out.show(f"{name}: as it was")  # why, has been told
    else:
        out.show(f"{name}: archived" + (f", attempt {known.attempt}" if again else ""))


def _said(known: Record, case: Case) -> dict[str, Any]:
    """What was found, and what is there now, as one JSON object."""
    return {
        "kind": "batch",
        "id": known.batch_id,
        "account": known.account,
        "status": view.status_of(known),
        "attempt": known.attempt,
        "archive": view.files_of(known) or None,
        "files": {
            str(each.role): {
                "found": str(each.found),
                "why": each.why or None,
                "state": str(known.files[each.role].state) if each.role in known.files else None,
                "key": each.key,
            }
            for each in case.findings
        },
    }
