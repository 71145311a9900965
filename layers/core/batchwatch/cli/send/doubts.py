"""What there is to ask before files are sent, as it costs money: who pays, and whether twice."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO, TypeVar

from batchwatch.cli.look.view import status_of_job
from batchwatch.cli.send.putting import older_options, same_since
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError, trouble_of
from batchwatch.notify.wording import clean, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.cli.output import Output
    from batchwatch.cli.send.checking import Letter
    from batchwatch.cli.stack import Stack

_T = TypeVar("_T")
_SHOWN = 200  # characters of options


def may_send(
    stack: Stack,
    out: Output,
    ready: Sequence[Letter],
    *,
    yes: bool,
    person: TextIO | None = None,
) -> bool:
    """Tell what is doubtful, and ask on a terminal, unless `yes`.

    Where nobody can be asked, options of another time are a CommandError, as another account may
    pay by them; a file that looks as if it were sent twice is only told of: scripts send one a day
    under one name.
    """
    strange = _strange_accounts(stack, ready)
    for name in strange:
        out.note(
            f"warning: nothing was ever told of an account {name!r}; if the secret does not have"
            " it, the file is refused"
        )
    person = person or sys.stdin
    asked = not yes and person is not None and person.isatty()
    older = _older(stack, out, ready, fatal=not (yes or asked))
    twice = _twice(stack, out, ready)
    if not asked or not (older or twice):
        return True
    return sure(out, "Send it all the same?" if len(ready) == 1 else "Send all of them?", person)


def _strange_accounts(stack: Stack, ready: Sequence[Letter]) -> list[str]:
    named = {letter.options.account for letter in ready if letter.options.account}
    return sorted(named.difference(_if_allowed(stack.catalogue.accounts, named))) if named else []


def _older(stack: Stack, out: Output, ready: Sequence[Letter], *, fatal: bool) -> bool:
    """Tell of options of another time; CommandError where that is `fatal`."""
    found = False
    for letter in ready:
        text = older_options(stack.client("s3"), stack.bucket, letter)
        if text is None:
            continue
        found, name = True, clean(letter.path.name)
        address = f"s3://{stack.bucket}/{letter.sidecar_key}"
        cause = f"options of another time would count for {name}: {address}: {clean(text, _SHOWN)}"
        if fatal:
            beside = clean(letter.sidecar_key.rpartition("/")[2])
            way_out = f"if they are meant: --yes; if not: aws s3 rm {address}, or a {beside} beside"
            raise CommandError(Code.BAD_NEWS, f"{cause}; nothing was sent", way_out)
        out.note(f"warning: {cause}")
    return found


def _twice(stack: Stack, out: Output, ready: Sequence[Letter]) -> bool:
    """Tell what of it looks as if it had been sent before."""
    jobs = {job.key: job for job in _if_allowed(stack.jobs.open_jobs, ())}
    found = False
    for letter in ready:
        job = jobs.get(letter.key)
        if job:
            what = f"{job.job_id} has a file of that name, and is {status_of_job(job)}"
        elif since := same_since(stack.client("s3"), stack.bucket, letter):
            age = duration(time.time() - since)
            what = f"a file of that name and size was put into the inbox {age} ago"
        else:
            continue
        found = True
        out.note(f"note: {clean(letter.path.name)}: {what}; what is sent twice is paid twice")
    return found


def _if_allowed(look: Callable[[], Iterable[_T]], otherwise: Iterable[_T]) -> list[_T]:
    """Look at something; who may send, but not look, is told nothing."""
    try:
        return [*look()]
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None or trouble.code is not Code.DENIED:
            raise
        return [*otherwise]
