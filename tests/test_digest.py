"""Many events become what people want to know of each batch, the worst first."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, make_event, moment
from batchwatch.job_events import Event, JobEvent, JobPart, JobTotals, Waiting, read_event
from batchwatch.notify.digest import Digest, Entry, Tone, digest_of
from batchwatch.place import archive_key
from batchwatch.prices import Cost, Prices
from tests.builders import BATCH, CREATED, ERROR, OUTPUT, batch, counts, errors, modest, without
from tests.sample_digest import JOB, job_event, sample_digest, sample_events, sample_jobs

NOW = CREATED + 90_000
PRICES = Prices.read()
GONE = ArchivedFile(state="gone", reason="404: No such File object")
FAILED = ArchivedFile(state="failed", reason="got 15 of 20 bytes")
EVERYTHING = [*sample_events(), *sample_jobs()]


def event(kind: str, said: dict[str, Any] | None = None, **more: Any) -> BatchEvent:
    """Tell of a batch, by default of that kind as its status."""
    shown = Batch.read(said or batch(kind))
    usual = {
        "source": "urn:batchwatch:stack:default",
        "account": "default",
        "status": shown.named_status,
        "previous_status": None,
        "sequence": 3,
        "now": NOW,
        "by": "poller",
    }
    return make_event(f"batch.{kind}", shown, **usual | more)


def archived(said: dict[str, Any] | None = None, **files: ArchivedFile) -> BatchEvent:
    """Tell that all is in the bucket; `output=GONE` changes the end of a file."""
    shown = Batch.read(said or batch())
    kept = {
        role: ArchivedFile(
            state="archived",
            s3_uri=f"s3://bucket/{archive_key('default', shown, role)}",
            bytes=93_210,
            lines=980,
        )
        for role in (Role.OUTPUT, Role.ERROR, Role.RECORD)
    }
    changed = {Role(role): file for role, file in files.items()}
    return event("archived", said or batch(), sequence=4, files=kept | changed)


def digest(*events: Event) -> Digest:
    """Put them together."""
    return digest_of(events, stack="stack", bucket="bucket", price=PRICES.cost)


def only(*events: Event) -> Entry:
    """Give the one entry that they make."""
    (entry,) = digest(*events).entries
    return entry


def fact(entry: Entry, name: str) -> str | None:
    """Give what an entry says under a name."""
    return " | ".join(f.text for f in entry.facts if f.name == name) or None


# Order and number


def test_ten_batches_are_one_digest_with_the_worst_first() -> None:
    told = [entry.said for entry in sample_digest().entries]
    assert told == [
        "lost",
        "failed",
        "files lost",
        "without success",
        "expired",
        "stalled",
        "cancelled",
        "completed with errors",
        "completed",
        "completed",
        "archived",
    ]


@given(st.permutations(EVERYTHING), st.lists(st.sampled_from(EVERYTHING), max_size=5))
@modest
def test_order_and_repeats_of_the_events_change_nothing(
    events: list[Event], repeats: list[Event]
) -> None:
    again = [read_event(each.frozen()) for each in repeats]
    made = digest(*events, *again)
    assert made == digest(*EVERYTHING)
    assert sum(len(entry.events) for entry in made.entries) == len(EVERYTHING)


def test_one_id_in_two_accounts_is_two_batches() -> None:
    made = digest(event("completed"), event("completed", account="research"))
    assert [entry.account for entry in made.entries] == ["default", "research"]


# What is said


@pytest.mark.parametrize(
    ("events", "said", "tone"),
    [
        ([event("completed")], "completed with errors", Tone.WARNING),
        ([event("completed", batch(request_counts=counts(5, 5, 0)))], "completed", Tone.GOOD),
        ([event("completed", batch(request_counts=counts(5, 0, 5)))], "without success", Tone.BAD),
        ([event("completed", batch(request_counts=None))], "completed", Tone.GOOD),
        ([event("failed")], "failed", Tone.BAD),
        ([event("expired")], "expired", Tone.WARNING),
        ([event("cancelled")], "cancelled", Tone.WARNING),
        ([event("in_progress")], "in progress", Tone.NEUTRAL),
        ([event("lost", batch("in_progress"))], "lost", Tone.BAD),
        ([event("unknown", batch("paused"))], "unknown", Tone.WARNING),
        ([archived()], "archived", Tone.GOOD),
        ([archived(output=GONE)], "files lost", Tone.BAD),
        ([event("completed"), archived()], "completed with errors", Tone.WARNING),
        ([event("file_gone", batch(), files={Role.ERROR: GONE})], "files lost", Tone.BAD),
        (
            [event("stalled", batch("in_progress"), sequence=2), event("expired")],
            "expired",
            Tone.WARNING,
        ),
        (
            [event("lost", batch("validating"), sequence=1), event("in_progress")],
            "in progress",
            Tone.NEUTRAL,
        ),
    ],
)
def test_the_events_of_a_batch_are_one_entry_that_says_what_matters_most(
    events: list[BatchEvent], said: str, tone: Tone
) -> None:
    for order in (events, events[::-1]):
        entry = only(*order)
        assert (entry.said, entry.tone) == (said, tone)
        assert list(entry.events) == events


def test_an_end_is_told_with_counts_time_tokens_cost_and_place() -> None:
    entry = only(event("completed"), archived())
    assert dict(entry.facts) | {"Files": (fact(entry, "Files") or "").split("  ")[1]} == {
        "Batch": "account default · gpt-5-mini-2025-08-07 · /v1/responses",
        "Requests": "980 of 1,000 succeeded, 20 failed",
        "Took": "1 h 1 min",
        "Tokens": "23,520 in (7,840 cached), 9,800 out; about $0.01",
        "Files": "output.jsonl, 980 lines, 93.2 kB; error.jsonl, 980 lines, 93.2 kB",
        "Next": "The reasons are in error.jsonl. Those that failed can be sent again.",
    }
    place = f"s3://bucket/batches/account=default/created=2027-01-15/{BATCH}/"
    assert (fact(entry, "Files") or "").startswith(place)
    assert (entry.title, entry.named, entry.subject) == ("nightly", True, BATCH)


def test_a_failure_tells_its_first_reasons_and_how_many_more() -> None:
    said = batch("failed", errors=errors(*(f"wrong {n}" for n in range(7))))
    reasons = fact(only(event("failed", said)), "Reason") or ""
    assert reasons.startswith("line 1: wrong 0 (invalid_request) | line 2")
    assert reasons.endswith("| and 4 more")
    cut = batch("failed", errors={**errors("one", "two"), "truncated": True, "total": 50_000})
    assert (fact(only(event("failed", cut)), "Reason") or "").endswith("| and 49,998 more")


def test_a_standstill_tells_how_long_and_what_is_usual() -> None:
    stalled = Stalled(reason="no_progress", seconds=22_320, usual="answers every hour")
    entry = only(event("stalled", batch("in_progress"), stalled=stalled))
    assert fact(entry, "Since") == "no progress for 6 h 12 min"
    assert fact(entry, "Usual") == "answers every hour"
    assert fact(entry, "Requests") == "400 of 1,000 succeeded, so far"


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        (event("failed"), "Fix the input file"),
        (
            event(
                "failed",
                batch("failed", errors={"data": [{"code": "token_limit_exceeded", "message": ""}]}),
            ),
            "once other batches have ended",
        ),
        (
            event("expired", batch("expired", request_counts=counts(9, 4, 0))),
            "What was done is kept, and paid for. 5 requests never ran: error.jsonl names them",
        ),
        (
            event(
                "cancelled", batch("cancelled", request_counts=counts(9, 0, 0), error_file_id="")
            ),
            "9 requests never ran, and can be sent again.",
        ),
        (
            event("file_failed", batch(), files={Role.OUTPUT: FAILED}),
            f'SDK fetches it: client.files.content("{OUTPUT}")',
        ),
        (
            event("file_gone", batch(), files={Role.ERROR: GONE}),
            "OpenAI deletes files after 30 days, or sooner if told so. If you need",
        ),
        (
            event("file_gone", batch(output_file_id=None), files={Role.OUTPUT: GONE}),
            "OpenAI has named no such file for a day.",
        ),
        (event("lost", batch("validating")), "the key of another project"),
        (event("stalled", batch("finalizing")), "status.openai.com"),
        (event("unknown", batch("paused")), "still watched"),
    ],
)
def test_what_went_wrong_comes_with_what_to_do_next(made: BatchEvent, needed: str) -> None:
    assert needed in (fact(only(made), "Next") or "")


def test_what_was_never_done_is_not_said_to_be_paid_for() -> None:
    said = batch("cancelled", request_counts=counts(9, 0, 0))
    assert "paid for" not in (fact(only(event("cancelled", said)), "Next") or "")


@pytest.mark.parametrize("kind", ["completed", "in_progress", "expired"])
def test_where_nothing_is_to_be_done_nothing_is_advised(kind: str) -> None:
    done = event(kind, batch(kind, request_counts=counts(5, 5, 0)))
    assert fact(only(done), "Next") is None


def test_a_lost_file_is_told_once_with_its_reason() -> None:
    gone = event("file_gone", batch(), sequence=4, files={Role.OUTPUT: GONE})
    entry = only(event("completed"), gone, archived(output=GONE, error=FAILED))
    assert fact(entry, "Lost") == (
        "output.jsonl is gone: 404: No such File object | "
        "error.jsonl could not be copied: got 15 of 20 bytes"
    )
    assert (fact(entry, "Next") or "").count("client.files.content") == 1
    assert ERROR in (fact(entry, "Next") or "")
    assert "jsonl" not in (fact(entry, "Files") or "")
    alone = event("file_gone", batch(error_file_id=None), files={Role.OUTPUT: GONE})
    assert fact(only(alone), "Files") is None


def test_of_a_lost_input_nobody_is_told_to_send_the_requests_again() -> None:
    whole = batch(request_counts=counts(9, 9, 0))
    gone = event("file_gone", whole, sequence=4, files={Role.INPUT: GONE})
    advice = fact(only(gone), "Next") or ""
    assert "what was answered is not affected" in advice
    assert "send" not in advice
    assert (only(gone).said, only(gone).tone) == ("input lost", Tone.WARNING)
    told = only(event("completed", whole), gone)
    assert (told.said, told.tone) == ("completed", Tone.GOOD)
    assert "input.jsonl is gone" in (fact(told, "Lost") or "")


# Jobs


def totals(completed: int, failed: int = 0, unfinished: int = 0) -> JobTotals:
    """Give totals that add up."""
    return JobTotals(
        requests=completed + failed + unfinished,
        completed=completed,
        failed=failed,
        unfinished=unfinished,
    )


def ended(completed: int, failed: int = 0, kind: str = "completed", **said: Any) -> JobEvent:
    """Tell the end of a job."""
    return job_event(kind, totals=totals(completed, failed), files={}, **said)


def waits(reason: str) -> JobEvent:
    """Tell of a job that waits for that reason since 2027-01-15T08:00:00Z."""
    return job_event("waiting", waiting=Waiting(reason=reason, since=moment(CREATED), parts=2))


def part(number: int, state: str = "ended", **more: Any) -> JobPart:
    """Give a part of 100 requests."""
    usual = {"endpoint": "/v1/responses", "model": "gpt-5-mini"}
    return JobPart(number=number, state=state, requests=100, **usual | more)


LOST_MERGED = {"output": FAILED}


@pytest.mark.parametrize(
    ("events", "said", "tone"),
    [
        ([job_event("refused", reason="no")], "job refused", Tone.BAD),
        ([waits("token_limit")], "job waiting", Tone.WARNING),
        ([ended(9)], "job completed", Tone.GOOD),
        ([ended(9, 1)], "job completed with errors", Tone.WARNING),
        ([ended(0, 9)], "job without success", Tone.BAD),
        ([ended(9, kind="cancelled")], "job cancelled", Tone.WARNING),
        ([job_event("submitted")], "job submitted", Tone.NEUTRAL),
        ([job_event("looked_at")], "job looked at", Tone.NEUTRAL),
        (
            [job_event("completed", totals=totals(9), files=LOST_MERGED)],
            "job files lost",
            Tone.WARNING,
        ),
        ([waits("unreachable"), ended(9, sequence=3)], "job completed", Tone.GOOD),
    ],
)
def test_the_events_of_a_job_are_one_entry_that_says_how_it_fares_in_the_end(
    events: list[Event], said: str, tone: Tone
) -> None:
    for order in (events, events[::-1]):
        entry = only(*order)
        assert (entry.said, entry.tone, entry.title) == (said, tone, "products.jsonl")
        assert (list(entry.events), entry.noun, entry.cost) == (events, "Job", None)


def test_a_job_comes_with_its_batches_and_before_those_that_fare_as_badly() -> None:
    some, bad = ended(980, 20), event("failed", batch("failed", id="batch_2"))
    good = event("completed", batch(id="batch_3", request_counts=counts(5, 5, 0)))
    made = digest(event("completed"), bad, good, some, ended(5, number=2))
    assert [entry.said for entry in made.entries] == [
        "failed",
        "job completed with errors",
        "completed with errors",
        "job completed",
        "completed",
    ]
    assert made.size == "2 jobs and 3 batches"
    assert made.totals == digest(event("completed"), bad, good).totals, "nothing is counted twice"
    assert made.counts["job completed"] == 1
    refused = [job_event("refused", number, reason="no") for number in (7, 8)]
    assert digest(*refused, ended(0, 9)).heading == "2 jobs refused, 1 job with no success"


def test_the_end_of_a_job_is_told_with_counts_parts_lines_set_aside_and_place() -> None:
    entry = next(e for e in digest(*sample_jobs()).entries if e.subject == JOB(1))
    place = "s3://batchwatch-bucket-7xk2m9q4w1"
    rejected = f"{place}/inbox-rejected"
    assert dict(entry.facts) == {
        "Job": "account default · gpt-5-mini · /v1/responses",
        "Requests": "59,988 of 60,000 succeeded, 12 failed",
        "Parts": "2 completed",
        "Rejected": f"{rejected}/products.jsonl/{JOB(1)}/report.json  3 lines set aside",
        "Files": f"{place}/jobs/account=default/created=2026-10-21/{JOB(1)}/  "
        "output.jsonl, 59,988 lines, 46.5 MB; error.jsonl, 12 lines, 3.7 kB",
        "Next": "The reasons are in error.jsonl. Those that did not succeed can be sent again.",
    }


def test_a_job_of_several_models_tells_them_and_why_parts_came_to_nothing() -> None:
    parts = [part(n, model=f"m{n}", status="lost", reason=f"why {n}") for n in range(1, 6)]
    entry = only(ended(0, 500, parts=tuple(parts)))
    assert fact(entry, "Job") == "account default · 5 models · /v1/responses"
    assert fact(entry, "Parts") == "5 lost"
    assert fact(entry, "Reason") == "part 1: why 1 | part 2: why 2 | part 3: why 3 | and 2 more"
    two = only(ended(9, parts=(part(1), part(2, model="other"))))
    assert fact(two, "Job") == "account default · gpt-5-mini · other · /v1/responses"


@pytest.mark.parametrize(
    ("reason", "why", "needed"),
    [
        ("token_limit", "the queue of its model", "when batches of that model end."),
        ("rate_limited", "takes no more requests", "as soon as OpenAI allows"),
        ("unreachable", "does not answer", "status.openai.com"),
        ("account_refused", "refuses the account", "the key and the credit"),
        ("forbidden", "refuses this to the key", "Let the key write batches and files"),
        ("file_not_ready", "not yet taken in the file", "the file ready"),
        ("uncertain", "it is uncertain whether", "nothing is paid twice"),
        ("sun_spots", "sun spots", "by itself as soon as that is over."),
    ],
)
def test_a_job_that_waits_tells_why_since_when_and_that_it_is_sent_by_itself(
    reason: str, why: str, needed: str
) -> None:
    entry = only(waits(reason))
    assert why in (fact(entry, "Reason") or "")
    assert fact(entry, "Since") == "2027-01-15 08:00 UTC, 2 parts"
    assert needed in (fact(entry, "Next") or "")


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        (job_event("refused", reason="no"), "nothing is charged. Mend that, and drop"),
        (job_event("refused", reason="no", report="s3://b/r"), "The report tells which lines"),
        (ended(0, 9), "one mistake is in all of them. Mend it"),
        (
            job_event("cancelled", totals=totals(4, 0, 5), files={}),
            "What was done is kept, and paid for. 5 requests never ran",
        ),
        (job_event("cancelled", totals=totals(0, 0, 5), files={}), "5 requests never ran"),
        (
            job_event("completed", totals=totals(9), files=LOST_MERGED),
            "in the folder of that batch",
        ),
    ],
)
def test_a_job_that_did_not_simply_succeed_comes_with_what_to_do_next(
    made: JobEvent, needed: str
) -> None:
    assert needed in (fact(only(made), "Next") or "")
    assert fact(only(ended(9)), "Next") is None


def test_a_part_of_a_job_that_found_no_room_is_not_told_as_a_failure() -> None:
    full = {"data": [{"code": "token_limit_exceeded", "message": "Limit reached."}]}
    mark = {"batchwatch_submit": f"{JOB(3)}/2/1"}
    entry = only(event("failed", batch("failed", errors=full, metadata=mark)))
    assert (entry.said, entry.tone) == ("sent again", Tone.WARNING)
    assert f"As a part of {JOB(3)} it is sent again by itself" in (fact(entry, "Next") or "")
    assert fact(entry, "Reason") == "Limit reached. (token_limit_exceeded)"
    for other in (
        batch("failed", errors=full),
        batch("failed", metadata=mark),
        batch("failed", errors=full, metadata={"batchwatch_submit": ""}),
    ):
        assert only(event("failed", other)).said == "failed"


def test_a_reduced_event_of_a_job_says_what_it_can_and_where_the_rest_is() -> None:
    entry = only(ended(9, 1, parts=(part(1),), report="s3://b/r", rejected=2).reduced())
    assert (entry.said, entry.title) == ("job completed with errors", "products.jsonl")
    assert dict(entry.facts) == {
        "Job": "account default",
        "Requests": "9 of 10 succeeded, 1 failed",
        "Rejected": "2 lines set aside",
        "More": f"too long to be told here: s3://bucket/events/default/{JOB(1)}/",
        "Next": "Those that did not succeed can be sent again.",
    }


def test_one_id_of_a_batch_and_a_job_is_one_of_each() -> None:
    made = digest(ended(9), event("completed", batch(id=JOB(1), metadata=None)))
    assert [entry.noun for entry in made.entries] == ["Batch", "Job"]


@pytest.mark.parametrize("name", ["\u202e<!channel>\n`x`", "", "a/" * 400, "n" * 1000])
def test_a_file_of_any_name_has_a_title_in_a_line(name: str) -> None:
    title = only(ended(9, file=name)).title
    assert 0 < len(title) <= 80
    assert title.isprintable()


# Totals


def test_totals_count_each_batch_whose_end_is_told() -> None:
    ended = sample_digest()
    assert ended.totals.startswith("45,148 of 54,390 requests succeeded, 262 failed, 8,980 unfin")
    assert ended.totals.endswith("; about $0.95 (without 1 batch of unknown price)")
    assert ended.counts["completed"] == 2
    assert "2 completed" in ended.heading
    assert "1 with lost files" in ended.heading
    costs = [entry.cost for entry in ended.entries if entry.cost]
    assert sum((cost.dollars for cost in costs), Decimal(0)).quantize(Decimal("0.01")) == Decimal(
        "0.95"
    )


def test_a_cost_is_told_once_with_the_end_and_not_again_with_the_archive() -> None:
    assert isinstance(only(event("completed"), archived()).cost, Cost)
    assert only(archived()).cost is None
    assert "Tokens" not in dict(only(archived()).facts)
    assert digest(archived(), event("in_progress")).totals == ""


# Odd input


def test_a_reduced_event_says_what_it_can_and_where_the_rest_is() -> None:
    entry = only(event("completed").reduced())
    assert (entry.said, entry.title, entry.cost) == ("completed", BATCH, None)
    assert dict(entry.facts) == {
        "Batch": "account default",
        "More": f"too long to be told here: s3://bucket/events/default/{BATCH}/",
    }


def test_beside_a_whole_event_a_reduced_one_hides_nothing() -> None:
    entry = only(event("completed"), archived().reduced())
    assert (entry.title, fact(entry, "More")) == ("nightly", None)
    assert (fact(entry, "Files") or "").startswith("s3://bucket/batches/account=default/created=20")


def test_an_end_that_was_reduced_costs_what_its_archive_tells() -> None:
    entry = only(event("in_progress", sequence=2), event("completed").reduced(), archived())
    assert entry.cost == PRICES.cost(Batch.read(batch()))
    assert "so far" not in (
        fact(only(event("in_progress"), event("expired").reduced()), "Requests") or ""
    )


def test_an_azure_batch_of_nulls_is_told_without_them() -> None:
    said = batch(
        model=None,
        endpoint=None,
        usage=None,
        created_at=None,
        metadata=None,
        request_counts=counts(None, None, None),
    )
    entry = only(event("completed", without(said, "object")))
    assert (entry.said, entry.title) == ("completed", BATCH)
    place = "s3://bucket/batches/account=default"
    assert dict(entry.facts) == {
        "Batch": "account default",
        "Files": f"{place}/created=unknown/{BATCH}/  (as soon as copied)",
    }


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ({"title": "b", "name": "a"}, "a"),
        ({"name": "", "job": "night\nly\u202e <!channel>"}, "night ly <!channel>"),
        ({"name": "x" * 100_000}, "x" * 79 + "…"),
        ({"name": "\u202e\x00"}, BATCH),
        ({"name": None, "title": 7}, "7"),
        ({"other": "a"}, BATCH),
    ],
)
def test_a_title_is_one_short_line(metadata: dict[str, Any], title: str) -> None:
    assert only(event("completed", batch(metadata=metadata))).title == title


def test_numbers_without_end_are_told_without_end() -> None:
    endless = 10**4299
    said = batch(
        request_counts=counts(endless, endless, 0),
        usage={"input_tokens": endless, "output_tokens": endless, "total_tokens": 2 * endless},
    )
    made = digest(event("completed", said), event("completed", said, account="research"))
    assert made.totals == "countless of countless requests succeeded; countless tokens"
    assert all(len(text) < 200 for text in lines(made.entries))


def lines(entries: Iterable[Entry]) -> Iterable[str]:
    """Give each text of them."""
    for entry in entries:
        yield from (entry.title, entry.said, entry.account, entry.subject)
        yield from (text for one in entry.facts for text in one)


def test_a_reason_of_100_kb_is_cut_and_harmless() -> None:
    said = batch("failed", errors=errors("<!channel>\x1b[0m\u202e\n" * 5000))
    assert all(
        len(text) < 400 and text.isprintable() for text in lines([only(event("failed", said))])
    )
