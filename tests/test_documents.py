"""Each command of the documents is typed by a test, or it is told why not; what is pasted works."""

from __future__ import annotations

import json
import shlex

import pytest

from batchwatch.accounts import read_accounts
from batchwatch.prices import prices_of
from benchmarks.__main__ import _parser
from benchmarks.subjects import SUBJECTS
from local.deploy import ROOT
from tests.documents import DOCUMENTS, blocks, commands
from tests.signed import SECRET
from tests.typed import LONG, NOT_TYPED, TYPED, stands_for

EVERY = {each.text: each for document in DOCUMENTS for each in commands(document)}
SAID = [*NOT_TYPED, *(entry for entries in TYPED.values() for entry in entries)]


def test_each_command_is_typed_by_a_test_or_it_is_told_why_not() -> None:
    neither = [
        (each.document, each.section, text)
        for text, each in EVERY.items()
        if not any(stands_for(entry, text) for entry in SAID)
    ]

    assert neither == [], "put them into tests/typed.py"


def test_nothing_is_said_of_a_command_that_no_document_has() -> None:
    found = {entry: [text for text in EVERY if stands_for(entry, text)] for entry in SAID}

    assert {entry: texts for entry, texts in found.items() if len(texts) != 1} == {}


def test_no_command_is_both_typed_and_not() -> None:
    typed = [entry for entries in TYPED.values() for entry in entries]
    both = [text for text in NOT_TYPED if any(stands_for(entry, text) for entry in typed)]

    assert both == []


@pytest.mark.parametrize("test", TYPED)
def test_what_types_them_is_a_test(test: str) -> None:
    file, _, name = test.partition("::")

    assert f"\ndef {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("command", LONG)
def test_what_takes_long_has_the_options_of_its_program(command: str) -> None:
    words = shlex.split(command)
    if "benchmarks" in words:
        _parser(SUBJECTS).parse_args(words[words.index("benchmarks") + 1 :])
    elif "pytest" in words:
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    else:
        program = (ROOT / "tests/mishap/sweep.py").read_text()
        assert all(f'"{word}"' in program for word in words if word.startswith("--"))


def test_the_accounts_of_the_readme_are_read_once_the_dots_are_filled_in() -> None:
    (shown,) = blocks("README.md", "json", "Accounts")
    filled = shown.replace("whsec_…", SECRET).replace("…", "1")
    said = read_accounts(filled)

    assert [account.name for account in said.accounts] == [*json.loads(shown)["accounts"]]
    assert (said.troubles, said.weak) == ([], [])


def test_the_prices_of_the_document_are_read_as_they_stand() -> None:
    (shown,) = blocks("docs/notifications.md", "json", "Prices")

    assert prices_of(shown)[1] is None
