"""What Amazon Q Developer is told: its schema, within its limits, foreign text without markup."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch
from batchwatch.notify.chat import chat_message
from tests.builders import BATCH, LONGEST_ID, errors, modest, odd_batches, read
from tests.sample_digest import JOB, job_event, jobs_digest, sample_digest
from tests.test_blocks import NASTY, digest, event, failed, nasty
from tests.test_schemas import jobs

if TYPE_CHECKING:
    from batchwatch.job_events import JobEvent
    from batchwatch.notify.digest import Digest

LIMITS = {"title": 250, "description": 3000, "summary": 300, "threadId": 256}
LISTS = {"nextSteps": (10, 350), "keywords": (10, 75), "relatedResources": (20, 256)}
OURS = re.compile(r"\*[A-Z][a-z]+\* ")
CODE = re.compile(r"`[^`\n]+`")


def told(made: Digest) -> dict[str, Any]:
    """Read a message as Amazon Q Developer does; what is empty must not be there."""
    said: dict[str, Any] = json.loads(chat_message(made))
    assert (said["version"], said["source"]) == ("1.0", "custom")
    assert said["content"]["textType"] == "client-markdown"
    parts: dict[str, Any] = said["content"] | said["metadata"]
    assert all(parts.values())
    assert {name: len(parts[name]) for name in LIMITS} == {
        name: min(len(parts[name]), most) for name, most in LIMITS.items()
    }
    for name, (many, most) in LISTS.items():
        assert len(parts.get(name, [])) <= many
        assert all(1 <= len(text) <= most for text in parts.get(name, []))
    assert all(isinstance(text, str) for text in parts["additionalContext"].values())
    return parts


def marked_up(text: str) -> list[str]:
    """What a chat could take for more than text, but for our own labels."""
    return re.findall(r"[*_~`<>]|@|://|www\.|:\S+:|&\w+;|&#", CODE.sub("", OURS.sub("", text)))


def test_all_outcomes_are_told_the_worst_first_with_what_to_do_next() -> None:
    parts = told(sample_digest())
    assert parts["title"].startswith("Batches: 1 lost, 1 failed")
    assert parts["description"].startswith("• lost: ")
    assert parts["nextSteps"][0].startswith("lost: ")
    assert marked_up(parts["description"]) == []


def test_what_is_told_of_one_batch_stands_in_its_thread() -> None:
    created = event(read("in_progress"), "batch.in_progress")
    ended = event(read("completed"))
    assert [told(digest(each))["threadId"] for each in (created, ended)] == [BATCH, BATCH]


def test_a_digest_of_several_has_a_thread_of_its_own_that_is_always_the_same() -> None:
    one, two = event(read()), event(read(id="batch_2"))
    assert told(digest(one, two))["threadId"] == told(digest(two, one))["threadId"]
    assert told(digest(one, two))["threadId"] not in {BATCH, "batch_2"}


def test_a_thread_has_a_name_within_the_limit() -> None:
    assert told(digest(event(read(id=LONGEST_ID))))["threadId"] != LONGEST_ID


def test_a_thousand_batches_are_ten_and_a_count() -> None:
    parts = told(digest(*(event(read("failed", id=f"batch_{n}")) for n in range(1000))))
    assert parts["description"].count("• failed") == 10
    assert "… and 990 more: 990 failed;" in parts["description"]


def test_long_texts_leave_room_for_fewer_batches() -> None:
    long = {"errors": errors("no " * 300), "metadata": {"name": "n" * 99}}
    parts = told(digest(*(event(read("failed", id=f"b{'1' * 500}{n}", **long)) for n in range(9))))
    assert 1 <= parts["description"].count("• failed") < 9


def test_markup_is_shown_and_does_nothing() -> None:
    parts = told(failed(NASTY[:80], NASTY))
    assert "\u2039!channel\u203a" in parts["description"]
    assert marked_up(parts["description"]) == []


def test_what_somebody_escaped_is_not_taken_for_markup() -> None:
    parts = told(failed("a &lt;!here&gt; b", "R&D"))
    assert "a \uff06lt;!here\uff06gt; b" in parts["description"]
    assert "R&D" in parts["description"]


@pytest.mark.parametrize("link", ["www.e.vil", "https://e.vil", "[here](e.vil)", ":x:", "@here"])
def test_what_would_be_more_than_text_stands_as_code(link: str) -> None:
    assert f"`a {link} b`" in told(failed(f"a {link} b"))["description"]


@given(nasty, nasty)
@modest
def test_no_foreign_text_formats_mentions_or_links(name: str, message: str) -> None:
    parts = told(failed(name, message))
    assert [marked_up(parts[each]) for each in ("title", "description", "summary")] == [[], [], []]


def test_jobs_are_told_with_why_they_wait_and_where_the_report_lies() -> None:
    parts = told(jobs_digest())
    said = parts["description"]
    assert "• job waiting: reviews.jsonl (default)\n*Requests* 60,000 · *Parts* 1 submitted" in said
    assert "*Reason* the queue of its model at OpenAI is full\n*Since* 2026-10-21 23:59 UTC" in said
    assert "*Rejected* `s3://" in said
    assert JOB(3) in parts["relatedResources"]
    waits = "job waiting: It is sent again by itself when batches of that model end."
    assert any(step.startswith(waits) for step in parts["nextSteps"])


@given(nasty, nasty)
@modest
def test_no_name_of_a_file_and_no_reason_formats_mentions_or_links(name: str, why: str) -> None:
    made = job_event("refused", file=name, reason=why, report=f"s3://b/{name}")
    parts = told(digest(made))
    assert parts["threadId"] == JOB(1)
    assert [marked_up(parts[each]) for each in ("title", "description", "summary")] == [[], [], []]


@given(
    st.lists(st.tuples(odd_batches(), st.sampled_from(["", "lost", "stalled"])), max_size=5),
    st.lists(jobs(), max_size=3),
)
@modest
def test_whatever_is_told_keeps_the_limits(
    odd: list[tuple[dict[str, Any], str]], of_jobs: list[JobEvent]
) -> None:
    events = [event(Batch.read(said), f"batch.{kind}" if kind else None) for said, kind in odd]
    parts = told(digest(*events, *of_jobs))
    assert [marked_up(parts[each]) for each in ("title", "description")] == [[], []]
