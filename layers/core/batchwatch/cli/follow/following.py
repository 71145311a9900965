"""Look again and again until all is over: the loop of `watch`, and of `submit` at its end."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from batchwatch.cli.follow.pace import Pace, Paces
from batchwatch.cli.follow.progress import Seen, in_order
from batchwatch.cli.trouble import Code, CommandError, trouble_of
from batchwatch.notify.wording import duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchwatch.cli.output import Output
    from batchwatch.cli.stack import Stack

LONGEST_WAIT = 30.0
_USUAL_STEPS = 10
_NAMED = 5
_PATIENCE = 90  # seconds until it is odd that a dropped file has not been read


class Shown(NamedTuple):
    """Something that is watched, with its pace."""

    seen: Seen
    pace: Pace


class Screen(Protocol):
    """Who is told what is seen."""

    def show(self, all_of_it: Sequence[Shown], now: float) -> None:
        """Show how everything is at a moment."""

    def note(self, text: str) -> None:
        """Tell something beside that; an empty text takes the last one away."""


class Source(Protocol):
    """What is watched."""

    def look(self) -> list[Seen]:
        """Return it as it is now."""


class Until(NamedTuple):
    """How often to look, in seconds; for how long at most; and what is waited for.

    `ended`: the last status is enough, without the files.
    """

    every: float = 2.0
    timeout: float | None = None
    ended: bool = False

    def reached(self, seen: Seen) -> bool:
        """Whether something need not be watched any more."""
        return seen.ended if self.ended else seen.over


def follow(  # noqa: PLR0913 - time is a test's own
    source: Source,
    screen: Screen,
    until: Until,
    paces: Paces,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Seen]:
    """Look until all that is watched has reached its end; return it as it was last seen.

    What AWS has no time for is told, and tried again more and more seldom. CommandError (LATER)
    when the time is over.
    """
    begun, wait = clock(), until.every
    seen: list[Seen] = []
    while True:
        now = clock()
        try:
            seen = in_order(source.look())
        except Exception as error:  # noqa: BLE001 - what does not pass is raised again
            wait = min(wait * 2, max(until.every, LONGEST_WAIT))
            screen.note(_passing(error, wait))
        else:
            wait = until.every
            screen.show([Shown(each, paces.of(each.runs, now)) for each in seen], now)
            screen.note(_overdue(seen, now))
            if all(until.reached(each) for each in seen):
                return seen
        left = _left(until, now - begun)
        if left is not None and left <= 0:
            raise out_of_time([each for each in seen if not until.reached(each)], len(seen), until)
        sleep(wait if left is None else min(wait, left))


def paces_of(stack: Stack) -> Paces:
    """Return what tells paces, by the steps that the stack keeps."""
    said = stack.parameters.get("ProgressSteps", "")
    return Paces(int(said) if said.isdecimal() else _USUAL_STEPS)


def _passing(error: Exception, wait: float) -> str:
    """Say of what AWS did not answer that it will be asked again; raise what will not pass."""
    trouble = trouble_of(error)
    if trouble is None or trouble.code is not Code.LATER:
        raise error
    return f"{trouble}; asking again in {duration(wait)}"


def _left(until: Until, gone: float) -> float | None:
    return None if until.timeout is None else until.timeout - gone


def _overdue(seen: Sequence[Seen], now: float) -> str:
    """Tell where to look if dropped files are not read."""
    late = [
        each for each in seen if each.status == "uploaded" and now - (each.since or now) > _PATIENCE
    ]
    if not late:
        return ""
    return (
        f"Submitter has not taken in {', '.join(each.name for each in late[:_NAMED])} for"
        f" {duration(now - min(each.since or now for each in late))}: batchwatch doctor tells"
        " whether it runs; what it could not look at lies in the inbox's dead letters"
    )


def out_of_time(still: Sequence[Seen], of: int, until: Until) -> CommandError:
    """Say what is still open when the time is over."""
    some = "; ".join(f"{e.id} {progress(e)}" for e in still[:_NAMED])
    more = f"; and {len(still) - _NAMED} more" if len(still) > _NAMED else ""
    what = f": {some}{more}" if still else ""
    return CommandError(
        Code.LATER,
        f"{len(still)} of {of} still open after {duration(until.timeout or 0)}{what}"
        if of
        else f"nothing was to be seen for {duration(until.timeout or 0)}",
        f"they go on; to watch on: {again(still)}",
    )


def stopped(seen: Sequence[Seen], until: Until) -> CommandError:
    """Say what becomes of what was watched, as nobody looks any more."""
    still = [each for each in seen if not until.reached(each)]
    return CommandError(
        Code.INTERRUPTED,
        "stopped watching; the batches go on, and are announced and archived all the same",
        f"to watch on: {again(still)}" + cancelling(still),
    )


def again(still: Sequence[Seen]) -> str:
    """Give the command to watch something again."""
    ids = [each.id for each in still] if len(still) <= _NAMED else []
    return " ".join(["batchwatch watch", *ids])


def cancelling(still: Sequence[Seen]) -> str:
    """Give the command to cancel jobs, if there are any, and few."""
    jobs = [each.id for each in still if each.kind == "job"]
    return f"; to cancel: batchwatch cancel {' '.join(jobs)}" if 0 < len(jobs) <= _NAMED else ""


def verdict(out: Output, seen: Sequence[Seen]) -> Code:
    """Name each that came to no good end, and what failed in those that did; return the code."""
    bad = [each for each in seen if not each.good]
    for each in bad:
        why = f": {each.reason}" if each.reason else ""
        called = f" ({each.name})" if each.name != each.id else ""
        out.note(f"{each.id}{called}: {progress(each)}{why}")
    if len(bad) > 1:
        out.note(f"{len(bad)} of {len(seen)} did not end well")
    partly = [each for each in seen if each.good and each.ended and each.errors]
    for each in partly[:_NAMED]:
        out.note(
            f"{number(each.errors)} of {plural(each.total, 'request')} of {each.name} failed:"
            f" batchwatch fetch {each.id} --role error"
        )
    if len(partly) > _NAMED:
        out.note(f"and some of {len(partly) - _NAMED} more: batchwatch list")
    return Code.BAD_NEWS if bad else Code.WELL


def progress(seen: Seen) -> str:
    """Say in a few words how far something is: `in_progress 400/1,000, 3 errors`."""
    counts = f" {number(seen.done)}/{number(seen.total)}" if seen.total else ""
    errors = f", {plural(seen.errors, 'error')}" if seen.errors else ""
    detail = f", {seen.detail}" if seen.detail else ""
    return f"{seen.status}{counts}{errors}{detail}"


def tally(seen: Sequence[Seen]) -> str:
    """Count by status: `12 running`; the most frequent first."""
    counted = Counter(each.status for each in seen)
    return ", ".join(f"{count} {status}" for status, count in counted.most_common())


class Remembered:
    """A source that remembers what it last saw, for whoever is interrupted."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.seen: list[Seen] = []

    def look(self) -> list[Seen]:
        """Return it as it is now."""
        self.seen = self._source.look()
        return self.seen


def watch(
    screen: Screen,
    source: Source,
    until: Until,
    paces: Paces,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Seen]:
    """Follow something on a screen until it is over; Ctrl-C tells what goes on."""
    remembered = Remembered(source)
    try:
        return follow(remembered, screen, until, paces, sleep=sleep)
    except KeyboardInterrupt:
        raise stopped(remembered.seen, until) from None
