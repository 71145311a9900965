"""What stands still is told once in each status, and the index shows enough to see it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role
from batchwatch.record import Record
from batchwatch.stall import USUAL, Limits, Stall, stall
from batchwatch.telling import Witness
from batchwatch.watch import missed, news, watch
from local.deploy import read_template
from tests.builders import (
    BATCH,
    CREATED,
    KNOWN,
    REACHED,
    TERMINAL,
    batch,
    counts,
    modest,
    odd_batches,
    read,
)
from tests.lives import RULES, Life, lived, lost

HOUR = 3600
DAY = 24 * HOUR
IN_PROGRESS = REACHED["in_progress"]
LIMITS = Limits()
PROJECTED = read_template()["Resources"]["Ledger"]["Properties"]["GlobalSecondaryIndexes"][0][
    "Projection"
]["NonKeyAttributes"]


def shown(known: Record) -> Record:
    """Give what the index `open` shows of a batch."""
    part = {name: getattr(known, name) for name in PROJECTED}
    return Record(account=known.account, batch_id=known.batch_id, **part)


def known(**changes: Any) -> Record:
    """Give a batch that was last seen to move when it was made."""
    return Record(account="default", batch_id=BATCH, v=1, **{"moved_at": CREATED} | changes)


def stalls(record: Record, said: Batch, at: float, limits: Limits = LIMITS) -> Stall | None:
    """Ask at so many seconds after the batch was made."""
    return stall(record, said, CREATED + at, limits)


# When a batch stands still


@pytest.mark.parametrize(
    ("status", "said", "reason", "since", "limit"),
    [
        ("validating", {}, "validating", 0, HOUR),
        ("validating", {"created_at": None}, "validating", 100, HOUR),
        ("in_progress", {}, "no_progress", 200, 6 * HOUR),
        ("finalizing", {}, "finalizing", REACHED["finalizing"], 2 * HOUR),
        ("finalizing", {"finalizing_at": None}, "finalizing", 100, 2 * HOUR),
        ("cancelling", {}, "cancelling", REACHED["cancelling"], 2 * HOUR),
        ("cancelling", {"cancelling_at": None}, "cancelling", 100, 2 * HOUR),
        ("in_progress", {"expires_at": CREATED + 60}, "overdue", 60, 3 * HOUR),
        ("paused", {}, "overdue", DAY, 3 * HOUR),
    ],
)
def test_a_batch_stalls_when_its_limit_is_reached_and_not_before(
    status: str, said: dict[str, Any], reason: str, since: float, limit: float
) -> None:
    record = known(moved_at=CREATED + 100, progressed_at=CREATED + 200)
    over = since + limit
    assert stalls(record, read(status, **said), over - 0.5) is None
    usual = next(text for of, text in USUAL.items() if of == reason)
    assert stalls(record, read(status, **said), over) == (reason, limit, usual)
    assert stalls(record, read(status, **said), over + 100.7) == (reason, limit + 100, usual)


def test_progress_counts_from_whichever_came_last() -> None:
    for moved, progressed in ((HOUR, 0), (0, HOUR), (HOUR, -CREATED)):
        record = known(moved_at=CREATED + moved, progressed_at=CREATED + progressed)
        assert stalls(record, read("in_progress"), 7 * HOUR - 1) is None
        assert stalls(record, read("in_progress"), 7 * HOUR)


@pytest.mark.parametrize("status", [*KNOWN, "paused"])
def test_what_was_told_has_ended_or_was_never_seen_does_not_stall(status: str) -> None:
    long = CREATED + 30 * DAY
    told = known(stalled=frozenset({status}))
    assert stall(told, read(status), long, LIMITS) is None
    assert stall(Record(account="default", batch_id=BATCH), read(status), long, LIMITS) is None
    assert (stall(known(), read(status), long, LIMITS) is None) == (status in TERMINAL)


def test_a_status_spelled_otherwise_is_the_same_one() -> None:
    told = known(stalled=frozenset({"validating"}))
    assert not stalls(told, read("Validating", created_at=CREATED), HOUR)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_a_batch_past_its_deadline_is_overdue_first_of_all(status: str) -> None:
    due = stalls(known(), read(status), 10 * DAY)
    assert due
    assert due.reason == "overdue"


@pytest.mark.parametrize(("status", "field"), [*zip(Limits._fields, Limits._fields, strict=True)])
def test_each_limit_is_its_own(status: str, field: str) -> None:
    status = "paused" if status == "overdue" else status
    never = Limits(*[1e9] * 5)
    at = 2 * DAY
    assert stalls(known(), read(status), at, never) is None
    assert stalls(known(), read(status), at, never._replace(**{field: 1}))


# How it is told


def test_a_stall_is_told_once_in_each_status() -> None:
    life = lived("validating")
    assert life.see("validating", HOUR - 1) == []
    assert life.see("validating", HOUR + 1) == ["stalled"]
    assert life.see("validating", 2 * HOUR) == []
    assert life.see("in_progress", 2 * HOUR) == ["in_progress"]
    assert life.see("in_progress", 8 * HOUR) == ["stalled"]
    assert life.see("in_progress", 50 * HOUR) == []
    assert life.see("finalizing", 50 * HOUR) == ["finalizing"]
    assert life.see("finalizing", 51 * HOUR) == ["stalled"]
    assert life.see("completed", 52 * HOUR) == ["completed"]
    assert life.see("completed", 99 * HOUR) == []
    said = [e.data.stalled.model_dump() if e.data.stalled else None for e in life.events]
    assert [each and (each["reason"], each["seconds"]) for each in said] == [
        None,
        ("validating", HOUR + 1),
        None,
        ("no_progress", 6 * HOUR),
        None,
        ("overdue", 27 * HOUR),
        None,
    ]
    assert said[1]
    assert said[1]["usual"] == USUAL["validating"]
    stalled = life.events[1].data
    assert (stalled.status, stalled.previous_status) == ("validating", "validating")
    assert len({event.id for event in life.events}) == 7


def test_a_batch_first_seen_long_after_is_told_with_its_status_and_then_with_its_stall() -> None:
    life = Life()
    assert life.see("finalizing", DAY) == ["finalizing"]
    assert life.see("finalizing", DAY + 60) == ["stalled"]


def test_an_unknown_status_past_the_deadline_is_told_with_the_last_status() -> None:
    life = lived("in_progress", "paused")
    assert life.see("paused", DAY + 3 * HOUR) == ["stalled"]
    assert life.events[-1].data.status == "unknown"
    assert life.known.stalled == {"paused"}
    assert life.see("completed", 2 * DAY) == ["completed"]


def test_a_status_that_comes_back_is_not_told_to_stall_again() -> None:
    life = lived("in_progress")
    assert life.see("in_progress", 6 * HOUR) == ["stalled"]
    assert life.see("paused", DAY) == ["unknown"]
    assert life.see("paused", 2 * DAY) == ["stalled"]
    life.see("in_progress", 2 * DAY)
    assert life.see("in_progress", 3 * DAY) == []


def test_what_is_seen_with_a_stall_is_kept() -> None:
    life = lived("cancelling")
    said = {"request_counts": counts(1000, 401, 0)}
    assert life.see("cancelling", 9 * HOUR, **said) == ["stalled"]
    assert life.known.batch
    assert life.known.batch.said == life.events[-1].data.batch.said == batch("cancelling", **said)
    assert life.known.progressed_at == CREATED + 9 * HOUR
    assert life.known.moved_at == CREATED


def test_counts_that_moved_by_less_than_a_step_are_no_stall() -> None:
    life = lived("in_progress")
    for time in range(1, 4):
        said = {"request_counts": counts(1000, 400 + time, 0)}
        assert life.see("in_progress", (6 * time - 1) * HOUR, **said, expires_at=None) == []
        assert life.see("in_progress", 6 * time * HOUR, **said, expires_at=None) == []
        assert life.known.progressed_at == CREATED + 6 * time * HOUR
    assert life.known.v == 4
    assert life.known.moved_at == CREATED
    assert life.see("in_progress", 24 * HOUR, **said, expires_at=None) == ["stalled"]
    assert life.known.progressed_at == CREATED + 18 * HOUR


def test_progress_of_a_step_sets_the_clock_anew() -> None:
    life = lived("in_progress")
    life.see("in_progress", 5 * HOUR, request_counts=counts(1000, 600, 0))
    assert (life.known.moved_at, life.known.progressed_at) == (CREATED, CREATED + 5 * HOUR)
    assert life.see("in_progress", 10 * HOUR, request_counts=counts(1000, 600, 0)) == []
    assert life.see("in_progress", 11 * HOUR, request_counts=counts(1000, 600, 0)) == ["stalled"]


def test_an_answer_from_before_tells_no_stall() -> None:
    life = lived("validating", "in_progress")
    assert life.see("validating", 5 * HOUR) == []
    assert life.known.stalled == frozenset()


# What is worth a look


def test_a_quiet_poll_tells_no_news() -> None:
    life = lived("validating", "in_progress")
    for at in (60, HOUR, 6 * HOUR - 1):
        said = read("in_progress", request_counts=counts(1000, 499, 0))
        assert not news(shown(life.known), said, CREATED + at, RULES)
    life.see("in_progress", 6 * HOUR)
    assert life.known.stalled
    assert not news(shown(life.known), read("in_progress"), CREATED + 3 * DAY, RULES)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (batch("finalizing"), 60),
        (batch("paused"), 60),
        (batch("completed"), 60),
        (batch("in_progress", request_counts=counts(1000, 500, 0)), 60),
        (batch("in_progress"), 6 * HOUR),
    ],
)
def test_what_moves_ends_or_stalls_is_news(said: dict[str, Any], at: float) -> None:
    life = lived("in_progress")
    assert news(shown(life.known), Batch.read(said), CREATED + at, RULES)


def test_an_end_that_waits_for_its_files_is_news_each_time() -> None:
    said: dict[str, Any] = {"output_file_id": None, "completed_at": None}
    life = lived("in_progress")
    assert life.see("completed", 60, **said) == []
    for at in (120, 660):
        assert news(shown(life.known), read("completed", **said), CREATED + at, RULES)
    assert life.see("completed", 660, **said) == ["completed"]


def test_news_of_a_batch_that_was_lost_or_never_seen_is_that_it_is_there() -> None:
    assert news(shown(lost().known), read("in_progress"), CREATED + 5 * HOUR, RULES)
    assert news(shown(Life().known), read("in_progress"), CREATED, RULES)


# Whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 60, 900, HOUR, 4 * HOUR, DAY]),  # seconds gone by
        st.sampled_from([None, *(batch(s) for s in [*KNOWN, "paused", "Paused"])])
        | st.none()
        | odd_batches(),
        st.sampled_from([counts(9, 0, 0), counts(9, 1, 0), counts(9, 9, 0), None]),
    ),
    max_size=30,
)


@settings(modest, max_examples=120)
@given(STEPS)
def test_whatever_is_seen_or_missed_is_one_life(steps: list[tuple[Any, ...]]) -> None:
    life, now = Life(), 0
    for seconds, odd, done in steps:
        now += seconds
        was = life.known
        if odd is None:
            told = life.miss(now)
            assert told in ([], ["lost"])
            assert not (was.lost and told)
            continue
        said = odd | {"id": BATCH} | ({"request_counts": done} if done else {})
        tells = life.hear(said, now)
        assert life.known == was or seen_by_index(was, said, now)
        assert (life.known.lost, life.known.misses) == (False, 0)
        assert "lost" not in tells
    data = [event.data for event in life.events]
    assert [each.sequence for each in data] == list(range(1, len(data) + 1))
    assert all(before.status == after.previous_status for before, after in pairwise(data))
    assert len({event.id for event in life.events}) == len(data)
    kinds = [event.type.removeprefix("batch.") for event in life.events]
    ends = [number for number, kind in enumerate(kinds) if kind in TERMINAL]
    assert len(ends) <= 1
    after = kinds[ends[0] + 1 :] if ends else []
    assert set(after) <= {"file_gone", "file_failed", "archived"}
    stalled = [e.data.batch.raw_status for e in life.events if e.type == "batch.stalled"]
    assert len(set(stalled)) == len(stalled)


def seen_by_index(was: Record, said: dict[str, Any], now: float) -> bool:
    """Whether the poller would have looked; after the end it looks by the clock."""
    return was.terminal or news(shown(was), Batch.read(said), CREATED + now, RULES)


@modest
@given(odd_batches(), st.floats(0, 1e10), st.floats(0, 1e10))
def test_no_time_and_no_answer_is_too_odd(said: dict[str, Any], first: float, then: float) -> None:
    life = Life()
    for at in (first, then):
        witness = Witness("poller", at, RULES)
        odd = Batch.read(said | {"id": BATCH})
        watch(life.known, odd, witness)
        missed(life.known, witness)
        stall(life.known, odd, at, LIMITS)
        life.hear(said | {"id": BATCH}, at)
    assert Role.RECORD in life.files or not life.known.terminal
