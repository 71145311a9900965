"""A table on the terminal; in a file or a pipe it is Markdown, for the documents."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDE = 200  # columns of what is no terminal


def print_table(
    names: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], *, words: Sequence[str]
) -> None:
    """Print groups of rows; columns named in `words` hold words, the others numbers."""
    terminal = sys.stdout.isatty()
    table = Table(box=box.HEAVY_HEAD if terminal else box.MARKDOWN)
    for name in names:
        table.add_column(name, justify="left" if name in words else "right", no_wrap=True)
    for rows in groups:
        for row in rows:
            table.add_row(*row)
        if terminal:
            table.add_section()
    Console(width=None if terminal else _WIDE).print(table)
