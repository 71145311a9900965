"""Whom we believe: recorded signatures, and every edge of what is right."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from batchwatch.errors import Refusal, RefusedWebhookError
from batchwatch.signature import key_of, verify
from tests.asked import KEY, OLD_KEY, SECRET, Request, answer, request
from tests.builders import CREATED

VECTORS = Path(os.environ.get("BATCHWATCH_CONTRACT", "")) / "webhook-vectors.json"


MEANT = {
    "ok": None,
    "mismatch": Refusal.SIGNATURE,
    "too_old": Refusal.CLOCK,
    "too_new": Refusal.CLOCK,
    "missing_header": Refusal.HEADERS,
    "bad_timestamp": Refusal.HEADERS,
}
"""What the vectors expect, in our words."""


@pytest.mark.skipif(not VECTORS.is_absolute(), reason="BATCHWATCH_CONTRACT names no folder")
def test_every_vector_has_the_answer_that_it_expects() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    answers = {
        each["name"]: answer(
            Request(
                each["secret"], each["headers"], base64.b64decode(each["payload_b64"]), b"", "", ""
            ),
            each["now"],
        )
        for each in vectors
    }
    assert answers == {each["name"]: MEANT[each["expect"]] for each in vectors}
    assert len(answers) == len(vectors) >= 13


def without(name: str) -> Request:
    asked = request()
    del asked.headers[name]
    return asked


REQUESTS = {
    "as OpenAI sends it": (request(), None),
    "300 s old": (request(now=CREATED - 300), None),
    "300 s ahead": (request(now=CREATED + 300), None),
    "301 s old": (request(now=CREATED - 301), Refusal.CLOCK),
    "301 s ahead": (request(now=CREATED + 301), Refusal.CLOCK),
    "milliseconds": (request(now=CREATED * 1000), Refusal.HEADERS),
    "no id": (without("webhook-id"), Refusal.HEADERS),
    "no timestamp": (without("webhook-timestamp"), Refusal.HEADERS),
    "no signature": (without("webhook-signature"), Refusal.SIGNATURE),
    "id with a dot": (request(delivery="wh.1"), Refusal.HEADERS),
    "id of 128 signs": (request(delivery="w" * 128), None),
    "id of 129 signs": (request(delivery="w" * 129), Refusal.HEADERS),
    "id and timestamp swapped": (request(sent="wh_1", signed="{now}"), Refusal.HEADERS),
    "timestamp with a sign": (request(sent="+{now}"), Refusal.HEADERS),
    "timestamp in a space": (request(sent=" {now}"), Refusal.HEADERS),
    "timestamp and a newline": (request(sent="{now}\n"), Refusal.HEADERS),
    "timestamp in other digits": (request(sent="{arabic}"), Refusal.HEADERS),
    "timestamp not the signed one": (request(sent="0{now}", signed="{now}"), Refusal.SIGNATURE),
    "body altered": (request(altered=b" "), Refusal.SIGNATURE),
    "body empty": (request(body=b""), None),
    "body no text": (request(body=b"\xff\xfe\x00"), None),
    "body of 64 KiB": (request(body=b" " * 65_536), None),
    "body of 64 KiB and one": (request(body=b" " * 65_537), Refusal.SIZE),
    "the same signature twice": (request(signatures="v1,{due} v1,{due}"), None),
    "good after bad": (request(signatures="v1,bad v1a,{due}  \tv1,{due}"), None),
    "good in other signs": (request(signatures="v1,{upper}"), Refusal.SIGNATURE),
    "good without its version": (request(signatures="{due}"), Refusal.SIGNATURE),
    "good of another version": (request(signatures="v1a,{due} v2,{due}"), Refusal.SIGNATURE),
    "good, unpadded": (request(signatures="v1,{unpadded}"), Refusal.SIGNATURE),
    "good and a comma": (request(signatures="v1,{due},"), Refusal.SIGNATURE),
    "a version alone": (request(signatures="v1,"), Refusal.SIGNATURE),
    "of another key": (request(signatures="v1,{old}"), Refusal.SIGNATURE),
    "not ASCII": (request(signatures="v1,{due} v1,é"), Refusal.HEADERS),
    "eight signatures": (request(signatures="v1, " * 7 + "v1,{due}"), None),
    "nine signatures": (request(signatures="v1, " * 8 + "v1,{due}"), Refusal.SIZE),
    "2048 signs of signatures": (request(signatures="v1,{due} " + "x" * 2000), None),
    "2049 signs of signatures": (request(signatures="v1,{due} " + "x" * 2001), Refusal.SIZE),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_believed_or_refused_for_its_reason(name: str) -> None:
    asked, expected = REQUESTS[name]
    assert answer(asked) == expected


@pytest.mark.parametrize(("age", "refused"), [(300.0, False), (300.001, True), (-300.001, True)])
def test_the_clock_is_read_in_parts_of_a_second(age: float, refused: bool) -> None:  # noqa: FBT001
    assert answer(request(), CREATED + age) == (Refusal.CLOCK if refused else None)


SHORT, LONG = base64.b64encode(b"s" * 23).decode(), base64.b64encode(b"s" * 25).decode()
SECRETS = {
    SECRET: KEY,
    SECRET.rstrip("="): KEY,
    f"{SECRET}==": KEY,
    f" {SECRET}\n": KEY,
    f"whsec_{LONG}": b"s" * 25,
    "a-secret-without-a-prefix": b"a-secret-without-a-prefix",
    "é" * 12: "é".encode() * 12,
    "é" * 11: None,
    f"whsec_{SHORT}": None,
    "whsec_" + "A" * 33: None,  # of no length that base64 has
    SECRET.replace("s", "S", 1): SECRET.replace("s", "S", 1).encode(),
    SECRET.replace("A", "-", 1): None,
    SECRET.replace("A", "é", 1): None,
    SECRET[:20] + "=" + SECRET[20:]: None,
    SECRET[:20] + "\n" + SECRET[20:]: None,
    SECRET[:20] + "-_.\n" + SECRET[20:]: None,  # of the right length, but for these
    SECRET.replace("_", "_ "): None,
    "whsec_": None,
    "whsec_====": None,
    "": None,
    "\ud800" * 24: None,
}


@pytest.mark.parametrize(("secret", "key"), SECRETS.items(), ids=map(ascii, SECRETS))
def test_a_secret_is_a_key_or_refused(secret: str, key: bytes | None) -> None:
    if key is None:
        with pytest.raises(RefusedWebhookError, match=r"^Secret$"):
            key_of(secret)
    else:
        assert key_of(secret) == key


def test_during_a_rotation_either_secret_is_believed_and_tells_whose_it_is() -> None:
    keys = [("other", b"o" * 24), ("new", KEY), ("old", OLD_KEY)]

    def by(signatures: str, known: list[tuple[str, bytes]]) -> str:
        asked = request(signatures=signatures)
        return verify(asked.headers, asked.body, iter(known), CREATED)

    assert by("v1,{old} v1,{due}", keys) == by("v1,{due} v1,{old}", keys) == "new"
    assert by("v1,{old} v1,{due}", keys[::2]) == by("v1,{old}", keys) == "old"
    for signatures, known, reason in (
        ("v1,{old} v1,{due}", keys[:1], Refusal.SIGNATURE),
        ("v1,{due}", [], Refusal.SECRET),
    ):
        with pytest.raises(RefusedWebhookError) as refused:
            by(signatures, known)
        assert refused.value.reason == reason
