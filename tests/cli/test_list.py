"""`batchwatch list`."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from batchwatch.cli.stack import Stack
from batchwatch.record import Change, File, FileState, Record
from benchmarks.many import items, write
from local.simulator import Script
from tests.builders import BATCH, CREATED, read
from tests.command_line import batchwatch, hooked
from tests.world import ACCOUNT, client

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")
NOW = 1_700_000_000
SOME = [["-n", "5"], ["--status", "open"], ["--since", "2023-11-14T22:12"]]


def requests_of(*arguments: str) -> Counter[str]:
    """Count what a command asks of DynamoDB, by operation."""
    counts: Counter[str] = Counter()

    def note(model: Any, **_: Any) -> None:
        counts[model.name] += 1

    events = boto3._get_default_session().events
    events.register("before-call.dynamodb", note)
    try:
        assert batchwatch("list", *arguments).code == 0
    finally:
        events.unregister("before-call.dynamodb", note)
    return counts


def test_requests_do_not_grow_with_the_table(world: World) -> None:
    batches = [*items(36, NOW, still_open=3)]
    write(client("dynamodb"), world.environment["BATCHWATCH_TABLE"], batches[:12])
    few = [requests_of(*each) for each in SOME]
    write(client("dynamodb"), world.environment["BATCHWATCH_TABLE"], batches[12:])

    assert [requests_of(*each) for each in SOME] == few
    assert [sum(counts.values()) for counts in few] == [3, 2, 2]
    assert not any(counts["Scan"] for counts in few)


def test_the_newest_come_first_as_many_as_are_wanted_and_more_are_told_of(world: World) -> None:
    write(client("dynamodb"), world.environment["BATCHWATCH_TABLE"], items(12, NOW, still_open=3))

    everything = batchwatch("list", "--all", "--json")
    limited = batchwatch("list", "-n", "5", "--json")
    exact = batchwatch("list", "-n", "12")

    assert [each["status"] for each in everything.objects] == ["in_progress"] * 3 + [
        "completed"
    ] * 9
    made = [each["created_at"] for each in everything.objects]
    assert made == sorted(made, reverse=True)
    assert limited.objects == everything.objects[:5]
    assert "older ones: --all or --limit" in limited.err
    assert (len(exact.out.splitlines()), exact.err) == (13, "")


def test_what_is_new_lost_incomplete_or_unreadable_is_shown_as_such(world: World) -> None:
    ledger = world.runtime.ledger
    ledger.register(ACCOUNT, "batch_new")
    some: list[tuple[str, str, dict[str, Any]]] = [
        ("lost", "in_progress", {"lost_at": CREATED}),
        ("gone", "completed", {"files": {"output": File(state=FileState.GONE)}}),
        ("odd", "completed", {}),
    ]
    for number, (name, status, changes) in enumerate(some):
        batch = read(status, id=f"batch_{name}", created_at=NOW - number)
        change = Change(batch=batch, status=batch.status, **changes)
        ledger.write(Record(account=ACCOUNT, batch_id=batch.id), change)
    world.runtime.dynamodb.update_item(
        TableName=world.environment["BATCHWATCH_TABLE"],
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": "batch_odd"}},
        UpdateExpression="SET files = :odd",
        ExpressionAttributeValues={":odd": {"S": "\x1b[31mrubbish"}},
    )

    said = batchwatch("list", "--json").objects
    people = batchwatch("list").out

    assert [(each["id"], each["status"]) for each in said] == [
        ("batch_new", "new"),
        ("batch_lost", "lost"),
        ("batch_gone", "completed"),
        ("batch_odd", "unreadable"),
    ]
    assert "files" in said[-1]["reason"]
    assert [line.split()[0] for line in people.splitlines()[1:]] == [each["id"] for each in said]
    for status, found in (("new", "new"), ("lost", "lost"), ("incomplete", "gone")):
        only = batchwatch("list", "--status", status, "--json")
        assert [each["id"] for each in only.objects] == [f"batch_{found}"]
    assert "1 row cannot be read, and may belong here: batch_odd" in only.err


def test_a_batch_without_a_date_is_found_while_it_has_work_left(world: World) -> None:
    ledger = world.runtime.ledger
    ledger.register(ACCOUNT, "batch_new")
    for status, changes in (
        ("completed", {"created_at": NOW}),
        ("in_progress", {"created_at": None, "metadata": {"team": "search"}}),
    ):
        batch = read(status, id=f"batch_{status}", **changes)
        ledger.write(Record(account=ACCOUNT, batch_id=batch.id), Change(batch=batch))

    def ids(*arguments: str) -> set[str]:
        return {each["id"] for each in batchwatch("list", *arguments, "--json").objects}

    assert ids("--status", "open", "--status", "failed") == {
        "batch_new",
        "batch_in_progress",
        "batch_completed",
    }
    assert ids("--status", "in_progress", "--status", "failed") == {"batch_in_progress"}
    assert ids("--metadata", "team") == {"batch_in_progress"}
    assert ids("--since", "9999w") == {"batch_completed"}


def test_a_time_between_two_seconds_and_any_limit_are_no_trouble(world: World) -> None:
    write(client("dynamodb"), world.environment["BATCHWATCH_TABLE"], items(2, NOW, still_open=0))
    at = "2023-11-14T22:13:20"

    between = Stack("batchwatch").catalogue.newest([ACCOUNT], since=NOW + 0.2, until=NOW + 0.8)

    assert [*between] == []
    assert len(batchwatch("list", "--since", at, "--until", at, "--json").objects) == 1
    assert batchwatch("list", "-n", "9" * 30, "--json").code == 0


def test_nothing_found_names_the_filters_and_is_no_failure(world: World) -> None:
    world.batch(BRIEF)
    world.poll(after=1)

    said = batchwatch("list", "--metadata", "team=search", "--status", "failed")

    assert (said.code, said.out) == (0, "")
    assert "no batches with --status failed --metadata team=search" in said.err


def test_a_filter_that_matches_nothing_ever_is_a_wrong_command_line() -> None:
    said = batchwatch("list", "--status", "done", "--stack", "no-such-stack")
    bash = {"_BATCHWATCH_COMPLETE": "complete_bash", "COMP_WORDS": "batchwatch list --status ca"}
    completed = batchwatch(**bash, COMP_CWORD="3").out

    assert said.code == 2
    assert "completed, failed, expired" in said.err
    assert completed.split() == ["cancelling", "cancelled"]


def test_a_table_that_answers_nothing_is_asked_again_with_pauses_and_not_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.openai.add(BRIEF)
    world.poll()
    pauses: list[float] = []
    monkeypatch.setattr("batchwatch.cli.look.catalogue.time.sleep", pauses.append)

    def leave_out(params: dict[str, Any], **_: Any) -> Any:
        said = {"Responses": {}, "UnprocessedKeys": json.loads(params["body"])["RequestItems"]}
        return SimpleNamespace(status_code=200), said

    with hooked("before-call.dynamodb.BatchGetItem", leave_out):
        said = batchwatch("list", "--json")

    assert said.code == 5
    assert len({*pauses}) == len(pauses) == 6


def test_an_error_of_the_command_line_looks_like_any_other() -> None:
    said = batchwatch("list", "--bogus")

    assert said == (2, "", "error: no such option: --bogus\n  batchwatch list --help\n")
    assert batchwatch().code == batchwatch("--stack", "other").code == 2


def test_a_stack_that_is_not_there_is_named_with_the_way_out() -> None:
    said = batchwatch("list", "--stack", "other")

    assert said.code == 3
    assert "no stack 'other' in us-east-1" in said.err
    assert "--stack" in said.err
    assert batchwatch("--json", "--stack", "other", "--region=us-east-1", "list") == said


def test_a_command_to_type_next_leads_to_the_same_stack() -> None:
    said = batchwatch("show", BATCH, "--region", "us-east-1", BATCHWATCH_STACK="batchwatch")

    assert f"batchwatch track {BATCH} --region us-east-1\n" in said.err
