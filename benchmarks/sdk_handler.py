"""A function as one would write it with the official SDK: it looks at all open batches once.

It imports boto3 and the SDK, and makes the clients that Poller makes, when they are first used.
"""

import json
import os
from typing import Any

import boto3
import openai

_SERVICES = ("secretsmanager", "dynamodb", "sns", "sqs", "s3")
_clients: dict[str, Any] = {}


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Read the secret, ask the table for what is open, and OpenAI for its list."""
    del event, context
    for name in _SERVICES:
        if name not in _clients:
            _clients[name] = boto3.client(name)  # type: ignore[call-overload]
    secret = _clients["secretsmanager"].get_secret_value(SecretId=os.environ["BATCHWATCH_SECRET"])
    account = json.loads(secret["SecretString"])["accounts"]["default"]
    _clients["dynamodb"].query(
        TableName=os.environ["BATCHWATCH_TABLE"],
        IndexName="open",
        KeyConditionExpression="#open = :account",
        ExpressionAttributeNames={"#open": "open"},
        ExpressionAttributeValues={":account": {"S": "default"}},
    )
    client = openai.OpenAI(api_key=account["api_key"], base_url=account["base_url"])
    return {"seen": len(client.batches.list(limit=100).data)}
