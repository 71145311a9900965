"""`batchwatch watch`."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from batchwatch.batch import Status
from batchwatch.cli.follow.following import Until, follow, out_of_time, paces_of, verdict, watch
from batchwatch.cli.follow.screen import Lines
from batchwatch.cli.follow.watched import Chosen, Everything
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.record import Change, Record
from local.simulator import Script
from tests.builders import read
from tests.command_line import batchwatch
from tests.dropped import asked, minute
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command_line import Deployed
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
GOOD = Script(name="nightly", endpoint="/v1/responses", requests=1000, ends="completed", running=40)
BAD = Script(name="labels", endpoint="/v1/responses", requests=10, ends="failed", validating=30)
QUIET = Until(every=1)
_ODD_JOB = {"job_id": "job_odd", "open": "yes", "place": "0", "job": "rubbish"}


def minute_passes(world: World) -> Callable[[float], None]:
    """Let the service work while somebody waits."""
    return lambda _: minute(world, seconds=20)


def followed(world: World, source: Any, capsys: pytest.CaptureFixture[str], **how: Any) -> str:
    """Follow something to its end; return the lines that were printed."""
    follow(source, Lines(Output()), QUIET, paces_of(Stack("batchwatch")),
           sleep=minute_passes(world), **how)  # fmt: skip
    return capsys.readouterr().out


def test_a_batch_is_followed_through_its_life_and_another_one_joins_in(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    first = world.batch(GOOD)
    world.poll(after=1)
    source = Everything(Stack("batchwatch"))
    later: list[str] = []

    def sleep(seconds: float) -> None:
        if not later:
            later.append(world.batch(BAD))
        minute_passes(world)(seconds)

    follow(source, Lines(Output()), QUIET, paces_of(Stack("batchwatch")), sleep=sleep)

    lines = capsys.readouterr().out.splitlines()
    of_first = [line.split("  ", 2)[2] for line in lines if first in line]
    assert of_first[0] == "in_progress 0/1,000"
    assert of_first[1] == "in_progress 500/1,000"
    assert of_first[-1] == "completed 1,000/1,000, archived"
    assert len(of_first) == len({*of_first})  # one line for each change
    assert any(later[0] in line and "failed" in line for line in lines)


def test_a_job_is_one_line_over_all_its_parts(
    world: World, stack: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    del stack
    job = world.drop("questions.jsonl", asked(6), **{"batchwatch-part-requests": "3"})
    world.submit()

    lines = followed(world, Everything(Stack("batchwatch")), capsys).splitlines()

    assert {line.split()[1] for line in lines} == {job}
    assert lines[-1].endswith("questions.jsonl  completed 6/6, merged")
    assert "0/2 parts" in lines[0]


def test_the_exit_code_is_that_of_the_worst_and_names_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = world.batch(GOOD), world.batch(BAD)
    for _ in range(9):
        world.poll(after=20)
        world.archive()

    both = batchwatch("watch", good, bad, "--json")
    alone = batchwatch("watch", good)

    assert both.code == 1
    assert f"{bad} (labels): failed" in both.err
    assert good not in both.err
    assert [o["status"] for o in both.objects if o["id"] == bad] == ["failed"]
    assert {o["kind"] for o in both.objects} == {"batch"}
    assert (alone.code, alone.err) == (0, "")
    (seen,) = Chosen(Stack("batchwatch"), [good]).look()
    partly = seen._replace(errors=5)
    assert verdict(Output(), [partly]) == Code.WELL
    hint = f"5 of 1,000 requests of nightly failed: batchwatch fetch {good} --role error\n"
    assert capsys.readouterr().err == hint
    assert batchwatch("watch").err == "nothing is open: every batch is over\n"
    assert batchwatch("watch").code == 0


def test_when_the_time_is_over_it_says_what_is_open(world: World) -> None:
    batch_id = world.batch(GOOD)
    world.poll(after=1)

    world.runtime.dynamodb.put_item(
        TableName=world.environment["BATCHWATCH_JOBS"],
        Item={name: {"S": text} for name, text in _ODD_JOB.items()},
    )

    said = batchwatch("watch", "--timeout", "0")

    assert said.err.count("not watched: a job job_odd cannot be read") == 1
    assert said.code == 5
    assert f"1 of 1 still open after 0 s: {batch_id} in_progress 0/1,000" in said.err
    assert f"batchwatch watch {batch_id}" in said.err


def test_what_nobody_knows_is_not_found() -> None:
    unknown = batchwatch("watch", "job_" + "0" * 24)

    assert unknown.code == 3
    assert "knows no job job_0" in unknown.err
    assert [batchwatch("watch", o, "nan").code for o in ("--every", "--timeout")] == [2, 2]
    odd, well_formed = batchwatch("watch", "nope"), "batch_" + "7" * 32
    assert (odd.code, "batchwatch track" in odd.err, "in full" in odd.err) == (3, False, True)
    hint = f"batchwatch track --account research {well_formed}\n"
    assert batchwatch("watch", well_formed, "--account", "research").err.endswith(hint)


def test_the_last_status_is_enough_if_that_is_wanted(world: World) -> None:
    batch_id = world.batch(GOOD)
    while world.record(batch_id).status is not Status.COMPLETED:
        world.poll(after=10)

    said = batchwatch("watch", batch_id, "--until-ended", "--timeout", "0")

    assert said.code == 0
    assert "completed 1,000/1,000, archiving" in said.out


def test_throttling_is_told_once_and_outlasted_but_a_denial_ends_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    batch_id = world.batch(GOOD)
    stack = Stack("batchwatch")
    source = Chosen(stack, [batch_id], ACCOUNT)
    codes = ["ThrottlingException"] * 3
    waits: list[float] = []

    def spoil(**_: Any) -> Any:
        if codes:
            error = {"Error": {"Code": codes.pop(), "Message": "no"}}
            return SimpleNamespace(status_code=400), error
        return None

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        minute_passes(world)(seconds)

    stack.client("dynamodb").meta.events.register("before-call.dynamodb.BatchGetItem", spoil)
    follow(source, Lines(Output()), QUIET, paces_of(stack), sleep=sleep)
    said = capsys.readouterr()
    codes.append("AccessDeniedException")

    assert said.err.count("too much to do") == 1
    assert "completed 1,000/1,000, archived" in said.out
    assert waits[:3] == [2, 4, 8]
    with pytest.raises(ClientError, match="AccessDenied"):
        Chosen(stack, [batch_id], ACCOUNT)


def test_ctrl_c_says_that_the_batches_go_on_and_how_to_watch_them(world: World) -> None:
    batch_id = world.batch(GOOD)
    world.poll(after=1)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    source = Chosen(Stack("batchwatch"), [batch_id])
    with pytest.raises(CommandError) as error:
        watch(Lines(Output()), source, QUIET, paces_of(Stack("batchwatch")), sleep=stop)

    assert error.value.code is Code.INTERRUPTED
    assert "go on" in str(error.value)
    assert error.value.way_out == f"to watch on: batchwatch watch {batch_id}"


def test_a_batch_that_two_accounts_see_is_told_of_once_for_each(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for account, status in ((ACCOUNT, "in_progress"), ("other", "completed")):
        batch = read(status)
        change = Change(batch=batch, status=batch.status)
        world.runtime.ledger.write(Record(account=account, batch_id=batch.id), change)
        kept = f"events/{account}/{batch.id}/1-batch.discovered.json"
        world.runtime.s3.put_object(
            Bucket=world.environment["BATCHWATCH_BUCKET"], Key=kept, Body=b""
        )
    source = Everything(Stack("batchwatch"))

    with pytest.raises(CommandError, match="2 of 2 still open"):
        follow(source, Lines(Output(as_json=True)), Until(timeout=3), paces_of(Stack("batchwatch")),
               clock=iter(range(99)).__next__, sleep=lambda _: None)  # fmt: skip

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted((each["account"], each["status"]) for each in told) == [
        (ACCOUNT, "in_progress"),
        ("other", "completed"),
    ]


def test_an_item_that_was_deleted_ends_the_watch_of_it_as_bad_news(world: World) -> None:
    batch_id = world.batch(GOOD)
    source = Chosen(Stack("batchwatch"), [batch_id])
    world.runtime.dynamodb.delete_item(
        TableName="ledger", Key={"account": {"S": ACCOUNT}, "batch_id": {"S": batch_id}}
    )

    (seen,) = source.look()

    assert (seen.over, seen.good, "deleted" in seen.reason) == (True, False, True)


def test_where_nothing_was_ever_seen_nothing_is_said_to_be_open() -> None:
    assert str(out_of_time([], 0, Until(timeout=5))) == "nothing was to be seen for 5 s"
