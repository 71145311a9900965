"""Asking before something is done that cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from batchwatch.cli.output import Output


def must_agree(out: Output, what: str, *, yes: bool) -> None:
    """Ask whether `what` is to be done; CommandError unless somebody says so.

    `yes`: somebody has, by `--yes`. Where no terminal looks on, nobody can.
    """
    if yes:
        return
    if not out.live:
        raise CommandError(Code.USAGE, f"this needs a yes: {what}", "add --yes")
    if not typer.confirm(what, err=True):
        raise CommandError(Code.USAGE, "nothing was done")
