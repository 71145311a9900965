"""Bad input: one clear line of log, a metric, nothing untrue written, and the rest goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Script
from tests.handlers import sample
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/chat/completions", requests=5, ends="completed")
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "not JSON": ({"status": 200, "body": b"{oops"}, "BadAnswerError"),
    "HTML with 200": ({"status": 200, "body": HTML}, "BadAnswerError"),
    "HTML with 502": ({"status": 502, "body": HTML, "times": -1}, "OpenAIError"),
    "empty": ({"status": 200, "body": b""}, "BadAnswerError"),
    "an array": ({"status": 200, "body": b"[]"}, "BadAnswerError"),
    "another batch": ({"edit": lambda said: said.update(id="batch_other")}, "BadAnswerError"),
    "no status": ({"edit": lambda said: said.pop("status") and None}, "BadAnswerError"),
    "403": ({"status": 403, "times": -1}, "AccessError"),
    "404": ({"status": 404, "times": -1}, "NotFoundError"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_wrong_answer_is_set_aside_and_the_other_batch_goes_on(
    world: World, invoke: Handlers, answer: str
) -> None:
    fault, error = ANSWERS[answer]
    bad, good = world.batch(SCRIPT), world.batch(SCRIPT)
    world.openai.listing.hidden.add(bad)
    world.openai.fault(f"GET /v1/batches/{bad}", **fault)

    told = invoke("poller")

    assert [(w["batch_id"], w["error"]) for w in told.warnings()] == [(bad, error)]
    assert told.log[-1]["problems"] == 1
    assert world.record(bad).batch is None
    assert world.record(bad).open
    assert [e.subject for e in world.events()] == [good]


def test_a_refused_key_is_one_line_and_not_one_for_each_batch(
    world: World, invoke: Handlers
) -> None:
    for _ in range(20):
        world.batch(SCRIPT)
    world.put_secret(
        json.dumps(
            {"accounts": {ACCOUNT: {"api_key": "sk-wrong", "base_url": world.openai.base_url}}}
        )
    )

    told = invoke("poller")

    assert [(w["account"], w["error"]) for w in told.warnings()] == [(ACCOUNT, "AccessError")]
    assert told.log[-1]["problems"] == 1
    assert "sk-wrong" not in json.dumps(told.log)


def test_a_refused_key_does_not_hold_back_what_is_already_known(
    world: World, invoke: Handlers
) -> None:
    batches = [world.batch(SCRIPT) for _ in range(20)]
    topic = world.environment["BATCHWATCH_TOPIC"]
    world.environment["BATCHWATCH_TOPIC"] = topic + "-which-does-not-exist"
    invoke("poller")
    world.environment["BATCHWATCH_TOPIC"] = topic
    world.openai.fault("GET", status=401, times=-1)

    invoke("poller")

    assert {e.subject for e in world.events()} == set(batches)


def test_a_row_that_cannot_be_read_is_told_without_its_content(
    world: World, invoke: Handlers
) -> None:
    key = {"account": {"S": ACCOUNT}, "batch_id": {"S": "batch_bad"}, "open": {"S": ACCOUNT}}
    outbox = {"M": {"1": {"S": '{"id": "e", "data": {"batch": "the secret prompt"}}'}}}
    world.runtime.dynamodb.put_item(
        TableName="ledger", Item={**key, "v": {"N": "1"}, "outbox": outbox}
    )

    told = invoke("poller")

    assert {warning["batch_id"] for warning in told.warnings()} == {"batch_bad"}
    assert "the secret prompt" not in json.dumps(told.log)


def test_an_unknown_status_is_one_event_and_the_batch_stays_open(
    world: World, invoke: Handlers
) -> None:
    batch_id = world.batch(SCRIPT)
    world.openai.listing.edit_row = lambda row: row | {"status": "pondering"}
    world.openai.fault(
        f"GET /v1/batches/{batch_id}",
        times=-1,
        edit=lambda said: said.update(status="pondering"),
    )

    invoke("poller")
    invoke("poller")

    event, stalled = world.events(batch_id)
    assert (event.type, event.data.status) == ("batch.unknown", "unknown")
    assert stalled.data.stalled
    assert stalled.data.stalled.reason == "overdue"  # days ago, by the clock of handlers
    assert event.data.batch.said["status"] == "pondering"
    assert world.record(batch_id).open


ROWS: dict[str, dict[str, Any]] = {
    "a version that is text": {"v": {"S": "three"}},
    "an outbox that is a list": {"v": {"N": "1"}, "outbox": {"L": []}},
    "a status that is a number": {"v": {"N": "1"}, "status": {"N": "3"}},
    "another account's": {"open": {"S": ACCOUNT}, "account": {"S": "other"}},
    "an unsafe id": {"batch_id": {"S": "../../etc/passwd"}},
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_cannot_be_read_is_set_aside_and_the_other_batch_goes_on(
    world: World, invoke: Handlers, row: str
) -> None:
    key = {"account": {"S": ACCOUNT}, "batch_id": {"S": "batch_bad"}, "open": {"S": ACCOUNT}}
    bad = {**key, **ROWS[row]}
    world.runtime.dynamodb.put_item(TableName="ledger", Item=bad)
    good = world.batch(SCRIPT)

    told = invoke("poller")

    warnings = told.warnings()
    (warning,) = [w for w in warnings if w["error"] == "LedgerRowError"]
    shown = "…" if row == "an unsafe id" else bad["batch_id"]["S"]
    assert warning["batch_id"] == shown
    # By the clock of handlers it may be the minute in which that account is found to have no key.
    orphaned = [w for w in warnings if w["account"] == "other"]
    assert len(warnings) == 1 + len(orphaned if row == "another account's" else [])
    assert told.log[-1]["problems"] == len(warnings)
    assert [e.subject for e in world.events()] == [good]
    kept = world.runtime.dynamodb.get_item(
        TableName="ledger", Key={name: bad[name] for name in ("account", "batch_id")}
    )
    assert kept["Item"] == bad


SECRETS = {
    "the one of a fresh deployment": '{"accounts": {}}',
    "not JSON": "sk-pasted-as-it-is",
    "no accounts": '{"api_key": "sk-x"}',
    "http to another machine": json.dumps(
        {"accounts": {ACCOUNT: {"api_key": KEY, "base_url": "http://example.com/v1"}}}
    ),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_cannot_be_used_is_one_line(
    world: World, invoke: Handlers, secret: str
) -> None:
    world.put_secret(SECRETS[secret])

    told = invoke("poller")

    assert [w["error"] for w in told.warnings()] == ["SecretError"]
    assert "sk-" not in json.dumps(told.log)


BODIES = ["", "hello", "[]", "{}", '{"subject": "../x", "data": {"account": "default"}}']


@pytest.mark.parametrize("body", BODIES)
def test_a_message_that_is_no_order_goes_to_the_dead_letters_at_once(
    world: World, invoke: Handlers, body: str
) -> None:
    event = sample("archiver")
    event["Records"][0]["body"] = body

    told = invoke("archiver", event)

    assert told.result == {"batchItemFailures": []}
    assert [w["error"] for w in told.warnings()] == ["BadMessageError"]
    assert told.log[-1]["problems"] == 1
    assert world.dead_letters() == [body or "-"]


def test_an_order_for_a_batch_that_is_not_in_the_ledger_is_set_aside(
    world: World, invoke: Handlers
) -> None:
    told = invoke("archiver")

    assert told.result == {"batchItemFailures": []}
    (warning,) = told.warnings()
    assert warning["batch_id"] == json.loads(sample("archiver")["Records"][0]["body"])["subject"]
    assert world.objects() == {}
    assert len(world.dead_letters()) == 1
