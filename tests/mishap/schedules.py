"""Which runs there are: one mishap, of one kind, at the n-th call that the service makes.

A schedule says which, and can be repeated: `ended/dies-after-17-sns.Publish` is the run of the
batches "ended" whose process dies after its 17th call, which is a publish. (`+lag` behind the
kind: the index shows what it held one poll ago, all the time.)
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from local.simulator import Script
from tests.mishap.life import life
from tests.mishap.mishaps import KINDS
from tests.mishap.outside import PART, Call

if TYPE_CHECKING:
    from tests.mishap.life import Life


def _script(ends: str, **how: Any) -> Script:
    plain = {"name": ends, "requests": 4, "validating": 10, "running": 10, "finalizing": 10}
    return Script(endpoint="/v1/embeddings", ends=ends, **{**plain, **how})


BATCHES = {
    "ended": (
        _script("completed", requests=20, failed=3, running=20, output_bytes=3 * PART),
        _script("failed"),
    ),
    "stopped": (
        _script("cancelled", unfinished=2, running=30, finalizing=20),
        _script("expired", unfinished=4),
    ),
    "late": (_script("completed", failed=1),),
    "found": (_script("completed", failed=1, validating=45), _script("failed", validating=45)),
    "told": (_script("completed", failed=1), _script("cancelled", unfinished=2)),
    "told-found": (_script("expired", unfinished=4), _script("failed")),
    "told-too": (_script("completed", failed=1, validating=30), _script("failed", validating=45)),
}
"""The first is of several parts and has errors; the late one learns late what its output is; those
found nobody has registered. Of those told OpenAI tells; then nobody polls, unless of those told
too, which nobody has registered."""
FOUND = {"found", "told-found", "told-too"}
TOLD = {"told", "told-found", "told-too"}
UNPOLLED = {"told", "told-found"}
LATE = 4000
"""Seconds until OpenAI tells the output's id: the end has been announced by then."""


def _tell_late(life: Life) -> None:
    told_at = life.world.clock.now + LATE

    def hide(said: dict[str, Any]) -> None:
        if life.world.clock.now < told_at:
            said["output_file_id"] = None

    life.world.openai.fault("GET /v1/batches/", times=-1, edit=hide)


class Schedule(NamedTuple):
    """One run: which batches, what happens, at which call; `n` 0: nothing happens."""

    batches: str
    kind: str
    lag: bool
    n: int
    call: str

    def __str__(self) -> str:
        return f"{Case(self.batches, self.kind, self.lag)}-{self.n}-{self.call}"

    @classmethod
    def read(cls, text: str) -> Schedule:
        """Read what `str` gave."""
        case, n, call = text.rsplit("-", 2)
        return cls(*Case.read(case), int(n), call)

    def run(self) -> Outcome:
        """Let it happen."""

        def meet(life: Life, call: Call) -> Any:
            if len(life.crossings) != self.n:
                return life.let(call)
            life.mishaps += 1
            return KINDS[self.kind].happen(life, call)

        with life(meet) as run:
            run.lags = self.lag
            if self.batches == "late":
                _tell_late(run)
            run.told, run.polled = self.batches in TOLD, self.batches not in UNPOLLED
            run.run(BATCHES[self.batches], found=self.batches in FOUND)
            crossings = tuple(run.crossings), frozenset(run.archivers)
            return Outcome(self, run.verdict(), run.repeated, *crossings)


class Outcome(NamedTuple):
    """How a run came out: what was wrong, and how many messages came again unchanged.

    `archivers`: which of the calls, counted from 1, were the archiver's.
    """

    schedule: Schedule
    faults: list[str]
    repeated: int
    crossings: tuple[str, ...]
    archivers: frozenset[int]


class Case(NamedTuple):
    """All runs of some batches with one kind of mishap."""

    batches: str
    kind: str
    lag: bool = False

    def __str__(self) -> str:
        return f"{self.batches}/{self.kind}{'+lag' if self.lag else ''}"

    @classmethod
    def read(cls, text: str) -> Case:
        """Read what `str` gave."""
        batches, _, kind = text.partition("/")
        return cls(batches, kind.removesuffix("+lag"), kind.endswith("+lag"))

    def schedules(self) -> list[Schedule]:
        """Every point at which it can happen; of those told, where the archiver is not at work.

        It does the same whoever announced the end. But does all end well if nobody polls?
        """
        outcome = calm(self.batches, lag=self.lag)
        told = self.batches in TOLD and self not in ALONE
        return [
            Schedule(*self, n, call)
            for n, call in enumerate(outcome.crossings, 1)
            if KINDS[self.kind].to(call) and not (told and n in outcome.archivers)
        ]


ALONE = [Case("told", "dies-after"), Case("told", "fails")]
BREAKS = ("dies-before", "dies-after", "answer-lost", "fails", "fails-after", "stands-still")
RACES = ("poll-before", "poll-after", "heard-before", "heard-after")
OLD = ("unknown", "is-behind", "is-behind-poll-after", "stays-behind")
CASES = [
    *(Case("ended", kind) for kind in KINDS),
    *(Case("stopped", kind) for kind in ("dies-before", "dies-after", "moved-on-before")),
    *(Case("late", kind) for kind in ("dies-before", "dies-after", "redelivered-before")),
    *(
        Case("found", kind)
        for kind in ("dies-before", "dies-after", "answer-lost", "fails", "poll-after")
    ),
    Case("found", "moved-on-before", lag=True),
    *(Case("ended", kind, lag=True) for kind in ("dies-after", "poll-after", "redelivered-before")),
    Case("found", "heard-before"),
    Case("late", "heard-after"),
    Case("stopped", "heard-after", lag=True),
    *(Case("told", kind) for kind in (*BREAKS, *RACES, *OLD, "moved-on-before", "never-takes")),
    *(Case("told-found", kind) for kind in (*BREAKS, *RACES, *OLD)),
    *(Case("told-too", kind) for kind in (*RACES, *OLD, "dies-after", "moved-on-after")),
]
WITH_WEBHOOKS = [
    case
    for case in CASES
    if case.batches in TOLD or case.kind in {"heard-before", "heard-after", "heard-moved-on"}
]


@cache
def calm(batches: str, *, lag: bool = False) -> Outcome:
    """Run with no mishap, which tells which calls there are."""
    return Schedule(batches, "calm", lag, 0, "nothing").run()
