"""The tick looks after every open job: what goes wrong with one holds up no other, nor for ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.submit.desk import ORDER_AGAIN
from batchwatch.submit.following import held
from batchwatch.submit.job import Held, Outcome, Part, PartState, Stage
from batchwatch.submit.queueing import FIRST_WAIT, queue_of
from batchwatch.submit.unrun import Why
from batchwatch.turns import in_turn
from local.simulator import Pace, SimulatedOpenAI
from tests import plans
from tests.dropped import (
    OTHER,
    asked,
    kinds,
    merged,
    only,
    told,
    until,
)
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

IN_TIME = 50
"""Seconds that the service gives a tick."""


def waiting_orders(world: World) -> int:
    """Count the messages of the inbox queue, taken up or not."""
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = world.environment["BATCHWATCH_INBOX_QUEUE"]
    said = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=counts)
    return sum(int(said["Attributes"][name]) for name in counts)


def accounts(world: World, **urls: str) -> None:
    """Fill in the secret: accounts of these names, each at its address."""
    said = {name: {"api_key": KEY, "base_url": url, "project": name} for name, url in urls.items()}
    world.put_secret(json.dumps({"accounts": said}))
    world.restart()


def creations(openai: SimulatedOpenAI) -> int:
    tried = [request for request in openai.requests if request.path == "/v1/batches"]
    return sum(request.method == "POST" for request in tried)


def states(world: World, *jobs: str) -> list[str]:
    return [part.state.value for job in jobs for part in world.job(job).parts]


def test_a_part_that_may_not_be_made_holds_up_nothing_else_of_its_account(world: World) -> None:
    world.openai.fault("POST /v1/batches$", status=403)
    first = world.drop("a.jsonl", asked(1) + asked(1, OTHER))
    world.clock.now += 1
    second = world.drop("b.jsonl", asked(1))
    world.submit()
    assert states(world, first, second) == ["uploaded", "live", "live"]
    assert world.job(first).part(1).held == Held(
        why=Why.FORBIDDEN, until=world.clock.now + FIRST_WAIT
    )
    world.tick(after=FIRST_WAIT - 1)
    assert creations(world.openai) == 3
    world.tick(after=1)
    assert states(world, first) == ["live", "live"]
    assert creations(world.openai) == 4


def test_a_key_that_is_refused_stops_its_account_until_it_is_due_again_and_no_other(
    world: World,
) -> None:
    accounts(world, a=world.openai.base_url, b=world.openai.base_url)
    world.openai.fault("POST /v1/batches$", status=401)
    first = world.drop("1.jsonl", asked(1) + asked(1, OTHER), **{"batchwatch-account": "a"})
    world.clock.now += 1
    second = world.drop("2.jsonl", asked(1, OTHER), **{"batchwatch-account": "a"})
    others = world.drop("3.jsonl", asked(1), **{"batchwatch-account": "b"})
    world.submit()
    assert states(world, first, second) == ["uploaded"] * 3
    assert states(world, others) == ["live"]
    world.tick(after=FIRST_WAIT - 1)
    assert creations(world.openai) == 2  # the refused one, and that of the other account
    world.tick(after=1)
    assert states(world, first, second) == ["live"] * 3


@pytest.fixture
def slow(world: World) -> Iterator[SimulatedOpenAI]:
    """An OpenAI of another account, all of whose answers take longer than a tick has."""
    with SimulatedOpenAI(key=KEY, clock=world.clock) as openai:
        accounts(world, a=openai.base_url, b=world.openai.base_url)
        yield openai
        world.restart()  # nobody holds a connection to it any more
        assert openai.errors == []


@pytest.mark.parametrize(("seconds", "most"), [(31, 1), (IN_TIME + 20, 5)])
def test_an_account_that_takes_long_does_not_keep_another_from_being_sent(
    world: World, slow: SimulatedOpenAI, seconds: float, most: int
) -> None:
    def pass_by(_: object) -> None:
        world.clock.now += seconds

    slow.fault("POST /v1/batches", status=500, edit=pass_by, times=-1)
    slow.fault("GET /v1/batches", status=403, edit=pass_by, times=-1)
    models = [asked(1, f"m{n}") for n in range(4)]
    of_a = world.drop("a.jsonl", b"".join(models), **{"batchwatch-account": "a"})
    world.submit()
    assert "sending" in states(world, of_a)
    world.openai.fault("POST /v1/batches", status=401)  # and so it is left to the tick
    of_b = world.drop("b.jsonl", asked(1), **{"batchwatch-account": "b"})
    world.submit()
    world.clock.now += FIRST_WAIT
    while in_turn("ab", world.clock.now)[0] != "a":
        world.clock.now += 60
    ticks = 0
    while states(world, of_b) != ["live"]:
        world.runtime.desk.tick(world.clock.now + IN_TIME)
        world.clock.now += 60
        ticks += 1
        assert ticks <= most
    assert slow.created == []


def test_jobs_that_take_long_to_look_after_do_not_keep_others_from_being_sent(
    world: World,
) -> None:
    world.openai.pace = Pace(running=9e6)
    for n in range(3):
        world.drop(f"{n}.jsonl", asked(1, f"m{n}"))
    world.submit()
    world.openai.fault("POST /v1/batches", status=401)
    job = world.drop("a.jsonl", asked(1))
    world.submit()

    def pass_by(params: dict[str, Any], **_: object) -> None:
        if json.loads(params["body"])["TableName"] == "ledger":
            world.clock.now += IN_TIME - 10

    world.runtime.dynamodb.meta.events.register("before-call.dynamodb.GetItem", pass_by)
    world.clock.now += FIRST_WAIT
    for _ in range(2):
        world.runtime.desk.tick(world.clock.now + IN_TIME)
        world.clock.now += 60
    assert states(world, job) == ["live"]


def until_it_is_merged(world: World, job: str) -> None:
    """Let minutes pass until all batches are archived, and an order to merge lies in the queue."""
    for _ in range(20):
        world.poll(after=60)
        world.archive()
        world.tick()
        if world.job(job).stage is Stage.MERGING:
            return
    raise AssertionError("it was not to be merged after twenty minutes")


def archived_output(world: World) -> str:
    (key,) = (
        key
        for key in world.objects()
        if key.startswith("batches/") and key.endswith("output.jsonl")
    )
    return key


def merge_that_fails(world: World) -> str:
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    until_it_is_merged(world, job)
    world.refuse("GetObject", "InternalError", status=500, times=-1)
    return job


def account_that_is_gone(world: World) -> str:
    world.openai.fault("POST /v1/files", status=401)
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    accounts(world, other=world.openai.base_url)
    return job


@pytest.mark.parametrize(
    "failing",
    [merge_that_fails, pytest.param(account_that_is_gone, marks=pytest.mark.full)],
)
def test_work_that_fails_is_ordered_once_and_again_only_if_its_order_is_lost(
    world: World, failing: Any
) -> None:
    job = failing(world)
    tried = 0
    for _ in range(10):
        world.tick(after=60)
        tried += len([report for report in world.submit() if report.again is not None])
    assert tried >= 9
    assert waiting_orders(world) == 1
    assert world.job(job).stage in {Stage.SENDING, Stage.MERGING}
    world._take(world.environment["BATCHWATCH_INBOX_QUEUE"])
    world.tick(after=ORDER_AGAIN - 1)
    assert waiting_orders(world) == 0
    world.tick(after=1)
    assert waiting_orders(world) == 1


def test_results_of_which_a_file_was_deleted_are_told_as_failed_and_not_as_all(
    world: World,
) -> None:
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    until_it_is_merged(world, job)
    world.runtime.s3.delete_object(Bucket="bucket", Key=archived_output(world))
    world.submit()
    assert world.job(job).outcome is Outcome.COMPLETED
    world.tick()
    assert waiting_orders(world) == 0
    event = told(world)[-1]
    assert (event.type, event.outcome) == ("job.completed", "some")
    assert event.data.files
    assert event.data.files["output"].state == "failed"
    assert "is not there any more" in str(event.data.files["output"].reason)
    assert merged(world, job) == []


def test_where_another_object_lies_in_the_place_of_the_results_it_stays_and_that_is_told(
    world: World,
) -> None:
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    until_it_is_merged(world, job)
    key = f"jobs/account={ACCOUNT}/created=2026-11-18/{job}/{Role.OUTPUT}.jsonl"
    world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=b"{}\n")
    for _ in range(2):
        world.submit()
        world.tick(after=60)
    assert world.job(job).outcome is Outcome.COMPLETED
    assert world.objects()[key] == b"{}\n"
    event = told(world)[-1]
    assert event.outcome == "some"
    assert event.data.files
    assert event.data.files["output"].state == "failed"


def test_a_part_whose_requests_are_gone_is_refused_with_that_reason(world: World) -> None:
    world.openai.fault("POST /v1/files", status=401)
    job = world.drop("a.jsonl", asked(1) + asked(1, OTHER))
    world.submit()
    assert states(world, job) == ["planned", "planned"]
    gone = world.job(job).part(1).key
    world.runtime.s3.delete_object(Bucket="bucket", Key=gone)
    world.clock.now += FIRST_WAIT
    until(world, lambda: "planned" not in states(world, job), most=5)
    part = world.job(job).part(1)
    assert part.state is PartState.REFUSED
    assert part.reason == f"s3://bucket/{gone} is not there any more"
    assert world.job(job).part(2).state is PartState.LIVE


def refused_by_the_limit(times: int, *, live: int) -> Part:
    part = plans.part()
    for _ in range(times):
        part = held(part, Why.TOKEN_LIMIT, 0, live)
    return part


def test_a_part_that_never_fits_is_given_up_and_the_next_of_its_line_goes_on() -> None:
    almost, over = (refused_by_the_limit(times, live=0) for times in (49, 50))
    assert almost.state is PartState.UPLOADED
    assert (over.state, over.held) == (PartState.REFUSED, None)
    assert "more than the enqueued limit of its model" in str(over.reason)
    behind = plans.job("b", plans.part(), arrived=1)
    assert queue_of([plans.job("a", almost), behind], 0).turns == []
    assert [turn.job_id for turn in queue_of([plans.job("a", over), behind], 0).turns] == ["b"]


def test_while_others_of_its_line_run_a_part_is_never_given_up() -> None:
    patient = refused_by_the_limit(500, live=1)
    assert patient.state is PartState.UPLOADED


def test_a_job_cancelled_after_its_account_is_gone_ends_once(world: World) -> None:
    world.openai.enqueued_batches = 1
    other = world.drop("a.jsonl", asked(1))
    world.submit()
    world.openai.pace = Pace(running=9e6)
    job = world.drop("b.jsonl", asked(1))
    world.submit()
    assert states(world, other, job) == ["live", "live"]
    world.poll(after=2)  # the second has failed by the limit, which the tick does not know yet
    accounts(world, other=world.openai.base_url)
    said = world.runtime.by_hand.answer({"cancel": job})
    assert said["status"] == "cancelling"
    assert len(said["problems"]) == 1
    for _ in range(3):
        world.tick(after=60)
    done = world.job(job)
    assert (done.outcome, only(done).state) == (Outcome.CANCELLED, PartState.DROPPED)
    assert kinds([event for event in told(world) if event.subject == job])[-2:] == [
        "submitted",
        "cancelled",
    ]
    assert creations(world.openai) == 2
