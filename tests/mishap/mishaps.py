"""What may happen to a run: one mishap, of one kind, at the n-th call that the service makes.

A schedule says which, and can be repeated: `cancelled/dies-after-17-sns.Publish` is the run of the
batches "cancelled" whose process dies after its 17th call, which is a publish. (`+lag` behind the
kind: the index shows what it held one poll ago, all the time.)
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from local.simulator import Script
from tests.mishap.life import LEASE, VISIBILITY, life
from tests.mishap.outside import PART, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mishap.life import Life

MOVES = 20
"""Seconds in which OpenAI moves on by a status."""
BEHIND = 35
"""Seconds by which an answer can be old: it shows a status that was announced as over."""


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
}
"""The first is of several parts and has errors; the late one learns late what its output is; those
found nobody has registered."""
LATE = 4000
"""Seconds until OpenAI tells the output's id: the end has been announced by then."""


def _tell_late(life: Life) -> None:
    told_at = life.world.clock.now + LATE

    def hide(said: dict[str, Any]) -> None:
        if life.world.clock.now < told_at:
            said["output_file_id"] = None

    life.world.openai.fault("GET /v1/batches/", times=-1, edit=hide)


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
    """Answer with what was true a while ago, as one of several servers may."""
    life.world.clock.now -= BEHIND
    try:
        return life.let(call)
    finally:
        life.world.clock.now += BEHIND


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
    **{f"cut-{at}": _ends(at) for at in (0, 1, PART - 1, PART, PART + 1, 3 * PART)},
    **{f"cut-{at}-no-range": _ends(at, ranges=False) for at in (1, PART, 3 * PART)},
    **{f"short-{at}": _ends(at, quietly=True) for at in (0, 1, PART, 3 * PART)},
}


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
            run.run(BATCHES[self.batches], found=self.batches == "found")
            return Outcome(self, run.verdict(), run.repeated, tuple(run.crossings))


class Outcome(NamedTuple):
    """How a run came out: what was wrong, and how many messages came again unchanged."""

    schedule: Schedule
    faults: list[str]
    repeated: int
    crossings: tuple[str, ...]


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
        """Every point at which it can happen."""
        crossings = enumerate(calm(self.batches, lag=self.lag).crossings, 1)
        return [Schedule(*self, n, call) for n, call in crossings if KINDS[self.kind].to(call)]


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
]


@cache
def calm(batches: str, *, lag: bool = False) -> Outcome:
    """Run with no mishap, which tells which calls there are."""
    return Schedule(batches, "calm", lag, 0, "nothing").run()
