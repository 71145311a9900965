"""A file that is dropped: its batches at OpenAI, what is told of it, and its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.items import key_of
from batchwatch.submit.job import Outcome, PartState, Stage
from batchwatch.submit.unrun import MARK, Why
from local.simulator import Pace
from tests.dropped import (
    CHAT,
    MODEL,
    OTHER,
    RESPONSES,
    asked,
    finished,
    kinds,
    marks,
    merged,
    minute,
    only,
    sidecar,
    told,
)
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.world import World


def test_a_dropped_file_is_sent_as_its_owner_wants_and_comes_back_as_one(world: World) -> None:
    sidecar(world, "q", metadata={"team": "search"}, output_expires_after=7200)
    job = world.drop("q.jsonl", asked(20), **{"batchwatch-endpoint": RESPONSES})
    world.submit()
    (made,) = world.openai.created
    assert made.metadata == {"team": "search", "name": "q.jsonl", MARK: f"{job}/0001/1"}
    assert (made.endpoint, made.model, made.requests) == (RESPONSES, MODEL, 20)
    outputs = [f for f in world.openai._files.values() if f.role == "output"]
    assert [file.expires_after for file in outputs] == [7200]

    assert finished(world, job).outcome is Outcome.COMPLETED
    assert sorted(merged(world, job)) == sorted(f"{MODEL}-{n}" for n in range(1, 21))
    submitted, completed = told(world)
    assert kinds([submitted, completed]) == ["submitted", "completed"]
    assert submitted.data.parts[0].batch_id == made.id
    assert completed.data.object == "s3://bucket/inbox/q.jsonl"
    assert completed.outcome == "all"
    assert completed.data.files
    assert completed.data.files["output"].lines == 20


def test_however_often_an_object_is_told_of_it_is_sent_once(world: World) -> None:
    first = world.drop("a.jsonl", asked(2))
    queue = world.environment["BATCHWATCH_INBOX_QUEUE"]
    (message,) = world._receive(queue)

    def tell_again() -> None:
        world.runtime.sqs.send_message(QueueUrl=queue, MessageBody=message["Body"])

    tell_again()
    tell_again()
    world.submit()
    assert finished(world, first).outcome is Outcome.COMPLETED
    tell_again()
    assert [report.again for report in world.submit()] == [None]
    world.tick()
    again = world.drop("a.jsonl", asked(2))  # dropped anew, on purpose
    world.submit()
    assert again != first
    assert [len(marks(world, job)) for job in (first, again)] == [1, 1]
    assert kinds(told(world)) == ["submitted", "completed", "submitted"]


def test_what_was_replaced_or_deleted_before_it_was_read_is_not_sent(world: World) -> None:
    older, newer = world.drop("a.jsonl", asked(2)), world.drop("a.jsonl", asked(3))
    deleted = world.drop("b.jsonl", asked(2))
    world.runtime.s3.delete_object(Bucket="bucket", Key="inbox/b.jsonl")
    world.submit()
    reasons = {job: world.job(job).reason for job in (older, newer, deleted)}
    assert reasons == {
        older: "the file was replaced before it was read; the newer one is sent by itself",
        newer: None,
        deleted: "the file was deleted before it was read; drop it again, if it is to be sent",
    }
    assert [made.requests for made in world.openai.created] == [3]
    assert sorted(kinds(told(world))) == ["refused", "refused", "submitted"]


def test_of_what_cannot_be_sent_the_owner_is_told_why(world: World) -> None:
    good = asked(1)
    sidecar(world, "account", account="nobody")
    sidecar(world, "key", acount="default")
    sidecar(world, "strict", on_bad_lines="refuse")
    sidecar(world, "window", completion_window="24x")
    jobs = {
        world.drop("account.jsonl", good): "no usable account 'nobody'",
        world.drop("key.jsonl", good): "the option acount does not exist",
        world.drop("strict.jsonl", good + b"{}\n"): "1 of its 2 lines have problems: line 2",
        world.drop("bad.jsonl", b"{}\n"): "none of its 1 lines is a request",
        world.drop("window.jsonl", good): "completion_window must be a text such as 24h",
    }
    some = world.drop("some.jsonl", good + b"{}\n")
    world.submit()
    world.tick(after=60)
    refused = {event.subject: event.data for event in told(world)}
    for job, reason in jobs.items():
        assert reason in str(refused[job].reason)
        assert (refused[job].status, world.job(job).stage) == ("refused", Stage.DONE)
    reports = [data for job, data in refused.items() if job != some and data.report]
    assert len(reports) == 5
    there = world.objects()
    for data in [*reports, refused[some]]:
        report = json.loads(there[str(data.report).removeprefix("s3://bucket/")])
        assert report["job"] in refused
    assert (refused[some].status, refused[some].rejected, refused[some].requests) == (
        "submitted",
        1,
        1,
    )
    assert len(world.openai.created) == 1


def test_models_and_endpoints_are_parts_of_their_own_and_one_may_come_to_nothing(
    world: World,
) -> None:
    world.openai.unknown_models = {"gpt-0"}
    mixed = asked(2) + asked(2, "gpt-0") + asked(2, first=3) + asked(1, OTHER, url=CHAT)
    job, none = world.drop("m.jsonl", mixed), world.drop("n.jsonl", asked(2, "gpt-0"))
    world.submit()
    names = [(made.metadata or {}).get("name") for made in world.openai.created]
    assert names == ["m.jsonl 1/3", "m.jsonl 2/3", "m.jsonl 3/3", "n.jsonl"]
    done = finished(world, job, none)
    assert only(done).reason == (
        "model_not_found: The provided model 'gpt-0' is not supported by the Batch API."
    )
    parts = [(p.endpoint, p.model, p.requests, p.status) for p in world.job(job).parts]
    assert parts == [
        (RESPONSES, MODEL, 4, "completed"),
        (RESPONSES, "gpt-0", 2, "failed"),
        (CHAT, OTHER, 1, "completed"),
    ]
    assert sorted(merged(world, job)) == [*(f"{MODEL}-{n}" for n in range(1, 5)), f"{OTHER}-1"]
    ends = {e.subject: e for e in told(world) if e.data.status == "completed"}
    assert [ends[each].outcome for each in (job, none)] == ["some", "none"]
    totals = ends[job].data.totals
    assert totals
    assert (totals.requests, totals.completed, totals.failed, totals.unfinished) == (7, 5, 0, 2)


@pytest.mark.parametrize(
    ("parts", "at_once"),
    [
        (3, False),
        pytest.param(10, False, marks=pytest.mark.full),
        pytest.param(10, True, marks=pytest.mark.full),
    ],
)
def test_more_than_may_be_enqueued_goes_through_in_order(
    world: World, parts: int, *, at_once: bool
) -> None:
    world.openai.fail_fast = at_once  # as Azure refuses the creation
    world.openai.enqueued_batches, world.openai.pace = parts // 3, Pace(running=70)
    sidecar(world, "a", part_requests=1)
    job = world.drop("a.jsonl", asked(parts))
    world.submit()
    done = finished(world, job, seconds=100)
    assert [p.status for p in done.parts] == ["completed"] * parts
    assert merged(world, job) == [f"{MODEL}-{n}" for n in range(1, parts + 1)]
    first, second = ("waiting", "submitted") if at_once else ("submitted", "waiting")
    assert kinds(told(world)) == [first, second, "completed"]
    assert len(world.openai.uploads) == parts
    assert all(rounds == [*range(1, len(rounds) + 1)] for rounds in marks(world, job).values())
    begun = [made for made in world.openai.created if made.id in {p.batch_id for p in done.parts}]
    assert [made.input_file_id for made in begun] == [p.file_id for p in done.parts]


LATER: dict[str, dict[str, Any]] = {
    "rate_limited": {"status": 429, "headers": {"retry-after": "30"}},
    "account_refused": {"status": 401},
    "unreachable": {"status": 418},
}


@pytest.mark.parametrize(
    ("place", "reasons"),
    [
        ("files", ["account_refused"]),
        ("batches", ["rate_limited", "unreachable"]),
        pytest.param("files", [*LATER], marks=pytest.mark.full),
        pytest.param("batches", [*LATER], marks=pytest.mark.full),
    ],
)
def test_what_is_refused_for_now_is_told_and_sent_as_soon_as_it_may(
    world: World, place: str, reasons: list[str]
) -> None:
    for reason in reasons:
        kind = LATER[reason]
        fault = world.openai.fault(f"POST /v1/{place}$", times=-1, **kind)
        job = world.drop(f"{reason}.jsonl", asked(1))
        world.submit()
        (event,) = told(world)
        assert event.data.waiting
        assert (event.type, event.data.waiting.reason) == ("job.waiting", reason)
        before = len(world.openai.requests)
        world.tick(after=59)
        world.submit()
        assert len(world.openai.requests) == before
        world.tick(after=1)  # still refused; which is no news
        world.submit()
        assert len(world.openai.requests) > before
        assert told(world) == []
        fault.times = 0
        world.tick(after=119)
        assert only(world.job(job)).batch_id is None
        world.tick(after=1)
        world.submit()
        assert only(world.job(job)).state is PartState.LIVE
        assert kinds(told(world)) == ["submitted"]
    assert len(world.openai.uploads) == len(world.openai.created) == len(reasons)


@pytest.mark.full
def test_an_openai_that_is_not_there_is_waited_for(world: World) -> None:
    account = {"api_key": KEY, "base_url": world.openai.base_url}
    secret = json.dumps({"accounts": {ACCOUNT: account}})
    world.put_secret(secret.replace(world.openai.base_url, "http://127.0.0.1:9/v1"))
    world.restart()
    job = world.drop("a.jsonl", asked(1))
    world.submit()
    assert only(world.job(job)).state is PartState.PLANNED
    world.put_secret(secret)
    world.restart()
    assert finished(world, job).outcome is Outcome.COMPLETED
    assert kinds(told(world)) == ["waiting", "submitted", "completed"]


@pytest.mark.full
def test_a_limit_of_creations_an_hour_is_waited_for(world: World) -> None:
    world.openai.creations_per_hour = 2
    sidecar(world, "a", part_requests=1)
    job = world.drop("a.jsonl", asked(4))
    world.submit()
    assert [p.state.value for p in world.job(job).parts] == ["live", "live", "uploaded", "uploaded"]
    minutes = 0
    while any(p.batch_id is None for p in world.job(job).parts):
        world.tick(after=600)
        minutes += 10
    assert minutes <= 100  # at the next full hour, or a pause of half an hour after it
    assert kinds(told(world)) == ["waiting", "submitted"]
    assert (len(world.openai.uploads), len(world.openai.created)) == (4, 4)


def test_an_account_in_trouble_holds_up_no_other(world: World) -> None:
    of_a = {"api_key": KEY, "base_url": world.openai.base_url}
    world.put_secret(json.dumps({"accounts": {"a": of_a, "b": of_a | {"project": "proj_b"}}}))
    world.restart()
    nameless = world.drop("nameless.jsonl", asked(1))
    jobs = [world.drop(f"{name}.jsonl", asked(1), **{"batchwatch-account": name}) for name in "aab"]
    del jobs[0]
    world.openai.fault("POST /v1/batches", status=401)  # the first, which is that of a
    world.submit()
    assert "no account 'default'; the option account may name one of these: a, b" in str(
        world.job(nameless).reason
    )
    held = only(world.job(jobs[0])).held
    assert held
    assert held.why is Why.ACCOUNT_REFUSED
    assert world.job(jobs[1]).account == "b"
    assert only(world.job(jobs[1])).state is PartState.LIVE


def test_a_batch_that_nobody_registered_is_watched_without_discovery_too(world: World) -> None:
    world.environment["BATCHWATCH_DISCOVERY"] = "off"
    world.restart()
    job = world.drop("a.jsonl", asked(1))
    world.submit()
    batch_id = str(only(world.job(job)).batch_id)
    world.runtime.dynamodb.delete_item(TableName="ledger", Key=key_of("default", batch_id))
    world.tick()  # as if who made the batch had died before
    assert world.record(batch_id).tracked
    assert finished(world, job).outcome is Outcome.COMPLETED


@pytest.mark.full
def test_a_batch_that_openai_forgot_ends_its_job(world: World) -> None:
    job = world.drop("a.jsonl", asked(1))
    world.submit()
    world.openai.fault("GET /v1/batches/", status=404, times=-1)
    world.openai.fault("GET /v1/batches", edit=lambda page: page.update(data=[]), times=-1)
    done = finished(world, job, seconds=10 * 86_400)
    assert (only(done).status, done.outcome) == ("lost", Outcome.COMPLETED)
    (_, completed) = told(world)
    assert (completed.outcome, completed.data.files) == ("none", {})


def test_what_openai_will_not_have_is_refused_and_holds_up_nobody(world: World) -> None:
    world.openai.fault("POST /v1/batches", status=400)
    first, second = world.drop("a.jsonl", asked(1)), world.drop("b.jsonl", asked(1))
    world.submit()
    minute(world)
    done = world.job(first)
    assert (done.outcome, done.reason) == (Outcome.REFUSED, only(done).reason)
    finished(world, second)
    kinds_of = {job: kinds([e for e in told(world) if e.subject == job]) for job in (first,)}
    assert kinds_of == {first: ["refused"]}
    assert [len(marks(world, job)) for job in (first, second)] == [0, 1]
