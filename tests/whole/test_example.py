"""The worked example beside our stack, from its own template: each batch has its result, once."""

from __future__ import annotations

import json
import runpy
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from batchwatch.batch import Role
from batchwatch.events import ArchivedFile
from local.deploy import ROOT, deploy_folder
from local.scenario import CHAT, EMBEDDINGS, RESPONSES
from local.service import ACCOUNT
from local.simulator import Script
from local.simulator.content import lines
from tests.judge.checker import faults, truths
from tests.permissions.watched import Watched, unused
from tests.whole.stack import Stack, deployed
from tests.world import KEY, REGION, aws_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rows = Callable[..., list[dict[str, Any]]]

PATIENCE = 120
"""Seconds for what takes ten on an idle machine."""
FOLDER = ROOT / "examples" / "react-to-completed"
KEPT = ("output", "error", "input")


def quick(name: str, endpoint: str, ends: str, requests: int, **share: Any) -> Script:
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
            FOLDER,
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

    def reactions(self) -> int:
        """How many events it has done with."""
        items = self._stack.dynamodb.scan(TableName=self.outputs["DoneTable"])["Items"]
        return sum(item["status"]["S"] == "COMPLETED" for item in items)

    def begin_anew(self, *batch_ids: str) -> None:
        """Delete results, and what the service itself may have told twice at once.

        An event that comes while a reaction to it is under way rests for half an hour.
        """
        for batch_id in batch_ids:
            bucket, key = self.outputs["ResultsBucket"], f"{ACCOUNT}/{batch_id}.jsonl"
            self._stack.s3.delete_object(Bucket=bucket, Key=key)
        self._stack.sqs.purge_queue(QueueUrl=self.outputs["QueueUrl"])

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


def expected(stack: Stack, batch_id: str) -> bytes:
    """What a result must say, line by line, read from what OpenAI itself has."""
    batch = stack.openai.batch(batch_id)
    if not batch["output_file_id"]:
        return b""
    asked = {line["custom_id"]: line["body"] for line in _lines(stack, batch["input_file_id"])}
    rows = [
        {
            "custom_id": line["custom_id"],
            "question": _QUESTION[batch["endpoint"]](asked[line["custom_id"]]),
            "answer": _ANSWER[batch["endpoint"]](line["response"]["body"]),
            "tokens": line["response"]["body"]["usage"]["total_tokens"],
        }
        for line in _lines(stack, batch["output_file_id"])
    ]
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _lines(stack: Stack, file_id: str) -> list[dict[str, Any]]:
    content = stack.openai.file(file_id).read_bytes()
    return [json.loads(line) for line in content.splitlines()]


_QUESTION: dict[str, Callable[[dict[str, Any]], str]] = {
    CHAT: lambda body: str(body["messages"][0]["content"]),
    RESPONSES: lambda body: str(body["input"]),
}
_ANSWER: dict[str, Callable[[dict[str, Any]], str]] = {
    CHAT: lambda body: str(body["choices"][0]["message"]["content"]),
    RESPONSES: lambda body: str(body["output"][0]["content"][0]["text"]),
}


@pytest.mark.full
def test_every_batch_has_its_result_once_and_whoever_repeats_an_event_gets_no_second(
    record_property: Callable[[str, object], None],
) -> None:
    with deployed(Watched, ArchiveInput="on") as stack:
        example = Example(stack)
        ids = [stack.watch(script) for script in SCRIPTS]
        with stack.ticking():
            soon(lambda: example.reactions() == len(ids), example)
            unfinished = stack.settle(PATIENCE)

        outside = replace(stack.outside(ids), truth=truths(stack.openai, ids, roles=KEPT))
        assert (unfinished, stack.failed) == ([], [])
        assert faults(outside, secrets=[KEY]) == []
        results = [example.result(batch_id) for batch_id in ids]
        assert results == [expected(stack, batch_id) for batch_id in ids]
        assert [result.count(b"\n") for result in results if result is not None] == [36, 7, 0]

        told = {e["subject"]: e for e in map(json.loads, stack.messages) if "archived" in e["type"]}
        first, second = ids[:2]
        example.begin_anew(first, second)
        example.tell_again(told[first])
        example.tell_again(told[second] | {"id": "another"})
        soon(lambda: example.reactions() == len(ids) + 1 and example.idle(), example)
        assert example.result(first) is None
        assert example.result(second) == results[1]
        bucket, _, key = told[first]["data"]["files"]["output"]["s3_uri"][5:].partition("/")
        stack.s3.delete_object(Bucket=bucket, Key=key)
        example.tell_again(told[first] | {"id": "a third"})  # which fails, and is to come again
        soon(lambda: "GetObject" in example.trouble(), example)
        where = {"example": FOLDER.name, "stack": "batch-results"}
        assert unused(stack.emulator, "example", record_property, **where) == []


# What else an output may hold


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    """The join of the example, over the lines of an output and, where it is kept, of an input."""
    monkeypatch.setenv("DONE_TABLE", "none")
    with aws_in_memory():
        app = runpy.run_path(str(FOLDER / "app.py"))
        s3 = boto3.client("s3", REGION)
        s3.create_bucket(Bucket="bucket")

        def joined(output: bytes, asked: bytes | None = None) -> list[dict[str, Any]]:
            files = {}
            for role, content in ((Role.OUTPUT, output), (Role.INPUT, asked)):
                if content is not None:
                    s3.put_object(Bucket="bucket", Key=f"batches/{role}", Body=content)
                    uri = f"s3://bucket/batches/{role}"
                    files[role] = ArchivedFile(state="archived", s3_uri=uri)
            return list(app["rows"](files.get(Role.OUTPUT), files.get(Role.INPUT)))

        yield joined


def test_an_output_of_any_endpoint_is_listed_with_its_input_and_without(rows: Rows) -> None:
    for endpoint in (CHAT, RESPONSES, EMBEDDINGS):
        script = quick("b", endpoint, "completed", 3)
        asked, output = (b"".join(lines(script, f"batch_{7:032x}", r)) for r in ("input", "output"))
        both, alone = rows(output, asked), rows(output)

        assert {row["custom_id"] for row in both} == {f"request-{n}" for n in (1, 2, 3)}
        assert all(row["question"] == f"Question {row['custom_id'][8:]}?" for row in both)
        assert alone == [row | {"question": None} for row in both]
        assert [row["answer"] is None for row in both] == [endpoint == EMBEDDINGS] * 3


def test_blank_lines_among_the_questions_are_nothing(rows: Rows) -> None:
    """Those of an input are the customer's own."""
    script = quick("b", CHAT, "completed", 3)
    asked, output = (b"".join(lines(script, f"batch_{7:032x}", r)) for r in ("input", "output"))

    assert rows(output, b"\n" + asked.replace(b"\n", b"\r\n \n")) == rows(output, asked)


ODD: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"choices": [], "usage": None}, None),
    ({"choices": [{"message": {"content": None, "tool_calls": [{}]}}]}, None),
    ({"output": [{"type": "reasoning", "summary": []}]}, ""),
    ({"output": [{"content": None}, {"content": [{"type": "refusal", "refusal": "no"}]}]}, ""),
    ({"output": [{}, {"content": [{"type": "output_text", "text": "yes"}]}]}, "yes"),
    ({"id": "modr-1", "results": [{"flagged": False}]}, None),
]


def test_an_answer_without_text_is_listed_all_the_same(rows: Rows) -> None:
    output = [
        {"custom_id": str(number), "response": {"status_code": 200, "body": body}, "error": None}
        for number, (body, _) in enumerate(ODD)
    ]

    listed = rows("\n".join(map(json.dumps, output)).encode())  # no newline at the end
    assert [row["answer"] for row in listed] == [answer for _, answer in ODD]
    assert {(row["question"], row["tokens"]) for row in listed} == {(None, None)}
