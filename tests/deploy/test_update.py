"""An update from the release before and the way back, with everything under way."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from local.deploy import ROOT, build_layer, deploy
from local.run import PARAMETERS
from local.simulator import Pace
from tests.deploy.releases import LATEST, sources_of
from tests.deploy.under_way import HELD, UnderWay, drop, held_up, let_parts_go, until
from tests.judge.checker import Outside, faults
from tests.judge.sent import Made, Sent, sent_faults
from tests.whole.stack import NOBODY, deployed_from
from tests.whole.test_killed import DIED, workers
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.whole.stack import Stack

RETRY = "8"  # seconds: the copy that is refused again and again is no load
STAYS = (
    *("LedgerTable", "JobsTable", "BucketName", "EventsTopic", "KeysSecret"),
    *("ArchiveQueueUrl", "InboxQueueUrl", "NotifyQueueUrl"),
)
"""What whoever uses a stack has written down somewhere, and what holds data."""


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(2, id="and-back", marks=pytest.mark.deploy),
        pytest.param(3, id="and-back-and-forward-again", marks=pytest.mark.full),
    ],
)
def test_an_update_and_the_way_back_lose_nothing_and_tell_nothing_twice(
    changes: int, tmp_path: Path
) -> None:
    old = sources_of(LATEST, tmp_path / "old", "layers", "functions", "template.yaml")
    with ThreadPoolExecutor(1) as pool, deployed_from(old, KEY, LongestRetry=RETRY) as stack:
        layer = pool.submit(build_layer, tmp_path)
        layers = {old: stack.folder / "layer", ROOT: layer.result()}
        began = dict(stack.service.outputs)
        ids: list[str] = []
        with stack.ticking(jobs=True):
            content = drop(stack, parts=2 * changes + 1)  # with each change, two are let go
            for tree in (ROOT, old, ROOT)[:changes]:
                ids += change(stack, tree, layers[tree])
            unfinished = settle(stack)

        assert unfinished == []
        assert {name: stack.service.outputs[name] for name in STAYS} == {
            name: began[name] for name in STAYS
        }
        assert verdict(stack, ids, content) == []


def change(stack: Stack, tree: Path, layer: Path) -> list[str]:
    """Change the version while everything is under way; return the batches that were."""
    work = UnderWay(stack)
    work.begin()
    with held_up(stack):
        work.one_more()
        until(lambda: waiting_in(stack, "ArchiveQueueUrl"), "an order waits")
        assert any(job["stage"] == "sending" for job in jobs(stack))
        update(stack, tree, layer)
        assert work.statuses() == [*HELD]
    until(lambda: runs(stack, tree), "the other version is at work")
    work.let_go()
    until(lambda: stack.service.record(work.large).archived, "the copy ends")
    assert work.went_on()
    return work.ids


def update(stack: Stack, tree: Path, layer: Path) -> None:
    """Deploy other sources over a stack, as `sam deploy` does."""
    parameters = {**PARAMETERS, "NotifyOn": NOBODY, "LongestRetry": RETRY}
    outputs = deploy(stack.emulator, layer, parameters=parameters, tree=tree, update=True)
    stack.service.outputs.update(outputs)


def runs(stack: Stack, tree: Path) -> bool:
    """Whether a process of Poller has loaded the package of a tree; an older one may linger."""
    wanted = (tree / "layers/core/batchwatch/record.py").read_bytes()
    found = [path.read_bytes() for pid in workers(stack, "Poller") for path in _loaded(pid)]
    return wanted in found


def _loaded(pid: int) -> Iterator[Path]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        libraries = {line.split()[-1] for line in lines if "/_pydantic_core." in line}
        yield from (Path(each).parents[1] / "batchwatch/record.py" for each in libraries)


def waiting_in(stack: Stack, queue: str) -> bool:
    """Whether a message lies in a queue, for whoever reads it next."""
    url, name = stack.service.outputs[queue], "ApproximateNumberOfMessages"
    said = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return bool(said["Attributes"][name] != "0")


def settle(stack: Stack) -> list[str]:
    """Let the job end, and wait until it has, and every batch."""

    def ended() -> bool:
        let_parts_go(stack)
        return all("open" not in job for job in jobs(stack))

    stack.openai.pace = Pace(running=0.1)
    until(ended, "the job ends")
    return stack.settle(300)


def verdict(stack: Stack, ids: list[str], content: bytes) -> list[str]:
    """All that is not as it must be."""
    made = list(_made(stack))
    whole = stack.outside([*ids, *(one.batch["id"] for one in made)])
    of_jobs = [m for m in whole.messages if json.loads(m)["type"].startswith("job.")]
    ((where, version),) = {_object(message) for message in of_jobs}
    sent = Sent(
        dropped={(where, version): content},
        made=made,
        messages=of_jobs,
        jobs=jobs(stack),
        objects=whole.objects,
        dead_letters=_letters(stack, "InboxDeadLettersUrl"),
    )
    return [
        *faults(_of_batches(whole, of_jobs), secrets=[KEY]),
        *sent_faults(sent, ["job.completed"]),
        *_letters(stack, "NotifyDeadLettersUrl"),
        # AWS lets an invocation end in the old code; the local one kills its worker.
        *(said for said in stack.failed if DIED not in said),
    ]


def _object(message: str) -> tuple[str, Any]:
    data = json.loads(message)["data"]
    return data["object"], data["version"]


def _of_batches(whole: Outside, of_jobs: list[str]) -> Outside:
    kept = {
        key: versions
        for key, versions in whole.objects.items()
        if key.startswith("batches/") or (key.startswith("events/") and "/job_" not in key)
    }
    return replace(whole, objects=kept, messages=[m for m in whole.messages if m not in of_jobs])


def _made(stack: Stack) -> Iterator[Made]:
    for created in stack.openai.created:
        batch = stack.openai.batch(created.id)
        ids = {role: batch.get(f"{role}_file_id") for role in ("output", "error")}
        files = {role: stack.openai.file(i).read_bytes() for role, i in ids.items() if i}
        yield Made(batch, stack.openai.file(created.input_file_id).read_bytes(), files)


def jobs(stack: Stack) -> list[dict[str, Any]]:
    """Every item of the table of jobs."""
    said = stack.dynamodb.scan(TableName=stack.service.outputs["JobsTable"], ConsistentRead=True)
    plain = TypeDeserializer().deserialize
    return [{name: plain(v) for name, v in item.items()} for item in said["Items"]]


def _letters(stack: Stack, queue: str) -> list[str]:
    said = stack.sqs.receive_message(QueueUrl=stack.service.outputs[queue])
    return [message["Body"] for message in said.get("Messages", [])]
