"""One version reads what another has written: items, orders, events; and leaves in what it finds.

After an update old items meet new code, after a rollback new items meet old code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import BatchEvent
from batchwatch.items import _file, from_dynamodb, key_of, to_dynamodb
from batchwatch.job_events import JobEvent, read_event
from batchwatch.orders import read_order
from batchwatch.record import File, FileState, Record
from batchwatch.submit.inbox_queue import WorkOrder, read_message
from batchwatch.submit.job import Job, PartState, Stage
from batchwatch.submit.telling import Narrator
from batchwatch.submit.unrun import Why
from batchwatch.telling import Rules, Witness
from batchwatch.watch import watch
from docs.events.examples import example, job_example
from docs.events.types import BATCH_TYPES, TYPES
from local.deploy import ROOT
from local.simulator import Script
from tests import consumer_1_0
from tests.builders import batch
from tests.deploy.reread import kept, lost, reread
from tests.dropped import CHAT, asked, finished, merged
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from tests.world import World

RECORDED = sorted((ROOT / "tests/deploy").glob("items-*.json"))
"""What the releases before have written, at every point of a few lives."""
LATER = {"S": "of a later version"}
BRIEF = Script(name="n", endpoint=CHAT, requests=4, ends="completed",
               validating=50, running=100, finalizing=50)  # fmt: skip


def put(world: World, table: str, key: dict[str, Any], **attributes: Any) -> None:
    """Set attributes of an item, by their paths, as no code of ours does."""
    names: dict[str, str] = {}
    for path in attributes:
        names |= {f"#{step}": step for step in path.split("__")}
    paths = {path: ".".join(f"#{step}" for step in path.split("__")) for path in attributes}
    world.runtime.dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET " + ", ".join(f"{p} = :{n}" for n, p in paths.items()),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={f":{n}": to_dynamodb(v) for n, v in attributes.items()},
    )


def item(world: World, table: str, key: dict[str, Any]) -> dict[str, Any]:
    return dict(world.runtime.dynamodb.get_item(TableName=table, Key=key)["Item"])


# What releases have left


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_item_of_a_release_is_read_and_would_be_written_back_as_it_is(path: Any) -> None:
    items = json.loads(path.read_text())

    assert [lost(kept(each), reread(each)) for each in items] == [[]] * len(items)


def test_the_items_of_the_first_release_are_of_every_point_of_a_life() -> None:
    items = [kept(each) for each in json.loads(RECORDED[0].read_text())]
    files = {f["state"] for each in items for f in each.get("files", {}).values()}
    parts = {p.get("state", "planned") for e in items for p in e.get("job", {}).get("parts", [])}

    statuses = {"validating", "in_progress", "finalizing", "cancelling"}
    ends = {"completed", "failed", "cancelled"}
    assert statuses | ends <= {each.get("status") for each in items}
    assert {"pending", "copying", "archived", "gone"} <= files
    assert {"planned", "uploaded", "sending", "live", "ended"} <= parts
    assert {each.get("stage") for each in items} >= {"reading", "sending", "merging", "done"}
    assert any(each["outbox"] and each["open"] for each in items)
    assert any(not each["open"] for each in items)


# What a later version has left


@pytest.mark.deploy  # takes seconds
def test_what_a_later_version_keeps_of_a_batch_is_there_after_all_that_this_one_writes(
    world: World,
) -> None:
    batch_id = world.batch(BRIEF)
    key = key_of(ACCOUNT, batch_id)
    world.poll()
    put(world, "ledger", key, taste="sweet", tags={"a"})
    while not world.record(batch_id).terminal:
        world.poll(after=60)
    put(world, "ledger", key, files__record__taste="sour", files__output__upload={"id": "?"})
    put(world, "ledger", key, files__output__upload__taste="salt")
    world.runtime.ledger.claim(
        world.record(batch_id), Role.OUTPUT, owner="me", now=world.clock.now, until=0
    )
    put(world, "ledger", key, files__output__upload={"id": "gone", "taste": "salt"})
    world.archive()

    left = item(world, "ledger", key)
    assert (left["taste"]["S"], left["tags"]["SS"]) == ("sweet", ["a"])
    assert left["files"]["M"]["record"]["M"]["taste"]["S"] == "sour"
    assert world.record(batch_id).settled


@pytest.mark.deploy  # takes seconds
def test_what_a_later_version_keeps_of_a_job_is_there_after_all_that_this_one_writes(
    world: World,
) -> None:
    job_id = world.drop("q.jsonl", asked(2))
    key = {"job_id": to_dynamodb(job_id)}
    world.submit()
    job = json.loads(item(world, "jobs", key)["job"]["S"])
    job["taste"] = job["parts"][0]["taste"] = "sweet"
    job["options"] = {"taste": "sweet", "endpoint": "/v2/answers"}
    put(world, "jobs", key, job=json.dumps(job), taste="sour")

    assert finished(world, job_id).outcome == "completed"

    left = item(world, "jobs", key)
    job = json.loads(left["job"]["S"])
    assert left["taste"]["S"] == "sour"
    assert [job["taste"], job["parts"][0]["taste"], job["options"]["taste"]] == ["sweet"] * 3


@pytest.mark.deploy  # takes seconds
def test_a_file_in_a_state_of_a_later_version_is_left_alone_and_its_batch_stays_open(
    world: World,
) -> None:
    batch_id = world.batch(BRIEF)
    key = key_of(ACCOUNT, batch_id)
    while not world.record(batch_id).terminal:
        world.poll(after=60)
    put(world, "ledger", key, files__output__state="thawing")
    put(world, "ledger", key, files__summary={"state": "pending"})

    reports = world.archive()
    world.poll(after=60)

    record = world.record(batch_id)
    assert [report.again for report in reports] == [None]
    assert {role.value: file.state.value for role, file in record.files.items()} == {
        "record": "archived",
        "output": "thawing",
        "summary": "pending",
    }
    assert (record.open, record.settled) == (True, False)
    assert [e.type for e in world.events(batch_id)][-1] == "batch.completed"
    put(world, "ledger", key, files__output__state="pending", files__summary={"state": "gone"})
    world.runtime.orders.give(ACCOUNT, batch_id)
    world.archive()
    assert [e.type for e in world.events(batch_id)] == ["batch.archived"]


def test_a_status_of_a_later_version_is_followed_by_the_end_alone() -> None:
    witness = Witness("test", 1000, Rules("urn:batchwatch:test"))
    known = Record.model_validate(
        {"account": ACCOUNT, "batch_id": "batch_1", "v": 3, "seq": 3, "status": "paused",
         "last_status": "paused"}
    )  # fmt: skip
    assert known.status is not None
    assert (known.status.value, known.terminal) == ("paused", False)

    told = {}
    for status in ("paused", "in_progress", "cancelling", "failed"):
        change = watch(known, Batch.read(batch(status=status)), witness)
        told[status] = [event.type for event in change.events] if change else []
    assert told == {"paused": [], "in_progress": [], "cancelling": [], "failed": ["batch.failed"]}


@pytest.mark.deploy  # takes seconds
def test_a_part_in_a_state_of_a_later_version_holds_its_job_and_no_other(world: World) -> None:
    first, second = (world.drop(f"{name}.jsonl", asked(2)) for name in "ab")
    world.submit()
    key = {"job_id": to_dynamodb(first)}
    job = json.loads(item(world, "jobs", key)["job"]["S"])
    ours = json.dumps(job)
    job["parts"][0]["state"] = "priced"
    put(world, "jobs", key, job=json.dumps(job))

    assert finished(world, second).outcome == "completed"
    held = world.job(first)
    assert (held.open, held.stage, held.parts[0].state.value) == (True, Stage.SENDING, "priced")
    assert held.parts[0].state not in set(PartState)
    put(world, "jobs", key, job=ours)
    assert finished(world, first).outcome == "completed"
    assert len(merged(world, first)) == 2


def test_a_part_in_a_state_of_a_later_version_is_told_as_one_that_waits() -> None:
    recorded = [each for each in json.loads(RECORDED[0].read_text()) if "job_id" in each]
    said = next(job for each in recorded if (job := json.loads(each["job"]["S"])).get("parts"))
    said["parts"] = [{**part, "state": "priced"} for part in said["parts"]]
    narrator = Narrator("urn:batchwatch:test", "bucket")

    told = narrator.waiting(Job.model_validate(said), Why.TOKEN_LIMIT, 0)

    event = JobEvent.model_validate_json(told.outbox[told.seq])
    assert {part.state for part in event.data.parts} == {"waiting"}
    assert narrator.submitted(told, 0) == told


@pytest.mark.deploy  # takes seconds
def test_an_event_of_a_later_version_in_an_outbox_is_published_to_the_byte(world: World) -> None:
    batch_id = world.batch(BRIEF)
    world.poll()
    world.messages()
    told = json.loads(example("batch.stalled").frozen())
    told |= {"subject": batch_id, "type": "batch.priced", "taste": "sweet"}
    told["data"] |= {"sequence": 2, "price": {"dollars": 3}, "status": "paused"}
    text = json.dumps(told, indent=1)
    put(world, "ledger", key_of(ACCOUNT, batch_id), outbox__2=text, seq=2)

    world.poll(after=1)

    assert world.messages() == [text]
    kept_as = f"events/{ACCOUNT}/{batch_id}/0002-batch.priced.json"
    assert world.objects()[kept_as] == text.encode()
    assert world.record(batch_id).outbox == {}


@pytest.mark.deploy  # takes seconds
def test_an_event_that_this_version_cannot_read_waits_for_one_that_can(world: World) -> None:
    stuck, other = world.batch(BRIEF), world.batch(BRIEF)
    world.poll()
    world.messages()
    put(world, "ledger", key_of(ACCOUNT, stuck), outbox__2='{"specversion":"2.0"}', seq=2)

    world.poll(after=60)

    assert world.record(stuck).outbox[2] == '{"specversion":"2.0"}'
    assert [e.type for e in world.events()] == ["batch.in_progress"]
    assert world.record(other).status is Status.IN_PROGRESS


# Messages and layers


def test_orders_of_a_later_version_are_read() -> None:
    order = read_order('{"subject":"batch_1","data":{"account":"default","why":"?"},"taste":1}')
    work = read_message('{"job":"job_1","why":"?"}')

    assert (order.account, order.batch_id) == ("default", "batch_1")
    assert isinstance(work, WorkOrder)
    assert work.job == "job_1"


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_with_what_a_later_version_adds_is_read_and_given_on_whole(kind: str) -> None:
    made = example(kind) if kind in BATCH_TYPES else job_example(kind)
    said = json.loads(made.frozen())
    said["taste"] = said["data"]["taste"] = "sweet"
    for file in (said["data"].get("files") or {}).values():
        file["taste"] = "sweet"
    if kind in {"batch.archived", "job.completed"}:  # others tell of one file
        said["data"]["files"]["summary"] = dict(next(iter(said["data"]["files"].values())))

    event = read_event(json.dumps(said))

    assert json.loads(event.frozen()) == said
    if isinstance(event, BatchEvent):
        assert consumer_1_0.read(json.dumps(said)).type == kind


def test_a_field_of_a_later_version_is_written_back_as_the_type_that_it_was() -> None:
    file = {
        "state": {"S": "pending"},
        "tries": {"N": "0"},
        "speed": {"N": "5.5"},
        "hosts": {"SS": ["a"]},
        "upload": {
            "M": {
                "id": {"S": "1"},
                "parts": {"N": "0"},
                "done": {"M": {n: {"N": "0"} for n in ("size", "lines", "crc32")}},
                "taste": {"M": {"deep": {"L": [{"N": "1"}, {"B": b"\xff"}]}}},
            }
        },
    }

    read = File.model_validate(from_dynamodb({"M": file}))

    assert to_dynamodb(_file(read)) == {"M": file}


def test_a_state_of_a_later_version_is_none_of_ours() -> None:
    file = File.model_validate({"state": "thawing", "taste": "sweet"})

    assert file.state not in set(FileState)
    assert (file.state.final, file.state.wanted) == (False, False)
    assert file.model_dump(mode="json", exclude_none=True) == {
        "state": "thawing",
        "tries": 0,
        "taste": "sweet",
    }
