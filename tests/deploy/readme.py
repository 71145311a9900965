"""What README.md's "Deploy it" gives to be typed, and what it says that is printed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from local.deploy import ROOT

if TYPE_CHECKING:
    from tests.deploy.sam import Project

SECTION = (ROOT / "README.md").read_text().split("\n## Deploy it\n")[1].split("\n## ")[0]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"^\$ ((?:.*[\\|]\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Step(NamedTuple):
    """A command as it stands, and the lines that are said to come of it; `…` is anything."""

    command: str
    shows: list[str]

    def filled_in(self, outputs: dict[str, str]) -> str:
        """Give each name in capitals its value."""
        names = {re.sub(r"(?<!^)([A-Z])", r"_\1", n).upper(): outputs[n] for n in outputs}
        return re.sub(r"\b[A-Z]+_[A-Z_]+\b", lambda name: names[name[0]], self.command)

    def compare(self, printed: str) -> None:
        """Whether what was printed has all lines of the document, in their order."""
        lines = [" ".join(line.split()) for line in printed.replace("\r", "\n").splitlines()]
        at = 0
        for line in self.shows:
            if line.strip() == "…":
                continue
            text = " ".join(line.split())
            pattern = ".*".join(re.escape(part) for part in text.split("…"))
            found = [n for n in range(at, len(lines)) if re.fullmatch(pattern, lines[n])]
            assert found, f"{self.command} should show {line!r}, but:\n{printed}"
            at = found[0] + 1


def mail() -> Step:
    """Give the mail that is shown as one that may come."""
    (shown,) = re.findall(r"^```text\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    return Step("the first mail", [line for line in shown.splitlines() if line])


class Readme:
    """The section, typed from its beginning; `left`: what is yet to come."""

    def __init__(self, project: Project) -> None:
        self._project, self.left = project, steps()

    def step(self, beginning: str) -> Step:
        """Take the next step, which begins so."""
        assert self.left[0].command.startswith(beginning)
        return self.left.pop(0)

    def type(self, beginning: str, outputs: dict[str, str] | None = None) -> str:
        """Type the next step, which must go well and print what is said; return all of it."""
        step = self.step(beginning)
        printed = self._project.run(step.filled_in(outputs or {}))
        step.compare(printed)
        return printed


def steps() -> list[Step]:
    """Give everything that is to be typed, in order."""
    return [
        Step(at[1], at[2].splitlines())
        for block in _BLOCK.findall(SECTION)
        for at in _TYPED.finditer(block)
    ]
