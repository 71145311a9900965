"""Whether a request comes from OpenAI: Standard Webhooks, symmetric. Pure: no clock, no network.

What is signed is `webhook-id.webhook-timestamp.body`, byte for byte as received; each secret in
use signs once, as `v1,` and the base64 of an HMAC-SHA256, in one header between spaces.
Specification: https://github.com/standard-webhooks/standard-webhooks
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING

from batchwatch.errors import Refusal, RefusedWebhookError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOLERANCE = 300
"""Seconds that a timestamp may be off, either way, so that nothing heard can be said again later.
Each attempt of OpenAI has a timestamp of its own."""
LONGEST_BODY = 64 * 1024
LONGEST_SIGNATURES = 2048
MOST_SIGNATURES = 8
SHORTEST_KEY = 24
"""Bytes; the specification has no shorter ones, and a guessed key is no key."""
_PREFIX = "whsec_"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for; one that could be guessed is refused."""
    text = secret.strip()
    try:
        if text.startswith(_PREFIX):
            encoded = text.removeprefix(_PREFIX).rstrip("=")
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        else:
            key = text.encode()
    except ValueError:  # not base64, or not to be written in UTF-8
        key = b""
    if len(key) < SHORTEST_KEY:
        raise RefusedWebhookError(Refusal.SECRET)
    return key


def verify(
    headers: Mapping[str, str], body: bytes, keys: Iterable[tuple[str, bytes]], now: float
) -> str:
    """Return the account in whose name a request is signed; RefusedWebhookError if in none.

    `headers` with names in lower case; `keys`: accounts with their keys; `now`: seconds since 1970.
    """
    delivery, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if len(body) > LONGEST_BODY or len(given) > LONGEST_SIGNATURES:
        raise RefusedWebhookError(Refusal.SIZE)
    if not (_ID.fullmatch(delivery) and _TIMESTAMP.fullmatch(timestamp) and given.isascii()):
        raise RefusedWebhookError(Refusal.HEADERS)
    if abs(now - int(timestamp)) > TOLERANCE:
        raise RefusedWebhookError(Refusal.CLOCK)
    signatures = [each.encode() for each in given.split()]
    if len(signatures) > MOST_SIGNATURES:
        raise RefusedWebhookError(Refusal.SIZE)
    signed = f"{delivery}.{timestamp}.".encode() + body
    fits = [(account, _signed_with(key, signed, signatures)) for account, key in keys]
    if not fits:
        raise RefusedWebhookError(Refusal.SECRET)
    for account, fitting in fits:
        if fitting:
            return account
    raise RefusedWebhookError(Refusal.SIGNATURE)


def _signed_with(key: bytes, signed: bytes, signatures: list[bytes]) -> bool:
    due = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    # Each is compared, whichever fits, so that time tells nothing.
    return sum(hmac.compare_digest(due, signature) for signature in signatures) > 0
