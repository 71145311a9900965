"""The ledger's conditions, each at the edge where it must hold alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchwatch.batch import Batch, Role, Status
from batchwatch.record import Change, File, FileState, Record
from batchwatch.watch import Rules, Witness, watch
from tests.builders import batch
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from tests.world import World

ID = str(batch()["id"])
NEW = Record(account=ACCOUNT, batch_id=ID)
RULES = Rules("urn:batchwatch:test")


def observed(known: Record, status: str) -> Change:
    change = watch(known, Batch.read(batch(status=status)), Witness("test", 1000, RULES))
    assert change
    return change


def with_files(world: World, **states: FileState) -> Record:
    """An announced batch with nothing in its outbox, and files in these states."""
    files = {Role(role): File(state=state) for role, state in states.items()}
    said = Batch.read(batch(status="completed"))
    return world.runtime.ledger.write(
        NEW, Change(batch=said, status=Status.COMPLETED, moved_at=0, files=files)
    )


def test_two_who_decided_from_one_version_leave_one_change(world: World) -> None:
    ledger = world.runtime.ledger
    first = ledger.write(NEW, observed(NEW, "validating"))

    mine = ledger.write(first, observed(first, "in_progress"))
    theirs = ledger.write(first, observed(first, "finalizing"))

    assert theirs == mine == ledger.get(ACCOUNT, ID)
    assert (mine.v, mine.seq, mine.status) == (2, 2, Status.IN_PROGRESS)


def test_two_first_writes_leave_one(world: World) -> None:
    ledger = world.runtime.ledger
    mine = ledger.write(NEW, observed(NEW, "validating"))

    theirs = ledger.write(NEW, observed(NEW, "completed"))

    assert theirs == mine == ledger.get(ACCOUNT, ID)


def test_a_write_that_is_repeated_after_its_answer_was_lost_counts_once(world: World) -> None:
    ledger = world.runtime.ledger
    change = observed(NEW, "validating")
    ledger.write(NEW, change)

    again = ledger.write(NEW, change)

    assert (again.v, list(again.outbox)) == (1, [1])


def test_an_entry_is_taken_out_of_the_outbox_once(world: World) -> None:
    ledger = world.runtime.ledger
    record = ledger.write(NEW, observed(NEW, "validating"))

    once, twice = ledger.mark_published(record, 1), ledger.mark_published(record, 1)

    assert once == twice
    assert (once.outbox, once.v) == ({}, 1)


DONE = {"output": FileState.ARCHIVED, "error": FileState.GONE, "record": FileState.FAILED}


def test_a_batch_with_nothing_left_to_do_leaves_the_index(world: World) -> None:
    record = with_files(world, **DONE)

    assert world.runtime.ledger.close(record).open is False
    assert list(world.runtime.ledger.open_rows(ACCOUNT)) == []


@pytest.mark.parametrize("role", ["output", "error", "record"])
@pytest.mark.parametrize("state", [FileState.AWAITED, FileState.PENDING, FileState.COPYING])
def test_a_batch_with_a_file_left_to_do_stays_in_the_index(
    world: World, role: str, state: FileState
) -> None:
    record = with_files(world, **{**DONE, role: state})

    assert world.runtime.ledger.close(record).open


def test_a_batch_with_an_event_to_publish_stays_in_the_index(world: World) -> None:
    ledger = world.runtime.ledger
    record = ledger.write(NEW, observed(NEW, "failed"))
    ended = {role: File(state=FileState.ARCHIVED) for role in record.files}
    record = ledger.write(record, Change(files=ended))

    assert ledger.close(record).open
    assert ledger.close(ledger.mark_published(record, 1)).open is False


def test_a_batch_that_has_not_ended_stays_in_the_index(world: World) -> None:
    ledger = world.runtime.ledger
    record = ledger.mark_published(ledger.write(NEW, observed(NEW, "in_progress")), 1)

    assert ledger.close(record).open


def test_a_lease_is_held_by_one_until_it_ends_or_is_given_back(world: World) -> None:
    ledger = world.runtime.ledger
    record = with_files(world, record=FileState.PENDING)

    def claim(owner: str, now: float) -> bool:
        return bool(ledger.claim(record, Role.RECORD, owner=owner, now=now, until=now + 10))

    assert claim("a", 100)
    assert claim("a", 100)  # repeated, after its answer was lost
    assert not claim("b", 109)
    assert claim("b", 110)
    assert not ledger.give_back(record, Role.RECORD, owner="a", until=200, tried=True)
    assert ledger.give_back(record, Role.RECORD, owner="b", until=200, tried=True)
    assert not ledger.mark_queued(record, Role.RECORD, now=111, until=300)
    assert claim("a", 111)
    assert ledger.get(ACCOUNT, ID).files[Role.RECORD].tries == 1
    assert ledger.get(ACCOUNT, ID).v == record.v


def test_a_file_that_waits_in_the_queue_can_be_taken_by_anybody(world: World) -> None:
    ledger = world.runtime.ledger
    record = with_files(world, record=FileState.PENDING)

    assert ledger.mark_queued(record, Role.RECORD, now=100, until=200)
    assert not ledger.mark_queued(record, Role.RECORD, now=150, until=250)
    assert ledger.claim(record, Role.RECORD, owner="a", now=150, until=160)
    assert not ledger.mark_queued(record, Role.RECORD, now=155, until=255)


@pytest.mark.parametrize("state", [FileState.AWAITED, *DONE.values()])
def test_a_file_with_nothing_to_copy_is_not_leased(world: World, state: FileState) -> None:
    record = with_files(world, record=state)

    assert not world.runtime.ledger.claim(record, Role.RECORD, owner="a", now=1, until=2)
