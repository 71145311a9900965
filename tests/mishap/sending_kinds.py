"""What may happen to a run that sends: kinds of mishaps, each at whatever call it is told to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.mishap.life import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mishap.outside import Call
    from tests.mishap.sending_life import Dropping

LOOKED_FOR = 11
"""Seconds after which somebody else looks for a batch whose making was begun."""
SETTLED = 301
"""Seconds after which a batch that the list does not show is made anew."""


class Kind(NamedTuple):
    """A kind of mishap: what happens at a call, and to which calls it can happen."""

    happen: Callable[[Dropping, Call], Any]
    to: Callable[[str], bool] = lambda _: True


def _only(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


_CREATE = _only("openai.create")
_OF_OPENAI = _only("openai.create", "openai.upload", "openai.batch", "openai.cancel")


def _dies_before(life: Dropping, _: Call) -> Any:
    life.line.die()


def _dies_after(life: Dropping, call: Call) -> Any:
    life.let(call)
    life.line.die()


def _before(others: Callable[[Dropping], object], seconds: float = 0) -> Callable[..., Any]:
    def happen(life: Dropping, call: Call) -> Any:
        life.world.clock.now += seconds
        with life.another():
            others(life)
        return life.let(call)

    return happen


def _after(others: Callable[[Dropping], object], seconds: float = 0) -> Callable[..., Any]:
    def happen(life: Dropping, call: Call) -> Any:
        answer = life.let(call)
        life.world.clock.now += seconds
        with life.another():
            others(life)
        return answer

    return happen


def _same_message(life: Dropping) -> None:
    if life.in_hand:
        life.take(life.in_hand)


def _told_again(life: Dropping) -> None:
    """Let S3 tell of all objects again, which is heard at once."""
    for body in dict.fromkeys(life.arrivals):
        life.tell_again(body)
    life.submit()


def _everybody(life: Dropping) -> None:
    life.submit()
    life.look_after()
    life.poll()
    life.archive()


def _polled(life: Dropping) -> None:
    life.poll()
    life.archive()
    life.look_after()


def _old_tick(life: Dropping) -> None:
    """Let the schedule call Submitter, to whom the index shows what it held in the last round."""
    life.lags, before = True, life.lags
    life.look_after()
    life.lags = before


def _nothing(_: Dropping) -> None:
    pass


def _late(when: Callable[..., Callable[..., Any]]) -> Callable[..., Any]:
    """Let a request leave only when nobody believes in it any more: then there may be two."""

    def happen(life: Dropping, call: Call) -> Any:
        life.recalled = True
        return when(_everybody, SETTLED)(life, call)

    return happen


def _lost(how: Callable[[], Any]) -> Callable[..., Any]:
    """Let a request be carried out, and something else be answered."""

    def happen(life: Dropping, call: Call) -> Any:
        life.let(call)
        return how()

    return happen


def _raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def _answering(status: int, content: bytes = b"", **headers: str) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, headers=headers, content=content)


def _instead(how: Callable[[], Any]) -> Callable[..., Any]:
    """Let a request not be carried out, and something else be answered."""
    return lambda _, __: how()


def _said(message: str, code: str | None = None, param: str | None = None) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json.dumps({"error": error}).encode()


_TIMEOUT = _raising(httpx.ReadTimeout("as the test wants"))
_RESET = _raising(httpx.ReadError("as the test wants"))
_NO_WAY = _raising(httpx.ConnectError("as the test wants"))
_LIMIT = _said("Enqueued token limit reached.", "token_limit_exceeded")
_HTML = b"<html><title>502 Bad Gateway</title></html>"

KINDS: dict[str, Kind] = {
    "dies-before": Kind(_dies_before),
    "dies-after": Kind(_dies_after),
    "answer-lost": Kind(lambda _, call: call.twice()),
    "fails": Kind(lambda _, call: call.refuse()),
    "fails-after": Kind(lambda _, call: call.lose()),
    "tick-before": Kind(_before(lambda life: life.look_after())),
    "tick-after": Kind(_after(lambda life: life.look_after())),
    "old-tick-before": Kind(_before(_old_tick)),
    "old-tick-after": Kind(_after(_old_tick)),
    "looked-for-before": Kind(_before(lambda life: life.look_after(), LOOKED_FOR)),
    "looked-for-after": Kind(_after(lambda life: life.look_after(), LOOKED_FOR)),
    "same-message-before": Kind(_before(_same_message)),
    "same-message-after": Kind(_after(_same_message)),
    "poll-before": Kind(_before(_polled)),
    "poll-after": Kind(_after(_polled)),
    "told-again-before": Kind(_before(_told_again)),
    "told-again-after": Kind(_after(_told_again)),
    "lease-over-before": Kind(_before(_everybody, LEASE + 1), lambda n: n != "openai.create"),
    "lease-over-after": Kind(_after(_everybody, LEASE + 1)),
    "settled-before": Kind(_late(_before)),
    "settled-after": Kind(_late(_after)),
    "stands-still": Kind(_before(_nothing, LEASE + 1)),
    "cancel-before": Kind(_before(lambda life: life.cancel())),
    "cancel-after": Kind(_after(lambda life: life.cancel())),
    "made-timeout": Kind(_lost(_TIMEOUT), _CREATE),
    "made-reset": Kind(_lost(_RESET), _CREATE),
    "made-500": Kind(_lost(_answering(500)), _CREATE),
    "made-409": Kind(_lost(_answering(409)), _CREATE),
    "made-html": Kind(_lost(_answering(200, _HTML)), _CREATE),
    "made-no-batch": Kind(_lost(_answering(200, b'{"object": "batch"}')), _CREATE),
    "timeout": Kind(_instead(_TIMEOUT), _OF_OPENAI),
    "reset": Kind(_instead(_RESET), _CREATE),
    "no-way": Kind(_instead(_NO_WAY), _OF_OPENAI),
    "429": Kind(_instead(_answering(429, _said("Slow down."))), _OF_OPENAI),
    "401": Kind(_instead(_answering(401, _said("Incorrect API key."))), _OF_OPENAI),
    "404": Kind(_instead(_answering(404, _said("No such File object."))), _OF_OPENAI),
    "limited": Kind(_instead(_answering(400, _LIMIT)), _CREATE),
    "html": Kind(_instead(_answering(200, _HTML)), _OF_OPENAI),
}
