"""What an observation changes: only ever forward, each thing told once, every file to its end."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role, Status
from batchwatch.ending import HOUR, LATE_IDS
from batchwatch.record import FileState, digest
from tests.builders import (
    CREATED,
    ERROR,
    KNOWN,
    OUTPUT,
    REACHED,
    TERMINAL,
    batch,
    counts,
    errors,
    modest,
)
from tests.lives import Life, lived

OUT, ERR, REC = Role.OUTPUT, Role.ERROR, Role.RECORD
ARCHIVED, GONE, FAILED = FileState.ARCHIVED, FileState.GONE, FileState.FAILED
PENDING, AWAITED = FileState.PENDING, FileState.AWAITED
NO_OUTPUT: dict[str, Any] = {"output_file_id": None}
NO_IDS: dict[str, Any] = {"output_file_id": None, "error_file_id": None}
END = REACHED["completed"]


# Forward only


@pytest.mark.parametrize("status", [*KNOWN, "paused"])
def test_the_first_sight_of_a_batch_is_told_with_the_status_it_has(status: str) -> None:
    life = Life()
    told = status if status in {*KNOWN} else "unknown"
    assert life.see(status) == [told]
    data = life.events[0].data
    assert (data.sequence, data.previous_status, data.status) == (1, None, told)
    assert (data.account, data.observed_by) == ("default", "poller")
    assert life.events[0].source == "urn:batchwatch:stack:default"
    assert data.batch.said == batch(status)


@pytest.mark.parametrize("after", KNOWN)
@pytest.mark.parametrize("before", KNOWN)
def test_a_batch_only_moves_forward(before: Status, after: Status) -> None:
    life = lived(before)
    was = life.known
    if before.rank < after.rank:  # over however many statuses that nobody saw
        assert life.see(after) == [after]
        data = life.events[-1].data
        assert (data.sequence, data.previous_status, data.status) == (2, before, after)
    else:
        assert life.see(after) == []
        assert life.known == was


def test_statuses_are_ranked_in_the_order_of_a_life() -> None:
    order = ["validating", "in_progress", "finalizing", "cancelling", *TERMINAL]
    ranks = [Status(status).rank for status in order]
    assert ranks[:5] == sorted(set(ranks[:5]))
    assert len(set(ranks[4:])) == 1


@pytest.mark.parametrize("after", [*KNOWN, "paused"])
@pytest.mark.parametrize("before", TERMINAL)
def test_a_terminal_status_is_never_overwritten(before: Status, after: str) -> None:
    for said in ({}, NO_IDS):
        life = Life()
        life.see(before, at=LATE_IDS * 2, **said)
        assert life.see(after, at=LATE_IDS * 2 + 1, **NO_IDS) == []
        assert life.known.status is before
        assert life.known.batch
        assert life.known.batch.status is before


def test_counts_alone_are_kept_by_tenths_and_told_by_nobody() -> None:
    life = lived("validating", "in_progress")
    before = life.known.v
    for done in range(400, 1001):
        assert life.see("in_progress", done, request_counts=counts(1000, done, 0)) == []
    assert life.known.v == before + 6
    assert life.known.batch
    assert life.known.batch.said["request_counts"] == counts(1000, 1000, 0)
    assert life.see("in_progress", at=9, request_counts=counts(1000, 700, 0)) == []
    assert (life.known.progress, life.known.moved_at) == (10, CREATED)


def test_a_digest_tells_transitions_apart_and_nothing_else() -> None:
    views: list[dict[str, Any]] = [batch(), batch(**NO_OUTPUT), batch(**NO_IDS), batch("failed")]
    assert len({digest(Batch.read(said)) for said in views}) == len(views)
    same = batch(request_counts=counts(9, 9, 0), usage=None, model="m", completed_at=None)
    assert digest(Batch.read(same)) == digest(Batch.read(batch()))


def test_a_batch_too_large_is_kept_and_told_cut() -> None:
    life = lived("failed", errors=errors(*["Model parameter is required."] * 9000))
    for kept in (life.known.batch, life.events[0].data.batch):
        assert kept
        assert kept.errors
        assert (kept.errors.truncated, kept.errors.total) == (True, 9000)


# A status nobody knows


def test_an_unknown_status_is_told_once_and_the_batch_goes_on() -> None:
    life = lived("validating", "in_progress")
    assert life.see("paused") == ["unknown"]
    assert life.see("paused") == []
    assert life.see("Paused") == []
    assert life.see("waiting") == ["unknown"]
    assert life.see("in_progress") == []
    assert life.see("paused") == []
    assert life.see("validating") == []
    assert life.see("completed") == ["completed"]
    assert life.see("hibernated") == []
    chain = [(e.data.sequence, e.data.previous_status, e.data.status) for e in life.events[2:]]
    assert chain == [
        (3, "in_progress", "unknown"),
        (4, "unknown", "unknown"),
        (5, "unknown", "completed"),
    ]
    assert len({event.id for event in life.events}) == 5


def test_a_batch_first_seen_in_an_unknown_status_stays_open() -> None:
    life = lived("paused")
    assert not life.known.terminal
    assert life.see("in_progress") == ["in_progress"]


# Whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 60, 700, HOUR, LATE_IDS]),  # seconds gone by
        st.sampled_from([*KNOWN, "paused", "Paused", "paused ", OUT, ERR, REC]),
        st.sampled_from([OUTPUT, None, ""]),
        st.sampled_from([ERROR, None, ""]),
        st.sampled_from([counts(10, 9, 1), counts(10, 10, 0), counts(10, 4, 0), counts(0, 0, 0)]),
        st.booleans(),  # whether OpenAI tells the time of the status
        st.sampled_from([ARCHIVED, GONE, FAILED]),
    ),
    max_size=25,
)


def live(steps: list[tuple[Any, ...]]) -> tuple[Life, float]:
    """Let all of it happen, one after the other."""
    life, now = Life(), 0.0
    for seconds, what, output, error, done, timed, state in steps:
        now += seconds
        if isinstance(what, Role):
            if life.files.get(what) is PENDING:
                life.end(what, state, now)
            continue
        said = {"output_file_id": output, "error_file_id": error, "request_counts": done}
        stamp = {} if timed else {f"{what}_at": None}
        life.see(what, now, **said, **stamp)
    return life, now


@settings(modest, max_examples=150)
@given(STEPS)
def test_whatever_is_seen_events_form_one_chain(steps: list[tuple[Any, ...]]) -> None:
    events = live(steps)[0].events
    assert [event.data.sequence for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    told = [None, *(event.data.status for event in events)]
    assert [event.data.previous_status for event in events] == told[:-1]
    ranks = [Status(e.data.status).rank for e in events if e.type == f"batch.{e.data.status}"]
    known = [rank for rank in ranks if rank >= 0]
    assert all(before < after for before, after in pairwise(known))
    archived = [event.type == "batch.archived" for event in events]
    assert not any(archived[:-1])


@modest
@given(STEPS)
def test_whatever_was_seen_a_batch_that_ends_is_archived(steps: list[tuple[Any, ...]]) -> None:
    life, now = live(steps)
    for days in (1, 2):
        life.see("completed", now + days * (LATE_IDS + HOUR))
    for role, state in life.files.items():
        if state is PENDING:
            life.end(role)
    assert life.events[-1].type == "batch.archived"
