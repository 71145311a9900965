"""Where a bus is named, rules on it get every event as subscribers of the topic do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.events import BatchEvent, make_event
from batchwatch.relay import LARGEST, MOST, Letter, requests
from docs.events.examples import job_example
from docs.events.types import JOB_TYPES
from tests.builders import modest, read
from tests.handlers import sample
from tests.world import ACCOUNT, _properties, _queue, client, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.relay import Relayed
    from tests.handlers import Handlers
    from tests.world import World

BUS = "reports"
LIMIT = 256 * 1024
"""Bytes of a request from which EventBridge refuses it whole."""


@dataclass
class Way:
    """From the topic to a rule on the bus, which gives all that is ours to a queue."""

    world: World
    queue: str
    heard: str

    def publish(self, *names: str, **changes: Any) -> list[str]:
        """Announce one event for each name, on the topic; return the texts."""
        texts = []
        for name in names:
            event = make_event(
                "batch.completed",
                read(id=name, **changes),
                source="urn:batchwatch:test",
                account=ACCOUNT,
                status="completed",
                previous_status=None,
                sequence=1,
                now=self.world.clock.now,
                by="poller",
            )
            texts.append(event.frozen())
            self.world.runtime.outbox.publisher.publish(event, texts[-1])
        return texts

    def throw_in(self, text: str) -> None:
        """Put something else into the queue."""
        client("sqs").send_message(QueueUrl=self.queue, MessageBody=text)

    def records(self) -> list[dict[str, Any]]:
        """The messages of the queue as Lambda gives them; they stay there."""
        return [
            {"messageId": m["MessageId"], "body": m["Body"], "receiptHandle": m["ReceiptHandle"]}
            for m in self.world._receive(self.queue)
        ]

    def relay(self) -> Relayed:
        """Work off the queue once, as Lambda does: what is to come again stays."""
        records = self.records()
        relayed = self.world.runtime.relay.pass_on(records)
        for record in records:
            if record["messageId"] not in relayed.again:
                self.world._delete(self.queue, {"ReceiptHandle": record["receiptHandle"]})
        return relayed

    def delivered(self) -> list[dict[str, Any]]:
        """What the rule has given on by now, and nobody has yet taken."""
        return [json.loads(body) for body in self.world._take(self.heard)]

    def dead(self) -> list[str]:
        """What lies among the dead letters."""
        return self.world._take(self.world.environment["BATCHWATCH_RELAY_DEAD_LETTERS"])

    def answer(self, spoil: Callable[[list[dict[str, Any]]], None]) -> None:
        """Let EventBridge do the next that it is asked, and then answer as the test wants."""
        left = [1]

        def once(parsed: dict[str, Any], **_: Any) -> None:
            if left[0]:
                left[0] -= 1
                spoil(parsed["Entries"])

        self.world.runtime.eventbridge.meta.events.register(
            "after-call.eventbridge.PutEvents", once
        )

    def refuse(self, code: str, when: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Let EventBridge refuse whole requests."""

        def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
            if not when(json.loads(params["body"])["Entries"]):
                return None
            refused = type("Answer", (), {"status_code": 400, "headers": {}, "content": b""})()
            return refused, {"Error": {"Code": code, "Message": ""}}

        events = self.world.runtime.eventbridge.meta.events
        events.register_first("before-call.eventbridge.PutEvents", answer)  # type: ignore[arg-type]


@pytest.fixture
def way(world: World) -> Way:
    """What the template adds where `EventBus` names a bus; and that bus, with a rule on it."""
    queue, topic = _queue("RelayQueue"), world.environment["BATCHWATCH_TOPIC"]
    subscribe(topic, queue, _properties("RelayedEvents"))
    world.environment |= {
        "BATCHWATCH_EVENT_BUS": BUS,
        "BATCHWATCH_RELAY_DEAD_LETTERS": _queue("RelayDeadLetters"),
    }
    world.restart()
    events, heard = client("events"), client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    pattern = {"source": ["batchwatch"], "detail-type": ["batch.completed", {"prefix": "job."}]}
    events.create_event_bus(Name=BUS)
    events.put_rule(Name="ours", EventBusName=BUS, EventPattern=json.dumps(pattern))
    target = {"Id": "heard", "Arn": "arn:aws:sqs:us-east-1:123456789012:heard"}
    events.put_targets(Rule="ours", EventBusName=BUS, Targets=[target])
    return Way(world, queue, heard)


def subjects(delivered: list[dict[str, Any]]) -> list[str]:
    return sorted(said["detail"]["subject"] for said in delivered)


def test_a_rule_on_the_bus_gives_on_the_same_event(way: Way, invoke: Handlers) -> None:
    (text,) = way.publish("batch_1", metadata={"team": "Größe 🦉"})

    told = invoke("relay", {"Records": way.records()})

    (said,) = way.delivered()
    assert (said["source"], said["detail-type"]) == ("batchwatch", "batch.completed")
    assert said["detail"] == json.loads(text)
    assert said["time"] == said["detail"]["time"]
    assert told.result == {"batchItemFailures": []}
    (line,) = (line for line in told.log if line["message"] == "relayed")
    assert (line["relayed"], line["again"], line["problems"]) == (1, 0, 0)


def test_events_of_jobs_are_put_on_the_bus_beside_those_of_batches(way: Way) -> None:
    jobs = [job_example(kind) for kind in JOB_TYPES]
    way.publish("batch_1")
    for job in jobs:
        way.world.runtime.outbox.publisher.publish(job, job.frozen())

    relayed = way.relay()

    assert (relayed.relayed, relayed.again, relayed.report.problems) == (6, [], [])
    heard = {said["detail-type"]: said["detail"] for said in way.delivered()}
    assert heard.pop("batch.completed")["subject"] == "batch_1"
    assert heard == {job.type: json.loads(job.frozen()) for job in jobs}


def test_the_sample_event_is_put_on_the_bus_to_the_byte(way: Way) -> None:
    sent: list[dict[str, Any]] = []
    way.refuse("", lambda entries: bool(sent.extend(entries)))  # type: ignore[func-returns-value]
    records = sample("relay")["Records"]

    way.world.runtime.relay.pass_on(records)

    assert [entry["Detail"] for entry in sent] == [record["body"] for record in records]
    assert "Resources" not in sent[0]
    assert subjects(way.delivered()) == [json.loads(records[0]["body"])["subject"]]


def test_an_event_that_the_bus_does_not_take_comes_again_and_no_other(way: Way) -> None:
    """EventBridge says 200 to such a request, and tells of each entry by itself."""
    way.publish("batch_1", "batch_2", "batch_3")
    way.answer(lambda entries: entries.__setitem__(1, {"ErrorCode": "ThrottlingException"}))

    relayed = way.relay()

    assert relayed.relayed == 2
    (problem,) = relayed.report.problems
    assert "ThrottlingException" in str(problem.error)
    (left,) = way.records()
    assert BatchEvent.model_validate_json(left["body"]).subject == problem.batch_id
    assert way.relay().again == []
    assert {*subjects(way.delivered())} == {"batch_1", "batch_2", "batch_3"}
    assert way.records() == []
    assert way.dead() == []


def test_a_request_that_is_refused_comes_again_as_a_whole(way: Way) -> None:
    way.publish("batch_1", "batch_2")
    refusals = iter([True])
    way.refuse("AccessDeniedException", lambda _: next(refusals, False))

    relayed = way.relay()

    assert (relayed.relayed, len(relayed.again)) == (0, 2)
    assert all("AccessDeniedException" in str(p.error) for p in relayed.report.problems)
    assert way.relay().again == []
    assert subjects(way.delivered()) == ["batch_1", "batch_2"]


def test_events_that_are_too_large_together_go_in_several_requests(way: Way) -> None:
    names = [f"batch_{number}" for number in range(7)]
    way.publish(*names, metadata={"note": "x" * 90_000})
    way.refuse(
        "ValidationException",
        lambda entries: sum(len(entry["Detail"]) for entry in entries) >= LIMIT,
    )

    assert way.relay().again == []
    assert subjects(way.delivered()) == names


def test_what_is_no_event_is_set_aside_and_holds_up_no_other(way: Way) -> None:
    garbage = [
        "no event",
        "{}",
        '{"type": "job.completed"}',
        '{"type": "batch.completed", "subject": "batch_1"}',
    ]
    for text in garbage:
        way.throw_in(text)
    way.publish("batch_1")

    relayed = way.relay()

    assert (relayed.relayed, relayed.again) == (1, [])
    assert sorted(way.dead()) == sorted(garbage)
    assert subjects(way.delivered()) == ["batch_1"]
    assert way.records() == []


def test_what_eventbridge_cannot_read_is_set_aside(way: Way) -> None:
    (text,) = way.publish("batch_1")
    way.answer(lambda entries: entries.__setitem__(0, {"ErrorCode": "MalformedDetail"}))

    assert way.relay().again == []
    assert way.dead() == [text]


def test_where_there_are_no_dead_letters_garbage_comes_again(way: Way) -> None:
    way.world.environment["BATCHWATCH_RELAY_DEAD_LETTERS"] += "-not-there"
    way.world.restart()
    way.throw_in("no event")
    way.publish("batch_1")

    relayed = way.relay()

    assert (relayed.relayed, len(relayed.again)) == (1, 1)
    assert [record["body"] for record in way.records()] == ["no event"]
    assert subjects(way.delivered()) == ["batch_1"]


@given(st.lists(st.integers(0, LIMIT), max_size=25))
@modest
def test_no_request_has_more_than_eventbridge_takes(sizes: list[int]) -> None:
    event = BatchEvent.model_validate_json(sample("relay")["Records"][0]["body"])
    letters = [
        Letter({}, event, {"Source": "", "DetailType": "", "Detail": " " * size}) for size in sizes
    ]

    divided = [*requests(letters)]

    assert [letter for request in divided for letter in request] == letters
    for request in divided:
        assert 1 <= len(request) <= MOST
        assert len(request) == 1 or sum(letter.size for letter in request) <= LARGEST


def test_a_bus_that_does_not_exist_fails_the_deployment_as_its_events_would_be_dropped(
    way: Way,
) -> None:
    """PutEvents succeeds for such a bus, says AWS; PutRule does not."""
    rule = _properties("RelayBusIsThere")
    assert rule.pop("EventBusName").value == "EventBus"
    rule["EventPattern"] = json.dumps(rule["EventPattern"])
    events = client("events")

    events.put_rule(Name="there", EventBusName=BUS, **rule)
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.put_rule(Name="there", EventBusName="misspelled", **rule)
    way.publish("batch_1")
    assert way.relay().again == []  # and it is in nobody's way
