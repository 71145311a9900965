"""The table of jobs: every write on the version that it was decided from, with its outbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchwatch.errors import LedgerRowError
from batchwatch.submit.job import Job, Outcome, PartState, Stage, job_id_of
from batchwatch.submit.telling import Narrator
from batchwatch.submit.unrun import Why
from tests.plans import job, part
from tests.world import client

if TYPE_CHECKING:
    from batchwatch.submit.jobs import Jobs
    from tests.world import World

NARRATOR = Narrator("urn:batchwatch:test", "bucket")
NOW = 1_795_000_000.0


@pytest.fixture
def jobs(world: World) -> Jobs:
    """The table, with nothing in it."""
    return world.runtime.jobs


def new(name: str, arrived: float = NOW) -> Job:
    return Job(job_id=name, key=f"inbox/{name}.jsonl", version="1", size=10, arrived=arrived)


def planned(found: Job) -> Job:
    return found.but(stage=Stage.SENDING, parts=(part(1), part(2)))


def waits(found: Job) -> Job:
    return NARRATOR.waiting(found, Why.TOKEN_LIMIT, NOW)


def ends(found: Job) -> Job:
    return NARRATOR.ended(found, Outcome.COMPLETED, NOW)


def test_the_same_object_is_the_same_job_and_any_other_is_another() -> None:
    names = {
        job_id_of(*told)
        for told in [
            ("b", "k", "v"),
            ("c", "k", "v"),
            ("b", "l", "v"),
            ("b", "k", "w"),
            ("b", "kv", ""),
        ]
    }
    assert len(names) == 5
    assert job_id_of("b", "k", "v") in names
    assert all(len(name) == len("job_") + 24 for name in names)


def test_a_job_is_begun_once_and_what_is_known_of_it_stays(jobs: Jobs) -> None:
    begun = jobs.begin(new("job_1"))
    assert (begun.v, begun.open, begun.stage) == (1, True, Stage.READING)
    known = jobs.change("job_1", planned).job
    assert jobs.begin(new("job_1", arrived=NOW + 9)) == known == jobs.get("job_1")
    assert (known.v, known.arrived) == (2, NOW)
    assert jobs.get("job_2") is None
    with pytest.raises(LedgerRowError, match="no job job_2"):
        jobs.change("job_2", planned)


def test_who_decided_from_an_older_version_decides_again(jobs: Jobs) -> None:
    jobs.begin(new("job_1"))
    jobs.change("job_1", planned)
    seen = []

    def decide(found: Job) -> Job:
        seen.append(found.v)
        if len(seen) == 1:  # another is faster
            jobs.change("job_1", lambda other: other.with_part(other.part(2).but(file_id="x")))
        return found.with_part(found.part(1).but(state=PartState.SENDING))

    changed = jobs.change("job_1", decide)
    assert (changed.written, seen) == (True, [2, 3])
    assert [p.state.value for p in changed.job.parts] == ["sending", "uploaded"]
    assert changed.job.part(2).file_id == "x"


def test_a_write_of_ours_whose_answer_was_lost_is_not_repeated(world: World, jobs: Jobs) -> None:
    jobs.begin(new("job_1"))
    events, lose = world.runtime.dynamodb.meta.events, [True]

    def spoil(http_response: object, parsed: dict[str, object], **_: object) -> None:
        if lose.pop() if lose else False:  # as boto3 repeats it: the version has moved on by itself
            http_response.status_code = 400  # type: ignore[attr-defined]
            parsed["Error"] = {"Code": "ConditionalCheckFailedException", "Message": "as wanted"}

    events.register("after-call.dynamodb.UpdateItem", spoil)
    told = lambda found: waits(found) if found.waiting is None else None  # noqa: E731
    changed = jobs.change("job_1", told)
    assert (changed.written, changed.job.seq, sorted(changed.job.outbox)) == (False, 1, [1])


def test_what_is_left_as_it_was_is_not_written(jobs: Jobs) -> None:
    begun = jobs.begin(new("job_1"))
    for decide in (lambda _: None, lambda found: found, lambda found: found.but(size=10)):
        assert jobs.change("job_1", decide) == (begun, False)


def test_an_event_taken_out_meanwhile_does_not_come_back(jobs: Jobs) -> None:
    jobs.begin(new("job_1"))
    told = jobs.change("job_1", waits).job

    def ends_late(found: Job) -> Job:
        jobs.mark_published(told, 1)  # between the decision and its write
        return ends(found)

    ended = jobs.change("job_1", ends_late).job
    assert sorted(ended.outbox) == [2]
    assert jobs.mark_published(ended, 1) == ended
    other = jobs.replace_event(ended, 2, "{}")
    assert other.outbox == {2: "{}"}
    assert jobs.replace_event(ended, 2, "late") == other  # which is not the text that was seen


def test_a_job_leaves_the_index_when_nothing_is_left_to_tell(jobs: Jobs) -> None:
    jobs.begin(new("job_1"))
    ended = jobs.change("job_1", ends).job
    assert jobs.close(ended).open
    told = jobs.mark_published(ended, 1)
    assert jobs.close(told.but(v=told.v - 1)).open  # whoever saw it before something was written
    assert not jobs.close(told).open
    assert list(jobs.open_jobs()) == []
    assert jobs.get("job_1") == told.but(open=False)


def test_open_jobs_come_in_line_and_an_unreadable_one_holds_up_nobody(jobs: Jobs) -> None:
    for name, arrived in [("job_c", NOW), ("job_a", NOW + 0.000002), ("job_b", NOW + 0.000001)]:
        jobs.begin(new(name, arrived))
    jobs.begin(new("job_odd", NOW - 1e9))
    secret = json.dumps({"stage": "a secret text"})
    client("dynamodb").update_item(
        TableName="jobs",
        Key={"job_id": {"S": "job_odd"}},
        UpdateExpression="SET job = :odd",
        ExpressionAttributeValues={":odd": {"S": secret}},
    )
    troubles: list[LedgerRowError] = []
    assert [found.job_id for found in jobs.open_jobs(troubles)] == ["job_c", "job_b", "job_a"]
    assert [str(trouble) for trouble in troubles] == ["job job_odd cannot be read"]
    assert len(list(jobs.open_jobs())) == 3


def test_the_largest_job_fits_into_an_item_and_comes_back_as_it_was(jobs: Jobs) -> None:
    jobs.begin(new("job_1"))
    parts = [
        part(
            state="ended",
            key=f"inbox-parts/job_{'0' * 24}/{'0' * 36}/{n:04d}.jsonl",
            model="m" * 256,
        )
        for n in range(100)
    ]
    large = job("job_1", *parts, arrived=NOW)

    def fill(found: Job) -> Job:
        told = NARRATOR.waiting(
            found.but(stage=Stage.SENDING, parts=large.parts), Why.UNREACHABLE, NOW
        )
        return NARRATOR.waiting(told, Why.TOKEN_LIMIT, NOW)

    kept = jobs.change("job_1", fill).job
    assert kept == jobs.get("job_1")
    assert kept.parts == large.parts
    item = client("dynamodb").get_item(TableName="jobs", Key={"job_id": {"S": "job_1"}})["Item"]
    assert len(json.dumps(item)) < 400 * 1024
