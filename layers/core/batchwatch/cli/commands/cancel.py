"""`batchwatch cancel`: a batch, or a job with all its batches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.ids import words_of
from batchwatch.cli.output import Output
from batchwatch.cli.send import submitter
from batchwatch.cli.send.cancelling import JobTarget, find, too_late, well
from batchwatch.cli.stack import Stack
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, plural

if TYPE_CHECKING:
    from batchwatch.cli.send.cancelling import Target

LOOK_EVERY = 2  # seconds
_WHAT_FOLLOWS = (
    "cancelling takes OpenAI up to ten minutes; what is finished by then is charged, and its "
    "answers are archived"
)


@command("cancel")
def cancel(  # noqa: PLR0913 - each is an option
    stack: Stack,
    out: Output,
    *,
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="ID",
            help="Batches, jobs, or names of dropped files (*.jsonl); - reads ids from standard "
            "input.",
        ),
    ],
    account: AccountName = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all are cancelled.")] = False,
) -> Code:
    """Cancel batches, or jobs with all their batches.

    Asks first on a terminal; elsewhere --yes is needed. OpenAI takes up to ten minutes to
    cancel a batch. Requests that are finished by then are charged, and their answers are
    archived; the others are not run. Parts of a job that wait are never sent. To cancel once
    more does no harm.

    \b
      batchwatch cancel batch_6b49…
      batchwatch cancel questions.jsonl --yes --wait

    The function Submitter does it, as it has the key, which needs the right to write batches.

    Exit code: 0 OpenAI is cancelling, or has (with --wait: has); 1 something had ended in
    another way, or was done to its last request by then, Submitter failed, or you said no; 3
    nobody knows that id.
    """  # noqa: D301 - it keeps lines as they are
    targets = [find(stack, each, account) for each in words_of(wanted, sys.stdin)]
    if wait:
        _refuse_to_wait_in_vain(targets)
    open_ones = [target for target in targets if target.end is None]
    if open_ones and not yes and not _confirmed(out, open_ones):
        out.note("nothing was cancelled")
        return Code.BAD_NEWS
    code, asked = Code.WELL, []
    for target in targets:
        try:
            _cancel(stack, out, target)
            asked.append(target)
        except CommandError as trouble:  # the others are to be cancelled all the same
            if trouble.code is Code.INTERRUPTED:
                raise
            out.trouble(trouble)
            code = code or trouble.code
    running = [target for target in asked if target.end is None]
    if running:
        out.note(_WHAT_FOLLOWS)
    for target in running if wait else []:
        ended = _wait(stack, out, target)
        code = code or ended
    return code


def _confirmed(out: Output, targets: list[Target]) -> bool:
    for target in targets:
        out.note(f"  {target}: {target.state}")
    done = sum(target.done for target in targets)
    charged = f"{plural(done, 'request')} {'is' if done == 1 else 'are'} done, and charged. "
    return sure(out, f"{charged}Cancel {'it' if len(targets) == 1 else 'all of them'}?")


def _refuse_to_wait_in_vain(targets: list[Target]) -> None:
    unseen = [t.id for t in targets if not isinstance(t, JobTarget) and t.known is None]
    if unseen:
        raise CommandError(
            Code.NOT_FOUND,
            f"{unseen[0]} is not under watch, so nobody would see that it is cancelled",
            f"batchwatch track {unseen[0]}, or cancel it without --wait",
        )


def _cancel(stack: Stack, out: Output, target: Target) -> None:
    if target.end is not None:
        _tell_end(out, target)
        return
    try:
        said = submitter.cancel(stack, target.id, target.account)
    except KeyboardInterrupt as error:
        raise CommandError(
            Code.INTERRUPTED,
            f"stopped: {target.id} is perhaps being cancelled all the same",
            f"to be sure: batchwatch cancel {target.id} --yes; to ask again does no harm",
        ) from error
    except submitter.EndedAlreadyError as error:
        target = target.again(stack)
        if target.end is None:
            raise CommandError(error.code, str(error), "the next poll tells how") from error
        _tell_end(out, target)
        return
    out.show(f"{target}: {_done(said)}")
    if out.as_json:
        kind = "job" if isinstance(target, JobTarget) else "batch"
        out.emit(
            {
                "kind": kind,
                "id": target.id,
                **{name: said[name] for name in said if name != "cancel"},
            }
        )
    for problem in said.get("problems") or ():
        out.note(f"warning: not yet, but tried again every minute: {clean(problem)}")


def _done(said: dict[str, Any]) -> str:
    parts = [clean(said.get("status") or "cancelling")]
    if batches := said.get("batches_cancelling"):
        parts.append(f"{plural(len(batches), 'batch')} being cancelled")
    if unsent := said.get("parts_never_sent"):
        parts.append(f"{plural(len(unsent), 'part')} never sent")
    return ", ".join(parts)


def _tell_end(out: Output, target: Target) -> None:
    """Say how it has ended; CommandError where that is not as it was to."""
    if not well(target):
        late = too_late(target)
        cause = f"{target} has already ended: {target.state}" + (late and f"; {late}")
        raise CommandError(Code.BAD_NEWS, cause)
    out.show(f"{target} is cancelled already")
    if out.as_json:
        out.emit(target.said())


def _wait(stack: Stack, out: Output, target: Target) -> Code:
    """Wait for the end, a line for each change; Ctrl-C ends the waiting alone."""
    told = ""
    try:
        while not (target := target.again(stack)).over:
            if told != (told := target.state):
                out.note(f"{target.id}: {told}")
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt as error:
        raise CommandError(
            Code.INTERRUPTED,
            f"stopped: nobody waits for {target.id} any more; its cancellation goes on",
            f"to wait again: batchwatch cancel {target.id} --yes --wait",
        ) from error
    late = too_late(target)
    out.show(f"{target}: {late or target.state}")
    if out.as_json:
        out.emit(target.said())
        if late:
            out.note(f"{target}: {late}")
    return Code.WELL if well(target) else Code.BAD_NEWS
