"""Whose turn it is: in order within a line, each line by itself, one at a time at a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.submit.following import held
from batchwatch.submit.job import UNSENT, Held, Job, Part, PartState, Stage
from batchwatch.submit.queueing import AT_ONCE, VALIDATION, backoff, queue_of
from batchwatch.submit.unrun import Why
from tests.builders import modest
from tests.plans import MODEL, OTHER, job, limited, part

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 10_000.0


def turns(*jobs: Job, now: float = NOW) -> list[tuple[str, int]]:
    return [(turn.job_id, turn.part.number) for turn in queue_of(jobs, now).turns]


def validating(**known: Any) -> Part:
    return part(state="live", sent_at=NOW - 1, **known)


def running(**known: Any) -> Part:
    return part(state="live", sent_at=NOW - 1, begun=True, **known)


def test_who_came_first_is_sent_first_whatever_order_the_jobs_are_read_in() -> None:
    first = job("z", part(), part(), arrived=1)
    second = job("a", part(), arrived=2)
    in_order = [("z", 1), ("z", 2), ("a", 1)]
    assert turns(first, second) == turns(second, first) == in_order


def test_of_two_that_came_at_once_the_order_stays_the_same() -> None:
    a, b = job("a", part()), job("b", part())
    assert turns(b, a) == turns(a, b) == [("a", 1), ("b", 1)]


def test_no_more_than_so_many_of_a_line_are_in_validation_at_once() -> None:
    parts = [part() for _ in range(AT_ONCE + 5)]
    assert len(turns(job("a", *parts))) == AT_ONCE
    assert len(turns(job("a", *[validating()] * 3, *parts))) == AT_ONCE - 3
    assert len(turns(job("a", *[part(state="sending")] * 3, *parts))) == AT_ONCE - 3
    assert len(turns(job("a", *[running()] * 40, *parts))) == AT_ONCE
    assert len(turns(job("a", *[validating(model=OTHER)] * 3, *parts))) == AT_ONCE


def test_a_batch_that_is_long_in_validation_is_not_waited_for() -> None:
    late = [part(state="live", sent_at=NOW - VALIDATION)] * AT_ONCE
    just = [part(state="live", sent_at=NOW - VALIDATION + 1)] * AT_ONCE
    assert turns(job("a", *late, part())) == [("a", AT_ONCE + 1)]
    assert turns(job("a", *just, part())) == []


def test_in_a_limited_line_one_is_sent_and_no_other_until_it_has_begun() -> None:
    waiting = [part(held=limited(NOW)), part(), part()]
    assert turns(job("a", *waiting)) == [("a", 1)]
    assert turns(job("a", validating(), *waiting)) == []
    assert turns(job("a", part(state="sending"), *waiting)) == []
    assert turns(job("a", running(), *waiting)) == [("a", 2)]


def test_nobody_overtakes_in_a_limited_line_not_even_another_job() -> None:
    refused = part(held=limited(NOW + 1))
    first, second = job("a", refused, part(), arrived=1), job("b", part(), arrived=2)
    queue = queue_of([second, first], NOW)
    assert queue.turns == []
    assert queue.behind == {"a", "b"}


def test_a_file_on_its_way_keeps_its_place_in_a_limited_line() -> None:
    planned = job("a", part(state="planned"), arrived=1)
    queue = queue_of([planned, job("b", part(held=limited(NOW)), arrived=2)], NOW)
    assert queue.turns == []
    assert queue.behind == {"a", "b"}


def test_a_file_on_its_way_does_not_hold_up_those_behind_it_where_nothing_is_limited() -> None:
    planned = job("a", part(state="planned"), part(), arrived=1)
    assert turns(planned, job("b", part(), arrived=2)) == [("a", 2), ("b", 1)]
    assert queue_of([planned], NOW).behind == set()


def test_a_file_that_is_not_found_yet_keeps_its_place_and_holds_up_nobody() -> None:
    not_found = part(held=Held(why=Why.FILE_NOT_READY, until=NOW + 1))
    first, second = job("a", not_found), job("b", part(), part(model=OTHER), arrived=1)
    assert turns(first, second) == [("b", 1), ("b", 2)]
    assert turns(first, second, now=NOW + 1) == [("a", 1), ("b", 1), ("b", 2)]


def test_another_model_is_not_held_up_by_a_limit() -> None:
    mixed = job("a", part(held=limited(NOW + 1)), part(model=OTHER))
    other = job("b", part(model=OTHER), arrived=1)
    queue = queue_of([mixed, other], NOW)
    assert [(turn.job_id, turn.part.number) for turn in queue.turns] == [("a", 2), ("b", 1)]
    assert queue.behind == {"a"}


def test_a_refused_part_is_tried_again_when_fewer_run_than_at_its_refusal() -> None:
    refused = part(held=limited(NOW + 1000, live=2))
    assert turns(job("a", running(), running(), refused)) == []
    assert turns(job("a", running(), refused)) == [("a", 2)]
    assert turns(job("b", running(), running(model=OTHER)), job("c", refused)) == [("c", 1)]


def test_a_refused_part_is_tried_again_after_its_pause_however_many_run() -> None:
    early, due = (part(held=limited(NOW + more, live=1)) for more in (0.5, 0))
    assert turns(job("a", running(), early)) == []
    assert turns(job("a", running(), due)) == [("a", 2)]


def test_a_limit_of_somebody_else_is_waited_for() -> None:
    assert turns(job("a", part(held=limited(NOW + 1, live=0)))) == []


def test_a_pause_doubles_from_a_minute_up_to_half_an_hour() -> None:
    assert [backoff(tries) for tries in range(1, 8)] == [60, 120, 240, 480, 960, 1800, 1800]
    assert backoff(10_000) == 1800


@pytest.mark.parametrize("why", [why for why in Why if why.of_account])
def test_what_is_wrong_with_the_account_holds_up_all_its_lines(why: Why) -> None:
    held_up = part(held=Held(why=why, until=NOW + 1))
    jobs = job("a", held_up), job("b", part(model=OTHER), arrived=1)
    queue = queue_of(jobs, NOW)
    assert (queue.turns, queue.behind) == ([], set())
    assert turns(*jobs, now=NOW + 1) == [("a", 1), ("b", 1)]
    # one that was sent since says that it is over
    assert turns(job("a", held_up.but(state=PartState.LIVE, begun=True)), jobs[1]) == [("b", 1)]


def test_nothing_is_sent_of_what_is_cancelled_read_or_merged() -> None:
    for known in ({"cancelled": True}, {"stage": Stage.READING}, {"stage": Stage.MERGING}):
        assert turns(job("a", part(), **known), job("b", part(), arrived=1)) == [("b", 1)]


def test_a_turn_tells_how_many_of_the_line_are_under_way_before_it() -> None:
    queue = queue_of([job("a", running(), part(), part(), part(model=OTHER))], NOW)
    assert [turn.live for turn in queue.turns] == [1, 2, 0]


holds = st.none() | st.builds(
    Held,
    why=st.sampled_from([Why.TOKEN_LIMIT, Why.FILE_NOT_READY, Why.RATE_LIMITED]),
    until=st.sampled_from([NOW - 1, NOW, NOW + 1]),
    live=st.integers(0, 3),
)
parts = st.builds(
    part,
    state=st.sampled_from(PartState),
    model=st.sampled_from([MODEL, OTHER]),
    held=holds,
    begun=st.booleans(),
    sent_at=st.sampled_from([None, NOW - 1, NOW - VALIDATION]),
)
many_jobs = st.lists(
    st.builds(
        lambda parts, arrived, cancelled: (parts, arrived, cancelled),
        st.lists(parts, max_size=6),
        st.integers(0, 3),
        st.sampled_from([False, False, True]),
    ),
    max_size=4,
).map(
    lambda all_said: [
        job(f"j{n}", *parts, arrived=arrived, cancelled=cancelled)
        for n, (parts, arrived, cancelled) in enumerate(all_said)
    ]
)


@modest
@given(many_jobs)
def test_whatever_the_jobs_are_each_line_is_kept(jobs: list[Job]) -> None:
    queue = queue_of(jobs, NOW)
    sent = {(turn.job_id, turn.part.number) for turn in queue.turns}
    assert len(sent) == len(queue.turns)
    if any(p.held and p.held.why.of_account and p.held.until > NOW for p in _unsent(jobs)):
        assert not sent
    for model in (MODEL, OTHER):
        line = [
            (each.job_id, p)
            for each in sorted(jobs, key=lambda each: each.place)
            for p in each.parts
            if p.model == model and p.state in UNSENT and not each.cancelled
        ]
        chosen = [(name, p.number) in sent for name, p in line]
        last = max((n for n, is_sent in enumerate(chosen) if is_sent), default=0)
        passed_by = [p for (_, p), is_sent in zip(line[:last], chosen, strict=False) if not is_sent]
        refused = [p for p in _unsent(jobs) if p.model == model and _by_limit(p)]
        waits = [p for p in passed_by if p.state is not PartState.PLANNED]
        assert all(p.held and p.held.until > NOW for p in waits)
        nobody = [p for p in passed_by if p.state is PartState.UPLOADED or p.held is None]
        assert not (refused and nobody)  # but for what cannot be uploaded
        assert sum(chosen) <= (1 if refused else AT_ONCE)
        ready = [p.state for (_, p), is_sent in zip(line, chosen, strict=True) if is_sent]
        assert set(ready) <= {PartState.UPLOADED}


def _unsent(jobs: Iterable[Job]) -> list[Part]:
    return [part for job in jobs for part in job.parts if part.state in UNSENT]


def _by_limit(part: Part) -> bool:
    return part.held is not None and part.held.why is Why.TOKEN_LIMIT


@modest
@given(count=st.integers(1, 40), room=st.integers(1, 30), lasts=st.integers(2, 5))
def test_a_line_through_a_limit_of_the_provider_comes_through_in_order(
    count: int, room: int, lasts: int
) -> None:
    """Minute by minute: what is sent is decided upon in the next one, and then lasts some more."""
    mine = job("a", *[part() for _ in range(count)])
    begun: dict[int, float] = {}
    minute = 0
    while any(p.state is not PartState.ENDED for p in mine.parts):
        now = minute * 60.0
        live = sum(p.state is PartState.LIVE for p in mine.parts)
        for p in [p for p in mine.parts if p.state is PartState.LIVE]:
            enqueued = [n for n in begun if mine.part(n).state is PartState.LIVE]
            if p.number in begun:
                if now >= begun[p.number] + 60 * lasts:
                    mine = mine.with_part(p.but(state=PartState.ENDED))
            elif len(enqueued) < room:
                begun[p.number] = now
                mine = mine.with_part(p.but(begun=True, held=None))
            else:
                back = held(p.but(state=PartState.UPLOADED), Why.TOKEN_LIMIT, now, live - 1)
                mine = mine.with_part(back)
        for turn in queue_of([mine], now).turns:
            mine = mine.with_part(turn.part.but(state=PartState.LIVE, sent_at=now))
        minute += 1
        assert minute < 60 * count + 60
    assert list(begun) == sorted(begun)
