"""Webhooks as OpenAI sends them, signed by hand, as a Function URL hands them over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.handlers import sample

SECRET = "whsec_YSBzZWNyZXQgZm9yIHRlc3RzLCBvZiBubyBvdGhlciB1c2U="
"""What events/webhook.json is signed with."""


def webhook(batch_id: str, at: float, *, of: str = "batch.completed", **how: Any) -> dict[str, Any]:
    """Tell, at a moment, that a batch has ended."""
    said = {"id": "evt_1", "object": "event", "created_at": int(at), "type": of}
    return signed(json.dumps({**said, "data": {"id": batch_id}}).encode(), at, **how)


def signed(
    body: bytes, at: float, *, secret: str = SECRET, encoded: bool = False, **more: str
) -> dict[str, Any]:
    """Sign a body at a moment; `more`: headers in place of the right ones."""
    event, timestamp = sample("webhook"), str(int(at))
    delivery = event["headers"]["webhook-id"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    due = hmac.new(key, f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    event["headers"] |= {
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(due).decode(),
        **{f"webhook-{name}": text for name, text in more.items()},
    }
    text = base64.b64encode(body).decode() if encoded else body.decode()
    return event | {"body": text, "isBase64Encoded": encoded}
