"""Whether OpenAI's own webhooks would be heard; and a test event of ours, where that is wanted."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from batchwatch.cli.checks.finding import Finding, State
from batchwatch.cli.checks.secret import put_secret
from batchwatch.errors import SecretError
from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.cli.checks.visit import Visit

TYPE = "batchwatch.doctor"
"""A type that the function takes, and does nothing about."""
_OFF = "off: polls alone find every end"
_PATIENCE = 15
"""Seconds; the first call of a function takes some."""


def address(visit: Visit) -> Iterator[Finding]:
    """Look whether there is an address, and secrets to know OpenAI by."""
    name, url = "webhook", visit.stack.outputs.get("WebhookUrl")
    if not url:
        yield Finding(name, State.OK, _OFF)
        return
    try:
        readable = visit.accounts()
    except SecretError:
        yield Finding(name, State.NOT_CHECKED, f"on, at {url}; but the secret cannot be read")
        return
    signed = {account for account, _ in readable.signers}
    without = [each.name for each in readable.accounts if each.name not in signed]
    way_out = f"webhook_secrets in the secret: {put_secret(visit)}"
    if not signed:
        found = "on, but no account has a signing secret: each webhook is refused"
        yield Finding(name, State.PROBLEM, found, way_out)
    elif without:
        found = f"on, at {url}; without a signing secret: {', '.join(without)}"
        yield Finding(name, State.WARNING, found, way_out)
    else:
        yield Finding(name, State.OK, f"on, at {url}")


def test_event(visit: Visit) -> Iterator[Finding]:
    """Send an event that means nothing, signed with each secret, and look at the answer."""
    name, url = "webhook's answer", visit.stack.outputs.get("WebhookUrl")
    if not url:
        yield Finding(name, State.NOT_CHECKED, _OFF, "sam deploy with Webhooks=on")
        return
    try:
        signers = visit.accounts().signers
    except SecretError:
        signers = []
    if not signers:
        yield Finding(name, State.NOT_CHECKED, "no secret to sign a test event with")
    for account, key in signers:
        yield _sent(name, url, account, key)


def _sent(name: str, url: str, account: str, key: bytes) -> Finding:
    began = time.monotonic()
    content, headers = _signed(key)
    try:
        with httpx.Client(timeout=_PATIENCE, trust_env=False) as client:
            answer = client.post(url, content=content, headers=headers)
    except httpx.RequestError as error:
        found = f"cannot be reached: {type(error).__name__}: {clean(error)}"
        return Finding(
            name, State.PROBLEM, found, "look at the network here; if that is well, sam deploy"
        )
    seconds = time.monotonic() - began
    if answer.status_code == HTTPStatus.OK:
        return Finding(name, State.OK, f"took an event signed for {account} in {seconds:.1f} s")
    found, way_out = _meant(answer.status_code)
    text = f"{answer.status_code} to an event signed for {account}: {found}"
    return Finding(name, State.PROBLEM, text, way_out)


def _signed(key: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a body and its headers, by Standard Webhooks."""
    now, event = int(time.time()), f"evt_doctor_{uuid.uuid4().hex}"
    said = {"id": event, "object": "event", "type": TYPE, "created_at": now, "data": {}}
    body = json.dumps(said).encode()
    digest = hmac.digest(key, f"{event}.{now}.".encode() + body, "sha256")
    return body, {
        "content-type": "application/json",
        "webhook-id": event,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _meant(status: int) -> tuple[str, str]:
    match status:
        case HTTPStatus.BAD_REQUEST:
            again = "if the secret was changed just now, try again in five minutes"
            return (
                "not believed",
                f"{again}; else the stack's log says why: refused",
            )
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND:
            return "nobody comes through to the function", "sam deploy"
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS:
            return "too busy", "try again in a minute"
    return "the function fails", "see why in the stack's log: aws logs tail"
