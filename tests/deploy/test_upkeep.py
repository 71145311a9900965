"""What the documents tell to type in a clone, without a stack: in a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local.deploy import ROOT
from tests.deploy.walk import step
from tests.shell import shell
from tests.typed import AT_HAND, UPKEEP, typed_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.shell import Shell

pytestmark = pytest.mark.full
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*cache*", ".aws-sam", "__pycache__", "*.png")


@contextmanager
def clone(folder: Path, **environment: str) -> Iterator[Shell]:
    """Yield a shell in a copy of the project, with the packages that are installed here."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    here = {"UV_PROJECT_ENVIRONMENT": os.environ["VIRTUAL_ENV"], "UV_NO_SYNC": "1"}
    with shell(folder, here | environment) as typed:
        yield typed


def contents(folder: Path) -> dict[str, bytes]:
    """Give each file that is none of those for the moment, whose names begin with a dot."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    own = {name: files[name] for name in files if not str(name).startswith(".")}
    return {str(name): path.read_bytes() for name, path in own.items()}


def test_what_renews_a_file_of_the_project_leaves_it_as_it_is(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """As it is up to date; the dates of what is renewed from a package are its own."""
    documents = {
        "README.md": ["uv pip compile", "uv run python .ci/notices.py"],
        "docs/permissions.md": ["uv run python -m tests.permissions"],
        "docs/security.md": ["uv export"],
        "docs/cli.md": ["uv run python -m docs.cli"],
        "docs/events/README.md": ["uv run python -m docs.events.generate"],
        "docs/notifications.md": [
            "uv run python -m tests.sample_digest",
            "uv run python -m local.slack_view",
            "uv run --no-project",
        ],
        "docs/reliability.md": ["uv run python -m tests.mishap.sweep 'ended"],
    }
    steps = [step(name, begins) for name, each in documents.items() for begins in each]
    assert {each.text for each in steps} == typed_by(UPKEEP)
    with clone(tmp_path / "project", PYTHONDONTWRITEBYTECODE="1") as typed:
        before = contents(tmp_path / "project")
        for each in steps:
            with subtests.test(each.text):
                said = typed(each.text)
                assert said.code == 0, said
                if "sweep" in each.text:
                    assert said.out.startswith("1 runs: 0")
        bill = json.loads((tmp_path / "project" / "sbom.json").read_text())
        assert {"pydantic", "boto3"} < {each["name"] for each in bill["components"]}
        assert contents(tmp_path / "project").keys() - before.keys() == {"sbom.json"}
        assert contents(tmp_path / "project").items() >= before.items()


def test_the_command_line_is_installed_and_completes_its_commands(tmp_path: Path) -> None:
    home, mine = tmp_path / "home", tmp_path / "mine"
    home.mkdir()
    tools = {"UV_TOOL_DIR": f"{home}/tools", "UV_TOOL_BIN_DIR": f"{tmp_path}/project/.bin"}
    done: set[str] = set()

    def follow(document: str, begins: str, *, code: int = 0, here: str = "") -> str:
        command = step(document, begins)
        line = command.text.replace("…", "--version").replace("/MY_PROGRAM", here)
        said = typed(line)
        assert said.code == code, (command.text, said)
        done.add(command.text)
        return said.out

    with clone(tmp_path / "project", **tools) as typed:
        follow("README.md", "uv tool install")
        version = follow("docs/cli.md", "batchwatch --version")
        assert version.startswith("batchwatch ")
        assert typed("type -p batchwatch").out.strip() == f"{tmp_path}/project/.bin/batchwatch"
        assert follow("docs/cli.md", "uv run batchwatch …") == version
        assert follow("docs/cli.md", "python -m batchwatch.cli") == version
        follow("docs/operations.md", "uv run batchwatch", code=2)  # without a command, its help
        assert "--track" in follow("README.md", "uv run python -m local --help")
        typed(f"export HOME={home}")
        follow("docs/cli.md", "batchwatch --install-completion")
        typed(f"source {home}/.bashrc")
        assert "batchwatch" in typed("complete -p batchwatch").out
        follow("docs/events/README.md", "mkdir -p", here=str(mine))
        follow("docs/events/README.md", "cd layers", here=str(mine))
        typed(f"cd {mine}")
        reading = "from batchwatch.job_events import read_event; print(read_event.__module__)"
        assert typed(f'PYTHONPATH=. python -c "{reading}"').out == "batchwatch.job_events\n"
    assert done == typed_by(AT_HAND)
