"""docs/cli.md, and what a shell asks the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from batchwatch.cli import main as start
from batchwatch.cli.app import app
from docs.cli import MARK, PAGE, main
from tests.command_line import refusing

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_is_what_the_commands_say() -> None:
    assert main(["--check"]) == 0, "uv run python -m docs.cli"


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


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "batchwatch.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit, match=r"uv tool install '\.\[cli\]'"):
        start()
