"""`batchwatch track`: put batches under watch that are not found by themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from batchwatch.cli.command import command
from batchwatch.cli.ids import ids_of, usable_account
from batchwatch.cli.look import view
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from batchwatch.record import Record

_USUAL = "batch_"


@command("track")
def track(
    stack: Stack,
    out: Output,
    batch_ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="Batches; - reads ids from standard input.")
    ],
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            "-a",
            metavar="NAME",
            help="Account of the batches, a name in the secret. [default: the only one known]",
        ),
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Take ids that do not begin with batch_, too.")
    ] = False,
) -> None:
    """Put batches under watch.

    New batches are found by themselves, so this is for the others: where the stack runs with
    Discovery=off, where a provider has no list, or of old ones that had ended before their
    account was first polled. What has ended is announced and archived, too.

    A batch that is watched already stays as it is. OpenAI is not asked here but at the next
    poll: a wrong id is announced as batch.lost after an hour. There is no way to take one back, so
    an id of another form is refused, unless --force is given.

    \b
      batchwatch track batch_6b49…
      batchwatch track --account research - < ids.txt

    Exit code: 0 all of them are under watch; 2 an id is not usable or not of that form, or several
    accounts are known and none was named: then nothing is done.
    """  # noqa: D301 - it keeps lines as they are
    wanted = ids_of(batch_ids, sys.stdin)
    given = usable_account(account) if account else None
    accounts = stack.catalogue.accounts()
    asked = [given] if given else accounts
    rows = stack.catalogue.batches((name, each) for name in asked for each in wanted)
    known = {row.known.batch_id: row.known for row in rows}
    odd = [each for each in wanted if each not in known and not each.startswith(_USUAL)]
    if odd and not force:
        cause = f"{clean(', '.join(odd))}: the ids of batches begin with {_USUAL}"
        raise CommandError(Code.USAGE, cause, "if your provider has others: --force")
    name = given or _only(accounts, [each for each in wanted if each not in known])
    if name not in accounts:
        out.note(
            f"warning: nothing was ever told of an account {name!r}; if the secret does not "
            "have it, nobody polls it; until it is polled, only what is given --account sees it: "
            + stack.command("list", "--status", "open", "--account", name)
        )
    for each in wanted:
        there = known.get(each)
        if there is None or there.abandoned:
            stack.ledger.register(there.account if there else name, each)
        _tell(out, each, there.account if there else name, there)
    if any(each not in known for each in wanted):
        some = wanted[0] if len(wanted) == 1 else "ID…"
        out.note(f"each is looked at by the next poll; to follow: batchwatch watch {some}")


def _only(accounts: list[str], new: list[str]) -> str:
    """Name the account of those that are new; CommandError where it could be one of several."""
    if new and len(accounts) > 1:
        raise CommandError(
            Code.USAGE,
            f"{clean(new[0])} may be of any account: {', '.join(map(clean, accounts))}",
            "name it by --account",
        )
    return accounts[0]


def _tell(out: Output, batch_id: str, account: str, there: Record | None) -> None:
    status = view.status_of(there) if there else "new"
    if out.as_json:
        was_known = there is not None
        named = {"kind": "batch", "id": batch_id, "account": account}
        out.emit({**named, "known": was_known, "status": status})
        return
    if there is None:
        said = "is under watch from now on"
    elif there.abandoned:
        said = "was lost, and is asked for again"
    elif view.over(there):
        said = f"was watched to its end: {clean(status)}"
    else:
        said = f"is watched already: {clean(status)}"
    out.show(f"{batch_id} {said} (account {clean(account)})")
