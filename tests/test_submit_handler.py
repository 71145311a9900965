"""The function that sends, as Lambda calls it: with messages, by the clock, by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batchwatch.submit.job import PartState, Stage, job_id_of
from tests.dropped import asked, kinds, only, told
from tests.handlers import sample
from tests.world import as_lambda_sees

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World


def waiting(world: World) -> list[dict[str, Any]]:
    """Give what the queue holds, as the function is called with it."""
    queue = world.environment["BATCHWATCH_INBOX_QUEUE"]
    return [as_lambda_sees(message) for message in world._receive(queue)]


def dead(world: World) -> list[str]:
    queue = world.environment["BATCHWATCH_INBOX_DEAD_LETTERS"]
    return [message["Body"] for message in world._receive(queue)]


def test_a_file_is_sent_and_other_messages_that_no_try_can_help_are_set_aside(
    world: World, invoke: Handlers
) -> None:
    job = world.drop("a.jsonl", asked(1))
    (message,) = waiting(world)
    others = {"unknown": '{"job": "job_unknown"}', "odd": '{"job": 7}', "text": "what is this"}
    odd = [{**message, "messageId": name, "body": body} for name, body in others.items()]
    said = invoke("submitter", {"Records": [message, *odd]})
    assert said.result == {"batchItemFailures": []}
    assert sorted(dead(world)) == sorted(others.values())
    assert only(world.job(job)).state is PartState.LIVE
    assert (said.log[-1]["events"], said.log[-1]["problems"]) == (1, 3)
    assert kinds(told(world)) == ["submitted"]


def test_the_clock_and_a_hand_are_told_from_messages(world: World, invoke: Handlers) -> None:
    job = world.drop("a.jsonl", asked(1))
    invoke("submitter", {"Records": waiting(world)})
    ticked = invoke("submitter", {"source": "aws.scheduler"})
    assert (ticked.result["events"], ticked.result["problems"]) == (0, 0)
    batch_id = only(world.job(job)).batch_id
    said = invoke("submitter", {"cancel": job}).result
    assert (said["status"], said["batches_cancelling"]) == ("cancelling", [batch_id])
    assert only(world.job(job)).asked_to_cancel
    assert json.loads(json.dumps(invoke("submitter", {"cancel": None}).result))["error"]


def test_the_sample_is_a_message_as_it_comes(world: World, invoke: Handlers) -> None:
    said = invoke("submitter")
    assert said.result == {"batchItemFailures": []}
    detail = json.loads(sample("submitter")["Records"][0]["body"])["detail"]
    what = detail["object"]
    job = world.job(job_id_of(detail["bucket"]["name"], what["key"], what["version-id"]))
    assert (job.key, job.version, job.size) == (what["key"], what["version-id"], what["size"])
    assert (job.stage, kinds(told(world))) == (Stage.DONE, ["refused"])  # there is no such object
