"""Archiving a batch once more: whatever comes between, each attempt is told once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.again import ask_again
from batchwatch.batch import Batch, Role
from batchwatch.ending import HOUR
from batchwatch.events import event_id
from batchwatch.items import spelled
from batchwatch.record import FileState
from batchwatch.telling import Witness
from batchwatch.watch import ended_before
from tests.builders import BATCH, CREATED, ERROR, OUTPUT, batch, modest
from tests.lives import RULES, Life, apply, lived

OUT, ERR, REC = Role.OUTPUT, Role.ERROR, Role.RECORD
ARCHIVED, GONE, FAILED = FileState.ARCHIVED, FileState.GONE, FileState.FAILED
PENDING, AWAITED = FileState.PENDING, FileState.AWAITED
ENDS = (ARCHIVED, GONE, FAILED)
LATER = CREATED + 40 * 24 * HOUR


def archived(output: FileState = ARCHIVED, **said: Any) -> Life:
    """Give a batch whose files have all found their end."""
    life = lived("in_progress")
    life.see("completed", **said)
    life.end(OUT, output)
    life.end(ERR)
    life.end(REC)
    return life


def again(life: Life, *roles: Role, now: float = LATER) -> bool:
    """Ask for files once more; return whether that could be."""
    before = life.known
    life._write(ask_again(life.known, roles, now))
    return life.known.v > before.v


def test_only_what_is_asked_for_is_copied_again_and_told_as_a_further_attempt() -> None:
    life = archived()
    life.known = life.known.model_copy(update={"outbox": {}})
    assert life.known.settled

    assert again(life, OUT)
    assert life.files == {OUT: PENDING, ERR: ARCHIVED, REC: ARCHIVED}
    assert life.known.files[OUT].file_id == OUTPUT
    assert life.known.files[OUT].tries == 0
    assert not life.known.archived

    assert life.end(OUT, FAILED) == ["file_failed", "archived"]
    first, failed, second = life.events[-3], life.events[-2], life.events[-1]
    assert first.id == event_id("default", BATCH, "batch.archived")
    assert len({first.id, failed.id, second.id}) == 3
    assert failed.data.attempt == second.data.attempt == 2
    assert "attempt" not in json.loads(first.frozen())["data"]
    assert json.loads(second.frozen())["data"]["attempt"] == 2


def test_the_write_that_asks_again_puts_the_batch_back_into_the_index() -> None:
    known = archived().known
    change = ask_again(known, [ERR], LATER)
    assert change
    assert spelled(known, change).sets["#open"] == ":open"
    assert change.moved_at == LATER  # so the poller leaves it to the archiver for a while


def test_an_id_that_never_came_is_awaited_once_more_and_not_for_long() -> None:
    life = archived(GONE, output_file_id=None, completed_at=CREATED - 9000)
    assert life.files[OUT] is GONE

    assert again(life, OUT)
    assert life.files[OUT] is AWAITED
    assert life.see("completed", 40 * 24 * HOUR + HOUR, output_file_id=None) == [
        "file_gone",
        "archived",
    ]


def test_an_id_that_came_in_the_meantime_is_taken() -> None:
    life = archived(GONE, output_file_id=None, completed_at=CREATED - 9000)
    again(life, OUT)
    assert life.see("completed", 40 * 24 * HOUR + 900) == []
    assert life.files[OUT] is PENDING
    assert life.known.files[OUT].file_id == OUTPUT


@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_what_has_not_ended_or_is_being_archived_cannot_be_asked_for_again(status: str) -> None:
    assert ask_again(lived("in_progress", status).known, [OUT, REC], LATER) is None


def test_a_file_that_others_keep_is_not_ours_to_copy() -> None:
    life = archived(output_file_id=None, output_blob="https://elsewhere/output.jsonl")
    assert life.files[OUT] is FileState.ELSEWHERE
    assert ask_again(life.known, [OUT, Role.INPUT], LATER) is None


def test_a_batch_of_before_the_watch_stays_unmentioned_in_every_attempt() -> None:
    witness = Witness("poller", LATER, RULES)
    life = Life(apply(*ended_before("default", Batch.read(batch()), witness)))
    for role in (OUT, ERR, REC):
        assert life.end(role) == []
    assert again(life, OUT, ERR)
    assert life.end(OUT, GONE) + life.end(ERR) == []
    assert life.known.settled


Step: TypeAlias = tuple[str, set[Role], FileState]
_roles = st.sampled_from([OUT, ERR, REC])
_steps = st.lists(
    st.tuples(
        st.sampled_from(["end", "again", "see"]), st.sets(_roles, min_size=1), st.sampled_from(ENDS)
    ),
    max_size=25,
)


@modest
@given(_steps)
def test_whenever_it_is_asked_for_nothing_is_lost_and_nothing_told_twice(
    steps: list[Step],
) -> None:
    life = lived("in_progress", "completed")
    ends = 0
    for what, roles, state in steps:
        before = life.known
        if what == "again":
            assert again(life, *roles) == before.archived
        elif what == "see":
            life.see("completed")
        else:
            for role in roles:
                life.end(role, state)
        ends += life.known.archived and not before.archived
    kinds = Counter(event.type for event in life.events)
    assert kinds["batch.completed"] == 1
    assert kinds["batch.archived"] == ends
    assert len({event.id for event in life.events}) == len(life.events)
    assert [e.data.sequence for e in life.events] == [*range(1, len(life.events) + 1)]
    assert life.known.attempt - 1 in {ends, ends - 1}
    assert life.known.files[OUT].file_id == OUTPUT
    assert life.known.files[ERR].file_id == ERROR
