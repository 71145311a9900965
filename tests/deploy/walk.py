"""Somebody who does what the documents say, step by step, at a terminal."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.documents import commands, filled_in, names_of
from tests.shell import PATIENCE, shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.documents import Command
    from tests.shell import Said, Shell
    from tests.whole.stack import Stack

README, CLI, EXAMPLE = "README.md", "docs/cli.md", "examples/react-to-completed/README.md"


def step(document: str, begins: str) -> Command:
    """Give the one command of a document that is this, or begins so."""
    told = commands(document)
    found = [each for each in told if each.text == begins]
    found = found or [each for each in told if each.text.startswith(begins)]
    assert len(found) == 1, (document, begins, found)
    return found[0]


class Walk:
    """`typed`: each command by now, as the documents have it."""

    def __init__(self, stack: Stack, plain: Shell, terminal: Shell) -> None:
        self.stack, self.folder, self.typed = stack, plain.folder, set[str]()
        self._plain, self._terminal = plain, terminal
        self._names = names_of(stack.service.outputs)

    def __call__(  # noqa: PLR0913 - as many ways as a person has
        self,
        document: str,
        begins: str,
        *pasted: str,
        code: int = 0,
        answer: str | None = None,
        terminal: bool = False,
        names: Mapping[str, str] | None = None,
        **capitals: str,
    ) -> Said:
        """Type the command that begins so; it ends with `code`.

        pasted, answer: see Shell. terminal: its answer goes there, too. names: values for other
        words than those in capitals, such as ids.
        """
        return self.type(
            step(document, begins), *pasted,
            code=code, answer=answer, terminal=terminal, names={**(names or {}), **capitals},
        )  # fmt: skip

    def type(
        self,
        command: Command,
        *pasted: str,
        code: int = 0,
        answer: str | None = None,
        terminal: bool = False,
        names: Mapping[str, str],
    ) -> Said:
        """Type a command."""
        here = self._terminal if terminal else self._plain
        line = command.text
        for name, value in names.items():
            line = line if name.isupper() else line.replace(name, value)
        said = here(filled_in(line, self._names | {**names}), *pasted, answer=answer)
        assert said.code == code, (command.text, said)
        self.typed.add(command.text)
        return said

    def filled_in(self, command: Command) -> str:
        """Give a command with the outputs of the stack in it."""
        return filled_in(command.text, self._names)

    def by_the_way(self, line: str) -> Said:
        """Type what no document has."""
        said = self._plain(filled_in(line, self._names))
        assert said.code == 0, (line, said)
        return said


@contextmanager
def walking(stack: Stack, folder: Path, programs: Mapping[str, str]) -> Iterator[Walk]:
    """Yield somebody with a folder of his own, where he works."""
    here = {"AWS_ENDPOINT_URL": stack.emulator.endpoint}
    with (
        shell(folder, here, programs) as plain,
        shell(folder, here, programs, plain=False) as other,
    ):
        yield Walk(stack, plain, other)


def soon(true: Callable[[], object], otherwise: Callable[[], object] = str) -> None:
    """Wait until something is so; `otherwise` tells what is, if it never becomes so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.2)


def shape(line: str) -> str:
    """Give a line without what differs from day to day: ids, numbers, ages, times, blanks."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"[0-9a-f]{32}", "ID", line)
    line = re.sub(r"\b\d+[smhd]\b", "AGE", line)
    line = re.sub(r"\d+([.:]\d+)*", "0", line)
    return " ".join(line.split())


def shapes(text: str) -> set[str]:
    """Give the shape of each line, without such as only tell that something was left out."""
    return {shape(line) for line in text.splitlines() if line.strip() not in ("", "…")}
