"""What the documents give to be typed or pasted: commands, files, questions to the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from local.deploy import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENTS = [
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs").glob("*/*.md")),
        *sorted((ROOT / "examples").glob("*/*.md")),
    )
]
OPERATIONS = "docs/operations.md"
TEXT = (ROOT / OPERATIONS).read_text()
QUESTIONS = "## Questions to the log"
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = "aws|sam|batchwatch|uv|python3?|bash|pip|make|jq|curl"
_SPAN = re.compile(rf"`((?:{_PROGRAMS}) [^`]+)`")
_STEP = re.compile(r"^ *\$ (.*?(?:(?:\\|\|)\n.*?|\n {4}.*?)*)(?:  +#.*)?$", re.MULTILINE)
"""A line that is typed, with those that go on with it, and without a comment."""
_IN_HELP = re.compile(r"^ {4}(batchwatch \S.*?)(?: {3,}.*)?$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_QUESTION = re.compile(r"^(▪ )?\*\*(.+?)\*\*:.*?^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command line as it stands; `shown`: what it prints, where the document shows it."""

    document: str
    section: str
    text: str
    shown: str = ""


class Question(NamedTuple):
    """A query of Logs Insights; `shown`: whether the dashboard has it."""

    title: str
    query: str
    shown: bool


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


def section_at(text: str, position: int) -> str:
    """Under which heading a position is."""
    outside = _BLOCK.sub(lambda block: " " * len(block[0]), text[:position])
    return str(["", *_HEADING.findall(outside)][-1])


def blocks(document: str, language: str, section: str | None = None) -> list[str]:
    """Give the blocks of a language, of one section if it is named."""
    text = text_of(document)
    return [
        at[3]
        for at in _BLOCK.finditer(text)
        if at[2] == language and section in (None, section_at(text, at.start()))
    ]


def commands(document: str, section: str | None = None) -> list[Command]:
    """Give each command once, in order: what is in a span of code, or typed at a console.

    So are the examples that a `--help` prints; a block of `sh` is one command.
    """
    text = text_of(document)
    once: dict[str, Command] = {}
    for at, typed, shown in sorted(_found(text)):
        command = Command(document, section_at(text, at), typed, shown)
        if section in (None, command.section):
            once.setdefault(typed, command)
    return [*once.values()]


def _found(text: str) -> Iterator[tuple[int, str, str]]:
    blank = _BLOCK.sub(lambda block: " " * len(block[0]), text)
    for at in _SPAN.finditer(blank):
        yield at.start(), " ".join(at[1].split()), ""
    for block in _BLOCK.finditer(text):
        if block[2] == "sh":
            yield block.start(3), block[3].strip(), ""
        if block[2] != "console":
            continue
        steps = [*_STEP.finditer(block[3])]
        ends = [step.start() for step in steps[1:]] + [len(block[3])]
        for step, end in zip(steps, ends, strict=True):
            shown = block[3][step.end() : end].lstrip("\n")
            begins = block.start(3) + step.start()
            yield begins, step[1], shown
            if step[1].endswith(" --help"):
                for example in _IN_HELP.finditer(shown):
                    yield begins + 1, example[1], ""


def runbooks() -> list[str]:
    """Give what docs/operations.md, and the README of operating, tell to ask AWS or batchwatch."""
    told = [each.text for each in commands(OPERATIONS) + commands("README.md", "Operate")]
    return list(dict.fromkeys(each for each in told if each.startswith(("aws ", "batchwatch "))))


def questions() -> list[Question]:
    """Give each question to the log, as one line."""
    found = _QUESTION.findall(TEXT.partition(QUESTIONS)[2])
    return [Question(title, " ".join(query.split()), bool(mark)) for mark, title, query in found]


def names_of(outputs: Mapping[str, str]) -> dict[str, str]:
    """Give what stands in capitals for each output of a stack, with its value."""
    return {re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper(): outputs[name] for name in outputs}


def filled_in(command: str, names: Mapping[str, str]) -> str:
    """Put values in the place of names in capitals."""
    return re.sub(r"(?<!\$)\b[A-Z_]+\b", lambda name: names.get(name[0], name[0]), command)
