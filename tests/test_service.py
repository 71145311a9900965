"""From a registered batch to its archived files, poll by poll, in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.simulator import Script
from local.verdict import chain_faults
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from batchwatch.openai import OpenAI
    from tests.world import Clock, World

CHAT = "/v1/chat/completions"


def script(ends: str = "completed", **changes: object) -> Script:
    plain: dict[str, object] = {"name": "b", "endpoint": CHAT, "requests": 20, "ends": ends}
    times = {"validating": 10.0, "running": 100.0, "finalizing": 10.0}
    return Script(**{**plain, **times, **changes})  # type: ignore[arg-type]


def live(world: World, *batch_ids: str) -> dict[str, list[str]]:
    """Poll and archive until every batch is out of the index; return the messages of each."""
    messages: list[str] = []
    for _ in range(60):
        world.poll(after=15)
        world.archive()
        messages += world.messages()
        if not any(world.record(b).open for b in batch_ids):
            break
    by_batch: dict[str, list[str]] = {b: [] for b in batch_ids}
    for message in messages:
        by_batch[json.loads(message)["subject"]].append(message)
    return by_batch


ENDS = {
    "completed": script(),
    "some failed": script(failed=3),
    "all failed": script(failed=20),
    "failed validation": script("failed"),
    "expired with a part": script("expired", unfinished=8, failed=1),
    "cancelled with a part": script("cancelled", unfinished=8),
    "cancelled before it began": script("cancelled", running=0.0),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_is_announced_and_archived(world: World, end: str) -> None:
    batch_id = world.batch(ENDS[end])

    messages = live(world, batch_id)[batch_id]

    shown = world.openai.batch(batch_id)
    assert chain_faults(messages, ENDS[end].ends) == []
    files = {k.rsplit("/", 1)[1]: v for k, v in world.objects().items() if k.startswith("batches/")}
    assert json.loads(files.pop("batch.json")) == shown
    for role in ("output", "error"):
        file_id = shown[f"{role}_file_id"]
        there = world.openai.file(str(file_id)).read_bytes() if file_id else None
        assert files.get(f"{role}.jsonl") == there
    assert not world.record(batch_id).open


def test_the_last_event_tells_where_the_files_are_and_what_they_hold(world: World) -> None:
    batch_id = world.batch(script(failed=3))

    last = json.loads(live(world, batch_id)[batch_id][-1])

    prefix = f"s3://bucket/batches/account={ACCOUNT}/created=2026-11-18/{batch_id}/"
    files = last["data"]["files"]
    assert {role: file["s3_uri"] for role, file in files.items()} == {
        "output": prefix + "output.jsonl",
        "error": prefix + "error.jsonl",
        "record": prefix + "batch.json",
    }
    assert files["output"]["lines"] == 17
    assert files["error"]["lines"] == 3


def test_every_event_is_kept_as_an_object_just_as_it_was_sent(world: World) -> None:
    batch_id = world.batch(script())

    messages = live(world, batch_id)[batch_id]

    kept = {k: v.decode() for k, v in world.objects().items() if k.startswith("events/")}
    first = f"events/{ACCOUNT}/{batch_id}/0001-batch.in_progress.json"
    assert sorted(kept.values()) == sorted(set(messages))
    assert first in kept


def test_an_answer_that_was_overtaken_by_another_poll_is_dropped(world: World) -> None:
    batch_id = world.batch(script())
    world.poll(after=5)
    (row,) = world.runtime.ledger.open_rows(ACCOUNT)
    world.poll(after=15)
    before = world.record(batch_id)
    world.clock.now += 300

    said = _client(world).retrieve(batch_id)
    late = world.runtime.observer("poller").saw(row.known, said)

    assert late.events == []
    assert world.record(batch_id) == before
    world.poll()
    told = [(e.type, e.data.sequence) for e in world.events(batch_id)]
    assert told == [("batch.validating", 1), ("batch.in_progress", 2), ("batch.completed", 3)]


def test_an_event_that_was_written_but_not_published_goes_out_with_the_next_poll(
    world: World,
) -> None:
    batch_id = world.batch(script())
    topic = world.environment["BATCHWATCH_TOPIC"]
    world.environment["BATCHWATCH_TOPIC"] = topic + "-which-does-not-exist"
    world.restart()
    stuck = world.poll(after=15)
    assert len(stuck.problems) == 1
    frozen = world.record(batch_id).outbox[1]

    world.environment["BATCHWATCH_TOPIC"] = topic
    world.restart()
    world.poll(after=1)

    assert world.messages() == [frozen]
    assert world.record(batch_id).outbox == {}


def test_an_interrupted_event_goes_out_even_while_openai_is_down(world: World) -> None:
    batch_id = world.batch(script())
    topic = world.environment["BATCHWATCH_TOPIC"]
    world.environment["BATCHWATCH_TOPIC"] = topic + "-which-does-not-exist"
    world.restart()
    world.poll(after=15)
    world.environment["BATCHWATCH_TOPIC"] = topic
    world.restart()
    world.openai.fault("GET", status=503, times=-1)

    report = world.poll()

    assert len(report.problems) == 1
    assert [e.type for e in world.events(batch_id)] == ["batch.in_progress"]


def test_a_quiet_poll_writes_nothing_and_reads_only_the_index(world: World) -> None:
    for number in range(5):
        world.batch(script(name=str(number)))
    world.poll(after=1)
    world.calls.clear()

    report = world.poll()

    assert report.open == 5
    assert world.calls == ["dynamodb.Query"]


def test_a_batch_that_waits_for_its_archiver_is_not_asked_about(world: World) -> None:
    world.batch(script())
    world.poll(after=200)
    world.calls.clear()
    asked = len(world.openai.requests)

    world.poll(after=60)

    assert world.calls == ["dynamodb.Query"]
    assert [r.path for r in world.openai.requests[asked:]] == ["/v1/batches?limit=100"]


def test_progress_is_written_about_ten_times_in_a_life(world: World) -> None:
    batch_id = world.batch(script(requests=1000))
    world.poll(after=11)
    first = world.record(batch_id).v

    for _ in range(98):
        world.poll(after=1)

    assert 9 <= world.record(batch_id).v - first <= 11
    assert [e.type for e in world.events()] == ["batch.in_progress"]


def test_a_batch_that_had_ended_before_it_was_registered_is_announced_and_archived(
    world: World, clock: Clock
) -> None:
    batch_id = world.openai.add(script(), created_at=clock.now - 5000)
    world.runtime.ledger.register(ACCOUNT, batch_id)

    messages = [json.loads(m) for m in live(world, batch_id)[batch_id]]

    assert [m["type"] for m in messages] == ["batch.completed", "batch.archived"]
    assert messages[0]["data"]["previous_status"] is None


def test_registering_again_erases_nothing(world: World) -> None:
    batch_id = world.batch(script())
    world.poll(after=15)
    before = world.record(batch_id)

    world.runtime.ledger.register(ACCOUNT, batch_id)

    assert world.record(batch_id) == before


def test_an_ended_batch_that_the_archiver_forgot_is_ordered_again_once_an_hour(
    world: World,
) -> None:
    batch_id = world.batch(script())
    world.poll(after=200)
    world.drop_orders()

    for _ in range(90):
        world.poll(after=60)

    assert [order["subject"] for order in world.drop_orders()] == [batch_id, batch_id]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_file_id_that_never_comes_ends_after_a_day_whatever_openai_answers(
    world: World, status: int
) -> None:
    batch_id = world.openai.add(script(), created_at=world.clock.now)
    world.openai.listing.edit_row = lambda row: row | {"output_file_id": None}
    world.openai.fault(
        "GET /v1/batches/", times=-1, edit=lambda said: said.update(output_file_id=None)
    )
    world.runtime.ledger.register(ACCOUNT, batch_id)
    world.poll(after=1000)
    world.archive()
    world.openai.faults.clear()
    world.openai.fault("GET /v1/batches/", status=status, times=-1)

    for _ in range(25):
        world.poll(after=3600)

    types = [e.type for e in world.events(batch_id)]
    assert types == ["batch.completed", "batch.file_gone", "batch.archived"]
    assert not world.record(batch_id).open


def test_an_order_that_fails_again_and_again_is_not_given_again_every_minute(world: World) -> None:
    world.batch(script())
    world.poll(after=200)
    world.openai.fault("GET /v1/files/", status=503, times=-1)
    world.calls.clear()

    for _ in range(24):
        world.poll(after=150)
        world.archive()

    assert world.calls.count("sqs.SendMessage") <= 1


def _client(world: World) -> OpenAI:
    return world.runtime.openai(world.runtime.accounts.get(ACCOUNT))
