"""`batchwatch submit`: what it finds in the inbox, and what becomes of its files there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from batchwatch.cli.output import Output
from batchwatch.cli.send.checking import letters
from batchwatch.cli.send.doubts import may_send
from batchwatch.cli.stack import Stack
from tests.cli.test_cancel import Person
from tests.command_line import batchwatch
from tests.dropped import asked
from tests.plans import job as plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three requests."""
    path = tmp_path / "questions.jsonl"
    path.write_bytes(asked(3))
    return path


def test_without_a_watch_the_id_is_that_of_the_job_as_it_is(
    world: World, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchwatch.cli.send.taking.PATIENCE", 60)
    jobs: list[str] = []

    def take_in(_: float) -> None:
        begun = plan("job_" + "1" * 24).but(
            key="inbox/questions.jsonl", version=None, arrived=time.time()
        )
        world.runtime.jobs.begin(begun)
        jobs.append(begun.job_id)

    monkeypatch.setattr("batchwatch.cli.send.taking.time.sleep", take_in)

    said = batchwatch("submit", str(file), "--no-watch", "--json")

    assert [(each["id"], each["status"]) for each in said.objects] == [(jobs[0], "sending")]
    assert "not taken in yet" not in said.err


def test_who_sits_at_a_terminal_is_asked_before_a_file_is_paid_twice(
    file: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, ready = Stack("batchwatch"), letters([file], None, {"batchwatch-account": "nope"})
    assert may_send(stack, Output(), ready, yes=False, person=Person("n"))
    world.runtime.jobs.begin(plan("questions", arrived=time.time()))

    assert not may_send(stack, Output(), ready, yes=False, person=Person("\n"))
    assert may_send(stack, Output(), ready, yes=False, person=Person("y\n"))
    assert may_send(stack, Output(), ready, yes=True, person=Person("\n"))

    said = capsys.readouterr().err
    assert "questions has a file of that name, and is sending; what is sent twice" in said
    assert said.count("[y/N]") == 2
    assert "nothing was ever told of an account 'nope'" in said
