"""Whatever anybody sends to the address of the webhooks: refused, soon, and without a trace."""

from __future__ import annotations

import base64
import importlib
import io
import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from batchwatch.errors import Refusal
from batchwatch.runtime import runtime
from batchwatch.telemetry import logger
from local.simulator import Script
from tests.handlers import Context
from tests.signed import signed, webhook
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.handlers import Handlers
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")
CANARY = "qzcanaryzq"
"""In every request, and never in what is told of one."""
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes or more.").decode()
HUGE = CANARY * 600_000
NAMES = ("id", "timestamp", "signature")


class Told(NamedTuple):
    """What many requests left behind: answers, calls to AWS, kinds of lines of log and metrics."""

    answers: Counter[int]
    calls: Counter[str]
    lines: set[str]
    seconds: float


class Noise:
    """Requests of which OpenAI has sent none, some about a batch that has really ended."""

    def __init__(self, seed: int, batch_id: str) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - to be had again
        self.batch_id = batch_id

    def unsigned(self) -> Any:
        """Give a request that nobody signed, or not so, or not now."""
        kinds = (self._junk, self._at_another_time, self._by_another, self._altered, self._broken)
        return self._in_passing(self.draw.choice(kinds)())

    def signed(self) -> Any:
        """Give a request that OpenAI may have signed, but that says nothing of any batch here."""
        return self._in_passing(signed(self._said(), time.time(), encoded=True))

    def _valid(self, at: float, **how: Any) -> dict[str, Any]:
        return webhook(self.batch_id, at, encoded=self.draw.random() < 0.5, **how)

    def _junk(self) -> Any:
        keys = ["headers", "body", "isBase64Encoded", "requestContext", "version", "rawPath"]
        junk = {key: self._anything() for key in self.draw.sample(keys, self.draw.randrange(7))}
        return self.draw.choice([junk, junk, self._valid(0) | junk, self._anything()])

    def _at_another_time(self) -> Any:
        way = self.draw.choice([301, 3600, 86_400, 1e9]) + self.draw.random() * 1000
        return self._valid(time.time() + self.draw.choice([-way, way]))

    def _by_another(self) -> Any:
        return self._valid(time.time(), secret=OTHER)

    def _altered(self) -> Any:
        event = self._valid(time.time())
        body = event["body"]
        at = self.draw.randrange(len(body) + 1)
        other = [body[:at] + CANARY + body[at:], body[:at] + " " + body[at:], body[:at], HUGE]
        others = [text for text in other if text != body] + [None, "", 7, [], {}, CANARY]
        return event | {"body": self.draw.choice(others)}

    def _broken(self) -> Any:
        event = self._valid(time.time())
        headers, name = event["headers"], f"webhook-{self.draw.choice(NAMES)}"
        right = headers[name]
        wrong = self.draw.choice([
            f"{right},{right}", f"{right}{CANARY}", f"+{right}", f"\u00a0{right}", f"{right}é", "",
            [right], {CANARY: right}, None, 7, True, CANARY, "v1," * 700, "9" * 5000, "\ud800",
        ])  # fmt: skip
        return self.draw.choice([
            event | {"isBase64Encoded": not event["isBase64Encoded"]},
            event | {"headers": {**headers, name: wrong}},
            event | {"headers": {key: text for key, text in headers.items() if key != name}},
            event | {"headers": {**headers, name.upper(): wrong}},
            event | {"headers": [[key, text] for key, text in headers.items()]},
            event | {"headers": None},
            {key: each for key, each in event.items() if key != "headers"},
        ])  # fmt: skip

    def _in_passing(self, event: Any) -> Any:
        """Change what has no meaning."""
        if not isinstance(event, dict):
            return event
        http = {"method": self.draw.choice(["POST", "GET", "PUT", "OPTIONS", CANARY, None])}
        event |= {
            "rawPath": f"/{CANARY}/../%00",
            "rawQueryString": f"sk-{CANARY}&{CANARY}",
            "cookies": [f"{CANARY}={CANARY}"],
            "requestContext": {"http": {**http, "userAgent": CANARY, "sourceIp": CANARY}},
        }
        if isinstance(event.get("headers"), dict):
            event["headers"] |= {"user-agent": CANARY, CANARY: CANARY, "cookie": CANARY}
            if self.draw.random() < 0.2:
                event["headers"] = {name.upper(): text for name, text in event["headers"].items()}
        return event

    def _said(self) -> bytes:
        """Say in a body what makes no sense, or of what is not here."""
        types = ["batch.completed", "batch.failed", "batch.completed", "BATCH.COMPLETED", CANARY]
        said: Any = {"type": self.draw.choice(types), "created_at": self._anything()}
        unknown = f"batch_{CANARY}"
        said["data"] = {"id": self.draw.choice([unknown, unknown, CANARY * 60, self._anything()])}
        unused = {"type": "batch.in_progress", "data": {"id": self.batch_id}}
        part = json.dumps(said)[: self.draw.randrange(60)]
        said = self.draw.choice([
            said, said, unused, {**said, "data": self._anything()}, {**said, "type": unused},
            {**unused, "type": self._anything()}, self._anything(),
        ])  # fmt: skip
        whole = json.dumps(said)
        return self.draw.choice([
            *[whole.encode()] * 6, whole.encode("utf-16"),
            part.encode(), b"\xff" + part.encode(), self.draw.randbytes(40), b"",
            b"[" * 60_000, b'{"type": ' + b"9" * 9999 + b"}",
        ])  # fmt: skip

    def _anything(self) -> Any:
        return self.draw.choice([
            None, True, 0, -1, 1e308, 10**30, "", CANARY, f"../{CANARY}", f"sk-{CANARY}", "é" * 9,
            "\ud800\0", "x" * 513, [], [CANARY], [[]], {}, {CANARY: CANARY}, {"id": [CANARY]},
        ])  # fmt: skip


def hear(invoke: Handlers, events: Iterator[Any]) -> Told:
    """Call the function with each in one process, as Lambda does."""
    invoke("webhook", {"version": "2.0"})  # its environment
    told = Told(Counter(), Counter(), set(), time.monotonic())
    theirs = runtime()
    secrets = theirs.accounts._provider.client
    for each in (theirs.dynamodb, theirs.sns, theirs.s3, theirs.sqs, secrets):
        each.meta.events.register(
            "before-call.*", lambda model, **_: told.calls.update([model.name])
        )
    handler: Callable[[Any, Context], dict[str, int]] = importlib.import_module("webhook").handler
    context = Context("webhook")
    for event in events:
        lines = io.StringIO()
        logger.registered_handler.setStream(lines)  # type: ignore[attr-defined]
        answer = handler(event, context)
        told.answers[answer["statusCode"]] += 1
        assert set(answer) == {"statusCode"}
        printed = lines.getvalue() + invoke.capsys.readouterr().out
        told.lines.update(map(timeless, printed.splitlines()))
    for openai in theirs._openai.values():
        openai.close()
    return told._replace(seconds=time.monotonic() - told.seconds)


def timeless(line: str) -> str:
    said = json.loads(line)
    said.pop("timestamp", None)
    said.pop("batch_id", None)  # of what is signed
    said.get("_aws", {}).pop("Timestamp", None)
    return json.dumps(said)


def state(world: World) -> list[Any]:
    rows = client("dynamodb").scan(TableName="ledger", ConsistentRead=True)["Items"]
    return [rows, world.messages(), world.objects(), world.drop_orders()]


def play(world: World, invoke: Handlers, requests: int) -> None:
    batch_id = world.batch(SCRIPT)
    world.clock.now += 10  # it has ended, and nobody knows
    before, asked = state(world), len(world.openai.requests)
    noise = Noise(requests, batch_id)

    told = hear(invoke, (noise.unsigned() for _ in range(requests)))

    assert told.answers == {400: requests}
    assert set(told.calls) == {"GetSecretValue"}
    assert told.calls["GetSecretValue"] <= 3 + told.seconds / 30  # nobody makes us read on and on
    assert len(world.openai.requests) == asked
    reasons = {said.get("reason") for said in map(json.loads, told.lines)} - {None}
    assert reasons == set(Refusal) - {Refusal.SECRET, Refusal.BODY}
    silent(told)

    told = hear(invoke, (noise.signed() for _ in range(requests // 5)))

    assert set(told.answers) == {200, 400}
    assert set(told.calls) <= {"GetSecretValue", "GetItem"}
    assert {request.method for request in world.openai.requests[asked:]} == {"GET"}
    silent(told)

    assert state(world) == before
    told = hear(invoke, iter([webhook(batch_id, time.time())]))
    assert told.answers == {200: 1}
    assert [event.subject for event in world.events()] == [batch_id]


def silent(told: Told) -> None:
    """Say that what was logged and measured holds nothing of what was sent."""
    assert CANARY not in "".join(told.lines).lower()
    assert len(told.lines) < 20, told.lines  # a kind of line for each kind of answer


def test_noise_changes_nothing_and_leaves_no_word(world: World, invoke: Handlers) -> None:
    play(world, invoke, 1500)


@pytest.mark.full
def test_much_noise_changes_nothing_and_leaves_no_word(world: World, invoke: Handlers) -> None:
    play(world, invoke, 100_000)
