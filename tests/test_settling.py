"""A creation whose answer is not known: the batch is found, or made again, or given up."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.errors import OrphanError
from batchwatch.submit.job import Job, Outcome, PartState, Stage
from batchwatch.submit.sending import (
    JUST_BEFORE,
    OVER,
    SETTLED,
    SKEW,
    UNDER_WAY,
    batches_of,
    new_batch,
)
from batchwatch.submit.unrun import MARK
from batchwatch.watermarks import Watermarks
from local.simulator import Pace, Script
from tests.dropped import asked, kinds, only, told
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.openai import OpenAI
    from tests.world import World

DAY = 86_400
SOMEBODYS = Script(name="b", endpoint="/v1/responses", requests=1, ends="completed", running=9e9)


def hide(world: World) -> None:
    """Let the list show no batch at all."""
    world.openai.listing.stands_still = 0


def show(world: World) -> None:
    world.openai.listing.stands_still = None


def lost_answer(world: World) -> str:
    """Drop a file whose batch is made, but neither the answer comes nor does the list show it."""
    world.openai.pace = Pace(running=9e6)
    hide(world)
    world.openai.fault("POST /v1/batches$", reset=True)
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    assert only(world.job(job)).state is PartState.SENDING
    assert len(world.openai.created) == 1
    return job


def openai(world: World) -> OpenAI:
    return world.runtime.openai(world.runtime.accounts.get(ACCOUNT))


def asked_to_cancel(world: World) -> set[str]:
    paths = [request.path for request in world.openai.requests]
    return {path.split("/")[3] for path in paths if path.endswith("/cancel")}


def sending(model: Any, body: bytes | str) -> bool:
    """Whether a request to DynamoDB writes down that a batch is about to be made."""
    text = body.decode() if isinstance(body, bytes) else body
    return model.name == "UpdateItem" and '\\"state\\":\\"sending\\"' in text


def test_a_batch_whose_answer_was_lost_is_adopted_as_soon_as_the_list_shows_it(
    world: World,
) -> None:
    world.openai.fault("POST /v1/batches$", reset=True)
    at_once = world.drop("b.jsonl", asked(1))
    world.submit()
    first = only(world.job(at_once))
    assert (first.state, first.batch_id) == (PartState.LIVE, world.openai.created[0].id)
    world.openai.created.clear()

    job = lost_answer(world)
    assert kinds(told(world)) == ["submitted"]  # of the other
    show(world)
    world.tick(after=UNDER_WAY - 1)
    assert only(world.job(job)).state is PartState.SENDING  # the answer may yet come
    world.tick(after=1)
    (made,) = world.openai.created
    part = only(world.job(job))
    assert (part.state, part.batch_id) == (PartState.LIVE, made.id)
    assert world.record(made.id).tracked
    (event,) = told(world)
    assert (event.type, event.subject) == ("job.submitted", job)
    for _ in range(3):
        world.tick(after=SETTLED)
    assert len(world.openai.created) == 1


def test_what_the_list_never_shows_is_made_later_and_later_and_at_last_given_up(
    world: World,
) -> None:
    job = lost_answer(world)
    world.openai.fault("POST /v1/batches$", reset=True, times=-1)
    while world.job(job).stage is Stage.SENDING:
        world.tick(after=60)
        assert world.clock.now < world.openai.created[0].at + 2 * 3600
    moments = [made.at for made in world.openai.created]
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert pauses == [SETTLED + wait for wait in (60, 120, 240, 480, 960)]  # six rounds in all
    assert world.clock.now == moments[-1] + SETTLED
    assert {(made.metadata or {})[MARK] for made in world.openai.created} == {f"{job}/0001/1"}
    waiting, refused = told(world)
    assert waiting.data.waiting
    assert waiting.data.waiting.reason == "uncertain"
    assert (refused.type, world.job(job).outcome) == ("job.refused", Outcome.REFUSED)
    assert "did not tell whether it made a batch" in str(refused.data.reason)
    assert refused.data.parts[0].reason == refused.data.reason


def test_what_was_not_made_at_all_is_made_after_a_while(world: World) -> None:
    world.openai.fault("POST /v1/batches$", status=500)
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    for _ in range(SETTLED // 60):
        assert world.openai.created == []
        world.tick(after=60)
    assert only(world.job(job)).state is PartState.UPLOADED
    world.tick(after=60)
    assert only(world.job(job)).state is PartState.LIVE
    assert kinds(told(world)) == ["waiting", "submitted"]
    assert (len(world.openai.uploads), len(world.openai.created)) == (1, 1)


def cannot_be_read(world: World) -> None:
    show(world)
    world.openai.fault(r"GET /v1/batches(\?|$)", status=403, times=-1)


def has_odd_rows(world: World) -> None:
    world.openai.listing.hidden = {world.openai.created[0].id}
    show(world)
    world.batch(SOMEBODYS, found=True)
    world.openai.listing.edit_row = lambda _: {"id": 5}


def has_no_end(world: World) -> None:
    world.openai.listing.hidden = {world.openai.created[0].id}
    show(world)
    world.batch(SOMEBODYS, found=True)
    world.openai.listing.cursor_repeats = True


def is_distrusted(world: World) -> None:
    marks = Watermarks(world.runtime.dynamodb, world.environment["BATCHWATCH_TABLE"])
    marks.distrust(ACCOUNT, world.clock.now + 30 * DAY)


@pytest.mark.parametrize(
    "spoil",
    [
        cannot_be_read,
        is_distrusted,
        pytest.param(has_odd_rows, marks=pytest.mark.full),
        pytest.param(has_no_end, marks=pytest.mark.full),
    ],
)
def test_while_the_list_cannot_tell_nothing_is_made_and_after_days_the_part_is_given_up(
    world: World, spoil: Callable[[World], None]
) -> None:
    job = lost_answer(world)
    spoil(world)
    sent_at = world.clock.now
    for age in (UNDER_WAY, SETTLED, SETTLED + 60, DAY, OVER - 1):
        world.clock.now = sent_at + age
        world.tick()
        assert only(world.job(job)).state is PartState.SENDING
    assert len(world.openai.created) == 1
    (waiting,) = told(world)
    assert waiting.data.waiting
    assert (waiting.data.waiting.reason, waiting.data.waiting.parts) == ("uncertain", 1)
    world.tick(after=1)
    done = world.job(job)
    assert (done.outcome, only(done).state) == (Outcome.REFUSED, PartState.REFUSED)
    (refused,) = told(world)
    assert "did not tell whether it made a batch" in str(refused.data.reason)
    assert len(world.openai.created) == 1


def test_once_the_list_can_tell_again_the_batch_is_adopted(world: World) -> None:
    job = lost_answer(world)
    is_distrusted(world)
    world.tick(after=DAY)
    assert only(world.job(job)).state is PartState.SENDING
    show(world)
    world.tick(after=60)
    assert only(world.job(job)).batch_id == world.openai.created[0].id
    assert kinds(told(world)) == ["waiting", "submitted"]


@pytest.mark.parametrize(
    ("trouble", "became"),
    [
        ({}, "and cancelled"),
        ({"status": 500, "times": -1}, "and is to be cancelled by hand"),
        pytest.param({"status": 409, "times": -1}, "and has ended", marks=pytest.mark.full),
    ],
)
def test_of_two_batches_of_one_part_the_older_is_kept_and_the_other_is_cancelled_and_told(
    world: World, trouble: dict[str, Any], became: str
) -> None:
    job = lost_answer(world)
    world.clock.now += 1
    second = openai(world).create(new_batch(world.job(job), only(world.job(job))))
    if trouble:
        world.openai.fault("/cancel$", **trouble)
    show(world)
    report = world.tick(after=UNDER_WAY)
    assert only(world.job(job)).batch_id == world.openai.created[0].id
    assert asked_to_cancel(world) == {second.id}
    (problem,) = report.problems
    assert isinstance(problem.error, OrphanError)
    assert (problem.account, problem.batch_id) == (ACCOUNT, second.id)
    assert became in str(problem.error)
    assert kinds(told(world)) == ["submitted"]


def test_an_answer_that_comes_after_another_batch_was_made_is_of_one_too_many(
    world: World,
) -> None:
    hide(world)
    world.openai.pace = Pace(running=9e6)
    job = world.drop("a.jsonl", asked(2))

    def meanwhile(_: object) -> None:
        world.tick(after=SETTLED)
        world.tick(after=60)

    world.openai.fault("POST /v1/batches$", edit=meanwhile)
    (report,) = world.submit()
    first, second = world.openai.created
    assert only(world.job(job)).batch_id == second.id
    assert [(type(p.error), p.batch_id) for p in report.problems] == [(OrphanError, first.id)]
    assert asked_to_cancel(world) == {first.id}


def test_where_no_metadata_are_kept_a_batch_is_known_by_its_file(world: World) -> None:
    job = lost_answer(world)
    world.openai.listing.edit_row = lambda row: row | {"metadata": None}
    show(world)
    world.tick(after=UNDER_WAY)
    (made,) = world.openai.created
    known = world.job(job)
    assert only(known).batch_id == made.id

    def sent(seconds_later: float, **other: object) -> list[str]:
        part = only(known).but(sent_at=int(made.at) + seconds_later, **other)
        return [batch.id for batch in batches_of(known, part, openai(world))]

    assert sent(JUST_BEFORE) == [made.id]
    assert sent(JUST_BEFORE + 1) == []  # that of an earlier round, with the same file
    assert sent(0, file_id="file-other") == []
    world.openai.listing.edit_row = None
    assert sent(SKEW) == [made.id]
    assert sent(0, round=2) == []


@pytest.mark.parametrize(
    ("seconds", "made"),
    [(UNDER_WAY, 0), pytest.param(UNDER_WAY - 1, 1, marks=pytest.mark.full)],
)
def test_who_comes_late_to_his_own_request_does_not_send_it(
    world: World, seconds: float, made: int
) -> None:
    moved: list[float] = []

    def stand_still(model: Any, parsed: dict[str, Any], **_: object) -> None:
        if sending(model, json.dumps(parsed.get("Attributes", {}))) and not moved:
            moved.append(seconds)
            world.clock.now += seconds

    world.runtime.dynamodb.meta.events.register("after-call.dynamodb.UpdateItem", stand_still)
    job = world.drop("a.jsonl", asked(2))
    world.submit()
    assert moved
    assert len(world.openai.created) == made
    for _ in range(3):
        world.tick(after=SETTLED)
    assert only(world.job(job)).state is PartState.LIVE
    assert len(world.openai.created) == 1


def test_a_job_that_is_cancelled_just_before_the_intent_has_no_batch(world: World) -> None:
    job, answers = world.drop("a.jsonl", asked(2)), list[dict[str, Any]]()

    def cancelled(model: Any, params: dict[str, Any], **_: object) -> None:
        if sending(model, params["body"]) and not answers:
            answers.append({})
            answers[0] = world.runtime.by_hand.answer({"cancel": job})

    world.runtime.dynamodb.meta.events.register("before-call.dynamodb.UpdateItem", cancelled)
    world.submit()
    world.tick(after=60)
    assert answers[0]["status"] == "cancelled"
    done: Job = world.job(job)
    assert (done.outcome, only(done).state) == (Outcome.CANCELLED, PartState.DROPPED)
    assert world.openai.created == []
    assert kinds(told(world)) == ["cancelled"]
