"""A bar that tells how far a file has come, as narrow as a terminal of 80 columns needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

_NAME, _BAR = 24, 16  # columns


class _Speed(TransferSpeedColumn):
    """Says nothing, and not `?`, where no speed is known yet, or any more."""

    def render(self, task: Task) -> Text:
        """Spell the speed."""
        known = task.finished_speed or task.speed
        return super().render(task) if known else Text()


def bar_of(notes: Console, *, shown: bool) -> Progress:
    """Return a bar for one file, which is gone when it is there."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(_BAR),
        DownloadColumn(),
        _Speed(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not shown,
    )


def titled(what: str) -> str:
    """Shorten what stands before a bar."""
    return clean(what, _NAME)
