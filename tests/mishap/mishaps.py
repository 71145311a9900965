"""What may happen to a run: kinds of mishaps, each at whatever call it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from botocore.exceptions import ClientError

from tests.mishap.life import LEASE, VISIBILITY
from tests.mishap.outside import PART, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mishap.life import Life

MOVES = 20
"""Seconds in which OpenAI moves on by a status."""


class Kind(NamedTuple):
    """A kind of mishap: what happens at a call, and to which calls it can happen."""

    happen: Callable[[Life, Call], Any]
    to: Callable[[str], bool] = lambda _: True


def _dies_before(life: Life, _: Call) -> Any:
    life.line.die()


def _dies_after(life: Life, call: Call) -> Any:
    life.let(call)
    life.line.die()


def _poll(life: Life) -> None:
    with life.another():
        life.poll()


def _archive(life: Life) -> None:
    with life.another():
        life.archive()


def _both(life: Life) -> None:
    _poll(life)
    _archive(life)


def _hear(life: Life) -> None:
    with life.another():
        for batch_id in life.batch_ids:
            life.hear(batch_id)


def _same_message(life: Life) -> None:
    if life.in_hand:
        with life.another():
            life.work(life.in_hand)


def _before(others: Callable[[Life], None], seconds: float = 0) -> Kind:
    def happen(life: Life, call: Call) -> Any:
        life.world.clock.now += seconds
        others(life)
        return life.let(call)

    return Kind(happen)


def _after(others: Callable[[Life], None], seconds: float = 0) -> Kind:
    def happen(life: Life, call: Call) -> Any:
        answer = life.let(call)
        life.world.clock.now += seconds
        others(life)
        return answer

    return Kind(happen)


def _behind(life: Life, call: Call) -> Any:
    return life.let_behind(call)


def _behind_while_polled(life: Life, call: Call) -> Any:
    answer = life.let_behind(call)
    _poll(life)
    return answer


def _stays_behind(life: Life, call: Call) -> Any:
    life.old_until = life.world.clock.now + MOVES
    return life.let(call)


def _unknown(_: Life, __: Call) -> Any:
    """Answer as a server that has not heard of the batch yet, or no longer."""
    return httpx.Response(404, json={"error": {"message": "no such batch"}})


def _ends(after: int, *, quietly: bool = False, ranges: bool = True) -> Kind:
    """Cut a download off. Quietly: nothing but its length tells."""

    def happen(life: Life, call: Call) -> Any:
        life.world.openai.ranges = ranges
        answer = life.let(call)
        answer.stream.ends, answer.stream.quietly = after, quietly
        if quietly:
            del answer.headers["content-length"]
            answer.headers["transfer-encoding"] = "chunked"
        return answer

    return Kind(happen, lambda name: name == "openai.content")


def _never_takes(_: Life, call: Call) -> Any:
    """Refuse an event as it is, not only now."""
    said = {"Code": "InvalidParameter", "Message": "as the test wants"}
    raise ClientError({"Error": said}, call.name)  # type: ignore[typeddict-item]


def _nothing(_: Life) -> None:
    pass


def _of_openai(name: str) -> bool:
    return name.startswith("openai.")


KINDS: dict[str, Kind] = {
    "dies-before": Kind(_dies_before),
    "dies-after": Kind(_dies_after),
    "answer-lost": Kind(lambda _, call: call.twice()),
    "fails": Kind(lambda _, call: call.refuse()),
    "fails-after": Kind(lambda _, call: call.lose(), lambda name: not _of_openai(name)),
    "poll-before": _before(_poll),
    "poll-after": _after(_poll),
    "heard-before": _before(_hear),
    "heard-after": _after(_hear),
    "heard-moved-on": _before(_hear, MOVES),
    "archive-before": _before(_archive),
    "archive-after": _after(_archive),
    "moved-on-before": _before(_both, MOVES),
    "moved-on-after": _after(_both, MOVES),
    "lease-over-before": _before(_both, LEASE + 1),
    "lease-over-after": _after(_both, LEASE + 1),
    "redelivered-before": _before(_both, VISIBILITY + 1),
    "redelivered-after": _after(_both, VISIBILITY + 1),
    "time-runs-out": _before(_nothing, LEASE - 5),
    "stands-still": _before(_nothing, LEASE + 1),
    "delivered-twice": _before(_same_message),
    "never-takes": Kind(_never_takes, lambda name: name == "sns.Publish"),
    "is-behind": Kind(_behind, lambda name: name == "openai.batch"),
    "is-behind-poll-after": Kind(_behind_while_polled, lambda name: name == "openai.batch"),
    "unknown": Kind(_unknown, lambda name: name == "openai.batch"),
    "stays-behind": Kind(_stays_behind, lambda name: name == "openai.batch"),
    **{f"cut-{at}": _ends(at) for at in (0, 1, PART - 1, PART, PART + 1, 3 * PART)},
    **{f"cut-{at}-no-range": _ends(at, ranges=False) for at in (1, PART, 3 * PART)},
    **{f"short-{at}": _ends(at, quietly=True) for at in (0, 1, PART, 3 * PART)},
}
