"""Ids as people give them: one by one, or lines of standard input. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchwatch.batch import safe_id
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.errors import UnsafeIdError
from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

STDIN = "-"
_SHOWN = 80
_BOM = "\ufeff"  # some editors begin a file with it
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def usable(text: str) -> str:
    """Return an id that may be asked for; CommandError that shows the one which may not."""
    try:
        return safe_id(text)
    except UnsafeIdError as error:
        raise CommandError(Code.USAGE, f"{clean(text, _SHOWN)!r}: {error}") from error


def ids_of(arguments: Iterable[str], stdin: Iterable[str] | None) -> list[str]:
    """Return each id once, in order; `-` stands for the words of standard input."""
    return [usable(word) for word in words_of(arguments, stdin)]


def words_of(arguments: Iterable[str], stdin: Iterable[str] | None) -> list[str]:
    """Return each id or name once, in order; `-` stands for the words of standard input."""
    words: list[str] = []
    try:
        for argument in arguments:
            words += _words(stdin or ()) if argument == STDIN else [argument]
    except UnicodeDecodeError as error:
        raise CommandError(
            Code.USAGE, "standard input is not text", "give one id a line"
        ) from error
    if not words:
        raise CommandError(Code.USAGE, "standard input holds no ids", "give one id a line")
    return [*dict.fromkeys(words)]


def _words(lines: Iterable[str]) -> list[str]:
    return [word for line in lines for word in line.removeprefix(_BOM).split()]


def usable_account(name: str) -> str:
    """Return what may be the name of an account; CommandError that shows what may not."""
    if _ACCOUNT.fullmatch(name):
        return name
    raise CommandError(
        Code.USAGE,
        f"{clean(name, _SHOWN)!r} is no name of an account: up to 32 of a-z 0-9 -",
        "give a name that the secret has",
    )
