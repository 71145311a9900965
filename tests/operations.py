"""What docs/operations.md and the README give to be typed: commands, and questions to the log."""

from __future__ import annotations

import re
from typing import NamedTuple

from local.deploy import ROOT

TEXT = (ROOT / "docs/operations.md").read_text()
OPERATE = (ROOT / "README.md").read_text().split("\n## Operate\n")[1].split("\n## ")[0]
QUESTIONS = "## Questions to the log"
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:aws|batchwatch) [^`]+)`")
_TYPED = re.compile(r"^\$ (.*)$", re.MULTILINE)
_QUESTION = re.compile(r"^(▪ )?\*\*(.+?)\*\*:.*?^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Question(NamedTuple):
    """A query of Logs Insights; `shown`: whether the dashboard has it."""

    title: str
    query: str
    shown: bool


def commands() -> list[str]:
    """Give each command once, in order: what is in a span of code, or typed at a console."""
    text = TEXT + OPERATE
    found = [
        (at.start(), " ".join(at[1].split()))
        for at in _SPAN.finditer(_BLOCK.sub(lambda block: " " * len(block[0]), text))
    ]
    found += [(at.start(), at[1]) for at in _TYPED.finditer(text)]
    return list(dict.fromkeys(command for _, command in sorted(found)))


def questions() -> list[Question]:
    """Give each question to the log, as one line."""
    found = _QUESTION.findall(TEXT.partition(QUESTIONS)[2])
    return [Question(title, " ".join(query.split()), bool(mark)) for mark, title, query in found]
