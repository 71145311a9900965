"""Batches that nobody registered: all that is new is found, what is history floods nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import batchwatch.listing
from batchwatch.discovery import DAY
from batchwatch.ending import HOUR
from batchwatch.openai import OpenAI
from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from batchwatch.watermarks import Watermarks
from local.simulator import Script
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.test_isolation import play, refuse_to_publish
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.watermarks import Watermark
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")
LONG = replace(SCRIPT, validating=0, running=20 * DAY)
MINUTE = 60


def switch(world: World, **settings: str) -> None:
    """Deploy with other settings."""
    world.environment |= {f"BATCHWATCH_{name}": value for name, value in settings.items()}
    world.restart()


def aged(world: World, *ages: float, script: Script = SCRIPT) -> list[str]:
    """Batches that others made so many seconds ago."""
    return [world.openai.add(script, created_at=world.clock.now - age) for age in ages]


def mark(world: World) -> Watermark:
    return Watermarks(world.runtime.dynamodb, "ledger").get(ACCOUNT)


def subjects(world: World) -> list[str]:
    """The batch of every message by now; no stall is counted."""
    return [event.subject for event in world.events() if event.type != "batch.stalled"]


def asked(world: World) -> tuple[int, int]:
    """Pages of the list, and batches singly, that were asked for since the last time."""
    paths = [request.path for request in world.openai.requests]
    world.openai.requests.clear()
    pages = sum(path.startswith("/v1/batches?") for path in paths)
    return pages, sum(path.startswith("/v1/batches/") for path in paths)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a page show four batches."""
    monkeypatch.setattr(OpenAI.page, "__defaults__", (None, 4))
    return 4


def test_a_batch_made_by_nobody_we_know_is_found_announced_and_archived(world: World) -> None:
    world.poll()
    batch_id = world.batch(SCRIPT, found=True)

    world.poll(after=2)

    (first,) = world.messages()
    event = json.loads(first)
    assert (event["subject"], event["type"]) == (batch_id, "batch.in_progress")
    assert (event["data"]["sequence"], event["data"]["previous_status"]) == (1, None)
    messages = []
    for _ in range(3):
        world.poll(after=15)
        world.archive()
        messages += world.messages()
    assert faults(collect(world, [first, *messages], [batch_id])) == []


def test_without_discovery_only_what_is_registered_is_watched(world: World) -> None:
    switch(world, DISCOVERY="off")
    stranger, registered = world.batch(SCRIPT, found=True), world.batch(SCRIPT)

    messages = play(world, registered)

    assert {json.loads(message)["subject"] for message in messages} == {registered}
    assert not world.record(stranger).v
    assert mark(world).first_polled_at is None


def test_a_first_deploy_floods_nobody_and_finds_all_that_is_open(world: World) -> None:
    aged(world, *(HOUR * n for n in range(1, 50)), *(12 * DAY + MINUTE * n for n in range(251)))
    running = aged(world, 13 * DAY, 2 * DAY, 9, script=LONG)
    (late,) = aged(world, 10 * MINUTE, script=replace(SCRIPT, running=11 * MINUTE))
    world.openai.listing.hidden.add(late)

    world.poll()

    assert sorted(subjects(world)) == sorted(running)
    assert world.calls.count("dynamodb.GetItem") == 1 + len(running)
    # each found one twice: stored, and published
    assert world.calls.count("dynamodb.UpdateItem") == 2 + 2 * len(running)
    world.openai.listing.hidden.clear()
    world.poll(after=5 * MINUTE)
    assert subjects(world) == [late]


def test_a_registered_batch_that_ended_long_ago_is_announced_also_with_backfill(
    world: World,
) -> None:
    switch(world, BACKFILL="archive")
    before, meanwhile, history = aged(world, 3 * DAY, 2 * DAY, DAY)
    world.runtime.ledger.register(ACCOUNT, before)

    def register(row: dict[str, Any]) -> dict[str, Any]:
        world.runtime.ledger.register(ACCOUNT, meanwhile)  # the index was read by now
        return row

    world.openai.listing.edit_row = register
    world.poll()
    world.openai.listing.edit_row = None

    told = {json.loads(message)["subject"] for message in [*world.messages(), *play_on(world)]}
    assert told == {before, meanwhile}
    assert world.record(history).quiet


def play_on(world: World, polls: int = 4) -> list[str]:
    """Poll and archive some times; return every message."""
    messages = []
    for _ in range(polls):
        world.poll(after=15)
        world.archive()
        messages += world.messages()
    return messages


def test_backfill_archives_what_had_ended_before_once_and_in_silence(world: World) -> None:
    ages = [HOUR, 29 * DAY, 30.5 * DAY, 32 * DAY]
    recent, old, gone, ancient = aged(world, *ages)
    world.openai.delete_file(world.openai.batch(gone)["output_file_id"])
    assert play_on(world, 1) == []
    assert not world.record(recent).v
    switch(world, BACKFILL="archive")

    assert play_on(world, 2) == []
    world.clock.now += DAY
    assert play_on(world, 2) == []

    names = {key.split("/", 3)[3] for key in world.objects()}
    whole = {f"{batch_id}/{name}" for batch_id in (recent, old) for name in FILES}
    assert names == {*whole, f"{gone}/batch.json"}
    assert not any(world.record(batch_id).open for batch_id in (recent, old, gone))
    assert not world.record(ancient).v
    states = {role.value: file.state for role, file in world.record(gone).files.items()}
    assert states == {"output": "gone", "record": "archived"}
    versions = collect(world, [], []).objects
    for setting in ("off", "on"):
        switch(world, DISCOVERY=setting)
        assert play_on(world, 2) == []
    assert mark(world).backfilled
    assert collect(world, [], []).objects == versions


FILES = ("output.jsonl", "batch.json")


def test_an_account_added_later_floods_nobody(world: World) -> None:
    world.poll()
    (running,) = aged(world, 0, script=LONG)
    world.poll(after=MINUTE)
    aged(world, *range(9))
    world.poll(after=MINUTE)
    key = {"api_key": KEY, "base_url": world.openai.base_url}
    world.put_secret(json.dumps({"accounts": {ACCOUNT: key, "later": key | {"project": "p"}}}))
    world.restart()  # (the secret is read anew)

    messages = play_on(world, 2)

    told = [json.loads(message) for message in messages]
    assert [e["subject"] for e in told if e["data"]["account"] == "later"] == [running]


def test_a_week_without_discovery_floods_nobody_and_loses_no_open_batch(world: World) -> None:
    world.poll()
    switch(world, DISCOVERY="off")
    world.poll(after=MINUTE)
    aged(world, *range(20))
    running = aged(world, 0, script=LONG)
    world.poll(after=7 * DAY)
    assert subjects(world) == []
    switch(world, DISCOVERY="on")

    world.poll(after=MINUTE)
    world.poll(after=MINUTE)

    assert subjects(world) == running


# Walks that are cut


@pytest.mark.usefixtures("small_pages")
def test_a_walk_that_is_cut_goes_on_and_misses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batchwatch.listing, "MOST_PAGES", 2)
    running = aged(world, *(HOUR * n for n in range(1, 21)), script=LONG)
    found = []
    for _ in range(4):
        new = world.batch(LONG, found=True)
        world.restart()
        world.poll(after=MINUTE)
        told = subjects(world)
        assert new in told
        found += [batch_id for batch_id in told if batch_id in running]
    assert sorted(found) == sorted(running)
    world.poll(after=MINUTE)
    assert mark(world).resume_after is None
    assert mark(world).seen_through == world.clock.now - 2 * MINUTE


@pytest.mark.full
def test_a_walk_cut_by_time_goes_on_and_finds_what_is_made_meanwhile(
    world: World, small_pages: int
) -> None:
    world.poll()
    world.clock.now += 500
    ended = aged(world, *range(10, 410, 10))

    def slow(row: dict[str, Any]) -> dict[str, Any]:
        world.clock.now += 1
        return row

    world.openai.listing.edit_row = slow
    found: list[str] = []
    for _ in range(8):
        ended += aged(world, 9)
        world.runtime.poller.poll(world.clock.now + 8 * small_pages)
        world.clock.now += MINUTE
        found += subjects(world)

    assert sorted(found) == sorted(ended)
    assert mark(world).resume_after is None


def test_a_place_that_the_list_no_longer_knows_is_not_gone_on_from(
    world: World, small_pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = aged(world, *(HOUR * n for n in range(1, 4 * small_pages + 1)), script=LONG)
    with monkeypatch.context() as few:
        few.setattr(batchwatch.listing, "MOST_PAGES", 1)
        world.poll(after=MINUTE)
    assert mark(world).resume_after == running[small_pages - 1]
    world.openai.fault(f"after={running[small_pages - 1]}", status=404, times=-1)
    world.openai.listing.hidden.add(running[small_pages - 1])

    for _ in range(2):
        assert world.poll(after=MINUTE).problems == []

    assert sorted(subjects(world)) == sorted(running)
    assert mark(world).resume_after is None
    assert mark(world).seen_through


# What is not stored, late, or found twice


def refuse_to_store(world: World, batch_id: str) -> Callable[[], None]:
    """Let DynamoDB take nothing of a batch, until what is returned is called."""
    refusing = [True]

    def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        if not (refusing and batch_id in str(params["body"])):
            return None
        refused = type("Answer", (), {"status_code": 400, "headers": {}, "content": b""})()
        error = {"Code": "ValidationException", "Message": "as the test wants"}
        return refused, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    events = world.runtime.dynamodb.meta.events
    events.register_first("before-call.dynamodb.UpdateItem", answer)  # type: ignore[arg-type]
    return refusing.clear


def test_the_watermark_stays_before_a_batch_that_could_not_be_stored(
    world: World, small_pages: int
) -> None:
    world.poll()
    world.clock.now += MINUTE
    bad = world.batch(SCRIPT, found=True)
    store = refuse_to_store(world, bad)
    for _ in range(3):
        new = [world.batch(SCRIPT, found=True) for _ in range(small_pages)]
        report = world.poll(after=HOUR)
        assert [problem.account for problem in report.problems] == [ACCOUNT]
        assert sorted(subjects(world)) == sorted(new)
    assert (mark(world).seen_through or 0) < world.clock.now - 3 * HOUR
    store()

    world.poll(after=MINUTE)

    assert subjects(world) == [bad]
    assert mark(world).seen_through == world.clock.now - HOUR - MINUTE


def test_an_event_that_cannot_be_published_yet_loses_nothing(world: World) -> None:
    world.poll()
    world.clock.now += MINUTE
    batches = [world.batch(SCRIPT, found=True) for _ in range(3)]
    left = [2]

    def twice(body: str) -> bool:
        left[0] -= batches[1] in body
        return batches[1] in body and left[0] >= 0

    refuse_to_publish(world, "KMSThrottling", twice)
    world.poll(after=2)
    assert world.record(batches[1]).outbox
    world.poll(after=MINUTE)
    assert mark(world).seen_through == world.clock.now - MINUTE - 2

    play_on_to_the_end(world, batches)


def play_on_to_the_end(world: World, batches: list[str]) -> None:
    messages = world.messages() + play_on(world, 6)
    assert faults(collect(world, messages, batches)) == []


def test_a_batch_that_the_list_shows_late_is_found_below_the_first_page(
    world: World, small_pages: int
) -> None:
    world.poll()
    world.clock.now += MINUTE
    late = world.batch(LONG, found=True)
    world.openai.listing.hidden.add(late)
    for _ in range(3):
        for _ in range(small_pages):
            world.batch(LONG, found=True)
        world.poll(after=MINUTE)
    world.openai.listing.hidden.clear()
    world.events()

    told: list[str] = []
    for _ in range(13):
        world.poll(after=MINUTE)
        told += subjects(world)

    assert told == [late]


def test_two_polls_at_once_find_a_batch_under_one_id(world: World) -> None:
    world.poll()
    world.clock.now += MINUTE
    batch_id = world.batch(SCRIPT, found=True)
    other = Runtime(Settings.read(world.environment), clock=world.clock, sleep=lambda _: None)
    polls = iter([other.poller.poll])

    def meanwhile(params: dict[str, Any], **_: Any) -> None:
        if batch_id in str(params["body"]) and (poll := next(polls, None)):
            world.clock.now += 2
            poll()

    events = world.runtime.dynamodb.meta.events
    events.register_first("before-call.dynamodb.UpdateItem", meanwhile)
    world.poll()
    for client in other._openai.values():
        client.close()

    messages = world.messages() + play_on(world, 3)
    assert len({json.loads(message)["id"] for message in messages}) == 3
    assert faults(collect(world, messages, [batch_id])) == []


# What it costs


def test_a_quiet_poll_is_one_query_and_one_page_and_one_try_of_it(world: World) -> None:
    world.poll()
    aged(world, *range(4))
    [world.batch(LONG) for _ in range(4)]
    play_on(world, 3)
    world.clock.now += 2 * HOUR
    world.poll()  # (looks through a part of the table, too)
    world.batch(SCRIPT, found=True)
    world.batch(SCRIPT, found=True)
    play_on(world, 3)
    quiet = 0
    for _ in range(5):
        world.calls.clear()
        asked(world)
        report = world.poll(after=MINUTE)
        quiet += world.calls == ["dynamodb.Query"] and asked(world) == (1, 1)
        assert report.problems == []
    assert quiet == 5

    world.restart()
    world.runtime.poller.sweep._hour = int(world.clock.now // HOUR)
    world.calls.clear()
    world.poll(after=MINUTE)

    assert sorted(world.calls) == ["dynamodb.GetItem"] * 3 + ["dynamodb.Query"]
    assert asked(world) == (1, 1)
