"""`sam deploy --guided`: Enter is an answer to everything; what it writes holds from then on."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from local.deploy import read_template
from local.emulator import Emulator
from tests.deploy.aws import parameters_of
from tests.deploy.terminal import Terminal
from tests.documents import blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.sam import Project

pytestmark = pytest.mark.deploy
STACK = "batchwatch"
OF_SAM = [
    "Stack Name [batchwatch]",
    "AWS Region [us-east-1]",
    "Confirm changes before deploy [y/N]",
    "Allow SAM CLI IAM role creation [Y/n]",
    "Disable rollback [y/N]",
    "Save arguments to configuration file [Y/n]",
    "SAM configuration file [samconfig.toml]",
    "SAM configuration environment [default]",
]
"""What it asks about itself; nothing about authorization, at which Enter would end it."""


def test_enter_answers_every_question_but_the_address(
    project: Project, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    defaults = {n: str(p["Default"]) for n, p in read_template()["Parameters"].items()}
    chosen = defaults | {"NotificationEmail": "you@example.com"}
    with Emulator(tmp_path) as emulator:
        project.live_at(emulator)
        with subtests.test("the questions"):
            asked = guided(project)
            of_parameters = [f"Parameter {name} [{value}]" for name, value in defaults.items()]
            assert sorted(asked) == sorted(OF_SAM + of_parameters)
            assert asked[2 : 2 + len(defaults)] == of_parameters
            assert parameters_of(emulator, STACK) == chosen
        with subtests.test("what it writes"):
            before = tomllib.loads((project.folder / "samconfig.toml").read_text())
            written = before["default"]["deploy"]["parameters"]
            assert written["s3_prefix"] == STACK
            assert written["confirm_changeset"] is False
            assert dict(re.findall(r'(\w+)="([^"]*)"', written["parameter_overrides"])) == chosen
        with subtests.test(
            "a parameter given lasts until the next deployment, which sets what is written"
        ):
            (prices,) = blocks("docs/notifications.md", "json", "Prices")
            (quoted,) = (c.text for c in commands("docs/notifications.md") if "Prices='" in c.text)
            project.run(f"cat > prices.json <<'END'\n{prices}END")
            project.run(quoted.replace("{…}", "$(cat prices.json)"))
            assert parameters_of(emulator, STACK) == chosen | {"Prices": prices.strip()}
            project.run("sam deploy")
            assert parameters_of(emulator, STACK) == chosen


def guided(project: Project) -> list[str]:
    """Answer with Enter but for the address; return what was asked."""
    asked = []
    command = ("sam", "deploy", "--guided")
    with Terminal(*command, folder=project.folder, environment=project.environment) as sam:
        while True:
            found = sam.wait(r"(?:\n\s*([^\n]+ \[[^\n]*\]): $|\nInitiating deployment)")
            if not found[1]:
                break
            asked.append(found[1])
            sam.type("you@example.com" if "NotificationEmail" in found[1] else "")
        assert sam.end() == 0, sam.shown
        assert f"Successfully created/updated stack - {STACK} in us-east-1" in sam.shown
    return asked
