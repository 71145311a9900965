"""The webhooks of a simulated OpenAI, at somebody who takes them, refuses them, or stays silent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Endpoint, Mischief, SimulatedOpenAI, Webhooks
from local.simulator.lifecycle import TERMINAL
from local.simulator.webhooks import fresh_secret, sign
from local.simulator.wire import Answer, Request, serving, whole_answer
from tests.simulator.client import Clock
from tests.simulator.test_lifecycle import (
    CANCELLED,
    COMPLETED,
    EXPIRED,
    FAILED,
    NEVER_STARTED,
    SCRIPTS,
    START,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = fresh_secret()
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
NOWHERE = Endpoint("", SECRET)
LONG = 60  # seconds; later than any end here


@dataclass
class Receiver:
    """Whom the webhooks reach: answers with these statuses, then with 200."""

    statuses: list[int] = field(default_factory=list)
    silence: float = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    endpoint: Endpoint = NOWHERE

    def answer(self, request: Request, body: bytes) -> Answer:
        """Take it, or not."""
        self.headers.append(request.headers)
        self.bodies.append(body)
        self.stopped.wait(self.silence)
        status = self.statuses.pop(0) if self.statuses else 200
        answer = whole_answer(status, b"{}")
        answer.headers["location"] = f"{self.endpoint.url}elsewhere"
        return answer

    @property
    def told(self) -> list[str]:
        """The batches that the webhooks name, as they came."""
        return [json.loads(body)["data"]["id"] for body in self.bodies]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def openai(clock: Clock) -> Iterator[SimulatedOpenAI]:
    """Batches at a time that stands still."""
    with SimulatedOpenAI(clock=clock) as openai:
        yield openai


@contextmanager
def receiving(**how: Any) -> Iterator[Receiver]:
    mistakes: list[BaseException] = []
    receiver = Receiver(**how)
    with serving(receiver.answer, mistakes, receiver.stopped) as origin:
        receiver.endpoint = Endpoint(f"{origin}/", SECRET)
        yield receiver
    assert mistakes == []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything, unless a test has it do otherwise."""
    with receiving() as receiver:
        yield receiver


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What is sent, and when


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("cancelled_after", [None, 0, 0.5, 3.25, LONG])
def test_a_webhook_is_sent_in_the_moment_in_which_the_batch_shows_its_end(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver, script: Any, cancelled_after: Any
) -> None:
    sender = Webhooks(openai, receiver.endpoint)
    batch_id = openai.add(script)
    for quarter in range(60):
        clock.now = START + quarter / 4
        if clock.now - START == cancelled_after:
            openai._cancel(batch_id)
        attempts, status = sender.send_due(), openai.batch(batch_id)["status"]
        assert bool(attempts) == (status in TERMINAL)
        if attempts:
            break

    (body,) = receiver.bodies
    said = json.loads(body)
    assert (said["type"], said["data"]) == (f"batch.{status}", {"id": batch_id})
    assert said["created_at"] == openai.batch(batch_id)[f"{status}_at"]
    clock.now += LONG
    assert sender.send_due() == []


def test_a_webhook_looks_like_one_of_openai_and_is_signed(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint._replace(host="elsewhere.example"))
    batch_id = openai.add(FAILED)
    clock.now += LONG + 0.75
    (attempt,) = sender.send_due()

    (headers,), (body,) = receiver.headers, receiver.bodies
    said = json.loads(body)
    assert said.keys() == {"id", "object", "created_at", "type", "data"}
    assert said["id"].startswith("evt_")
    assert said["object"] == "event"
    assert headers["host"] == "elsewhere.example"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"
    assert headers["webhook-id"].startswith("wh_")
    assert headers["webhook-timestamp"] == str(int(clock.now))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert attempt == (
        batch_id,
        "batch.failed",
        headers["webhook-id"],
        clock.now,
        200,
        False,
        False,
    )


def test_a_signature_is_that_of_a_webhook_recorded_from_openai() -> None:
    contract = os.environ.get("BATCHWATCH_CONTRACT")
    if not contract:
        pytest.skip("BATCHWATCH_CONTRACT names no folder")
    vectors = json.loads((Path(contract) / "webhook-vectors.json").read_text())["vectors"]
    (vector,) = (vector for vector in vectors if vector["name"] == "official_valid")
    headers = vector["headers"]
    signature = sign(
        vector["secret"],
        headers["webhook-id"],
        int(headers["webhook-timestamp"]),
        base64.b64decode(vector["payload_b64"]),
    )
    assert signature == headers["webhook-signature"]


def test_nothing_is_sent_of_what_had_ended_before(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    openai.add(COMPLETED)
    clock.now += LONG
    sender = Webhooks(openai, receiver.endpoint)
    openai.add(COMPLETED, created_at=START)
    clock.now += LONG

    assert sender.send_due() == []


# What is sent again


@pytest.mark.parametrize("refusal", [302, 400, 410, 503])
def test_what_is_not_taken_comes_again_with_its_id_and_a_new_time_later_and_later(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver, refusal: int
) -> None:
    sender = Webhooks(openai, receiver.endpoint, backoff=0.5)
    receiver.statuses = [refusal] * 4 + [204]
    openai.add(NEVER_STARTED)
    while len(sender.attempts) < 5:
        clock.now += 0.25
        sender.send_due()
    clock.now += LONG

    assert sender.send_due() == []
    ats = [attempt.at for attempt in sender.attempts]
    assert [after - before for before, after in pairwise(ats)] == [0.5, 1, 2, 4]
    assert [attempt.status for attempt in sender.attempts] == [refusal] * 4 + [204]
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 1
    assert len(set(receiver.bodies)) == 1
    assert [headers["webhook-timestamp"] for headers in receiver.headers] == [
        str(int(at)) for at in ats
    ]


def test_what_nobody_takes_is_given_up_after_three_days(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint)
    receiver.statuses = [503] * 1000
    openai.add(FAILED)
    for _ in range(100):
        clock.now += 3600
        sender.send_due()

    assert 10 < len(sender.attempts) < 50
    assert sender.attempts[-1].at <= START + 73 * 3600


def test_who_does_not_answer_in_time_is_asked_again(openai: SimulatedOpenAI, clock: Clock) -> None:
    with receiving(silence=LONG) as receiver:
        sender = Webhooks(openai, receiver.endpoint, patience=0.1)
        openai.add(FAILED)
        clock.now += LONG
        (unanswered,) = sender.send_due()
        receiver.silence = 0
        clock.now += LONG
        (answered,) = sender.send_due()

    assert (unanswered.status, answered.status) == (None, 200)
    assert unanswered.webhook_id == answered.webhook_id


# Mischief


def test_a_share_is_sent_twice_with_one_id(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint, mischief=Mischief(twice=0.5))
    ids = [openai.add(EXPIRED) for _ in range(20)]
    clock.now += LONG
    sender.send_due()

    doubled = [attempt for attempt in sender.attempts if attempt.second]
    assert {*receiver.told} == {*ids}
    assert 0 < len(doubled) < 20
    assert len(receiver.bodies) == 20 + len(doubled)
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 20
    assert len(set(receiver.bodies)) == 20


def test_a_share_is_overtaken_by_others(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint, mischief=Mischief(late=0.5, hold=1))
    ids = [openai.add(replace(CANCELLED, running=number / 4)) for number in range(1, 21)]
    for _ in range(100):
        clock.now += 0.25
        sender.send_due()

    assert sorted(receiver.told) == sorted(ids)
    assert receiver.told != ids


def test_of_a_share_the_first_attempt_does_not_arrive(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint, mischief=Mischief(lost=0.5))
    ids = [openai.add(COMPLETED) for _ in range(20)]
    clock.now += LONG
    sender.send_due()
    first = {*receiver.told}
    clock.now += 1
    sender.send_due()

    assert 0 < len(first) < 20
    assert sorted(receiver.told) == sorted(ids)
    lost = {attempt.batch_id for attempt in sender.attempts if attempt.lost}
    assert lost == {*ids} - first


def test_a_seed_always_draws_the_same(
    openai: SimulatedOpenAI, clock: Clock, receiver: Receiver
) -> None:
    def sent(seed: int) -> list[object]:
        mischief = Mischief(twice=0.3, late=0.3, lost=0.3, seed=seed)
        sender = Webhooks(openai, receiver.endpoint, mischief=mischief)
        ids = [openai.add(replace(COMPLETED, running=number)) for number in range(10)]
        for _ in range(80):
            clock.now += 0.25
            sender.send_due()
        return [(ids.index(each.batch_id), each.status, each.second) for each in sender.attempts]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


# By itself


def test_a_sample_is_sent_until_somebody_is_there(
    openai: SimulatedOpenAI, receiver: Receiver
) -> None:
    sender = Webhooks(openai, receiver.endpoint, backoff=0.01)
    receiver.statuses = [502, 500, 200, 400, 503]

    assert sender.try_out() == 200
    assert sender.try_out() == 400
    assert sender.try_out(0) == 503
    assert openai.find(receiver.told[0]) is None
    assert (len(receiver.told), sender.attempts) == (5, [])


def test_webhooks_are_sent_by_themselves_as_batches_end(receiver: Receiver) -> None:
    mischief = Mischief(twice=0.5, late=0.5, lost=0.5, hold=0.2)
    receiver.statuses = [503, 500]
    with (
        SimulatedOpenAI() as openai,
        Webhooks(openai, receiver.endpoint, mischief=mischief, backoff=0.05) as sender,
    ):
        ids = [
            openai.add(replace(COMPLETED, validating=0.1, running=number / 20, finalizing=0))
            for number in range(10)
        ]
        wait_until(lambda: {each.batch_id for each in sender.attempts if each.taken} == {*ids})

    assert sender.errors == []
    assert {*receiver.told} == {*ids}


def test_leaving_waits_neither_for_an_answer_nor_for_a_retry(
    openai: SimulatedOpenAI, clock: Clock
) -> None:
    with receiving(silence=LONG) as receiver, Webhooks(openai, receiver.endpoint) as sender:
        for _ in range(20):
            openai.add(FAILED)
        clock.now += LONG
        wait_until(lambda: len(receiver.bodies) > 1)
        began = time.monotonic()
        sender.__exit__()

        assert time.monotonic() - began < 2
        assert sender.errors == []
