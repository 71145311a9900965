"""The filter policies of the README let through what they say, of what is really published."""

from __future__ import annotations

import json
import math
import re
import shlex
from typing import TYPE_CHECKING, Any

from batchwatch.job_events import read_event
from docs.events.examples import JOB, job_example
from local.deploy import ROOT
from local.simulator import Script
from tests import consumer_1_0
from tests.schemas import schema_faults
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

SECTION = "### Only what concerns you"


def recipes() -> list[dict[str, str]]:
    """Give the attributes of each subscription that the README tells to make."""
    section = (ROOT / "README.md").read_text().split(SECTION)[1].split("\n## ")[0]
    commands = re.findall(r"^\$ (aws sns subscribe (?:.*\\\n)*.*)", section, re.MULTILINE)
    words = [shlex.split(command.replace("\\\n", " ")) for command in commands]
    return [json.loads(each[each.index("--attributes") + 1]) for each in words]


def policies() -> list[dict[str, Any]]:
    """Give the filter policy of each."""
    return [json.loads(recipe["FilterPolicy"]) for recipe in recipes()]


def leaves(policy: Any, depth: int = 1) -> Iterator[tuple[int, int]]:
    """Give how many values each key allows, and how deep it is."""
    for key, value in policy.items():
        if isinstance(value, dict):
            yield from leaves(value, depth + 1)
        elif key == "$or":
            for each in value:
                yield from leaves(each, depth)
        else:
            yield len(value), depth


def test_a_recipe_is_within_the_quotas_of_sns() -> None:
    assert len(policies()) == 4
    for policy in policies():
        counted = list(leaves(policy))
        assert len(counted) <= 5
        assert math.prod(values * depth for values, depth in counted) <= 150
        assert len(policy.get("$or", [1, 2])) >= 2  # else SNS takes it for the name of a field


def subscribe(world: World, number: int, attributes: dict[str, str]) -> str:
    """Subscribe a queue as the README says; return its address."""
    queue = str(client("sqs").create_queue(QueueName=f"mine-{number}")["QueueUrl"])
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    client("sns").subscribe(
        TopicArn=world.environment["BATCHWATCH_TOPIC"],
        Protocol="sqs",
        Endpoint=arn["Attributes"]["QueueArn"],
        Attributes=attributes,
    )
    return queue


def two_accounts(world: World) -> None:
    """Let two projects share one simulated OpenAI; what each watches is registered by hand."""
    default = {"api_key": KEY, "base_url": world.openai.base_url}
    accounts = {ACCOUNT: default, "research": default | {"project": "proj_research"}}
    world.put_secret(json.dumps({"accounts": accounts}))
    world.environment["BATCHWATCH_DISCOVERY"] = "off"
    world.restart()

    def edit(said: dict[str, Any]) -> dict[str, Any]:
        name = said["metadata"]["name"] if "metadata" in said else None
        if name == "of search":
            said["metadata"]["team"] = "search"
        if name == "broken" and said["output_file_id"]:
            said["output_file_id"] = "no/id"
        return said

    world.openai.listing.edit_row = edit
    world.openai.fault("GET /v1/batches/batch_", times=-1, edit=edit)


def script(name: str, ends: str = "completed", **how: Any) -> Script:
    """Give a batch of two requests."""
    return Script(name=name, endpoint="/v1/responses", requests=2, ends=ends, running=100, **how)


SCRIPTS = [
    script("of search"),
    script("half", failed=1),
    script("none", failed=2),
    script("invalid", "failed"),
    script("late", "expired", unfinished=1),
    script("broken"),
]


def test_each_recipe_lets_through_what_it_says_and_nothing_else(world: World) -> None:
    two_accounts(world)
    queues = [subscribe(world, *recipe) for recipe in enumerate(recipes())]
    names = {world.batch(each): each.name for each in SCRIPTS} | {"batch_nobody": "nobody"}
    for name, account in (("of search", "research"), ("late", "research"), ("nobody", ACCOUNT)):
        (batch_id,) = [each for each in names if names[each] == name]
        world.runtime.ledger.register(account, batch_id)
    job = job_example("job.completed")
    job = job.model_copy(update={"data": job.data.model_copy(update={"account": "research"})})
    world.runtime.outbox.publisher.publish(job, job.frozen())
    for after in (20, 200, 1300, 900, 900, 900):
        world.poll(after=after)
        world.archive()

    everything = world.messages()
    names[JOB] = "a job"
    failures, of_batches, of_account, of_team = (
        sorted((e.data.account, names[e.subject], e.type) for e in map(read_event, taken))
        for taken in (world._take(queue) for queue in queues)
    )
    life = ["batch.archived", "batch.completed", "batch.in_progress"]
    assert failures == [
        (ACCOUNT, "broken", "batch.file_failed"),
        (ACCOUNT, "invalid", "batch.failed"),
        (ACCOUNT, "late", "batch.expired"),
        (ACCOUNT, "nobody", "batch.lost"),
        (ACCOUNT, "none", "batch.completed"),
        ("research", "late", "batch.expired"),
    ]
    assert of_account == [
        ("research", "a job", "job.completed"),
        *[("research", "late", f"batch.{what}") for what in ("archived", "expired", "in_progress")],
        *[("research", "of search", kind) for kind in life],
    ]
    assert of_team == [(who, "of search", kind) for who in (ACCOUNT, "research") for kind in life]
    assert len(everything) > len(SCRIPTS) * 3
    assert [schema_faults(message) for message in everything] == [[]] * len(everything)
    read = [consumer_1_0.read(message) for message in everything if message != job.frozen()]
    assert {e.subject for e in read} <= {*names}
    assert of_batches == sorted((e.account, names[e.subject], e.type) for e in read)
    assert len(of_batches) == len(everything) - 1
