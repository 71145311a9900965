"""Webhooks as OpenAI sends them and a Function URL hands them over, validly signed."""

from __future__ import annotations

import base64
import json
from typing import Any

from local.simulator.webhooks import sign
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
    event = sample("webhook")
    event["headers"] |= {
        "webhook-timestamp": str(int(at)),
        "webhook-signature": sign(secret, event["headers"]["webhook-id"], int(at), body),
        **{f"webhook-{name}": text for name, text in more.items()},
    }
    text = base64.b64encode(body).decode() if encoded else body.decode()
    return event | {"body": text, "isBase64Encoded": encoded}
