"""The worked example beside our stack, from its own template: each batch has its result, once."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.deploy import ROOT, deploy_folder
from local.scenario import CHAT, EMBEDDINGS, RESPONSES
from local.service import ACCOUNT
from local.simulator import Script
from tests.judge.checker import faults, truths
from tests.whole.stack import Stack, deployed
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60
"""Seconds for what takes five on an idle machine."""
KEPT = ("output", "error", "input")


def quick(name: str, endpoint: str, ends: str, requests: int, **share: int) -> Script:
    plain = Script(name=name, endpoint=endpoint, requests=requests, ends=ends, **share)
    return replace(plain, validating=0.5, running=0.5, finalizing=0.5)


SCRIPTS = [
    quick("answers", CHAT, "completed", 40, failed=4),
    quick("cut short", RESPONSES, "expired", 9, unfinished=2),
    quick("broken", EMBEDDINGS, "failed", 3),
]


class Example:
    """The example's stack, deployed with what its README tells to give it."""

    def __init__(self, stack: Stack) -> None:
        ours = stack.service.outputs
        self.outputs = deploy_folder(
            stack.emulator,
            ROOT / "examples" / "react-to-completed",
            stack="batch-results",
            parameters={name: ours[name] for name in ("EventsTopic", "BucketName")},
        )
        self._stack = stack
        self._sns, self._logs = stack.emulator.client("sns"), stack.emulator.client("logs")

    def result(self, batch_id: str) -> bytes | None:
        """What it made of a batch, if anything by now."""
        bucket, key = self.outputs["ResultsBucket"], f"{ACCOUNT}/{batch_id}.jsonl"
        with suppress(self._stack.s3.exceptions.NoSuchKey):
            return bytes(self._stack.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return None

    def forget(self, batch_id: str) -> None:
        """Delete a result."""
        bucket, key = self.outputs["ResultsBucket"], f"{ACCOUNT}/{batch_id}.jsonl"
        self._stack.s3.delete_object(Bucket=bucket, Key=key)

    def idle(self) -> bool:
        """Whether no message is left, in work or set aside."""
        queues = (self.outputs["QueueUrl"], self.outputs["DeadLettersUrl"])
        return not any(self._stack._waiting(queue) for queue in queues)

    def trouble(self) -> str:
        """What its log has of errors."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.outputs["LogGroup"]
        )
        lines = [event["message"] for page in pages for event in page["events"]]
        return "\n".join(line for line in lines if "rror" in line)

    def tell_again(self, event: dict[str, Any]) -> None:
        """Send an event through the topic, as SNS may by itself."""
        self._sns.publish(
            TopicArn=self._stack.service.outputs["EventsTopic"],
            Message=json.dumps(event),
            MessageAttributes={"type": {"DataType": "String", "StringValue": event["type"]}},
        )


def soon(what: Callable[[], bool], example: Example) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, example.trouble()
        time.sleep(0.1)


def expected(stack: Stack, batch_id: str) -> dict[str, dict[str, Any]]:
    """What a result must say, by custom_id, read from what OpenAI itself has."""
    batch = stack.openai.batch(batch_id)
    if not batch["output_file_id"]:
        return {}
    files = {role: stack.openai.file(batch[f"{role}_file_id"]) for role in ("input", "output")}
    said = {
        role: [json.loads(line) for line in path.read_bytes().splitlines()]
        for role, path in files.items()
    }
    asked = {line["custom_id"]: line["body"] for line in said["input"]}
    return {
        line["custom_id"]: {
            "custom_id": line["custom_id"],
            "question": _question(asked[line["custom_id"]]),
            "answer": _ANSWERS[batch["endpoint"]](line["response"]["body"]),
            "tokens": line["response"]["body"]["usage"]["total_tokens"],
        }
        for line in said["output"]
    }


def _question(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"] if "messages" in body else body["input"])


_ANSWERS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    CHAT: lambda body: str(body["choices"][0]["message"]["content"]),
    RESPONSES: lambda body: str(body["output"][0]["content"][0]["text"]),
}


def read(result: bytes | None) -> dict[str, dict[str, Any]]:
    """A result by custom_id."""
    assert result is not None
    lines = [json.loads(line) for line in result.split(b"\n") if line]
    assert result.count(b"\n") == len(lines)
    return {line["custom_id"]: line for line in lines}


def test_every_batch_has_its_result_once_and_whoever_repeats_an_event_gets_no_second() -> None:
    with deployed(ArchiveInput="on") as stack:
        example = Example(stack)
        ids = [stack.watch(script) for script in SCRIPTS]
        with stack.ticking():
            soon(lambda: all(example.result(batch_id) is not None for batch_id in ids), example)
            unfinished = stack.settle(PATIENCE)
        soon(example.idle, example)

        outside = replace(stack.outside(ids), truth=truths(stack.openai, ids, roles=KEPT))
        assert (unfinished, stack.failed) == ([], [])
        assert faults(outside, secrets=[KEY]) == []
        results = {batch_id: read(example.result(batch_id)) for batch_id in ids}
        assert [len(result) for result in results.values()] == [36, 7, 0]
        assert results == {batch_id: expected(stack, batch_id) for batch_id in ids}

        told = {e["subject"]: e for e in map(json.loads, stack.messages) if "archived" in e["type"]}
        first, second = ids[:2]
        for batch_id in (first, second):
            example.forget(batch_id)
        example.tell_again(told[first])
        example.tell_again(told[second] | {"id": "another"})
        soon(lambda: example.result(second) is not None and example.idle(), example)
        assert example.result(first) is None
        assert read(example.result(second)) == results[second]
