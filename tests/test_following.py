"""What becomes of a part by what is known of its batch, or by why it has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role, Status
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
)
from batchwatch.record import File, FileState, Record
from batchwatch.submit.following import (
    UPLOAD_AGAIN,
    followed,
    held,
    why_refused,
)
from batchwatch.submit.job import FINAL, UNSENT, Held, Part, PartState
from batchwatch.submit.unrun import Why, refused_unrun
from tests.builders import TERMINAL, batch, counts, modest
from tests.plans import limited, part

NOW = 10_000.0
LIMIT_MESSAGE = (
    "Enqueued token limit reached for gpt-5-mini in organization org-1. Limit: 90,000 enqueued"
    " tokens. Please try again once some in_progress batches have been completed."
)
LOST_FILE = "Cannot find file file-1, or organization org-1 does not have access to it."
ALL_THERE = {
    Role.RECORD: File(state=FileState.ARCHIVED, s3_uri="s3://bucket/batch.json", bytes=1, lines=1),
    Role.OUTPUT: File(state=FileState.ARCHIVED, s3_uri="s3://bucket/a/out", bytes=70, lines=7),
    Role.ERROR: File(state=FileState.ARCHIVED, s3_uri="s3://bucket/a/err", bytes=30, lines=3),
}


def known(said: dict[str, Any] | None, **of_record: Any) -> Record:
    """Give what the ledger holds of a batch that was announced as it is said to be."""
    seen = Batch.read(said) if said else None
    status = seen.status if seen else None
    return Record(
        account="default", batch_id="batch_1", v=3, status=status, batch=seen, **of_record
    )


def failed(*errors: dict[str, Any]) -> Record:
    return known(batch("failed", errors={"object": "list", "data": list(errors)}), files=ALL_THERE)


def why(code: str | None, message: str | None, line: int | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": None}


def live(**known: Any) -> Part:
    return part(state="live", **known)


@pytest.mark.parametrize(
    "error",
    [
        why("token_limit_exceeded", LIMIT_MESSAGE),
        why("token_limit_exceeded", None),
        why(None, LIMIT_MESSAGE),
        why("some_other_code", LIMIT_MESSAGE.upper()),
        why(None, "Enqueued request limit reached"),
    ],
)
def test_a_batch_that_failed_by_the_limit_goes_back_in_line_with_its_file(
    error: dict[str, Any],
) -> None:
    sent = live(sent_at=NOW - 60)
    again = followed(sent, failed(error), NOW, live=3)
    assert (again.state, again.batch_id, again.file_id) == (PartState.UPLOADED, None, "file-1")
    assert (again.round, again.begun) == (2, False)
    assert again.held == Held(why=Why.TOKEN_LIMIT, until=NOW + 60, tries=1, live=2)


def test_refusals_in_a_row_are_counted_until_a_batch_has_begun() -> None:
    refused = failed(why("token_limit_exceeded", LIMIT_MESSAGE))
    again = followed(live(held=limited(tries=2)), refused, NOW, live=1)
    assert again.held == Held(why=Why.TOKEN_LIMIT, until=NOW + 240, tries=3, live=0)
    begun = followed(live(held=limited(tries=2)), known(batch("in_progress")), NOW, live=1)
    assert (begun.begun, begun.held) == (True, None)
    waiting = live(held=limited(tries=2))
    assert followed(waiting, known(batch("validating")), NOW, live=1) == waiting


def test_a_file_that_is_not_found_is_sent_again_after_three_times_and_given_up_after_six() -> None:
    seen, lost = [], failed(why(None, LOST_FILE))
    now = live()
    for _ in range(6):
        now = followed(now, lost, NOW, live=1)
        seen.append((now.state.value, now.file_id is None))
        now = now.but(state=PartState.LIVE, batch_id="batch_1", file_id="file-1")
    kept, planned = ("uploaded", False), ("planned", True)
    assert seen == [kept, kept, *[planned] * 3, ("refused", False)]
    assert (UPLOAD_AGAIN, now.round) == (3, 1 + 6)
    assert now.reason == "OpenAI does not find the file that was uploaded"


def test_reasons_that_alternate_are_waited_for_ever_longer_but_a_file_counts_for_itself() -> None:
    waiting = held(held(part(), Why.RATE_LIMITED, NOW), Why.RATE_LIMITED, NOW)
    other = held(waiting, Why.TOKEN_LIMIT, NOW, live=4)
    assert other.held == Held(why=Why.TOKEN_LIMIT, until=NOW + 240, tries=3, live=4)
    not_found = held(other, Why.FILE_NOT_READY, NOW)
    assert not_found.held == Held(why=Why.FILE_NOT_READY, until=NOW + 60, tries=1)


def test_a_line_that_names_a_lost_file_is_about_a_request_and_not_about_ours() -> None:
    theirs = Batch.read(batch("failed", errors={"data": [why("x", LOST_FILE, line=3)]}))
    assert refused_unrun(theirs) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (why("model_not_found", "The model 'x' does not exist."), "model_not_found: The model 'x'"),
        (why(None, "Some reason"), "Some reason"),
        (why("mismatched_model", None), "mismatched_model"),
    ],
)
def test_a_batch_that_failed_for_what_was_asked_is_the_end_of_its_part(
    error: dict[str, Any], reason: str
) -> None:
    over = followed(live(), failed(error), NOW, live=1)
    assert (over.state, over.status, over.round) == (PartState.ENDED, "failed", 1)
    assert (over.reason or "").startswith(reason)
    assert (over.completed, over.failed) == (7, 0)


def test_a_batch_without_reasons_is_an_end_too() -> None:
    nothing = known(batch("failed", errors=None), files={Role.RECORD: ALL_THERE[Role.RECORD]})
    over = followed(live(), nothing, NOW, live=1)
    assert (over.state, over.reason, over.completed) == (PartState.ENDED, None, 0)


@pytest.mark.parametrize("status", TERMINAL)
def test_a_part_ends_when_its_batch_has_ended_and_its_files_are_there(status: Status) -> None:
    said = batch(status, errors=None)
    waits = known(said, files=ALL_THERE | {Role.OUTPUT: File(state=FileState.COPYING)})
    assert followed(live(), waits, NOW, live=1).state is PartState.LIVE
    assert followed(live(), known(said), NOW, live=1).state is PartState.LIVE
    over = followed(live(), known(said, files=ALL_THERE), NOW, live=1)
    assert (over.state, over.status) == (PartState.ENDED, status.value)
    assert {role: (piece.key, piece.size) for role, piece in over.pieces.items()} == {
        Role.OUTPUT: ("a/out", 70),
        Role.ERROR: ("a/err", 30),
    }


def test_where_a_provider_does_not_count_the_lines_of_the_output_do() -> None:
    said = batch("completed", request_counts=None)
    over = followed(live(), known(said, files=ALL_THERE), NOW, live=1)
    assert (over.completed, over.failed) == (7, 0)
    none = batch("completed", request_counts=counts(None, None, None), output_file_id=None)
    bare = {Role.RECORD: ALL_THERE[Role.RECORD]}
    assert followed(live(), known(none, files=bare), NOW, live=1).completed == 0
    counted = batch("completed", request_counts=counts(10, 9, 1))
    over = followed(live(), known(counted, files=ALL_THERE), NOW, live=1)
    assert (over.completed, over.failed) == (9, 1)


def test_a_file_that_could_not_be_had_is_told_and_is_no_piece() -> None:
    gone = ALL_THERE | {
        Role.OUTPUT: File(state=FileState.GONE),
        Role.INPUT: File(state=FileState.FAILED),
    }
    over = followed(live(), known(batch("completed"), files=gone), NOW, live=1)
    assert over.reason == "not archived: input, output"
    assert set(over.pieces) == {Role.ERROR}


@pytest.mark.parametrize("seen", [batch("in_progress"), None], ids=["seen once", "never seen"])
def test_a_batch_that_nobody_looks_for_any_more_is_the_end_of_its_part(
    seen: dict[str, Any] | None,
) -> None:
    lost = known(seen, lost_at=NOW - 60)
    assert followed(live(), lost, NOW, live=1).state is PartState.LIVE  # it may turn up
    over = followed(live(), lost.model_copy(update={"abandoned": True}), NOW, live=1)
    assert (over.state, over.status) == (PartState.ENDED, "lost")
    assert over.reason == "OpenAI does not know its batch any more"


def test_a_batch_that_was_only_registered_changes_nothing() -> None:
    assert followed(live(), Record(account="a", batch_id="b"), NOW, live=1) == live()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OpenAIError("too much", status=400, limited=True), Why.TOKEN_LIMIT),
        (RateLimitedError("too many", status=429, limited=True), Why.TOKEN_LIMIT),
        (RateLimitedError("too many", status=429), Why.RATE_LIMITED),
        (AccessError("no", status=401), Why.ACCOUNT_REFUSED),
        (AccessError("no", status=403), Why.FORBIDDEN),
        (NotFoundError("no such file", status=404), Why.FILE_NOT_READY),
        (OpenAIError("400 invalid_request (input_file_id)", status=400), Why.FILE_NOT_READY),
        (OpenAIError("no connection"), Why.UNREACHABLE),
        (OpenAIError("down", status=503), Why.UNREACHABLE),
        (OpenAIError("400 invalid_value (completion_window)", status=400), None),
        (OpenAIError("422", status=422), None),
        (BadAnswerError("not JSON"), Why.UNREACHABLE),
        (OpenAIError("too large", status=413), None),
    ],
)
def test_why_no_batch_was_made_tells_whether_another_try_may_succeed(
    error: OpenAIError, reason: Why | None
) -> None:
    assert why_refused(error) is reason


reasons = st.builds(
    why,
    st.sampled_from([None, "token_limit_exceeded", "model_not_found"]),
    st.none() | st.sampled_from([LIMIT_MESSAGE, LOST_FILE]) | st.text(max_size=20),
    st.none() | st.integers(1, 9),
)
records = st.builds(
    lambda status, errors, files, abandoned: known(
        batch(status, errors={"data": errors} if errors is not None else None),
        files=files,
        abandoned=abandoned,
    ),
    st.sampled_from(["validating", "in_progress", "finalizing", "cancelling", *TERMINAL, "paused"]),
    st.none() | st.lists(reasons, max_size=3),
    st.sampled_from([{}, ALL_THERE]),
    st.booleans(),
)
anything = st.builds(
    part, state=st.sampled_from(PartState), begun=st.booleans(), held=st.none() | st.just(limited())
)


@modest
@given(anything, records)
def test_whatever_is_known_only_a_live_part_moves_and_never_without_a_reason(
    before: Part, record: Record
) -> None:
    after = followed(before, record, NOW, live=1)
    if before.state is not PartState.LIVE:
        assert after == before
    elif after.state in UNSENT:
        assert after.held
        assert (after.batch_id, after.round) == (None, before.round + 1)
    elif after.state in FINAL:
        assert record.abandoned or record.terminal
        assert after.status
    else:
        assert after.but(begun=before.begun, held=before.held) == before
