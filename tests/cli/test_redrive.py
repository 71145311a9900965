"""`batchwatch redrive`: dead letters are seen as they lie, and sent back without loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.cli.mend.letters import letter_of
from docs.events.examples import example
from local.simulator import Script
from tests.command_line import _session, batchwatch
from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")
ARCHIVE, INBOX = "BATCHWATCH_ARCHIVE_DEAD_LETTERS", "BATCHWATCH_INBOX_DEAD_LETTERS"
ORDER = json.dumps({"subject": "batch_1", "data": {"account": "default"}})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchwatch.cli.mend.mailbox.WAIT", 0)


def dead(world: World, *bodies: str, queue: str = ARCHIVE, **more: Any) -> list[str]:
    """Put messages among the dead letters; return their ids."""
    send = client("sqs").send_message
    url = world.environment[queue]
    return [send(QueueUrl=url, MessageBody=body, **more)["MessageId"] for body in bodies]


def visible(world: World) -> int:
    """Return how many dead letters of the archiver anybody could receive now."""
    name = "ApproximateNumberOfMessages"
    said = client("sqs").get_queue_attributes(
        QueueUrl=world.environment[ARCHIVE], AttributeNames=[name]
    )
    return int(said["Attributes"][name])


def test_what_lies_there_is_shown_and_stays_where_it_is(world: World) -> None:
    dead(world, ORDER, example("batch.completed").frozen(), "\x1b[31mno order[/red]")
    dead(world, '{"job": "job_1"}', queue=INBOX)

    said = batchwatch("redrive")

    assert said.code == 1
    assert "archive: 3, inbox: 1" in said.out
    assert "order batch_1 (default)" in said.out
    assert "batch.completed batch_" in said.out
    assert "unreadable:" in said.out
    assert "[/red]" in said.out
    assert "\x1b" not in said.out
    assert "order job_1" in said.out
    again = batchwatch("redrive", "archive", "--json").objects
    assert [each["readable"] for each in again] == [True, True, False]
    assert visible(world) == 3


def test_ids_are_whole_on_a_narrow_screen(world: World) -> None:
    ids = dead(world, ORDER, "x" * 200)
    said = batchwatch("redrive", COLUMNS="40")
    assert all(f"archive  {each}  " in said.out for each in ids)
    assert "received 1 time" in said.out


def test_a_line_of_json_moves_no_terminal_and_says_the_same(world: World) -> None:
    kinds = ["\x9b2J\u202e", "\u00fc\u4e2d"]
    for kind in kinds:
        dead(world, json.dumps(json.loads(ORDER) | {"type": kind}))

    said = batchwatch("redrive", "--json")

    assert sorted(each["kind"] for each in said.objects) == sorted(kinds)
    assert said.out.isascii()


def test_empty_queues_are_good_news() -> None:
    said = batchwatch("redrive")
    assert (said.code, said.out) == (0, "archive: 0, inbox: 0\n")
    assert "EventBus" in batchwatch("redrive", "relay").err
    assert batchwatch("redrive", "other").code == 2


def test_an_order_that_is_sent_back_is_done(world: World) -> None:
    batch_id = world.batch(BRIEF)
    while not world.record(batch_id).terminal:
        world.poll(after=60)
    world.drop_orders()
    dead(world, json.dumps({"subject": batch_id, "data": {"account": "default"}}), "no order")

    assert batchwatch("redrive", "--send-back").code == 2  # nobody can be asked
    said = batchwatch("redrive", "--send-back", "--yes")
    world.archive()

    assert said.code == 1  # the unreadable one is still there
    assert world.record(batch_id).archived
    assert world.dead_letters() == ["no order"]


def test_a_body_goes_back_to_the_byte_with_its_attributes(world: World) -> None:
    body = ' {"job":\t"job_ü"} '
    attribute = {"DataType": "String", "StringValue": "x"}
    dead(world, body, queue=INBOX, MessageAttributes={"RULE_ARN": attribute})

    assert batchwatch("redrive", "inbox", "--send-back", "--yes").code == 0

    [message] = client("sqs").receive_message(
        QueueUrl=world.environment["BATCHWATCH_INBOX_QUEUE"], MessageAttributeNames=["All"]
    )["Messages"]
    assert message["Body"] == body
    assert message["MessageAttributes"]["RULE_ARN"] == attribute


def test_only_what_is_named_is_sent_back(world: World) -> None:
    ids = dead(world, *[ORDER] * 12)

    said = batchwatch("redrive", "--only", ids[11], "--send-back", "--yes")

    assert said.code == 0
    assert len(world.drop_orders()) == 1
    assert "archive: 11" in batchwatch("redrive", "archive").out
    assert batchwatch("redrive", "--only", "unknown").code == 3


def test_what_nobody_can_read_is_only_deleted_where_that_is_wanted(world: World) -> None:
    dead(world, ORDER, "no order", "{}")
    assert batchwatch("redrive", "--drop-unreadable", "--yes").code == 1
    assert world.dead_letters() == [ORDER]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_stopped_at_any_moment_no_message_is_lost(world: World, moment: str) -> None:
    def stop(**_: Any) -> None:
        raise KeyboardInterrupt

    for call in ("sqs.SendMessage", "sqs.DeleteMessage"):
        dead(world, *[ORDER] * 3)
        _session().events.register(f"{moment}-call.{call}", stop)
        said = batchwatch("redrive", "--send-back", "--yes")
        _session().events.unregister(f"{moment}-call.{call}", stop)
        assert said.code == 130
        assert "of 3 messages; the others are where they were" in said.err

        there = visible(world)  # at once
        sent = len(world.drop_orders())
        assert there + sent >= 3
        assert batchwatch("redrive", "--send-back", "--yes").code == 0
        assert sent + len(world.drop_orders()) >= 3


@pytest.mark.parametrize("queue", ["archive", "notify", "relay"])
def test_an_event_in_an_envelope_of_sns_is_taken_out_of_it(queue: str) -> None:
    text = example("batch.completed").frozen()
    body = json.dumps({"Type": "Notification", "Message": text})
    letter = letter_of(queue, {"MessageId": "1", "Body": body})
    assert letter.what
    assert letter.what.kind == "batch.completed"
    assert letter.body == text


@pytest.mark.parametrize("queue", ["archive", "inbox", "notify", "relay"])
@pytest.mark.parametrize("body", ["", "-", "[]", "null", '{"Message": 1}', "[" * 100_000, '"a"'])
def test_whatever_lies_there_can_be_shown(queue: str, body: str) -> None:
    letter = letter_of(queue, {"MessageId": "1", "Body": body})
    assert letter.what is None
    assert len(letter.words) < 100
    assert json.dumps(letter.said())
