"""An event is made once, means the same to everybody, and fits wherever it has to go."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role, Status
from batchwatch.cutting import LARGEST, cut
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, event_id, make_event, outcome
from tests.builders import (
    BATCH,
    CREATED,
    KNOWN,
    LONGEST_ID,
    batch,
    counts,
    errors,
    ids,
    modest,
    odd_batches,
    read,
)

NOW = CREATED + 3675.25
ARCHIVED = {
    Role.OUTPUT: ArchivedFile(
        state="archived", s3_uri="s3://bucket/output.jsonl", bytes=7, lines=2, crc32="0badcafe"
    ),
    Role.ERROR: ArchivedFile(state="gone", reason="404"),
    Role.RECORD: ArchivedFile(state="failed", reason="short"),
}


def event(
    said: Mapping[str, Any] | None = None, kind: str = "batch.completed", **changes: Any
) -> BatchEvent:
    """Give the second event of a batch, as the poller would make it."""
    usual: dict[str, Any] = {
        "source": "urn:batchwatch:stack:default",
        "account": "default",
        "status": "completed",
        "previous_status": "in_progress",
        "sequence": 2,
        "now": NOW,
        "by": "poller",
    }
    return make_event(kind, Batch.read(said or batch()), **usual | changes)


# What it is


def test_an_event_is_a_cloudevent_with_the_batch_in_it() -> None:
    assert json.loads(event().frozen()) == {
        "specversion": "1.0",
        "id": "284c0d6e-6c96-5f66-954f-7702672aa0b7",
        "source": "urn:batchwatch:stack:default",
        "type": "batch.completed",
        "subject": BATCH,
        "time": "2027-01-15T09:01:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:batchwatch:schema:batch-event:1",
        "data": {
            "account": "default",
            "status": "completed",
            "previous_status": "in_progress",
            "sequence": 2,
            "observed_at": "2027-01-15T09:01:15.250000Z",
            "observed_by": "poller",
            "batch": batch(),
        },
    }


def test_an_event_of_the_archive_tells_of_every_file() -> None:
    said = json.loads(event(kind="batch.archived", files=ARCHIVED).frozen())
    nothing = {"s3_uri": None, "bytes": None, "lines": None, "crc32": None}
    assert said["data"]["files"] == {
        "output": {
            "state": "archived",
            "s3_uri": "s3://bucket/output.jsonl",
            "bytes": 7,
            "lines": 2,
            "crc32": "0badcafe",
            "reason": None,
        },
        "error": {"state": "gone", **nothing, "reason": "404"},
        "record": {"state": "failed", **nothing, "reason": "short"},
    }


def test_a_file_elsewhere_is_told_with_its_place() -> None:
    place = ArchivedFile(state="elsewhere", location="https://blobs.example/output.jsonl")
    files = ARCHIVED | {Role.OUTPUT: place}
    said = json.loads(event(kind="batch.archived", files=files).frozen())["data"]["files"]
    assert said["output"]["location"] == "https://blobs.example/output.jsonl"
    assert [name for name, file in said.items() if "location" in file] == ["output"]


STALLED = Stalled(reason="finalizing", seconds=7260, usual="minutes")


def test_a_stall_is_told_with_its_reason_its_time_and_what_is_usual() -> None:
    whole = event(kind="batch.stalled", stalled=STALLED)
    for told in (whole, whole.reduced()):
        said = json.loads(told.frozen())["data"]["stalled"]
        assert said == {"reason": "finalizing", "seconds": 7260, "usual": "minutes"}


def test_a_first_event_says_that_nothing_was_before() -> None:
    assert json.loads(event(previous_status=None).frozen())["data"]["previous_status"] is None


@pytest.mark.parametrize("status", KNOWN)
def test_the_time_of_a_status_is_told_by_openai(status: Status) -> None:
    assert event(batch(status), f"batch.{status}").time.timestamp() == read(status).status_at


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("batch.archived", batch()),
        ("batch.file_gone", batch()),
        ("batch.unknown", batch("paused")),
        ("batch.completed", batch(completed_at=None)),
        ("batch.completed", batch(completed_at=CREATED * 10**6)),
        ("batch.completed", batch(completed_at=-(10**14))),
    ],
)
def test_where_openai_gives_no_time_it_is_ours(kind: str, said: dict[str, Any]) -> None:
    assert event(said, kind).time.timestamp() == NOW


# Same id, same bytes


def test_an_id_is_the_same_whoever_sees_it_first_and_whenever() -> None:
    other = event(now=NOW + 60, by="webhook", sequence=3, previous_status="finalizing")
    assert other.id == event().id == event_id("default", BATCH, "batch.completed")


def test_an_id_differs_by_all_that_tells_events_apart() -> None:
    different = [
        event_id(account, batch_id, kind, apart)
        for account in ("default", "other")
        for batch_id in (BATCH, LONGEST_ID)
        for kind in ("batch.completed", "batch.unknown")
        for apart in ("", "paused", "Paused", "error")
    ]
    assert len(set(different)) == len(different)


@modest
@given(
    odd_batches(),
    st.floats(0, 4e9),
    st.none() | st.just(ARCHIVED),
    st.none() | st.just(STALLED),
)
def test_an_event_read_and_frozen_again_is_the_same_text(
    said: dict[str, Any],
    now: float,
    files: Mapping[Role, ArchivedFile] | None,
    stalled: Stalled | None,
) -> None:
    frozen = event(said, now=now, files=files, stalled=stalled).frozen()
    assert BatchEvent.model_validate_json(frozen).frozen() == frozen
    assert json.dumps(json.loads(frozen)["data"]["batch"]) == json.dumps(said)
    json.loads(frozen, parse_constant=pytest.fail)  # NaN and the like are no JSON


def test_an_event_from_a_later_version_is_read_and_kept_as_it_is() -> None:
    said = json.loads(event(files=ARCHIVED).frozen())
    later = json.dumps(said | {"traceparent": "00-1"} | {"data": said["data"] | {"region": "x"}})
    assert json.loads(BatchEvent.model_validate_json(later).frozen()) == json.loads(later)


# What is told beside the body


@modest
@given(odd_batches())
def test_attributes_repeat_the_body_and_are_never_empty(said: dict[str, Any]) -> None:
    made = event(said)
    body = json.loads(made.frozen())
    told = {
        "type": body["type"],
        "status": body["data"]["status"],
        "account": body["data"]["account"],
        "endpoint": body["data"]["batch"].get("endpoint"),
        "model": body["data"]["batch"].get("model"),
        "outcome": outcome(Batch.read(said)),
    }
    assert set(made.attributes) == {k for k, v in told.items() if v and isinstance(v, str)}
    for name, text in made.attributes.items():
        assert re.fullmatch(r"[ -~]{1,256}", text)
        if re.fullmatch(r"[ -~]{1,256}", told[name]):
            assert text == told[name]


@pytest.mark.parametrize(
    ("model", "told"), [("gpt-5\n", "gpt-5?"), ("modèle", "mod?le"), ("m" * 300, "m" * 256)]
)
def test_an_attribute_is_short_plain_text(model: str, told: str) -> None:
    assert event(batch(model=model)).attributes["model"] == told


@modest
@given(odd_batches(), ids, st.text())
def test_a_headline_is_one_short_line_of_ascii(
    odd: dict[str, Any], batch_id: str, account: str
) -> None:
    line = event(odd | {"id": batch_id}, account=account).headline
    assert re.fullmatch(r"completed[ -~]{1,90}", line)
    assert len(line) < 100


@pytest.mark.parametrize(
    ("said", "kind", "line"),
    [
        (batch(), "batch.completed", f"completed 980/1000 {BATCH} (default)"),
        (batch("failed"), "batch.failed", f"failed {BATCH} (default)"),
        (batch(), "batch.archived", f"archived 980/1000 {BATCH} (default)"),
        (batch("validating"), "batch.validating", f"validating {BATCH} (default)"),
        (batch() | {"id": LONGEST_ID}, "batch.expired", f"expired 980/1000 {LONGEST_ID}"[:99]),
    ],
)
def test_a_headline_says_what_happened_to_which_batch(
    said: dict[str, Any], kind: str, line: str
) -> None:
    assert event(said, kind).headline == line


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        ("completed", {"request_counts": counts(9, 9, 0)}, "all"),
        ("completed", {"request_counts": counts(9, 8, 1)}, "some"),
        ("completed", {"request_counts": counts(9, 0, 9)}, "none"),
        ("completed", {"request_counts": counts(0, 0, 0)}, None),
        ("completed", {"request_counts": counts(9, None, None)}, None),
        ("completed", {"request_counts": None}, None),
        ("expired", {"request_counts": counts(9, 1, 0)}, "some"),
        ("expired", {"request_counts": counts(9, 0, 0)}, "none"),
        ("cancelled", {"request_counts": counts(9, 9, 0)}, "all"),
        ("cancelled", {"request_counts": counts(0, 0, 0)}, None),
        ("cancelled", {"request_counts": counts(0, 0, 0), "in_progress_at": None}, "none"),
        ("failed", {}, "none"),
        ("failed", {"request_counts": None}, "none"),
        ("in_progress", {"request_counts": counts(9, 9, 0)}, None),
        ("paused", {"request_counts": counts(9, 9, 0)}, None),
    ],
)
def test_an_outcome_says_how_much_succeeded(
    status: str, changes: dict[str, Any], expected: str | None
) -> None:
    assert outcome(read(status, **changes)) == expected


# How large it may get


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "\x00" * 900, "😀" * 400, '"\\' * 10])
@pytest.mark.parametrize("field", ["errors", "notes"])
def test_the_largest_event_is_under_64_kb(text: str, field: str) -> None:
    grown = {"errors": errors(*[text] * 3000), "notes": [text] * 3000}[field]
    largest = cut(batch() | {"id": LONGEST_ID, "output_file_id": LONGEST_ID, field: grown})
    where = f"s3://{'b' * 63}/batches/account={'a' * 32}/created=2027-01-15/{LONGEST_ID}/x.jsonl"
    there = ArchivedFile(state="archived", s3_uri=where, bytes=2**40, lines=2**30, crc32="0badcafe")
    lost = ArchivedFile(state="failed", reason="é" * 900)
    place = ArchivedFile(state="elsewhere", location='"' * 749)
    all_there, all_lost = dict.fromkeys(Role, there), dict.fromkeys(Role, lost)
    two = {Role.OUTPUT: place, Role.ERROR: place}
    for files in (all_there, all_lost, all_there | two, all_lost | two):
        made = event(
            largest,
            kind="batch.archived",
            source=f"urn:batchwatch:{'s' * 128}:{'a' * 32}",
            account="a" * 32,
            files=files,
        )
        assert len(made.frozen().encode()) < 64 * 1024
    assert len(json.dumps(batch() | {field: grown})) > LARGEST
