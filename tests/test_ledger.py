"""The ledger's conditions, each at the edge where it must hold alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchwatch.batch import Batch, Role, Status
from batchwatch.ledger import Found
from batchwatch.record import Change, File, FileState, Record
from batchwatch.telling import Rules, Witness
from batchwatch.watch import ended_before, missed, news, watch
from tests.builders import CREATED, batch, counts
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


def with_files(world: World, batch_id: str = ID, /, **states: FileState) -> Record:
    """An announced batch with nothing in its outbox, and files in these states."""
    new = Record(account=ACCOUNT, batch_id=batch_id)
    files = {Role(role): File(state=state) for role, state in states.items()}
    said = Batch.read(batch(status="completed"))
    return world.runtime.ledger.write(
        new, Change(batch=said, status=Status.COMPLETED, moved_at=0, files=files)
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


# A batch that is lost, and found again


def lost(world: World) -> Record:
    """A batch seen in progress and then missed until it was announced as lost."""
    ledger = world.runtime.ledger
    record = ledger.write(NEW, observed(NEW, "in_progress"))
    for time in range(5):
        change = missed(record, Witness("test", 2000.5 + 3600 * time, RULES))
        assert change
        record = ledger.write(record, change)
    return record


def published(world: World, record: Record) -> Record:
    for sequence in record.outbox:
        record = world.runtime.ledger.mark_published(record, sequence)
    return record


def shown(world: World) -> Record:
    """What the index shows of the one batch in it."""
    (row,) = world.runtime.ledger.open_rows(ACCOUNT)
    assert row.trouble is None
    return row.known


def test_a_batch_lost_and_found_is_in_the_index_as_if_nothing_had_been(world: World) -> None:
    ledger = world.runtime.ledger
    before = lost(world)
    assert (before.missing_since, before.misses, before.lost_at) == (2000, 5, 16_400)
    assert shown(world).lost
    gone = ledger.abandon(published(world, before))
    assert (gone.open, gone.abandoned) == (False, True)

    found = ledger.write(gone, observed(gone, "finalizing"))

    assert (found.open, found.v, found.status) == (True, gone.v + 1, Status.FINALIZING)
    assert (found.missing_since, found.misses, found.lost_at) == (None, 0, None)
    assert found.abandoned is False
    assert shown(world).lost is False


def test_a_batch_is_abandoned_only_once_its_loss_is_announced_and_nothing_has_come_since(
    world: World,
) -> None:
    ledger = world.runtime.ledger
    record = lost(world)
    assert ledger.abandon(record).open  # not yet published
    record = published(world, record)
    found = ledger.write(record, observed(record, "in_progress"))

    assert ledger.abandon(record).open  # decided on what is no longer so
    assert ledger.abandon(found).open  # not lost


def test_a_batch_abandoned_is_not_put_back_into_the_index(world: World) -> None:
    ledger = world.runtime.ledger
    ledger.abandon(published(world, lost(world)))

    ledger.reopen(ACCOUNT, ID)

    assert list(ledger.open_rows(ACCOUNT)) == []
    assert found(world) == []


def found(world: World) -> list[Found]:
    return [
        each for part in range(3) for page in world.runtime.ledger.scan(part, 3) for each in page
    ]


def test_a_scan_finds_what_is_open_and_what_should_be(world: World) -> None:
    ledger = world.runtime.ledger
    of_the_account = {"account": {"S": ACCOUNT}, "batch_id": {"S": "#account"}, "x": {"N": "1"}}
    world.runtime.dynamodb.put_item(TableName="ledger", Item=of_the_account)
    ledger.register("other", "batch_registered")
    stray = ledger.write(NEW, observed(NEW, "in_progress"))
    world.runtime.dynamodb.update_item(
        TableName="ledger",
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": ID}},
        UpdateExpression="REMOVE #open",
        ExpressionAttributeNames={"#open": "open"},
    )
    done = with_files(world, "batch_done", **DONE)
    ledger.close(done)

    assert sorted(found(world)) == [
        Found(ACCOUNT, ID, open=False),
        Found("other", "batch_registered", open=True),
    ]
    ledger.reopen(ACCOUNT, "#account")
    assert [row.known.batch_id for row in ledger.open_rows(ACCOUNT)] == []
    ledger.reopen(ACCOUNT, stray.batch_id)
    assert shown(world).batch_id == ID


def test_the_index_shows_what_news_are_decided_on(world: World) -> None:
    ledger = world.runtime.ledger
    quiet = Batch.read(batch("in_progress", expires_at=None, request_counts=counts(9, 0, 0)))
    change = watch(NEW, quiet, Witness("test", CREATED, RULES))
    assert change
    record = ledger.write(NEW, change)
    due = CREATED + RULES.limits.in_progress
    assert not news(shown(world), quiet, due - 1, RULES)
    assert news(shown(world), quiet, due, RULES)

    change = watch(record, quiet, Witness("test", due, RULES))
    assert change
    record = ledger.write(record, change)

    assert not news(shown(world), quiet, due + 1, RULES)
    assert (shown(world).created_at, shown(world).progressed_at) == (CREATED, CREATED)
    assert shown(world).stalled == record.stalled == {"in_progress"}


def test_a_file_no_longer_due_is_taken_out(world: World) -> None:
    ledger = world.runtime.ledger
    record = with_files(world, output=FileState.AWAITED, record=FileState.ARCHIVED)

    record = ledger.write(record, Change(files={Role.OUTPUT: None}))

    assert set(record.files) == {Role.RECORD}
    assert ledger.close(record).open is False


def test_a_batch_that_had_ended_before_is_written_with_its_files_in_the_queue(
    world: World,
) -> None:
    ledger = world.runtime.ledger
    said = Batch.read(batch())
    record = ledger.write(*ended_before(ACCOUNT, said, Witness("test", 1000.5, RULES)))

    assert (record.quiet, record.seq, record.outbox, record.open) == (True, 0, {}, True)
    assert not ledger.mark_queued(record, Role.OUTPUT, now=4000, until=9000)
    assert ledger.claim(record, Role.OUTPUT, owner="a", now=1001, until=1100)
