"""Requests signed by hand, right or wrong in what is named, and what we answer them."""

from __future__ import annotations

import base64
import hmac
from typing import NamedTuple

from batchwatch.errors import Refusal, RefusedWebhookError
from batchwatch.signature import key_of, verify
from tests.builders import CREATED

KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
DAY = 86_400


class Request(NamedTuple):
    """A request, and how it came about: signed with `key` as `due`, over the time `signed`."""

    secret: str
    headers: dict[str, str]
    body: bytes
    key: bytes
    due: str
    signed: str


def request(  # noqa: PLR0913 - a valid one, but for what is named
    secret: str = SECRET,
    key: bytes = KEY,
    *,
    now: float = CREATED,
    delivery: str = "wh_1",
    sent: str = "{now}",
    signed: str | None = None,
    body: bytes = b'{"type": "batch.completed"}',
    altered: bytes = b"",
    signatures: str = "v1,{due}",
) -> Request:
    """Sign a request; in `sent`, `signed` (the timestamps) and `signatures`, {…} is filled in.

    `altered` comes to the body after it was signed.
    """
    times = {"now": int(now), "arabic": str(int(now)).translate(ARABIC)}
    sent = sent.format(**times)
    signed = sent if signed is None else signed.format(**times)
    due = sign(key, f"{delivery}.{signed}.".encode("utf-8", "surrogatepass") + body)
    forms = {
        "due": due,
        "old": sign(OLD_KEY, f"{delivery}.{signed}.".encode("utf-8", "surrogatepass") + body),
        "unpadded": due.rstrip("="),
        "url_safe": due.replace("+", "-").replace("/", "_"),
        "other_bits": due[:-2] + ALPHABET[ALPHABET.index(due[-2]) + 1] + "=",
        "folded": due[:20] + "\n" + due[20:],
        "upper": due.upper(),
    }
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": sent,
        "webhook-signature": signatures.format(**forms),
    }
    return Request(secret, headers, body + altered, key, due, signed)


ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def sign(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def answer(asked: Request, now: float = CREATED) -> Refusal | None:
    """Why we refuse it; None if we do not."""
    try:
        keys = [("default", key_of(asked.secret))]
        assert verify(asked.headers, asked.body, keys, now) == "default"
    except RefusedWebhookError as error:
        return Refusal(str(error))  # and nothing of the request
    return None
