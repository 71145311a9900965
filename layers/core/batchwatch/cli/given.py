"""Ids as they are given on the command line, or to it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable


def given_ids(arguments: Iterable[str]) -> list[str]:
    """Return each id once, in order; in the place of `-` those of stdin, one a line."""
    ids: list[str] = []
    for argument in arguments:
        lines = sys.stdin if argument == "-" else [argument]
        ids += (line.strip() for line in lines if line.strip())
    if not ids:
        raise CommandError(Code.USAGE, "no id is given", "give ids, or - and one a line on stdin")
    return [*dict.fromkeys(ids)]
