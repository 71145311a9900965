"""Events reach people: each once, together, on every channel, whatever one of them does."""

from __future__ import annotations

import json
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.events import event_id
from docs.events.examples import JOB, job_example
from docs.events.types import JOB_TYPES
from local.simulator import Script
from local.simulator.slack import SimulatedSlack
from tests.builders import batch, counts
from tests.notices import People, message
from tests.test_events import event
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.events import BatchEvent
    from tests.handlers import Handlers
    from tests.world import World


@pytest.fixture
def people(world: World) -> Iterator[People]:
    with SimulatedSlack() as slack:
        yield People(world, slack)
        assert slack.errors == []
        assert slack.problems == []


def ended(number: int, status: str = "completed", **changes: Any) -> BatchEvent:
    said = batch(status, id=f"batch_{number:04d}", **changes)
    return event(said, f"batch.{status}", status=status)


def told_by_channel(people: People) -> dict[str, list[str]]:
    """What everybody was told since the last call."""
    posts, people.slack.messages[:] = [*people.slack.messages], []
    return {
        "email": [mail.text for mail in people.mails()],
        "chat": [json.dumps(said) for said in people.chats()],
        "slack": [json.dumps(said) for said in posts],
    }


def told(people: People) -> list[str]:
    """What everybody was told since the last call, channel by channel."""
    return [text for texts in told_by_channel(people).values() for text in texts]


def test_ten_batches_that_end_together_are_one_message_on_each_channel(people: People) -> None:
    done = people.tell(*(ended(n) for n in range(10)))

    assert (done.again, done.told, done.repeated, done.problems) == ([], 10, 0, [])
    (mail,) = people.mails()
    assert all(f"batch_{n:04d}" in mail.text for n in range(10))
    assert len(people.chats()) == 1
    assert len(people.slack.messages) == 1


@pytest.mark.parametrize("records", [100, pytest.param(1000, marks=pytest.mark.full)])
def test_all_records_of_an_invocation_make_one_mail_that_tells_of_each_the_worst_first(
    people: People, records: int
) -> None:
    worst = records // 2
    events = [ended(n, "failed" if n == worst else "completed") for n in range(records)]

    done = people.tell(*events)

    assert (done.again, done.told) == ([], records)
    (mail,) = people.mails()
    assert all(f"batch_{n:04d}" in mail.text for n in range(records))
    assert mail.text.index(f"batch_{worst:04d}") < mail.text.index("batch_0000")
    assert (len(people.chats()), len(people.slack.messages)) == (1, 1)


def test_what_comes_twice_is_told_once(people: People) -> None:
    first, second = ended(1), ended(2)

    assert people.tell(first, first, second).again == []
    assert len(told(people)) == 3
    done = people.tell(second, first)

    assert (done.again, done.told, done.repeated) == ([], 0, 2)
    assert told(people) == []


def test_of_two_invocations_at_once_one_tells_and_the_other_leaves_it_for_later(
    people: People,
) -> None:
    one, other = ended(1), ended(2)
    ids = [e.id for e in (one, other)]
    now = people.world.clock.now
    table = people.world.runtime.notifier.told
    table.claim([ids[0]], owner="first", now=now, until=now + 60)

    messages = [message(one), message(other)]
    done = people.call(messages, owner="second")

    assert (done.again, done.told) == ([messages[0]["messageId"]], 1)
    assert all("batch_0001" not in text for text in told(people))
    people.world.clock.now += 61  # the first has died
    assert people.tell(one, owner="third").told == 1
    assert all("batch_0001" in text for text in told(people))


def test_a_claim_that_boto3_repeats_is_still_ones_own_and_lasts_longer_than_any_message(
    people: People,
) -> None:
    now, table = people.world.clock.now, people.world.runtime.notifier.told
    claims = [
        table.claim(["event"], owner=owner, now=now, until=now + 60)
        for owner in ("one", "one", "other")
    ]

    assert claims == [{"event": frozenset()}, {"event": frozenset()}, {"event": None}]
    (item,) = client("dynamodb").scan(TableName="told")["Items"]
    assert float(item["expires"]["N"]) >= now + 28 * 24 * 3600  # both queues, 14 days each


def test_a_channel_that_fails_is_tried_again_alone(people: People) -> None:
    people.slack.refuse(404, "no_service")

    messages = [message(ended(1)), message(ended(2))]
    done = people.call(messages)
    assert {*done.again} == {m["messageId"] for m in messages}
    assert [type(p.error).__name__ for p in done.problems] == ["SlackError"]
    assert len(told(people)) == 2

    done = people.call([*messages, message(ended(3))], owner="two")

    assert (done.again, done.told, done.problems) == ([], 3, [])
    mail, chat, slack = told(people)
    assert all("batch_0001" not in text for text in (mail, chat))
    assert all(f"batch_000{n}" in slack for n in (1, 2, 3))


def test_with_no_slack_in_the_secret_nothing_waits_for_it(people: People) -> None:
    people.connect_slack(None)

    assert people.tell(ended(1)).again == []
    assert len(told(people)) == 2


def test_a_mail_that_sns_does_not_take_keeps_no_other_channel_waiting(people: People) -> None:
    client = people.world.runtime.sns
    client.meta.events.register("before-parameter-build.sns.Publish", refuse_mail)

    done = people.tell(ended(1))

    assert len(done.again) == 1
    assert [str(p.error) for p in done.problems] == ["no mail today"]
    assert len(told(people)) == 2
    client.meta.events.unregister("before-parameter-build.sns.Publish", refuse_mail)
    assert people.tell(ended(1), owner="two").again == []
    (mail,) = told(people)
    assert "batch_0001" in mail


def refuse_mail(params: dict[str, Any], **_: Any) -> None:
    if params["TopicArn"].endswith(":mail"):
        raise RuntimeError("no mail today")


def test_at_least_a_second_lies_between_two_mails_whoever_sends_them(people: People) -> None:
    began = people.world.clock.now
    for number in range(5):
        people.tell(ended(number), owner=str(number))

    assert people.world.clock.now >= began + 4
    assert len(people.mails()) == 5


def test_a_mail_that_finds_no_turn_comes_again_and_the_others_are_told(people: People) -> None:
    now, table = people.world.clock.now, people.world.runtime.notifier.told
    assert table.wait_for_turn(3600, lambda: now, people._wait)

    done = people.tell(ended(1))

    assert (len(done.again), len(people.waits)) == (1, 16)
    assert [type(p.error).__name__ for p in done.problems] == ["CrowdedError"]
    assert (people.mails(), len(people.chats()), len(people.slack.messages)) == ([], 1, 1)


def test_what_is_no_event_comes_again_until_it_is_a_dead_letter_and_holds_up_nothing(
    people: People,
) -> None:
    bad = [{"messageId": str(n), "body": body} for n, body in enumerate(["", "{}", "[1]", "\0"])]

    done = people.call([*bad, message(ended(1))])

    assert done.again == [m["messageId"] for m in bad]
    assert {type(p.error).__name__ for p in done.problems} == {"BadMessageError"}
    assert len(told(people)) == 3


def test_people_are_told_of_what_notify_on_names_and_programs_of_all(people: People) -> None:
    world = people.world
    world.poll()
    script = Script(name="b", endpoint="/v1/responses", requests=9, ends="expired", unfinished=3,
                    running=90)  # fmt: skip
    batch_id = world.batch(script, found=True)
    for _ in range(4):
        world.poll(after=45)
        world.archive()

    types = [e.type for e in world.events(batch_id)]
    announced = people.waiting()
    assert {"batch.in_progress", "batch.expired", "batch.archived"} <= {*types}
    assert [json.loads(m["body"])["type"] for m in announced] == ["batch.expired"]
    people.call(announced)
    (mail,) = people.mails()
    assert "expired" in mail.subject
    assert "6 of 9 succeeded, 3 unfinished" in mail.text


def test_people_are_told_of_jobs_and_their_batches_together_and_of_no_submission(
    people: People,
) -> None:
    publisher = people.world.runtime.outbox.publisher
    batch_ended = ended(1)
    publisher.publish(batch_ended, batch_ended.frozen())
    for kind in JOB_TYPES:
        publisher.publish(job := job_example(kind), job.frozen())
    announced = people.waiting()
    types = [json.loads(m["body"])["type"] for m in announced]
    assert sorted(types) == sorted([*JOB_TYPES.keys() - {"job.submitted"}, "batch.completed"])

    done = people.call(announced)

    assert (done.again, done.told, done.problems) == ([], 5, [])
    for text in told(people):
        assert JOB in text
        assert "nightly.jsonl" in text
        assert "batch_0001" in text
    assert people.call(announced, owner="two").told == 0


def test_the_log_says_how_many_have_confirmed_their_address(
    people: People, invoke: Handlers
) -> None:
    ran = invoke("notifier", {"Records": [message(ended(1)), {"messageId": "x", "body": "?"}]})

    assert ran.result == {"batchItemFailures": [{"itemIdentifier": "x"}]}
    (line,) = [line for line in ran.log if line["message"] == "notified"]
    assert (line["told"], line["repeated"], line["again"]) == (1, 0, 1)
    assert (line["confirmed"], line["unconfirmed"]) == (0, 0)  # a queue is no address
    assert [w["reason"] for w in ran.warnings()] == ["not an event"]
    assert people.mails()


def test_who_has_confirmed_is_counted_and_holds_up_nothing(people: People) -> None:
    def some(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Attributes"] |= {"SubscriptionsConfirmed": "2", "SubscriptionsPending": "1"}

    def silent(**_: Any) -> None:
        raise OSError("the line is dead")

    sns = people.world.runtime.sns.meta.events
    sns.register("after-call.sns.GetTopicAttributes", some)
    assert people.tell(ended(1)).audience == {"confirmed": 2, "unconfirmed": 1}
    sns.register("before-call.sns.GetTopicAttributes", silent)
    done = people.tell(ended(2))

    assert (done.again, done.told, done.audience) == ([], 1, {})
    assert [type(p.error).__name__ for p in done.problems] == ["OSError"]


def test_prices_that_cannot_be_read_are_told_of_and_people_are_told_all_the_same(
    people: People,
) -> None:
    people.world.environment["BATCHWATCH_PRICES"] = '{"gpt-5-mini": 2}'
    people.world.restart()

    done = people.tell(ended(1))

    assert (done.again, [type(p.error).__name__ for p in done.problems]) == ([], ["PricesError"])
    (mail,) = people.mails()
    assert "$" in mail.text
    assert "the parameter Prices cannot be read" in " ".join(mail.text.split())


MOST = 20
"""More calls than the notifier makes of AWS for two events."""


@pytest.mark.parametrize("answer", ["never sent", "lost"])
def test_whatever_call_fails_or_is_the_last_every_event_is_told_on_every_channel(
    people: People, answer: str
) -> None:
    """An invocation that breaks off at any call, then another: told once, or the same again."""
    for number in range(MOST):
        batches = [f"batch_{2 * number + n:04d}" for n in (0, 1)]
        messages = [message(ended(2 * number + n)) for n in (0, 1)]
        with broken(people, number, answer) as met:
            try:
                left = people.call(messages, owner=f"first {number}").again
            except OSError:  # Lambda gives all of them back
                left = [m["messageId"] for m in messages]
        people.world.clock.now += 61
        again = [m for m in messages if m["messageId"] in left]
        done = people.call(again, owner=f"second {number}")

        assert (done.again, done.problems) == ([], [])
        channels = told_by_channel(people)
        for name, texts in channels.items():
            assert all(any(b in text for text in texts) for b in batches), (name, number)
            assert len(texts) <= 2
        if not met:
            break
    assert 8 <= number < MOST - 1


@contextmanager
def broken(people: People, number: int, answer: str) -> Iterator[list[str]]:
    """Let a call of the notifier fail before it is sent, or after, so that its answer is lost."""
    calls, met = [0], []
    lock = Lock()

    def fail(model: Any, **_: Any) -> None:
        with lock:
            calls[0] += 1
            this = calls[0] == number + 1
        if this:
            met.append(model.name)
            raise OSError("the line is dead")

    runtime = people.world.runtime
    when = "before-call.*" if answer == "never sent" else "after-call.*"
    clients = (runtime.dynamodb, runtime.sns)
    for each in clients:
        each.meta.events.register(when, fail)
    try:
        yield met
    finally:
        for each in clients:
            each.meta.events.unregister(when, fail)


def test_dollars_of_a_batch_are_told_with_its_end_and_not_again(people: People) -> None:
    end = ended(1)
    archived = event(end.data.batch.said, "batch.archived", sequence=3)

    people.tell(end)
    (mail,) = people.mails()
    assert "$" in mail.text
    people.tell(archived, owner="two")
    (mail,) = people.mails()
    assert "$" not in mail.text


def test_a_batch_whose_requests_all_failed_is_told_as_a_failure(people: People) -> None:
    people.tell(ended(1, request_counts=counts(9, 0, 9)), ended(2))

    (mail,) = people.mails()
    assert "1 with no success, 1 completed with errors" in mail.text
    assert event_id("default", "batch_0001", "batch.completed") == ended(1).id
