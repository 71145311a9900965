"""What becomes of the files of a batch that has ended: each to its own end, and then one word."""

from typing import Any

import pytest

from batchwatch.batch import Batch, Role
from batchwatch.ending import HOUR, LATE_IDS
from batchwatch.record import QUEUE, Change, File, FileState, Lease
from batchwatch.telling import Witness
from batchwatch.watch import ended_before
from tests.builders import (
    BATCH,
    CREATED,
    ERROR,
    OUTPUT,
    REACHED,
    TERMINAL,
    batch,
    counts,
)
from tests.lives import RULES, Life, lived

OUT, ERR, REC = Role.OUTPUT, Role.ERROR, Role.RECORD
ARCHIVED, GONE, FAILED = FileState.ARCHIVED, FileState.GONE, FileState.FAILED
PENDING, AWAITED = FileState.PENDING, FileState.AWAITED
NO_OUTPUT: dict[str, Any] = {"output_file_id": None}
NO_IDS: dict[str, Any] = {"output_file_id": None, "error_file_id": None}
END = REACHED["completed"]


# Waiting for the ids of files


@pytest.mark.parametrize(
    ("said", "first", "over"),
    [
        ({}, END, END + 600),
        ({}, END + 599, END + 600),
        ({"completed_at": None}, END + 3000, END + 3600),
        ({"completed_at": CREATED + END + 9000}, END, END + 600),
    ],
    ids=["by its timestamp", "seen late", "no timestamp", "a timestamp of the future"],
)
def test_a_batch_whose_files_are_not_there_is_announced_when_the_grace_is_over(
    said: dict[str, Any], first: float, over: float
) -> None:
    life = lived("in_progress")
    for at in (first, (first + over) / 2, over - 0.5):
        assert life.see("completed", at, **NO_OUTPUT, **said) == []
    assert not life.known.terminal
    assert life.see("completed", over, **NO_OUTPUT, **said) == ["completed"]
    assert life.files == {OUT: AWAITED, ERR: PENDING, REC: PENDING}


def test_a_stale_answer_in_between_does_not_prolong_the_wait() -> None:
    life = lived("in_progress")
    for at in (0, 200, 400):
        assert life.see("completed", at, **NO_OUTPUT, completed_at=None) == []
        assert life.see("in_progress", at + 100) == []
    assert life.see("completed", 600, **NO_OUTPUT, completed_at=None) == ["completed"]


def test_a_batch_first_seen_long_after_its_end_is_announced_at_once() -> None:
    assert Life().see("completed", END + 600, **NO_OUTPUT) == ["completed"]


def test_a_batch_is_announced_as_soon_as_its_files_are_there() -> None:
    life = lived("in_progress")
    assert life.see("completed", END, **NO_IDS) == []
    assert life.see("completed", END + 5, **NO_OUTPUT) == []
    assert life.see("completed", END + 9) == ["completed"]
    assert life.files == {OUT: PENDING, ERR: PENDING, REC: PENDING}
    assert [life.known.files[role].file_id for role in (OUT, ERR, REC)] == [OUTPUT, ERROR, None]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_batch_that_never_ran_waits_for_no_file(status: str) -> None:
    none = counts(0, 0, 0)
    assert Life().see(status, **NO_IDS, request_counts=none, in_progress_at=None) == [status]


def late(at: float = END + 600) -> Life:
    """Give a batch announced without its output file, all else archived."""
    life = lived("in_progress")
    life.see("completed", at, **NO_OUTPUT)
    life.end(ERR)
    life.end(REC)
    return life


def test_an_id_that_comes_late_is_taken() -> None:
    life = late()
    assert life.see("completed", END + 9000) == []
    assert life.known.files[OUT] == File(state=PENDING, file_id=OUTPUT)
    assert life.known.batch
    assert life.known.batch.output_file_id == OUTPUT
    assert life.files[ERR] is ARCHIVED
    assert life.end(OUT) == ["archived"]


def test_an_id_that_is_awaited_is_asked_for_each_hour() -> None:
    life = late(at=END + 600)
    before = life.known.v
    for minute in range(10, 4 * 60 + 10):
        assert life.see("completed", END + 60 * minute, **NO_OUTPUT) == []
    assert life.known.v == before + 3
    assert life.known.files[OUT].ask_at == CREATED + END + 600 + 4 * HOUR


@pytest.mark.parametrize("later", ["completed", "expired", "in_progress", "paused"])
def test_an_id_that_never_comes_is_given_up_after_a_day(later: str) -> None:
    life = late(at=END + 600)
    assert life.see(later, END + 600 + LATE_IDS - 1, **NO_OUTPUT) == []
    assert life.see(later, END + 600 + LATE_IDS, **NO_OUTPUT) == ["file_gone", "archived"]
    gone, archived = (event.data.files or {} for event in life.events[-2:])
    assert {role: file.state for role, file in gone.items()} == {OUT: "gone"}
    assert {role: file.state for role, file in archived.items()} == {
        OUT: "gone",
        ERR: "archived",
        REC: "archived",
    }
    assert life.events[-1].data.status == life.events[-1].data.previous_status == "completed"
    assert life.see("completed", END + 3 * LATE_IDS) == []


# Files that were never due, files elsewhere


def test_a_file_that_turns_out_never_to_have_been_due_is_awaited_no_longer() -> None:
    life = Life()
    unknown: dict[str, Any] = {"request_counts": None}
    life.see("completed", END + 600, **NO_IDS, **unknown)
    assert life.files == {OUT: AWAITED, REC: PENDING}
    assert life.see("completed", END + 4200, **NO_OUTPUT, **unknown) == []
    assert life.files == {ERR: PENDING, REC: PENDING}
    assert life.see("completed", END + 600 + LATE_IDS, **NO_OUTPUT, **unknown) == []
    assert [life.end(ERR), life.end(REC)] == [[], ["archived"]]


@pytest.mark.parametrize(
    ("done", "awaited"), [(counts(1000, 0, 1000), False), (counts(1000, 1000, 0), True)]
)
def test_counts_that_come_late_say_which_file_was_due(done: dict[str, Any], awaited: bool) -> None:  # noqa: FBT001 - what is expected
    life = Life()
    life.see("completed", END + 600, **NO_IDS, request_counts=counts(1000, 0, 0))
    said = {**NO_OUTPUT, "request_counts": done}
    assert life.see("completed", END + 700, **said) == []
    assert life.files == {REC: PENDING, ERR: PENDING} | ({OUT: AWAITED} if awaited else {})


def test_a_file_that_is_the_last_to_be_no_longer_due_ends_its_batch() -> None:
    life = late()
    fewer = counts(1000, 0, 1000)
    assert life.see("completed", END + 700, **NO_OUTPUT, request_counts=fewer) == ["archived"]
    assert set(life.events[-1].data.files or {}) == {ERR, REC} == set(life.files)


@pytest.mark.parametrize("less", [None, counts(0, 0, 0), counts(1000, 0, 0)])
def test_an_answer_that_knows_less_than_the_one_before_makes_no_file_undue(
    less: dict[str, Any] | None,
) -> None:
    life = late()
    assert life.see("completed", END + 700, **NO_OUTPUT, request_counts=less) == []
    assert life.files[OUT] is AWAITED


ALL_DONE = {**NO_IDS, "request_counts": counts(9, 9, 0)}
BLOB = "https://blobs.example/container/output.jsonl"


def test_a_file_elsewhere_is_told_with_its_place_and_not_fetched() -> None:
    life = Life()
    places = {"output_blob": BLOB, "error_blob": ""}
    assert life.see("completed", END, **ALL_DONE, **places) == ["completed"]
    assert life.known.files[OUT] == File(state=FileState.ELSEWHERE, location=BLOB)
    assert life.files == {OUT: FileState.ELSEWHERE, REC: PENDING}
    assert life.end(OUT) == []
    assert life.end(REC) == ["archived"]
    told = (life.events[-1].data.files or {})[OUT]
    assert (told.state, told.location, told.s3_uri) == ("elsewhere", BLOB, None)


def test_a_file_with_an_id_is_fetched_wherever_else_it_may_be() -> None:
    life = lived("completed", output_blob=BLOB, error_blob=BLOB)
    assert life.files == {OUT: PENDING, ERR: PENDING, REC: PENDING}


def test_the_place_of_the_last_file_ends_its_batch() -> None:
    life = late()
    assert life.see("completed", END + 700, **NO_OUTPUT, output_blob=BLOB) == ["archived"]
    assert life.known.files[OUT].location == BLOB


def test_a_place_too_long_to_be_told_is_left_out() -> None:
    for place, told in (("x" * 1498, True), ("x" * 1499, False), ('"' * 1000, False)):
        life = lived("completed", **ALL_DONE, output_blob=place)
        assert life.files[OUT] is FileState.ELSEWHERE
        assert (life.known.files[OUT].location is not None) is told


# What OpenAI really does at an end


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        ("completed", {"output_file_id": "", "error_file_id": ""}, {OUT, ERR}),
        ("completed", {"output_file_id": "", "request_counts": counts(9, 0, 9)}, set()),
        ("completed", {"error_file_id": "", "request_counts": counts(9, 9, 0)}, set()),
        ("completed", {"request_counts": counts(9, 9, 0)}, set()),
        ("completed", {"error_file_id": "", "request_counts": counts(0, 0, 0)}, set()),
        ("completed", {**NO_IDS, "request_counts": counts(0, 0, 0)}, {OUT}),
        ("cancelled", {**NO_IDS, "request_counts": counts(9, 0, 0)}, {ERR}),
        ("expired", {**NO_IDS, "request_counts": counts(9, 9, 0)}, {OUT}),
    ],
    ids=[
        "ids that are empty texts",
        "all lines failed",
        "all lines succeeded",
        "an error file with no failure counted",
        "no counts, one file",
        "no counts, no file",
        "cancelled with nothing done",
        "expired with all done",
    ],
)
def test_the_files_that_an_end_waits_for_are_those_that_must_exist(
    status: str, said: dict[str, Any], expected: set[Role]
) -> None:
    life = Life()
    assert life.see(status, REACHED[status], **said) == ([] if expected else [status])
    assert life.see(status, REACHED[status] + 600, **said) == ([status] if expected else [])
    there = {
        role
        for role, name in ((OUT, "output_file_id"), (ERR, "error_file_id"))
        if batch(status, **said)[name]
    }
    assert {role for role, state in life.files.items() if state is AWAITED} == expected
    assert {role for role, state in life.files.items() if state is PENDING} == {*there, REC}


def test_a_batch_that_is_being_cancelled_has_nothing_to_fetch_yet() -> None:
    life = lived("in_progress")
    assert life.see("cancelling", REACHED["cancelling"]) == ["cancelling"]
    for minute in range(10, 50, 10):
        said = {"output_file_id": OUTPUT, "request_counts": counts(1000, 400 + minute, 0)}
        assert life.see("cancelling", REACHED["cancelling"] + 60 * minute, **said) == []
    assert life.files == {}
    assert life.see("cancelled", REACHED["cancelling"] + 3000) == ["cancelled"]


# Batches that had ended before


def before(status: str = "completed", **said: Any) -> tuple[Life, Change]:
    """Give a batch that was taken in after its end."""
    witness = Witness("poller", CREATED + 3 * LATE_IDS, RULES)
    known, change = ended_before("default", Batch.read(batch(status, **said)), witness)
    life = Life(known)
    life._write(change)
    return life, change


@pytest.mark.parametrize("status", TERMINAL)
def test_a_batch_that_had_ended_before_is_taken_in_without_a_word(status: str) -> None:
    life, change = before(status)
    other = lived(status)
    assert change.events == ()
    assert (life.known.batch_id, life.known.status) == (BATCH, status)
    assert life.known.batch
    assert life.known.batch.said == batch(status)
    assert life.known.digest == other.known.digest
    assert (life.known.quiet, life.known.seq, life.files) == (True, 0, other.files)
    for file in life.known.files.values():
        assert file.lease == Lease(owner=QUEUE, until=CREATED + 3 * LATE_IDS + HOUR)


@pytest.mark.parametrize("state", [ARCHIVED, GONE, FAILED])
def test_nothing_is_told_of_the_files_of_a_batch_that_had_ended_before(state: FileState) -> None:
    life = before(**NO_OUTPUT)[0]
    assert life.files == {OUT: AWAITED, ERR: PENDING, REC: PENDING}
    assert life.known.files[OUT].lease is None
    assert [life.end(ERR, state), life.end(REC, state)] == [[], []]
    assert life.see("completed", 5 * LATE_IDS, **NO_OUTPUT) == []
    assert life.files == {OUT: GONE, ERR: state, REC: state}
    assert life.known.settled


# The end of files


@pytest.mark.parametrize("order", [(OUT, ERR, REC), (REC, ERR, OUT), (ERR, REC, OUT)])
def test_the_end_of_the_last_file_and_no_other_tells_that_a_batch_is_archived(
    order: tuple[Role, ...],
) -> None:
    life = lived("completed")
    assert [life.end(role) for role in order] == [[], [], ["archived"]]
    assert set(life.events[-1].data.files or {}) == set(order)
    assert life.known.archived


def test_a_batch_without_files_is_archived_with_its_record() -> None:
    life = lived("failed")
    assert life.files == {REC: PENDING}
    assert life.end(REC) == ["archived"]


@pytest.mark.parametrize(("state", "kind"), [(GONE, "file_gone"), (FAILED, "file_failed")])
def test_a_file_that_could_not_be_had_is_told(state: FileState, kind: str) -> None:
    life = lived("completed")
    assert life.end(OUT, state) == [kind]
    assert set(life.events[-1].data.files or {}) == {OUT}
    assert life.end(ERR, state) == [kind]
    assert life.end(REC) == ["archived"]
    assert len({event.id for event in life.events}) == 4


@pytest.mark.parametrize("again", [ARCHIVED, GONE, FAILED])
@pytest.mark.parametrize("first", [ARCHIVED, GONE, FAILED])
def test_a_second_end_of_a_file_changes_nothing(first: FileState, again: FileState) -> None:
    life = lived("completed")
    for role in (OUT, ERR, REC):
        life.end(role, first)
        was = life.known
        assert life.end(role, again) == []
        assert life.known == was


def test_the_end_of_a_file_nobody_knows_of_changes_nothing() -> None:
    assert Life().end(OUT) == []
    assert lived("failed").end(OUT) == []
