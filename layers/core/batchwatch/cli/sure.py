"""Whether the person is sure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from batchwatch.cli.output import Output


def sure(out: Output, question: str, person: TextIO | None = None) -> bool:
    """Ask on the terminal; anything but yes is no. CommandError where nobody can be asked."""
    person = person or sys.stdin
    if person is None or not person.isatty():
        raise CommandError(
            Code.USAGE, "there is no terminal to ask for a confirmation", "if you are sure: --yes"
        )
    out.notes.print(Text(f"{question} [y/N] "), end="", soft_wrap=True)
    try:
        return person.readline().strip().lower() in {"y", "yes"}
    except KeyboardInterrupt as error:
        out.note("")
        raise CommandError(Code.INTERRUPTED, "stopped: nothing was done") from error
