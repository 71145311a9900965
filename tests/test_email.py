"""An email is read by people, and taken by SNS, whatever the batches are called."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Role
from batchwatch.events import ArchivedFile, BatchEvent, Stalled
from batchwatch.job_events import Event
from batchwatch.notify.digest import digest_of
from batchwatch.notify.email import Email, email
from batchwatch.prices import Prices
from tests.builders import BATCH, batch, counts, errors, json_values, modest, odd_batches
from tests.sample_digest import JOB, PAGE, job_event, jobs_digest, picture, sample_jobs
from tests.test_digest import FAILED, archived, ended, event, waits
from tests.test_schemas import jobs

PRICES = Prices.read()
KINDS = [
    *("validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired"),
    *("cancelled", "archived", "file_gone", "file_failed", "stalled", "lost", "unknown"),
]


def mail(*events: Event, stack: str = "batchwatch") -> Email:
    """Write an email about them, which SNS takes."""
    digest = digest_of(events, stack=stack, bucket="bucket", price=PRICES.cost)
    made = email(digest, prices=PRICES.told)
    assert 0 < len(made.subject) < 100
    assert made.subject.isascii()
    assert made.subject.isprintable()
    assert made.subject == made.subject.strip()
    assert len(made.text.encode()) < 240_000
    assert not [c for c in made.text if unicodedata.category(c) in {"Cc", "Cs"} and c != "\n"]
    return made


def named(name: object, kind: str = "completed", **changes: Any) -> BatchEvent:
    """Tell the end of a batch of that name."""
    return event(kind, batch(kind, metadata={"name": name}, **changes))


def many(number: int, kind: str = "completed", width: int = 0, **more: Any) -> list[BatchEvent]:
    """Tell of many batches, each with an id of that width."""
    ids = [f"batch_{n:0{max(width - 6, 8)}d}" for n in range(number)]
    return [event(kind, batch(kind, id=each, **more)) for each in ids]


def test_the_emails_are_those_in_the_docs() -> None:
    for each in ("the email", "of jobs"):
        shown = f"<!-- {each} -->\n```text\n{picture(each)}```"
        assert shown in PAGE.read_text(), "uv run python -m tests.sample_digest"


# Subject


@pytest.mark.parametrize(
    ("events", "subject"),
    [
        (
            [named("nightly-summaries", request_counts=counts(400, 388, 12))],
            "nightly-summaries: completed with errors, 388 of 400 succeeded",
        ),
        ([named(None, request_counts=None)], f"{BATCH}: completed"),
        (
            [named("tags", "failed")],
            "tags: failed, line 1: Model parameter is required. (invalid_request)",
        ),
        ([named("x", request_counts=counts(5, 0, 5))], "x: no request succeeded, 5 failed"),
        (
            [event("lost", batch("validating", metadata=None))],
            f"{BATCH}: lost",
        ),
        (
            [event("file_failed", batch(), files={Role.OUTPUT: FAILED})],
            "nightly: files lost, output.jsonl could not be copied: got 15 of 20 bytes",
        ),
        (
            [
                *many(8, request_counts=counts(5, 5, 0)),
                event("failed"),
                named("a", "expired", id="b"),
            ],
            "batchwatch: 1 failed, 1 expired, 8 completed",
        ),
        ([ended(980, 20)], "products.jsonl: job completed with errors, 980 of 1,000 succeeded"),
        ([ended(0, 9)], "products.jsonl: no request of a job succeeded, 9 failed"),
        ([job_event("refused", reason="Empty.")], "products.jsonl: job refused, Empty."),
        (
            [waits("token_limit")],
            "products.jsonl: job waiting, the queue of its model at OpenAI is full",
        ),
        (
            [ended(9), ended(9, number=2), named("a", request_counts=counts(5, 5, 0))],
            "batchwatch: 2 jobs completed, 1 completed",
        ),
    ],
)
def test_a_subject_says_what_happened(events: list[Event], subject: str) -> None:
    assert mail(*events).subject == subject


def test_a_subject_tells_stacks_apart() -> None:
    one, other = named("a"), event("failed", batch("failed", id="batch_2"))
    assert (
        mail(one, stack="staging").subject
        == "staging: a: completed with errors, 980 of 1,000 succeeded"
    )
    assert mail(one, other, stack="staging").subject.startswith("staging: 1 failed, 1 completed")


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("Übersetzungen für März", "Ubersetzungen fur Marz: completed"),
        ("夜間バッチ 2", f"{BATCH}: completed"),
        ("two\r\nSubject: lines", "two Subject: lines: completed"),
        (" \t<!channel>", "<!channel>: completed"),
        ("n" * 500, "n" * 40),
    ],
)
def test_a_name_that_would_break_a_subject_does_not(name: str, begins: str) -> None:
    subject = mail(named(name)).subject
    assert subject.startswith(begins)
    assert ": completed with errors, 980 of 1,000 succeeded" in subject


def test_an_id_of_512_characters_leaves_room_for_what_happened() -> None:
    made = mail(event("expired", batch("expired", id="b" * 512, metadata=None)))
    assert made.subject.endswith("...: expired, 980 of 1,000 succeeded, 20 failed")
    assert "b" * 512 in made.text


def test_a_status_that_a_subject_cannot_spell_is_called_unknown() -> None:
    made = mail(event("in_progress", batch("¡")))
    assert made.subject == "nightly: unknown, 400 of 1,000 succeeded, so far"


def test_more_kinds_than_a_subject_holds_are_counted() -> None:
    subject = picture().splitlines()[0].removeprefix("Subject: ")
    assert subject.startswith("batchwatch: 1 lost, 1 failed, 1 with lost files")
    assert subject.endswith(" more")
    numbers = [int(word) for word in subject.replace(",", "").split() if word.isdigit()]
    assert sum(numbers) == 11


# Text


def test_lines_have_78_columns_but_for_ids_and_addresses() -> None:
    for line in picture().splitlines()[1:]:
        assert len(line) <= 78 or line.strip().removeprefix("Files").strip().startswith("s3://")


def test_jobs_are_told_by_their_files_and_ids() -> None:
    text = mail(*sample_jobs()).text
    assert text.startswith("5 jobs and 1 batch: 1 job refused, ")
    assert "\nJOB REFUSED: tickets.jsonl\n  Job       job_" in text
    assert all(entry.subject in text for entry in jobs_digest().entries)
    assert "waiting → completed" in mail(waits("unreachable"), ended(9, 1, sequence=3)).text
    good = mail(ended(9, account="research")).text
    assert good.startswith(
        f"Job completed: products.jsonl\n  Job       {JOB(1)} · account research"
    )
    assert "Events" not in good


def test_a_thousand_jobs_are_one_email_with_each_id() -> None:
    made = mail(*(ended(9, number=number) for number in range(1000)))
    assert all(JOB(number) in made.text for number in range(1000))
    assert made.subject == "batchwatch: 1,000 jobs completed"


def test_several_events_of_a_batch_are_told_as_its_way() -> None:
    began = event("in_progress", sequence=2)
    text = mail(began, event("completed"), archived()).text
    assert "in_progress → completed → archived" in text
    assert text.count(BATCH) == 2, "once as id, once in the address"
    assert "Events" not in mail(event("completed")).text


def test_good_news_is_short_and_bad_news_is_not() -> None:
    good = mail(event("completed", batch(request_counts=counts(5, 5, 0)))).text
    bad = mail(event("failed")).text
    assert "5 of 5 succeeded in 1 h 1 min" in good
    assert "→ Next" not in good
    assert bad.startswith("FAILED: nightly\n")
    assert "→ Next      Nothing ran" in bad


def test_how_a_cost_was_estimated_is_told_where_one_is_shown() -> None:
    shown = mail(event("completed")).text
    assert f"list prices of {PRICES.as_of}" in shown.replace("\n", " ")
    assert "list prices" not in mail(event("failed")).text


def test_a_thousand_batches_are_one_email_with_each_id() -> None:
    good = many(997, request_counts=counts(5, 5, 0))
    bad = [named(f"job-{n}", "failed", id=f"failed_{n}") for n in range(3)]
    made = mail(*good, *bad)
    assert made.subject == "batchwatch: 3 failed, 997 completed"
    assert made.text.index("failed_2") < made.text.index("batch_0")
    for each in (*good, *bad):
        assert each.subject in made.text
    assert made.text.count("→ Next") == 3
    assert made.text.count("\n- completed: ") == 970


def test_a_thousand_failures_keep_each_id_and_a_reason() -> None:
    failed = many(1000, "failed", errors=errors("The model does not exist. " * 50))
    text = mail(*failed).text
    assert all(each.subject in text for each in failed)
    assert text.count("The model does not exist.") >= 1000


def test_long_reasons_of_some_take_no_room_from_the_others() -> None:
    failed = many(30, "failed", width=40, errors=errors(*["𠀀" * 500] * 3))
    good = many(850, width=60, request_counts=counts(5, 5, 0), metadata={"name": "n" * 40})
    text = mail(*failed, *good).text
    assert all(each.subject in text for each in (*failed, *good))
    assert 10 < text.count("FAILED: ") < 30


def test_what_has_no_room_is_counted() -> None:
    name = {"name": "夜" * 80}
    long = many(995, width=512, metadata=name, request_counts=counts(5, 5, 0))
    events = [*long, *many(5, "failed", width=500)]
    text = mail(*events).text
    shown = {each.subject for each in events if each.subject in text}
    rest = f"And {1000 - len(shown):,} more, for which there is no room here"
    assert 200 < len(shown) < 1000
    assert f"{rest}: {1000 - len(shown):,} completed." in text.replace("\n", " ")
    assert "s3://bucket/events/" in text
    assert text.count("FAILED: ") == 5


def test_foreign_text_is_no_markup_of_ours_and_breaks_no_line() -> None:
    wild = "x\n\nFAILED: y\u202e <!channel> <https://e.example|z>\x07" + "!" * 100_000
    text = mail(named(wild, "failed", errors=errors(wild))).text
    assert text.count("\nFAILED: ") == 0
    assert len(text) < 2000


files = st.dictionaries(
    st.sampled_from(Role),
    st.builds(
        ArchivedFile,
        state=st.sampled_from(["archived", "gone", "failed", "elsewhere"]),
        s3_uri=st.none() | st.text(),
        bytes=st.none() | st.integers(),
        lines=st.none() | st.integers(),
        reason=st.none() | st.text(),
        location=st.none() | st.text(),
    ),
)


@st.composite
def odd_events(draw: st.DrawFn) -> BatchEvent:
    """Give an event of any type about a batch of any shape."""
    stalled = st.builds(Stalled, reason=st.text(), seconds=st.integers(), usual=st.text())
    said = draw(odd_batches())
    said["metadata"] = draw(json_values | st.dictionaries(st.just("name"), json_values))
    made = event(
        draw(st.sampled_from(KINDS)),
        Batch.read(said).said,
        files=draw(st.none() | files),
        stalled=draw(st.none() | stalled),
        sequence=draw(st.integers(1, 9)),
        account=draw(st.sampled_from(["default", "azure-2"])),
    )
    return made.reduced() if draw(st.booleans()) else made


@given(st.lists(odd_events() | jobs(), max_size=6), st.sampled_from(["batchwatch", "s" * 128]))
@modest
def test_no_batch_is_too_odd_for_an_email(events: list[Event], stack: str) -> None:
    assert mail(*events, stack=stack).text
