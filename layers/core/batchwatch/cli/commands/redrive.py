"""`batchwatch redrive`: dead letters, looked at and sent back."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from batchwatch.cli.command import command
from batchwatch.cli.mend.letters import Letter
from batchwatch.cli.mend.mailbox import Mailbox, mailboxes
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, duration, number, plural


@command("redrive")
def redrive(  # noqa: PLR0913 - as many options
    stack: Stack,
    out: Output,
    queues: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUEUE", help="archive, inbox, notify, relay. [default: all]"),
    ] = None,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="Only the message of this id; repeatable."),
    ] = None,
    send_back: Annotated[
        bool, typer.Option("--send-back", help="Send them back to the queue they came from.")
    ] = False,
    drop_unreadable: Annotated[
        bool, typer.Option("--drop-unreadable", help="Delete those that nothing can be done with.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> Code | None:
    """Show the dead letters: what the functions could not do; and send them back, if wanted.

    Dead letters are orders to the archiver, files dropped into the inbox, events that people or
    the bus could not be told of. To look takes nothing away (each look counts as received). Mend
    what was the cause first: `batchwatch doctor`, docs/operations.md.

    --send-back puts each into its queue again and then deletes it here, one by one. Interrupted
    in between, a message may be in both; to do one twice does no harm. Those that no function can
    ever read stay, until --drop-unreadable deletes them for good.

    \b
      batchwatch redrive                                  what is in all of them
      batchwatch redrive archive --send-back              after a question
      batchwatch redrive --only 2f0c7e1e-... --send-back --yes
      batchwatch redrive inbox --drop-unreadable

    Exit code: 0 nothing lies there (any more); 1 something does; 3 no such message.
    """  # noqa: D301 - click reads \b
    boxes = mailboxes(stack, queues or [])
    found = [(box, letter) for box in boxes for letter in box.letters()]
    if only:
        found = _chosen(found, only)
    _show(out, boxes, [letter for _, letter in found])
    readable = [(box, each) for box, each in found if each.what]
    unreadable = [(box, each) for box, each in found if not each.what]
    left = len(found)
    if send_back:
        where = "where they came from"
        left -= _work(out, readable, f"Send {_count(readable)} back {where}?", yes=yes)
    elif readable:
        out.note("to send them back: batchwatch redrive --send-back")
    if drop_unreadable:
        what = f"Delete {_count(unreadable)} that nobody can read, for good?"
        left -= _work(out, unreadable, what, yes=yes, drop=True)
    elif unreadable:
        out.note("nothing can be done with those unreadable; to delete them: --drop-unreadable")
    return Code.BAD_NEWS if left else None


def _count(found: list[tuple[Mailbox, Letter]]) -> str:
    return plural(len(found), "message")


def _chosen(found: list[tuple[Mailbox, Letter]], only: list[str]) -> list[tuple[Mailbox, Letter]]:
    there = {letter.id for _, letter in found}
    if missing := [name for name in only if name not in there]:
        cause = f"no dead letter has the id {', '.join(clean(name, 80) for name in missing)}"
        raise CommandError(Code.NOT_FOUND, cause, "see what there is: batchwatch redrive")
    return [(box, letter) for box, letter in found if letter.id in only]


def _show(out: Output, boxes: list[Mailbox], letters: list[Letter]) -> None:
    if out.as_json:
        for letter in letters:
            out.emit(letter.said())
        return
    counts = {box.name: sum(letter.queue == box.name for letter in letters) for box in boxes}
    out.show(", ".join(f"{name}: {number(count)}" for name, count in counts.items()))
    if not letters:
        return
    # No table, which would be cut where the screen is narrow: the ids are needed whole.
    for each in letters:
        age, received = duration(time.time() - each.sent_at), plural(each.received, "time")
        queue, name = f"{each.queue:<7}", clean(each.id, 80)
        out.show(f"{queue}  {name}  {each.words}, {age} old, received {received}")


def _work(
    out: Output,
    found: list[tuple[Mailbox, Letter]],
    question: str,
    *,
    yes: bool,
    drop: bool = False,
) -> int:
    """Send back or drop messages, box by box; return how many it was."""
    if not found or not (yes or sure(out, question)):
        out.note("nothing was done")
        return 0
    did, done = ("deleted" if drop else "sent back"), 0
    try:
        for box in dict.fromkeys(box for box, _ in found):
            wanted = {letter.id for each, letter in found if each is box}
            with closing(box.drop(wanted) if drop else box.send_back(wanted)) as letters:
                for letter in letters:
                    done += 1
                    out.note(f"{did}: {letter.queue} {letter.words}")
    finally:
        rest = (
            "" if done == len(found) else "; the others are where they were, or somebody has them"
        )
        out.note(f"{did}: {done} of {_count(found)}{rest}")
    return done
