"""`batchwatch cancel`."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import CommandError
from batchwatch.submit.job import Outcome, Stage
from local.simulator import Script
from tests.command_line import batchwatch, hooked, submitter
from tests.dropped import asked as requests
from tests.dropped import finished, only
from tests.plans import job, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command_line import Deployed
    from tests.world import World

SLOW = Script(name="nightly", endpoint="/v1/responses", requests=9, ends="completed", running=5000)
OUTPUTS = {"SubmitterFunction": "submitter", "LogGroup": "/batchwatch/logs"}
BRIEF = Script(name="brief", endpoint="/v1/responses", requests=9, ends="completed")


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def asked(world: World, stack: Deployed) -> Iterator[list[dict[str, Any]]]:
    """What Submitter was asked."""
    stack.outputs |= OUTPUTS
    with submitter(world) as asked:
        yield asked


def test_a_batch_is_cancelled_and_what_follows_is_explained(
    world: World, asked: list[dict[str, Any]]
) -> None:
    batch_id = world.batch(SLOW)
    world.poll(after=30)

    said = batchwatch("cancel", batch_id, "--yes")
    world.poll(after=60)

    assert said.code == 0
    assert said.out == f"{batch_id} (nightly, account default): cancelling\n"
    assert "up to ten minutes" in said.err
    assert "charged" in said.err
    assert asked == [{"cancel": batch_id, "account": "default"}]
    assert world.record(batch_id).last_status in {"cancelling", "cancelled"}


def test_to_wait_is_to_see_it_cancelled(
    world: World, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = world.batch(SLOW)
    world.poll(after=30)
    looks: list[float] = []

    def minutes_pass(seconds: float) -> None:
        looks.append(seconds)
        world.poll(after=60)

    clock = SimpleNamespace(sleep=minutes_pass)
    monkeypatch.setattr("batchwatch.cli.commands.cancel.time", clock)

    said = batchwatch("cancel", batch_id, "--yes", "--wait", "--json")

    assert said.code == 0
    assert [each["status"] for each in said.objects] == ["cancelling", "cancelled"]
    assert f"{batch_id}: in_progress" in said.err
    assert looks
    assert len(asked) == 1
    again = batchwatch("cancel", batch_id, "--yes")
    assert (again.code, again.out) == (
        0,
        f"{batch_id} (nightly, account default) is cancelled already\n",
    )
    assert len(asked) == 1


def test_whoever_stops_to_wait_is_told_what_goes_on(
    world: World, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = world.batch(SLOW)
    world.poll(after=30)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("batchwatch.cli.commands.cancel.time", SimpleNamespace(sleep=stop))

    said = batchwatch("cancel", batch_id, "--yes", "--wait")

    assert said.code == 130
    assert "its cancellation goes on" in said.err
    assert len(asked) == 1


def test_whoever_stops_while_it_is_asked_for_is_told_that_it_may_be_cancelled(
    world: World, asked: list[dict[str, Any]]
) -> None:
    first, second = world.batch(SLOW), world.batch(SLOW)
    world.poll(after=30)

    def stop(**_: Any) -> None:
        raise KeyboardInterrupt

    with hooked("after-call.lambda.Invoke", stop):
        said = batchwatch("cancel", first, second, "--yes")

    assert said.code == 130
    assert f"{first} is perhaps being cancelled all the same" in said.err
    assert [each["cancel"] for each in asked] == [first]


def test_submitter_is_not_asked_again_while_it_still_works() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()
    submitter = template.partition("\n  Submitter:\n")[2]
    longest = re.search(r"Timeout: (\d+)", submitter)
    client = Stack("batchwatch", region="us-east-1").client("lambda")
    assert longest
    assert client.meta.config.read_timeout > int(longest[1])


def test_what_has_ended_is_told_with_its_end_and_the_others_are_cancelled(
    world: World, asked: list[dict[str, Any]]
) -> None:
    known, slow = world.batch(BRIEF), world.batch(SLOW)
    for _ in range(5):
        world.poll(after=100)
    assert world.record(known).terminal

    said = batchwatch("cancel", known, slow, "--yes", "--json")

    assert said.code == 1
    assert "has already ended: completed, 9 of 9 requests done" in said.err
    assert "too late: it completed, 9 of 9 requests are charged" in said.err
    assert [each["id"] for each in said.objects] == [slow]
    assert [each["cancel"] for each in asked] == [slow]


def test_an_end_that_only_openai_knows_of_is_told_too(
    world: World, asked: list[dict[str, Any]]
) -> None:
    batch_id = world.batch(BRIEF)
    world.poll(after=1)
    world.clock.now += 1000

    said = batchwatch("cancel", batch_id, "--yes")

    assert (said.code, said.out) == (1, "")
    assert f"batch {batch_id} has already ended" in said.err
    assert "the next poll tells how" in said.err
    assert len(asked) == 1


@pytest.mark.usefixtures("asked")
def test_a_job_is_cancelled_by_its_id_or_the_name_of_its_file(world: World) -> None:
    job_id = world.drop("deep/a.jsonl", requests(3))
    world.submit()
    batch_id = only(world.job(job_id)).batch_id

    said = batchwatch("cancel", "deep/a.jsonl", "--yes")
    once_more = batchwatch("cancel", job_id, "--yes", "--json")

    assert said.out == f"{job_id} (inbox/deep/a.jsonl): cancelling, 1 batch being cancelled\n"
    assert once_more.objects[0]["batches_cancelling"] == [batch_id]
    assert world.job(job_id).cancelled
    finished(world, job_id)
    over = batchwatch("cancel", job_id, "--yes", "--json")
    assert (over.code, over.objects[0]["status"]) == (0, "cancelled")
    assert batchwatch("cancel", "deep/a.jsonl", "--yes").code == 3


@pytest.mark.parametrize(("completed", "late"), [(97, True), (96, False)])
def test_a_job_that_was_done_before_its_cancellation_is_no_success(
    world: World, asked: list[dict[str, Any]], completed: int, *, late: bool
) -> None:
    ended = part(state="ended", completed=completed, failed=3)
    over = job("job_" + "0" * 24, ended, stage=Stage.DONE, outcome=Outcome.CANCELLED)
    world.runtime.jobs.begin(over)

    said = batchwatch("cancel", "job_" + "0" * 24, "--yes")

    assert said.code == (1 if late else 0)
    assert ("too late: it completed, 97 of 100 requests are charged" in said.err) is late
    assert asked == []


@pytest.mark.usefixtures("asked")
def test_what_cannot_be_cancelled_is_told() -> None:
    for wanted, code, told in (
        (("batch_unknown",), 3, "has no batch batch_unknown"),
        (("job_" + "0" * 24,), 3, "knows no job"),
        (("batch_unknown", "--wait"), 3, "batchwatch track batch_unknown"),
        (("batch_unknown", "--account", "nobody"), 2, "no usable account 'nobody'"),
        (("a/b",), 2, "not a usable id"),
    ):
        said = batchwatch("cancel", *wanted, "--yes")

        assert (said.code, said.out) == (code, "")
        assert told in said.err


@pytest.mark.usefixtures("asked")
def test_what_openai_refuses_is_told_for_what_it_is(world: World) -> None:
    for status, times, code, told in ((401, 1, 4, "right to write"), (500, 9, 5, "try again")):
        world.openai.fault("/cancel$", status=status, times=times)

        said = batchwatch("cancel", "batch_1", "--yes")

        assert (said.code, said.out) == (code, "")
        assert told in said.err


def test_a_submitter_that_fails_is_told_with_where_to_look(world: World, stack: Deployed) -> None:
    stack.outputs |= OUTPUTS
    with submitter(world, crash="Task timed out after 60 seconds"):
        said = batchwatch("cancel", "batch_1", "--yes", "--json")

    assert (said.code, said.out) == (1, "")
    assert "Task timed out" in said.err
    assert "aws logs tail /batchwatch/logs" in said.err


def test_nothing_is_cancelled_without_a_yes(world: World, asked: list[dict[str, Any]]) -> None:
    batch_id = world.batch(SLOW)
    world.poll(after=30)

    said = batchwatch("cancel", batch_id, stdin="y\n")  # no terminal

    assert (said.code, said.out) == (2, "")
    assert f"{batch_id} (nightly, account default): in_progress, " in said.err
    assert "--yes" in said.err
    assert asked == []


@pytest.mark.parametrize(("typed", "meant"), [("y\n", True), ("\n", False), ("", False)])
def test_only_a_yes_is_a_yes(typed: str, meant: bool) -> None:  # noqa: FBT001 - a parameter
    assert sure(Output(), "Cancel it?", Person(typed)) is meant


def test_to_stop_when_asked_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> str:
        raise KeyboardInterrupt

    person = Person()
    monkeypatch.setattr(person, "readline", stop)

    with pytest.raises(CommandError, match="nothing was done") as stopped:
        sure(Output(), "Cancel it?", person)
    assert stopped.value.code == 130
