"""When an account is asked no more, and how many batches are attended to at a time."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from math import inf
from threading import Event, Timer
from typing import TYPE_CHECKING

import pytest

from batchwatch.crew import _IN_A_ROW, _IN_HAND, AT_ONCE, Crew, Patience
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
)
from batchwatch.record import Record
from batchwatch.report import Report
from tests.world import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A_MOMENT = 0.02
"""Seconds that a crew in these tests waits for what cannot come."""
DOWN = OpenAIError("GET batches: 500", status=500)
UNREACHABLE = OpenAIError("GET batches: ConnectError")
REFUSED = AccessError("GET batches: 401", status=401)
FORBIDDEN = AccessError("GET batches: 403", status=403)
TOO_MANY = RateLimitedError("GET batches: 429", status=429)
NOT_FOUND = NotFoundError("GET batches/b: 404", status=404)
NO_JSON = BadAnswerError("GET batches: not JSON but text/html")
FINE = None


def after(*answers: OpenAIError | None) -> Patience:
    """Give the patience that is left after those answers."""
    patience = Patience()

    def question(answer: OpenAIError | None) -> str:
        if answer:
            raise answer
        return "fine"

    for answer in answers:
        if answer is None:
            assert patience.ask(lambda: question(None)) == "fine"
        else:
            with pytest.raises(type(answer)) as raised:
                patience.ask(lambda answer=answer: question(answer))  # type: ignore[misc]
            assert raised.value is answer
    return patience


@pytest.mark.parametrize("failure", [DOWN, UNREACHABLE, FORBIDDEN])
def test_eight_failures_in_a_row_without_one_answer_end_it(failure: OpenAIError) -> None:
    assert _IN_A_ROW == 8
    assert after(*[failure] * 7).over is None
    assert after(*[failure] * 8).over is failure
    assert not after(*[failure] * 8).answered


def test_the_failure_that_ended_it_is_the_one_that_is_told() -> None:
    assert after(*[DOWN] * 7, UNREACHABLE, *[DOWN] * 3).over is UNREACHABLE
    assert after(TOO_MANY, *[DOWN] * 9, REFUSED).over is TOO_MANY


@pytest.mark.parametrize("when", [0, 3, 7])
def test_one_answer_keeps_it(when: int) -> None:
    patience = after(*[DOWN] * when, FINE, *[DOWN] * 20)

    assert patience.over is None
    assert patience.answered


@pytest.mark.parametrize("about_one", [NOT_FOUND, NO_JSON])
def test_what_is_said_of_one_batch_counts_neither_way(about_one: OpenAIError) -> None:
    assert after(*[about_one] * 20).over is None
    assert not after(*[about_one] * 20).answered
    assert after(*[DOWN] * 7, about_one, DOWN).over is None  # not one after the other
    assert after(about_one, *[DOWN] * 8).over is DOWN


@pytest.mark.parametrize("final", [REFUSED, TOO_MANY])
@pytest.mark.parametrize("before", [[], [FINE], [FINE, NOT_FOUND], [DOWN]])
def test_a_refused_key_or_a_rate_limit_ends_it_at_once(
    before: list[OpenAIError | None], final: OpenAIError
) -> None:
    assert after(*before, final).over is final


def test_a_mistake_of_ours_says_nothing_of_the_account() -> None:
    patience = Patience()
    for _ in range(20):
        with suppress(ZeroDivisionError):
            patience.ask(lambda: 1 // 0)
    assert patience.over is None
    assert not patience.answered


@contextmanager
def crew_at_work(
    stop_at: float = inf, at_once: int = AT_ONCE
) -> Iterator[tuple[Crew, Clock, Event]]:
    """Give a crew, its clock, and a gate to keep its jobs waiting; it is let go in the end."""
    clock, gate = Clock(0), Event()
    crew = Crew(clock, stop_at, at_once)
    try:
        yield crew, clock, gate
    finally:
        gate.set()
        crew.leave()
        crew._pool.shutdown()  # waits


def known(batch_id: str = "b") -> Record:
    return Record(account="a", batch_id=batch_id)


def job(gate: Event, said: Report | None = None) -> Callable[[], Report]:
    """Make a job that waits for the gate."""

    def wait() -> Report:
        assert gate.wait(30)
        return said or Report(open=1)

    return wait


def test_all_that_was_done_is_summed_up_once() -> None:
    with crew_at_work() as (crew, _, gate):
        gate.set()
        for number in range(20):
            crew.add(known(), job(gate, Report(open=1, left=number % 2, oldest_pending=number)))
        report = crew.finish()

        assert (report.open, report.left, report.oldest_pending) == (20, 10, 19)
        assert crew.finish() == Report()


def test_one_who_fails_does_not_stop_others_and_is_told_by_account_and_batch() -> None:
    with crew_at_work(at_once=1) as (crew, _, gate):
        gate.set()
        for number in range(9):
            crew.add(known(f"b{number}"), (lambda: 1 // 0) if number == 4 else job(gate))  # type: ignore[arg-type, return-value]
        report = crew.finish()

    assert report.open == 8
    (problem,) = report.problems
    assert (problem.account, problem.batch_id, problem.whole) == ("a", "b4", False)
    assert isinstance(problem.error, ZeroDivisionError)


def test_only_so_many_are_in_hand_and_what_finds_no_room_is_left() -> None:
    with crew_at_work(stop_at=A_MOMENT) as (crew, clock, gate):
        for _ in range(_IN_HAND + 2):
            crew.add(known(), job(gate))
        assert len(crew._jobs) == _IN_HAND

        clock.now = -30  # there is time again
        gate.set()
        report = crew.finish()
        assert (report.open, report.left) == (_IN_HAND, 2)

        crew.add(known(), job(gate))  # whoever is done makes room
        assert crew.finish() == Report(open=1)


@pytest.mark.parametrize("stop_at", [inf, 30])
def test_a_full_crew_waits_for_room(stop_at: float) -> None:
    with crew_at_work(stop_at) as (crew, _, gate):
        for _ in range(_IN_HAND):
            crew.add(known(), job(gate))
        opener = Timer(A_MOMENT, gate.set)
        opener.start()
        crew.add(known(), job(gate))
        opener.join()

        assert crew.finish() == Report(open=_IN_HAND + 1)


def test_nothing_begins_once_the_time_is_up_and_it_is_counted() -> None:
    with crew_at_work(stop_at=60, at_once=1) as (crew, clock, gate):
        gate.set()
        clock.now = 59.9
        crew.add(known(), job(gate))
        assert crew.finish() == Report(open=1)
        clock.now = 60
        crew.add(known(), job(gate))
        crew._pool.submit(int).result(30)

        assert crew.finish() == Report(left=1)


def test_whoever_still_waits_at_the_end_is_not_waited_for_and_counts_as_left() -> None:
    with crew_at_work(stop_at=A_MOMENT, at_once=2) as (crew, _, gate):
        crew.add(known(), job(gate))
        crew.add(known(), job(gate))
        report = crew.finish()

        assert (report.open, report.left) == (0, 2)


def test_nothing_begins_after_the_crew_has_left() -> None:
    ran = []
    with crew_at_work(at_once=1) as (crew, _, gate):
        crew.add(known(), job(gate))
        for number in range(5):
            crew.add(known(), lambda number=number: ran.append(number))  # type: ignore[misc, arg-type]

        crew.leave()
        gate.set()
        crew._pool.shutdown()  # waits

    assert ran == []
