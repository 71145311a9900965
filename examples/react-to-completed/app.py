"""Called with every batch whose files are archived: lists each question beside its answer."""

import json
import os
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

import boto3
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.batch import Role
from batchwatch.events import ArchivedFile, BatchEvent

s3 = boto3.client("s3")
queue = BatchProcessor(EventType.SQS)
done = DynamoDBPersistenceLayer(table_name=os.environ["DONE_TABLE"])
once = IdempotencyConfig(event_key_jmespath="id", expires_after_seconds=30 * 24 * 3600)


def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """React to each message; those that failed, and no others, come again."""
    once.register_lambda_context(context)  # tells until when a reaction can be under way
    return process_partial_response(event, on_message, queue, context)


def on_message(record: SQSRecord) -> None:
    """Read the event that a message is."""
    react(event=BatchEvent.model_validate_json(record.body))


@idempotent_function(data_keyword_argument="event", persistence_store=done, config=once)  # type: ignore[untyped-decorator]
def react(event: BatchEvent) -> str:
    """Write the result of a batch, whole or not at all; return its key."""
    files, key = event.data.files or {}, f"{event.data.account}/{event.subject}.jsonl"
    with TemporaryFile() as result:
        for row in rows(files.get(Role.OUTPUT), files.get(Role.INPUT)):
            result.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        result.seek(0)
        s3.upload_fileobj(result, os.environ["RESULTS_BUCKET"], key)
    return key


def rows(answered: ArchivedFile | None, asked: ArchivedFile | None) -> Iterator[dict[str, Any]]:
    """Join what was answered with what was asked, as far as that is kept."""
    if not answered:
        return  # and what was asked may be no JSON
    questions = {line["custom_id"]: question(line["body"]) for line in lines(asked)}
    for line in lines(answered):
        body = line["response"]["body"]
        yield {
            "custom_id": line["custom_id"],
            "question": questions.pop(line["custom_id"], None),
            "answer": answer(body),
            "tokens": (body.get("usage") or {}).get("total_tokens"),
        }


def lines(file: ArchivedFile | None) -> Iterator[dict[str, Any]]:
    """Each line of a file while it arrives, but blank ones; none of one not in the bucket."""
    if file and file.s3_uri:
        bucket, key = file.s3_uri.removeprefix("s3://").split("/", 1)
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_lines(1024 * 1024):
            if line.strip():
                yield json.loads(line)


def question(body: dict[str, Any]) -> Any:
    """What was asked: the last message of a chat, or the input as it was given."""
    match body:
        case {"messages": [*_, {"content": asked}]} | {"input": asked}:
            return asked
    return None


def answer(body: dict[str, Any]) -> str | None:
    """The text of a chat completion or a response; embeddings have none."""
    match body:
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
        case {"output": [*items]}:
            parts = [part for item in items for part in item.get("content") or []]
            return "".join(part["text"] for part in parts if part["type"] == "output_text")
    return None
