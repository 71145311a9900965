"""What a command prints: answers to stdout, for people or as JSON; all else to stderr."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from batchwatch.cli.trouble import Code
from batchwatch.notify.wording import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from batchwatch.cli.trouble import CommandError


@dataclass
class Output:
    """Where a command prints. `as_json`: one object a line on stdout, nothing else there."""

    as_json: bool = False
    answers: Console = field(default_factory=lambda: Console(highlight=False))
    notes: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @property
    def live(self) -> bool:
        """Whether somebody looks on, for whom something may move."""
        return not self.as_json and self.answers.is_terminal

    def emit(self, said: Mapping[str, Any]) -> None:
        """Print one object, as a line of JSON.

        In ASCII, which every encoding has, and in which foreign text cannot steer a terminal.
        """
        print(json.dumps(said, default=str), file=self.answers.file, flush=True)

    def show(self, what: RenderableType) -> None:
        """Print something for people; text is never taken for markup, nor folded."""
        if not self.as_json:
            text = Text(harmless(what)) if isinstance(what, str) else what
            self.answers.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Tell people what is going on; names of files, too, are text from outside."""
        self.notes.print(Text(harmless(text)), soft_wrap=True)

    def trouble(self, trouble: CommandError) -> None:
        """Tell why the command ends; a Ctrl-C is no error."""
        self.note(f"{trouble}" if trouble.code is Code.INTERRUPTED else f"error: {trouble}")
        if trouble.way_out:
            self.note(f"  {trouble.way_out}")
