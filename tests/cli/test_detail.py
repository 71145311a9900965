"""What is said of one batch or job, whatever became of it."""

from __future__ import annotations

from typing import Any

import pytest

from batchwatch.batch import Role
from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.look import detail, job_detail
from batchwatch.cli.look.history import history, timeline
from batchwatch.cli.look.kept import Kept
from batchwatch.events import make_event
from batchwatch.prices import prices_of
from batchwatch.record import File, FileState, Record
from batchwatch.submit.job import Held, Job, Outcome, Part, PartState, Stage
from batchwatch.submit.unrun import Why
from tests.builders import BATCH, CREATED, errors, read

PRICES = prices_of("")[0]
NOW = CREATED + 7200.0


def known(status: str = "completed", said: dict[str, Any] | None = None, **more: Any) -> Record:
    batch = read(status, **(said or {}))
    announced = {"status": batch.status, "last_status": batch.status.value, "batch": batch}
    return Record(account="default", batch_id=batch.id, **(announced | more))


def page(record: Record) -> list[str]:
    return [line.text for line in detail.page(record, PRICES, [], NOW)]


@pytest.mark.parametrize(
    ("record", "second", "wanted"),
    [
        (known(), "completed with errors", "! 20 requests failed"),
        (known("failed", {"errors": errors("Model is required.")}), "failed", "! line 1: Model is"),
        (known("in_progress", stalled={"in_progress"}), "in_progress, stalled", "! stalled"),
        (known("in_progress", lost_at=CREATED), "lost", "! OpenAI has not known it since 2027"),
        (known("in_progress", misses=2, missing_since=CREATED), "in_progress", "2 times since"),
        (
            known(files={Role.OUTPUT: File(state=FileState.GONE, reason="404")}),
            "completed, files lost",
            "! output.jsonl is gone: 404",
        ),
        (
            known(files={Role.INPUT: File(state=FileState.FAILED, reason="odd")}),
            "completed with errors",
            f"batchwatch archive {BATCH}",
        ),
        (known("paused"), "unknown", "OpenAI says: paused"),
        (Record(account="default", batch_id=BATCH, open=True), "new", "the next poll"),
    ],
)
def test_what_is_wrong_comes_first_with_what_to_do(
    record: Record, second: str, wanted: str
) -> None:
    lines = page(record)

    assert lines[1] == second
    assert any(wanted in line for line in lines[: lines.index("")])


def test_the_stages_of_a_life_have_their_durations() -> None:
    assert detail.stages(read()) == [
        ("validating", CREATED, 10),
        ("in_progress", CREATED + 10, 3590),
        ("finalizing", CREATED + 3600, 60),
        ("completed", CREATED + 3660, None),
    ]


def test_text_from_outside_cannot_move_the_cursor() -> None:
    said = {"metadata": {"name": "a\x1b[2Jb\nc", "x\x07": "\u202e"}, "errors": errors("\x1b]0;t")}

    assert not any(c in "".join(page(known("failed", said))) for c in "\x1b\x07\n\u202e")


def test_what_is_in_the_bucket_and_in_the_outbox_is_one_history() -> None:
    texts = {
        number: make_event(
            f"batch.{status}",
            read(status),
            source="urn:batchwatch:test:default",
            account="default",
            status=status,
            previous_status=None,
            sequence=number,
            now=NOW,
            by="poller",
            attempt=number,
        ).frozen()
        for number, status in enumerate(["validating", "in_progress", "completed"], 1)
    }
    kept = [Kept("key", number, "batch.x", texts[number]) for number in (1, 2)]

    told = history([*kept, Kept("key", 7, "batch.odd", "{}")], {2: texts[2], 3: texts[3]})

    assert [(each.sequence, each.sent) for each in told] == [
        (1, True),
        (2, True),
        (3, False),
        (7, True),
    ]
    lines = timeline(told)
    assert "+10 s" in lines[1]
    assert ["attempt" in line for line in lines] == [False, True, True, False]
    assert lines[2].endswith("(not sent yet)")
    assert "cannot be read" in lines[3]


def test_a_job_tells_why_each_part_waits_and_how_far_the_others_are() -> None:
    common: dict[str, Any] = {
        "endpoint": "/v1/responses",
        "model": "gpt-5-mini",
        "requests": 1000,
        "size": 1,
    }
    held = Held(why=Why.TOKEN_LIMIT, until=NOW + 300, tries=2)
    parts = (
        Part(number=1, key="a", state=PartState.LIVE, batch_id=BATCH, **common),
        Part(number=2, key="b", held=held, **common),
    )
    job = Job(
        job_id="job_" + "0" * 24,
        key="inbox/questions.jsonl",
        arrived=CREATED,
        stage=Stage.SENDING,
        waiting=Why.TOKEN_LIMIT,
        parts=parts,
    )
    batches = {BATCH: known("in_progress")}

    lines = [line.text for line in job_detail.page(job, "bucket", batches, [], NOW)]
    said = job_detail.said(job, "bucket", batches, [])

    assert lines[:2] == [f"questions.jsonl  {job.job_id}", "waiting"]
    assert any("in_progress  400/1,000 requests" in line for line in lines)
    assert any("waits: token limit; tried again in 5 min" in line for line in lines)
    assert [part["status"] for part in said["parts"]] == ["in_progress", None]
    assert said["parts"][1]["reason"] == "token_limit"
    assert said["outcome"] is None


@pytest.mark.parametrize(
    ("completed", "rejected", "outcome", "style"),
    [
        (9, 0, "all", "green"),
        (9, 1, "some", "yellow"),
        (1, 0, "some", "yellow"),
        (0, 0, "none", "red"),
    ],
)
def test_a_job_has_the_outcome_of_its_requests(
    completed: int, rejected: int, outcome: str, style: str
) -> None:
    part = Part(number=1, key="a", endpoint="/v1/responses", model="m", requests=9, size=1,
                completed=completed, failed=9 - completed)  # fmt: skip
    job = Job(job_id="job_" + "0" * 24, key="inbox/q.jsonl", arrived=CREATED, stage=Stage.DONE,
              outcome=Outcome.COMPLETED, requests=9, rejected=rejected, parts=(part,))  # fmt: skip

    seen, page = of_job(job, {}), job_detail.page(job, "bucket", {}, [], NOW)

    assert (seen.said["outcome"], page[1].style, seen.good) == (outcome, style, completed > 0)
    assert (seen.reason == "no request succeeded") is (outcome == "none")
