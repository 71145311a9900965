"""A job or batch that somebody wants cancelled, wherever it is on its way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.events import BatchEvent
from batchwatch.job_events import read_event
from batchwatch.submit.job import Job, Outcome, PartState, Stage
from local.simulator import Pace, Script
from tests.dropped import asked, finished, kinds, merged, only, sidecar, told
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.world import World


def cancel(world: World, wanted: object, account: object = None) -> dict[str, Any]:
    asked = {"cancel": wanted} | ({"account": account} if account else {})
    return world.runtime.by_hand.answer(asked)


def asked_to_cancel(world: World) -> list[str]:
    paths = [request.path for request in world.openai.requests]
    return [path.split("/")[3] for path in paths if path.endswith("/cancel")]


def ids(job: Job) -> list[str]:
    return [part.batch_id for part in job.parts if part.batch_id]


def test_what_runs_is_cancelled_what_waits_is_never_sent_and_what_is_done_is_merged(
    world: World,
) -> None:
    world.openai.enqueued_batches, world.openai.pace = 2, Pace(running=10)
    sidecar(world, "a", part_requests=10)
    job = world.drop("a.jsonl", asked(30))
    world.submit()
    world.poll(after=2)
    world.tick()
    world.openai.pace = Pace(running=200, finalizing=90)
    world.poll(after=28)
    world.archive()
    world.tick()  # the first two are done; the third is sent
    world.poll(after=100)
    states = [part.state.value for part in world.job(job).parts]
    assert states == ["ended", "ended", "live"]
    late = world.drop("b.jsonl", asked(5))
    world.openai.fault("POST /v1/files", status=401)
    world.submit()

    said, waiting = cancel(world, job), cancel(world, late)
    running = ids(world.job(job))[2]
    assert said == {
        "cancel": job,
        "status": "cancelling",
        "parts_never_sent": [],
        "batches_cancelling": [running],
        "problems": [],
    }
    assert (waiting["status"], waiting["parts_never_sent"]) == ("cancelled", [1])
    assert cancel(world, job)["batches_cancelling"] == [running]  # once more, and not asked again
    done = finished(world, job)
    assert asked_to_cancel(world) == [running]
    assert done.outcome is Outcome.CANCELLED
    answered = merged(world, job)
    assert len(answered) == len(set(answered)) == 20 + (done.part(3).completed or 0)
    assert 0 < (done.part(3).completed or 0) < 10

    events = [read_event(message) for message in world.messages()]
    of_batch = [e.type for e in events if isinstance(e, BatchEvent) and e.subject == running]
    chain = [kind.removeprefix("batch.") for kind in of_batch if kind != "batch.progress"]
    assert chain == ["in_progress", "cancelling", "cancelled", "archived"]
    of_job = [e for e in events if not isinstance(e, BatchEvent) and e.subject == job]
    assert kinds(of_job)[-1] == "cancelled"
    assert "submitted" in kinds(of_job)
    totals = of_job[-1].data.totals
    assert totals
    assert (totals.requests, totals.completed) == (30, len(answered))
    assert totals.unfinished == 30 - len(answered) - totals.failed
    assert of_job[-1].data.files
    of_late = [e for e in events if not isinstance(e, BatchEvent) and e.subject == late]
    assert kinds(of_late) == ["waiting", "cancelled"]
    assert of_late[-1].data.parts[0].state == "cancelled"


def test_a_job_that_is_cancelled_while_its_file_is_read_is_not_sent(world: World) -> None:
    job = world.drop("a.jsonl", asked(1))
    answers: list[dict[str, Any]] = []

    def while_it_is_read(**_: object) -> None:
        if not answers:
            answers.append({})
            answers[0] = cancel(world, job)

    world.runtime.s3.meta.events.register("before-call.s3.PutObject", while_it_is_read)
    world.submit()
    assert (answers[0]["status"], world.job(job).stage) == ("cancelled", Stage.DONE)
    assert (world.openai.uploads, world.openai.created) == ([], [])
    (event,) = told(world)
    assert (event.data.status, event.data.requests, event.data.files) == ("cancelled", 0, {})


def test_a_batch_that_is_made_while_its_job_is_cancelled_is_cancelled(world: World) -> None:
    world.openai.pace = Pace(running=200)
    sidecar(world, "a", part_requests=1)
    job = world.drop("a.jsonl", asked(2))
    answers: list[dict[str, Any]] = []
    world.openai.fault("POST /v1/batches", edit=lambda _: answers.append(cancel(world, job)))
    world.submit()
    assert (answers[0]["parts_never_sent"], answers[0]["batches_cancelling"]) == ([2], [])
    first = world.job(job).part(1)
    assert first.state is PartState.LIVE
    done = finished(world, job)
    assert asked_to_cancel(world) == [first.batch_id]
    assert [part.state.value for part in done.parts] == ["ended", "dropped"]
    assert kinds(told(world)) == ["cancelled"]


def test_a_cancellation_that_did_not_come_through_is_repeated_by_the_tick(world: World) -> None:
    world.openai.pace = Pace(running=200)
    job = world.drop("a.jsonl", asked(1))
    world.submit()
    world.openai.fault("/cancel$", status=500, times=3)
    (problem,) = cancel(world, job)["problems"]
    assert "500" in problem
    world.tick()
    assert only(world.job(job)).asked_to_cancel
    assert finished(world, job).outcome is Outcome.CANCELLED


def test_what_has_ended_cannot_be_cancelled_and_that_is_said(world: World) -> None:
    job = world.drop("a.jsonl", asked(1))
    world.submit()
    world.clock.now += 60
    batch_id = str(only(world.job(job)).batch_id)
    assert cancel(world, batch_id)["error"] == f"batch {batch_id} has already ended"
    assert cancel(world, job)["problems"] == []  # it had ended; nobody had seen it yet
    done = finished(world, job)
    assert (done.outcome, only(done).status) == (Outcome.CANCELLED, "completed")
    assert cancel(world, job) == {"cancel": job, "error": f"{job} has already ended: cancelled"}
    assert world.objects()[f"jobs/account=default/created=2026-11-18/{job}/{Role.OUTPUT}.jsonl"]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (5, "Submitter takes"),
        (None, "Submitter takes"),
        ("", "not a usable id"),
        ("a/../b", "not a usable id"),
        ("x" * 3000, "not a usable id"),
        ("job_000000000000000000000000", "no job job_000000000000000000000000"),
        ("batch_unknown", "account 'default' has no batch batch_unknown"),
    ],
)
def test_what_is_no_job_and_no_batch_is_said_to_be_none(
    world: World, wanted: object, error: str
) -> None:
    said = cancel(world, wanted)
    assert set(said) == {"cancel", "error"}
    assert error in str(said["error"])


def test_what_is_open_is_told_and_cancelled_by_the_name_of_its_file(world: World) -> None:
    world.openai.fault("POST /v1/files", status=401)
    job = world.drop("deep/a.jsonl", asked(1))
    world.submit()

    (shown,) = world.runtime.by_hand.answer({"jobs": "open"})["jobs"]
    assert (shown["job"], shown["file"], shown["stage"]) == (job, "inbox/deep/a.jsonl", "sending")
    assert (shown["parts"], shown["waiting"]) == ({"planned": 1}, "account_refused")
    assert cancel(world, "a.jsonl")["error"] == "that file has no open job"
    assert cancel(world, "deep/a.jsonl")["status"] == "cancelled"
    assert world.runtime.by_hand.answer({"jobs": "open"}) == {"jobs": []}
    assert "Submitter takes" in world.runtime.by_hand.answer({"cancl": job})["error"]


def test_a_batch_is_cancelled_by_its_id_with_its_account_where_it_is_not_known(
    world: World,
) -> None:
    of_a = {"api_key": KEY, "base_url": world.openai.base_url}
    script = Script(name="b", endpoint="/v1/responses", requests=9, ends="completed", running=500)
    known, unknown = world.batch(script), world.batch(script, found=True)
    world.poll(after=10)
    assert cancel(world, known) == {"cancel": known, "account": ACCOUNT, "status": "cancelling"}
    world.put_secret(json.dumps({"accounts": {"a": of_a, "b": of_a | {"project": "proj_b"}}}))
    world.restart()
    new = world.batch(script, found=True)
    assert "name its account" in cancel(world, new)["error"]
    assert cancel(world, new, "b")["status"] == "cancelling"
    assert "no usable account 'c'" in cancel(world, unknown, "c")["error"]
    world.put_secret('{"accounts": {}}')
    world.restart()
    assert "name its account" in cancel(world, new)["error"]
