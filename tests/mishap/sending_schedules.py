"""Which runs that send there are: one mishap, of one kind, at the n-th call of Submitter.

`dropped/dies-after-23-openai.create` is the run of the files "dropped" whose process dies after
its 23rd call, which creates a batch. (`+lag` behind the kind: the index shows what it held in
the round before, all the time.)
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.mishap.sending_kinds import KINDS
from tests.mishap.sending_life import dropping

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mishap.outside import Call
    from tests.mishap.sending_life import Dropping

UNLISTED = 250
"""Seconds after which a batch shows in a list that lags: fewer than we wait for it."""


def _file(name: str, requests: int, *, models: int = 1) -> bytes:
    lines = []
    for number in range(requests):
        message = {"role": "user", "content": f"Question {number}?"}
        body = {"model": f"gpt-5-mini-{number % models}", "messages": [message]}
        line = {"custom_id": f"{name}-{number}", "method": "POST", "url": "/v1/chat/completions"}
        lines.append(json.dumps(line | {"body": body}))
    return "\n".join(lines).encode() + b"\n"


def _one(life: Dropping) -> None:
    life.drop("nightly.jsonl", _file("a", 4), 2)


def _two(life: Dropping) -> None:
    _one(life)
    life.world.clock.now += 1
    life.drop("of-two-models.jsonl", _file("b", 2, models=2), 2)


def _again(life: Dropping) -> None:
    """Drop another file by the same name, once the first one is read."""
    _one(life)
    life.tick(5)
    life.drop("nightly.jsonl", _file("c", 2), 2)


def _limited(life: Dropping) -> None:
    """Let one batch be enqueued at a time: the other one fails, and is to be made again."""
    life.world.openai.enqueued_batches = 1
    _one(life)


def _unsent(life: Dropping) -> None:
    """Let the first request for a batch be lost: it is looked for, and made in the end."""
    life.first = "timeout"
    _one(life)


def _unlisted(life: Dropping) -> None:
    """Let the list not show what is new."""
    life.unlisted = UNLISTED
    _one(life)


def _unheard(life: Dropping) -> None:
    """Let nobody hear of the first batch that is made: it is found."""
    life.first = "dies-after"
    _one(life)


def _cancelled(life: Dropping) -> None:
    """Let somebody cancel soon, as often as it takes to be answered."""
    _one(life)
    life.tick(5)
    while not life.cancel():
        pass


DROPS: dict[str, Callable[[Dropping], None]] = {
    "dropped": _one,
    "dropped-two": _two,
    "dropped-again": _again,
    "dropped-limited": _limited,
    "dropped-unsent": _unsent,
    "dropped-unheard": _unheard,
    "dropped-unlisted": _unlisted,
    "dropped-cancelled": _cancelled,
}


class Schedule(NamedTuple):
    """One run: which files, what happens, at which call; `n` 0: nothing happens."""

    files: str
    kind: str
    lag: bool
    n: int
    call: str

    def __str__(self) -> str:
        return f"{Case(self.files, self.kind, self.lag)}-{self.n}-{self.call}"

    @classmethod
    def read(cls, text: str) -> Schedule:
        """Read what `str` gave."""
        case, n, call = text.rsplit("-", 2)
        return cls(*Case.read(case), int(n), call)

    def run(self) -> Outcome:
        """Let it happen."""

        def meet(life: Dropping, call: Call) -> Any:
            happens = self.kind if len(life.crossings) == self.n else None
            if call.name == "openai.create" and life.first:
                happens, life.first = happens or life.first, None
            if happens is None:
                return life.let(call)
            life.mishaps += 1
            return KINDS[happens].happen(life, call)

        with dropping(meet) as run:
            run.lags = self.lag
            DROPS[self.files](run)
            run.recover()
            return Outcome(self, run.verdict(), run.repeated, tuple(run.crossings))


class Outcome(NamedTuple):
    """How a run came out: what was wrong, and how many messages came again unchanged."""

    schedule: Schedule
    faults: list[str]
    repeated: int
    crossings: tuple[str, ...]


class Case(NamedTuple):
    """All runs of some files with one kind of mishap."""

    files: str
    kind: str
    lag: bool = False

    def __str__(self) -> str:
        return f"{self.files}/{self.kind}{'+lag' if self.lag else ''}"

    @classmethod
    def read(cls, text: str) -> Case:
        """Read what `str` gave."""
        files, _, kind = text.partition("/")
        return cls(files, kind.removesuffix("+lag"), kind.endswith("+lag"))

    def schedules(self) -> list[Schedule]:
        """Every point at which it can happen and matter.

        What happens before a write comes after the reads that it was decided from: so reads are met
        by little else than failures.
        """
        crossings = calm(self.files, lag=self.lag).crossings
        return [
            Schedule(*self, n, call)
            for n, call in enumerate(crossings, 1)
            if KINDS[self.kind].to(call)
            if call not in READS or (self.files, self.kind) in AT_READS
        ]


READS = {
    "dynamodb.GetItem",
    "dynamodb.Query",
    "s3.GetObject",
    "secretsmanager.GetSecretValue",
}
AT_READS = {("dropped", kind) for kind in ("dies-before", "fails", "stands-still")}
BREAKS = ("dies-before", "dies-after", "fails", "fails-after")
RACES = ("tick-before", "tick-after", "looked-for-before", "settled-before", "settled-after")
CASES = [
    *(Case("dropped", kind) for kind in KINDS),
    *(
        Case("dropped", kind, lag=True)
        for kind in ("dies-after", "fails-after", "tick-after", "settled-after", "made-timeout")
    ),
    *(
        Case("dropped-unlisted", kind)
        for kind in ("dies-after", "made-timeout", "made-html", "looked-for-after", "settled-after")
    ),
    *(Case("dropped-unsent", kind, lag=True) for kind in ("tick-after", "dies-after")),
    *(
        Case("dropped-limited", kind)
        for kind in (
            "dies-before",
            "dies-after",
            "fails",
            "tick-after",
            "poll-after",
            "cancel-after",
        )
    ),
    *(Case("dropped-again", kind) for kind in ("dies-before", "told-again-after")),
    *(Case("dropped-two", kind) for kind in ("dies-after", "fails", "429", "tick-before")),
    *(
        Case(files, kind)
        for files in ("dropped-unsent", "dropped-unheard")
        for kind in (*BREAKS, *RACES, "old-tick-after", "cancel-before", "429", "html")
    ),
    *(
        Case("dropped-cancelled", kind)
        for kind in (
            "dies-before",
            "dies-after",
            "answer-lost",
            "fails",
            "fails-after",
            "tick-after",
        )
    ),
]


@cache
def calm(files: str, *, lag: bool = False) -> Outcome:
    """Run with no mishap, which tells which calls there are."""
    return Schedule(files, "calm", lag, 0, "nothing").run()
