"""`batchwatch replay`: events that were announced, announced again as they were."""

from __future__ import annotations

import sys
from typing import Annotated, NamedTuple

import typer
from pydantic import ValidationError

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.ids import ids_of
from batchwatch.cli.look.kept import Kept, kept_events
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.job_events import Event, read_event
from batchwatch.notify.wording import clean, plural


class Chosen(NamedTuple):
    """An event to be announced again."""

    subject: str
    kept: Kept
    event: Event


@command("replay")
def replay(  # noqa: PLR0913 - as many options
    stack: Stack,
    out: Output,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", help="Batches or jobs; - reads ids from standard input."),
    ],
    account: AccountName = None,
    *,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help="Only events of this type; repeatable. `batch.` may be left out.",
        ),
    ] = None,
    sequences: Annotated[
        list[int] | None,
        typer.Option("--sequence", metavar="N", help="Only event number N; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print which events would be announced.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> Code | None:
    """Announce events of batches or jobs again: the same texts, to the byte.

    They are published on the topic as they lie in the bucket under events/, with the same
    attributes and subject, in sequence. Every subscriber hears them whose filter lets them pass;
    one that remembers ids, as the README asks, knows those that it has had. People are not told
    again what they were told within 30 days.

    Without --type and --sequence it is all events. Asks first on a terminal; elsewhere --yes is
    needed.

    \b
      batchwatch replay batch_6b49… --type completed
      batchwatch replay batch_6b49… --sequence 3 --sequence 4
      batchwatch replay --dry-run batch_6b49…
      batchwatch list --json | jq -r .id | batchwatch replay - -t archived --yes

    Exit code: 0 all were announced; 1 one cannot be read, SNS refused it, or you said no; 3 an
    id has no event of that number or of these types, or a type is none of theirs: then nothing is
    announced. Interrupted, it says how far it came.
    """  # noqa: D301 - click reads \b
    chosen = [
        each
        for subject in ids_of(ids, sys.stdin)
        for each in _choose(stack, subject, account, types, sequences)
    ]
    for name in types or ():
        if not any(_is_of(each.kept, name) for each in chosen):
            cause = f"none of them has an event {clean(name, 80)}; nothing was announced"
            raise CommandError(Code.NOT_FOUND, cause, "see what there is: batchwatch events ID")
    if dry_run:
        for each in chosen:
            _tell(out, each, published=False)
        out.note(f"{plural(len(chosen), 'event')} would be announced")
        return None
    subjects = len({each.subject for each in chosen})
    of = clean(chosen[0].subject) if subjects == 1 else f"{subjects} batches or jobs"
    what = f"Announce {plural(len(chosen), 'event')} of {of} again, to every subscriber?"
    if not (yes or sure(out, what)):
        out.note("nothing was done")
        return Code.BAD_NEWS
    _publish(stack, out, chosen)
    return None


def _choose(
    stack: Stack,
    subject: str,
    account: str | None,
    types: list[str] | None,
    sequences: list[int] | None,
) -> list[Chosen]:
    accounts = [account] if account else stack.catalogue.accounts()
    kept = [each for name in accounts for each in kept_events(stack, name, subject)]
    if not kept:
        cause = f"no event of {subject} is in the bucket"
        raise CommandError(Code.NOT_FOUND, cause, "what was never announced cannot be repeated")
    chosen = [
        each
        for each in kept
        if (not types or any(_is_of(each, name) for name in types))
        and (not sequences or each.sequence in sequences)
    ]
    missing = [f"number {n}" for n in sequences or () if n not in {e.sequence for e in kept}]
    if missing or not chosen:
        there = ", ".join(f"{each.sequence} {each.type}" for each in kept)
        what = f"event {clean(', '.join(missing))}" if missing else "such event"
        cause = f"{subject} has no {what}; nothing was announced"
        raise CommandError(Code.NOT_FOUND, cause, f"it has: {clean(there, 1000)}")
    return [Chosen(subject, each, _read(stack, each)) for each in chosen]


def _is_of(kept: Kept, name: str) -> bool:
    """Whether an event is of a type, `completed` being short for `batch.completed`."""
    return kept.type == name or kept.type.partition(".")[2] == name


def _read(stack: Stack, kept: Kept) -> Event:
    try:
        return read_event(kept.text)
    except ValidationError as error:
        cause = f"s3://{stack.bucket}/{kept.key} is no event that this version can read"
        raise CommandError(Code.BAD_NEWS, cause, "leave it out by --type or --sequence") from error


def _publish(stack: Stack, out: Output, chosen: list[Chosen]) -> None:
    done = 0
    try:
        for each in chosen:
            stack.publisher.publish(each.event, each.kept.text)
            done += 1
            _tell(out, each, published=True)
    finally:
        if done < len(chosen):
            left = chosen[done]
            out.note(
                f"{done} of {plural(len(chosen), 'event')} announced; the next is"
                f" {left.kept.type} of {clean(left.subject)}, number {left.kept.sequence}"
            )
    out.note(f"{plural(done, 'event')} announced")


def _tell(out: Output, each: Chosen, *, published: bool) -> None:
    if out.as_json:
        out.emit(
            {
                "subject": each.subject,
                "account": each.event.data.account,
                "sequence": each.kept.sequence,
                "type": each.kept.type,
                "id": each.event.id,
                "published": published,
            }
        )
    out.show(f"{each.kept.sequence:>4}  {clean(each.kept.type):<20}  {clean(each.subject)}")
