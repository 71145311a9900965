"""docs/cli.md, and what a shell asks the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from inspect import cleandoc
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from batchwatch.batch import Role
from batchwatch.cli import main as start
from batchwatch.cli.app import SUMMARIES, app
from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.group import loaded
from batchwatch.cli.look import detail, job_detail, view
from batchwatch.cli.look.history import Told
from batchwatch.prices import prices_of
from batchwatch.record import File, FileState, Record
from docs.cli import MARK, PAGE, main
from tests.builders import read
from tests.command_line import refusing
from tests.plans import job, part

if TYPE_CHECKING:
    from pathlib import Path

JOB = "job_" + "0" * 24


def test_the_page_is_what_the_commands_say() -> None:
    assert main(["--check"]) == 0, "uv run python -m docs.cli"


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_help_of_every_command_has_one_form(name: str) -> None:
    said = cleandoc(loaded(name).help or "")
    help_ = " ".join(CliRunner().invoke(app, [name, "--help"]).output.split())

    assert said.partition("\n\n")[0].endswith(".")
    assert f"\n  batchwatch {name}" in said.replace("\b", "")
    assert re.search(r"^Exit code: 0,? ", said, re.MULTILINE)
    assert "stdin" not in help_
    assert re.findall(r"\{[A-Z_]+\}|<\w+.*?>|\[\[", help_) == []
    several = bool(re.search(r"(?<!job_)ID\.\.\.", help_))
    assert several == ("- reads ids from standard input" in help_)


def test_every_field_of_a_batch_and_a_job_is_on_the_page() -> None:
    prices, batch = prices_of("")[0], read("completed")
    files = {Role.OUTPUT: File(state=FileState.ARCHIVED, s3_uri="s3://b/k", bytes=1, crc32="0")}
    known = Record(account="a", batch_id=batch.id, batch=batch, files=files)
    told = [Told(1, "batch.completed", None, sent=True)]
    whole = job(JOB, part(), merged=files)

    said = [
        detail.said(known, prices, told),
        of_job(whole, {}).said,
        job_detail.said(whole, "bucket", {}, told),
        view.unreadable(known, "odd"),
    ]
    nested = [each["files"]["output"] for each in said[:3]] + [
        *said[2]["parts"],
        *said[0]["stages"],
    ]
    named = {name for each in (*said, *nested) for name in each}

    assert {name for name in named if f"`{name}`" not in PAGE.read_text()} == set()


def test_a_letter_means_one_option_wherever_it_is_taken() -> None:
    letters: dict[str, set[str]] = {}
    for name in SUMMARIES:
        for each in loaded(name).params:
            for letter in (name for name in each.opts if re.fullmatch("-[a-z]", name)):
                letters.setdefault(letter, set()).add(max(each.opts, key=len))

    assert {letter: names for letter, names in letters.items() if len(names) > 1} == {}


def test_the_page_is_the_same_whoever_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a wide terminal in colour, with another stack chosen."""
    there = tmp_path / "cli.md"
    by_hand = PAGE.read_text().partition(MARK)[0]
    there.write_text(by_hand + MARK)
    monkeypatch.setattr("docs.cli.PAGE", there)
    for name, value in {"COLUMNS": "200", "FORCE_COLOR": "1", "BATCHWATCH_STACK": "b"}.items():
        monkeypatch.setenv(name, value)

    assert main(["--check"]) == 1
    assert "is not what the commands say" in capsys.readouterr().out
    assert main([]) == 0
    assert there.read_text() == PAGE.read_text()


@pytest.mark.parametrize(
    "asked",
    [
        {
            "_BATCHWATCH_COMPLETE": "complete_bash",
            "COMP_WORDS": "batchwatch tra",
            "COMP_CWORD": "1",
        },
        {"_BATCHWATCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "batchwatch tra"},
    ],
    ids=["bash", "zsh"],
)
def test_a_shell_completes_commands_without_asking_aws(asked: dict[str, str]) -> None:
    with refusing("AccessDenied", 403) as calls:
        said = CliRunner().invoke(app, [], env=asked, prog_name="batchwatch")

    assert "track" in said.output
    assert "cancel" not in said.output
    assert calls == []


def test_help_loads_neither_aws_nor_the_models() -> None:
    heavy = "{'boto3', 'pydantic', 'rich'} & {*sys.modules}"
    program = f"import sys\nfrom batchwatch.cli import app\ntry: app.app()\nfinally: print({heavy})"

    said = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", program, "--help"], check=True, capture_output=True, text=True
    )

    assert "doctor" in said.stdout
    assert said.stdout.endswith("set()\n")


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "batchwatch.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit, match=r"uv tool install '\.\[cli\]'"):
        start()


def test_it_tells_which_version_it_is() -> None:
    said = CliRunner().invoke(app, ["--version"], prog_name="batchwatch")

    assert (said.exit_code, said.output) == (0, f"batchwatch {version('batchwatch')}\n")
