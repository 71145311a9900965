"""A batch is read whatever it looks like, given on unchanged, cut only where it is too large."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role, Status, safe_id
from batchwatch.cutting import LARGEST, cut
from batchwatch.errors import BadAnswerError, UnsafeIdError
from tests.builders import (
    BATCH,
    CREATED,
    ERROR,
    KNOWN,
    LONGEST_ID,
    OUTPUT,
    REACHED,
    batch,
    counts,
    errors,
    modest,
    odd_batches,
    read,
    without,
)

OUT, ERR = Role.OUTPUT, Role.ERROR

# What is read


def test_every_field_of_the_api_is_read() -> None:
    said = read(errors=errors("Model parameter is required."))
    plain = without(batch(), "errors", "request_counts", "usage", "status")
    assert {name: getattr(said, name) for name in plain} == plain
    assert said.status is Status.COMPLETED
    assert said.errors
    assert [(e.code, e.line, e.message, e.param) for e in said.errors.data] == [
        ("invalid_request", 1, "Model parameter is required.", "body.model")
    ]
    assert said.request_counts
    assert (said.request_counts.total, said.request_counts.completed) == (1000, 980)
    assert (said.request_counts.failed, said.request_counts.unfinished) == (20, 0)
    assert said.usage
    assert (said.usage.input_tokens, said.usage.output_tokens) == (23_520, 9800)
    assert said.usage.total_tokens == 33_320
    assert said.usage.input_tokens_details
    assert said.usage.input_tokens_details.cached_tokens == 7840
    assert said.usage.output_tokens_details
    assert said.usage.output_tokens_details.reasoning_tokens == 5880


@pytest.mark.parametrize("status", KNOWN)
def test_every_status_has_its_own_timestamp(status: Status) -> None:
    assert read(status).status_at == CREATED + REACHED.get(status, 0)


@pytest.mark.parametrize("name", sorted(without(batch(), "id", "status")))
def test_a_field_that_says_nothing_is_nothing(name: str) -> None:
    for said in (without(batch(), name), batch() | {name: None}, batch() | {name: True}):
        assert getattr(Batch.read(said), name) is None


@pytest.mark.parametrize("name", ["output_file_id", "error_file_id", "input_file_id", "model"])
def test_an_empty_string_is_nothing(name: str) -> None:
    assert getattr(read(**{name: ""}), name) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (CREATED, CREATED),
        (CREATED + 0.9, CREATED),
        (str(CREATED), CREATED),
        ("2027-01-15T08:00:00.2491382+00:00", CREATED),
        ("2027-01-15T08:00:00", CREATED),
        ("2027-01-15T08:00:00.2491382Z", CREATED),
        ("2027-01-15T08:00:00Z", CREATED),
        ("2027-01-15t08:00:00z", CREATED),
        (" 2027-01-15 08:00:00Z ", CREATED),
        ("2027-01-15T09:00:00+01:00", CREATED),
        ("2027-01-15T09:00:00.2491382+01:00", CREATED),
        (f" {CREATED} ", CREATED),
        (f"{CREATED}.75", CREATED),
        (CREATED * 1000, None),
        (f"{CREATED}000", None),
        (0, None),
        ("0", None),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("yesterday", None),
        ("nan", None),
        ("inf", None),
        (True, None),
        ({}, None),
        (10**400, None),
    ],
)
def test_a_timestamp_is_read_in_every_form_known(said: object, seconds: int | None) -> None:
    assert read(created_at=said).created_at == seconds


def test_a_date_without_a_zone_is_utc_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "FAR-5")
    time.tzset()
    try:
        assert read(created_at="2027-01-15T08:00:00").created_at == CREATED
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("odd", [-1, 1.5, "7", True, [7]])
def test_a_count_that_is_none_is_nothing(odd: object) -> None:
    said = read(request_counts={"total": 7, "completed": odd, "failed": 2}).request_counts
    assert said
    assert (said.total, said.completed, said.failed) == (7, None, 2)


@pytest.mark.parametrize(
    ("said", "messages"),
    [
        (errors("one", "two"), ["one", "two"]),
        ({"object": "list", "data": []}, []),
        ({"data": None}, []),
        ({"data": ["one", {"message": "two"}]}, ["one", "two"]),
        (["one", {"message": "two"}], ["one", "two"]),
        (["one", "two"], ["one", "two"]),
        ([], []),
        ("one", ["one"]),
    ],
)
def test_reasons_of_a_failure_are_read_in_every_form_known(
    said: object, messages: list[str]
) -> None:
    reasons = read("failed", errors=said).errors
    assert reasons
    assert [entry.message for entry in reasons.data] == messages


@pytest.mark.parametrize("said", ["", None, 7, True])
def test_reasons_that_say_nothing_are_nothing(said: object) -> None:
    assert read("failed", errors=said).errors is None


@pytest.mark.parametrize(
    ("said", "status"),
    [(status.value, status) for status in KNOWN]
    + [(status.value.upper(), status) for status in KNOWN]
    + [(f" {status.value.capitalize()}\n", status) for status in KNOWN]
    + [(said, Status.IN_PROGRESS) for said in ("in progress", "In-Progress", "IN PROGRESS")]
    + [(said, Status.IN_PROGRESS) for said in ("progress", "PROGRESS", "running", "Running ")]
    + [(said, Status.VALIDATING) for said in ("queued", "pre_schedule", "pending", "created")]
    + [(said, Status.VALIDATING) for said in ("pre-schedule", "PRE SCHEDULE")]
    + [("canceled", Status.CANCELLED), ("Canceled", Status.CANCELLED)]
    + [("canceling", Status.CANCELLING), ("CANCELLATION_REQUESTED", Status.CANCELLING)]
    + [("succeeded", Status.COMPLETED), ("SUCCESS", Status.COMPLETED)]
    + [("TIMEOUT_EXCEEDED", Status.EXPIRED), ("timeout exceeded", Status.EXPIRED)]
    + [("paused", Status.UNKNOWN), ("", Status.UNKNOWN), (None, Status.UNKNOWN)]
    + [(said, Status.UNKNOWN) for said in ("JOB_STATE_SUCCEEDED", "Status.COMPLETED", "done")]
    + [(said, Status.UNKNOWN) for said in ("inprogress", "com_pleted", "not running", "error")],
)
def test_a_status_is_one_of_eight_or_unknown(said: str | None, status: Status) -> None:
    read = Batch.read(batch() | {"status": said})
    assert read.status is status
    assert read.raw_status == str(said)
    assert read.status.terminal == (status in {"completed", "failed", "expired", "cancelled"})


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "batch",
        {},
        without(batch(), "id"),
        without(batch(), "status"),
        {"error": {"message": "No batch found."}},
        *[batch() | {"id": bad} for bad in (None, 7, "", "../x", "a" * 513)],
    ],
)
def test_what_is_no_batch_is_refused_without_being_repeated(said: object) -> None:
    with pytest.raises(BadAnswerError) as refusal:
        Batch.read(said)
    assert "found" not in str(refusal.value)


@pytest.mark.parametrize("good", ["a", BATCH, "file-1", "x" * 512, "YmF0Y2g6MQ==", "a:b.c_d-e"])
def test_a_safe_id_is_given_back(good: str) -> None:
    assert safe_id(good) == good


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../x", "a/b", " a", "a ", "a?b", "a#b", "a%2fb", "é", "a\n", "x" * 513]
)
def test_an_unsafe_id_is_refused(bad: str) -> None:
    with pytest.raises(UnsafeIdError):
        safe_id(bad)


# What is given on


def test_a_batch_keeps_fields_nobody_knows() -> None:
    said = batch(progress={"eta": 1.5, "steps": ["a", None]}, request_counts={"cached": 7})
    assert Batch.read(said).model_dump() == said
    assert json.loads(Batch.read(said).model_dump_json()) == said


@modest
@given(odd_batches())
def test_any_object_with_an_id_and_a_status_is_read_and_given_on_as_it_is(
    said: dict[str, Any],
) -> None:
    read = Batch.read(said)
    assert read.id == said["id"]
    assert read.missing <= set(Role)
    text = json.dumps(said)
    assert json.dumps(read.model_dump()) == text
    assert json.dumps(json.loads(read.model_dump_json())) == text
    assert json.dumps(Batch.model_validate_json(read.model_dump_json()).said) == text


def test_half_a_character_does_not_make_a_batch_unspeakable() -> None:
    said = json.loads(json.dumps(batch("failed", errors=errors("cut in two: \ud83d"))))
    assert json.loads(Batch.read(said).model_dump_json())["id"] == BATCH


# Which files must be there


@pytest.mark.parametrize(
    ("status", "changes", "missing"),
    [
        ("completed", {}, set()),
        ("completed", {"output_file_id": None}, {OUT}),
        ("completed", {"output_file_id": "", "error_file_id": ""}, {OUT, ERR}),
        ("completed", {"error_file_id": None, "request_counts": counts(9, 9, 0)}, set()),
        ("completed", {"output_file_id": None, "request_counts": counts(9, 0, 9)}, set()),
        ("expired", {"error_file_id": None, "request_counts": counts(9, 8, 0)}, {ERR}),
        ("cancelled", {"error_file_id": None, "request_counts": counts(9, 8, 0)}, {ERR}),
        ("completed", {"error_file_id": None, "request_counts": counts(9, 8, 0)}, set()),
        ("cancelled", {"error_file_id": None, "request_counts": counts(9, 9, 0)}, set()),
        ("failed", {"request_counts": counts(9, 8, 1)}, set()),
        *[(status, {"output_file_id": None}, set()) for status in ("in_progress", "finalizing")],
    ],
)
def test_a_file_is_missing_when_the_counts_promise_it(
    status: str, changes: dict[str, Any], missing: set[Role]
) -> None:
    assert read(status, **changes).missing == missing


@pytest.mark.parametrize(
    "unknown", [None, {}, counts(0, 0, 0), counts(None, None, None), counts(10, None, None)]
)
@pytest.mark.parametrize("status", ["completed", "expired", "cancelled"])
def test_with_counts_unknown_any_one_file_will_do(
    status: str, unknown: dict[str, Any] | None
) -> None:
    for output, error in ((OUTPUT, None), (None, ERROR), (OUTPUT, ERROR)):
        files = {"output_file_id": output, "error_file_id": error}
        assert read(status, request_counts=unknown, **files).missing == set()
    none = {"output_file_id": None, "error_file_id": None}
    assert read(status, request_counts=unknown, **none).missing == {OUT}


@pytest.mark.parametrize("said", [counts(0, 0, 0), None, counts(5, 0, 0)])
def test_nothing_is_expected_of_a_batch_cancelled_before_it_began(said: object) -> None:
    none = {"output_file_id": None, "error_file_id": None, "in_progress_at": None}
    assert read("cancelled", request_counts=said, **none).missing == set()


BLOB = "https://storage.example/results/0123/output.jsonl"


@pytest.mark.parametrize(
    ("said", "path"), [(BLOB, BLOB), ("", None), (None, None), (7, None), ([BLOB], None)]
)
def test_a_blob_is_named_by_a_text(said: object, path: str | None) -> None:
    told = read(output_blob=said)
    assert (told.blob(OUT), told.blob(ERR), told.blob(Role.RECORD)) == (path, None, None)
    assert read(error_blob=said).blob(ERR) == path


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"output_blob": BLOB, "error_blob": BLOB}, set()),
        ({"output_blob": BLOB, "error_blob": ""}, {ERR}),
        ({"output_blob": "", "error_blob": BLOB}, {OUT}),
        ({"output_blob": "", "error_blob": ""}, {OUT, ERR}),
        ({"output_blob": BLOB, "error_file_id": ERROR}, set()),
        ({"output_blob": BLOB, "request_counts": None}, set()),
        ({"error_blob": BLOB, "request_counts": None}, set()),
        ({"output_blob": "", "error_blob": "", "request_counts": None}, {OUT}),
    ],
)
def test_a_file_whose_blob_is_named_is_not_missing(
    changes: dict[str, Any], missing: set[Role]
) -> None:
    none = {"output_file_id": None, "error_file_id": None}
    assert read(**none | changes).missing == missing
    assert read(**none | changes).file_id(OUT) is None


def test_a_batch_that_is_past_its_time_has_not_ended_by_that() -> None:
    for status in ("validating", "in_progress", "finalizing", "cancelling"):
        late = read(status, expires_at=1)
        assert (late.status, late.missing) == (status, frozenset())


# What is too large


TEXTS = sorted(set(Batch.model_fields) - {"id", "status", "output_file_id", "error_file_id"})
GROWTHS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "many reasons": lambda text, times: {"errors": errors(*[text] * (times // 20))},
    "one long reason": lambda text, times: {"errors": errors("first", text * times)},
    "a text for a reason": lambda text, times: {"errors": text * times},
    "long metadata": lambda text, times: {"metadata": {"name": text * times}},
    "an unknown field": lambda text, times: {"notes": text * times},
    "every text": lambda text, times: dict.fromkeys(TEXTS, text * (times // 8)),
}


@modest
@given(
    odd_batches(),
    st.sampled_from([OUTPUT, None, "", LONGEST_ID]),
    st.sets(st.sampled_from(sorted(GROWTHS)), min_size=1),
    st.text(min_size=1, max_size=40),
    st.integers(1, 20_000),
)
def test_a_batch_is_cut_to_the_limit_and_still_is_that_batch(
    odd: dict[str, Any], file_id: str | None, growths: set[str], text: str, times: int
) -> None:
    said = odd | {"output_file_id": file_id}
    for growth in growths:
        said |= GROWTHS[growth](text, times)
    shorter = cut(said)
    before, after = Batch.read(said), Batch.read(shorter)
    assert len(json.dumps(shorter)) <= LARGEST
    assert len(after.model_dump_json().encode()) <= LARGEST
    assert (after.id, after.raw_status) == (before.id, before.raw_status)
    assert [after.file_id(role) for role in (OUT, ERR)] == [
        before.file_id(role) for role in (OUT, ERR)
    ]
    if len(json.dumps(said)) <= LARGEST:
        assert shorter is said
    else:
        reasons = shorter.get("errors")
        marks = [shorter.get("truncated"), isinstance(reasons, dict) and reasons.get("truncated")]
        assert True in marks


def test_a_cut_batch_keeps_its_first_reasons_and_tells_how_many_there_were() -> None:
    said = batch("failed", errors=errors(*["Model parameter is required."] * 50_000))
    shorter = cut(said)
    assert without(shorter, "errors") == without(said, "errors")
    kept = shorter["errors"]["data"]
    assert kept == said["errors"]["data"][: len(kept)]
    assert len(kept) >= 100
    reasons = Batch.read(shorter).errors
    assert reasons
    assert (reasons.truncated, reasons.total) == (True, 50_000)
