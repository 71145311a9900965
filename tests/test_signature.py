"""Whom we believe: signature vectors, edges, and the same questions asked of other verifiers."""

from __future__ import annotations

import base64
import functools
import hmac
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from batchwatch.errors import Refusal, RefusedWebhookError
from batchwatch.signature import key_of, verify
from tests.builders import CREATED, modest

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(os.environ.get("BATCHWATCH_CONTRACT", "")) / "webhook-vectors.json"
DOCUMENTED = Path(__file__).parent.parent / "docs" / "webhooks.md"
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


# Vectors

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


# Edges


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


# Other verifiers. They read the clock themselves, so what they are asked is of this moment.


def standard(asked: Request) -> bool:
    """Tell whether the library of Standard Webhooks accepts it."""
    return not _raises(
        lambda: Webhook(asked.secret).verify(asked.body, asked.headers, json_parse=False)
    )


def official(asked: Request) -> bool:
    """Tell whether OpenAI's SDK accepts it."""
    check = _sdk().webhooks.verify_signature
    return not _raises(lambda: check(asked.body, asked.headers, secret=asked.secret))


@functools.cache
def _sdk() -> Any:
    from openai import OpenAI  # noqa: PLC0415 - to import it takes longer than all these tests

    return OpenAI(api_key="sk-any")


def _raises(check: Callable[[], object]) -> bool:
    try:
        check()
    except Exception:  # noqa: BLE001 - they refuse in many ways
        return True
    return False


def loosely(encoded: str) -> bytes | None:
    """What Python reads as base64 where it is not told to be strict."""
    try:
        return base64.b64decode(encoded + "==")
    except ValueError:
        return None


def prefixed(asked: Request) -> bool:
    return asked.secret.startswith("whsec_")


def odd_time(asked: Request) -> bool:
    return not re.fullmatch(r"[0-9]{1,12}", stamp(asked))


def stamp(asked: Request) -> str:
    return asked.headers.get("webhook-timestamp", "")


def listed(asked: Request) -> str:
    return asked.headers.get("webhook-signature", "")


class Difference(NamedTuple):
    """An answer of ours that others do not give, of what it `applies` to, and an example."""

    reason: str
    others: tuple[Callable[[Request], bool], ...]
    applies: Callable[[Request], bool]
    example: dict[str, Any]


BOTH = (standard, official)
PLAIN = r"{0}( {0})*".format(r"[^\s,]+,([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""Signatures set off by single spaces, each a version and base64."""
TEXT = "a-secret-without-a-prefix-"
SHORT_KEY = {"secret": f"whsec_{SHORT}", "key": b"s" * 23}

WE_REFUSE = [
    Difference(
        "a key under 24 bytes can be guessed",
        BOTH, lambda r: len(r.key) < 24, SHORT_KEY,
    ),
    Difference(
        "no key at all is no key",
        (official,), lambda r: r.key == b"", {"secret": "whsec_", "key": b""},
    ),
    Difference(
        "a secret is base64 throughout, or mistyped",
        BOTH,
        lambda r: prefixed(r) and not re.fullmatch(r"[A-Za-z0-9+/]*=*", r.secret.strip()[6:]),
        {"secret": SECRET[:20] + "-" + SECRET[20:]},
    ),
    Difference(
        "a secret without whsec_ is the key itself, as for the SDK",
        (standard,),
        lambda r: not prefixed(r) and r.key == loosely(r.secret) != r.secret.encode(),
        {"secret": SECRET[6:]},
    ),
    Difference(
        "space around a secret is not part of it",
        (official,),
        lambda r: r.secret != r.secret.strip() and r.key == r.secret.encode(),
        {"secret": TEXT + " ", "key": TEXT.encode() + b" "},
    ),
    Difference(
        "an id is [A-Za-z0-9_-]{1,128}: with a dot, what is signed can be read in two ways",
        BOTH,
        lambda r: not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", r.headers.get("webhook-id", "")),
        {"delivery": "wh.1"},
    ),
    Difference(
        "a timestamp is whole seconds",
        (standard,), odd_time, {"sent": "{now}.5", "signed": "{now}"},
    ),
    Difference(
        "a timestamp is up to twelve ASCII digits, and no sign, space or underscore",
        (official,), odd_time, {"sent": " {now}"},
    ),
    Difference(
        "what is signed is the timestamp as sent",
        (standard,), lambda r: stamp(r) != r.signed, {"sent": "0{now}", "signed": "{now}"},
    ),
    Difference(
        "no webhook has a body over 64 KiB",
        BOTH, lambda r: len(r.body) > 65_536, {"body": b" " * 65_537},
    ),
    Difference(
        "no webhook has more than eight signatures, or 2048 signs of them",
        BOTH,
        lambda r: len(listed(r).split()) > 8 or len(listed(r)) > 2048,
        {"signatures": "v1,{due}" + " v1,AAAA" * 8},
    ),
    Difference(
        "signatures are ASCII, also after the one that fits",
        BOTH, lambda r: not listed(r).isascii(), {"signatures": "v1,{due} v1,é"},
    ),
    Difference(
        "a signature has its version",
        (official,),
        lambda r: r.due in listed(r).split() and f"v1,{r.due}" not in listed(r).split(),
        {"signatures": "{due}"},
    ),
    Difference(
        "a signature is written in one way",
        (standard,),
        lambda r: f"v1,{r.due}" not in listed(r).split()
        and any(
            each[:3] == "v1," and loosely(each[3:]) == base64.b64decode(r.due)
            for each in listed(r).split(" ")
        ),
        {"signatures": "v1,{other_bits}"},
    ),
]  # fmt: skip
"""They accept some of these; we, none."""

THEY_REFUSE = [
    Difference(
        "a body is bytes; whether it is text is asked later",
        BOTH, lambda r: _raises(r.body.decode), {"body": b"\xff"},
    ),
    Difference(
        "padding says nothing about a secret",
        (official,),
        lambda r: prefixed(r) and _raises(lambda: base64.b64decode(r.secret[6:])),
        {"secret": SECRET.rstrip("=")},
    ),
    Difference(
        "space around a secret is not part of it",
        BOTH,
        lambda r: r.secret != r.secret.strip() and not prefixed(r),
        {"secret": " " + SECRET},
    ),
    Difference(
        "a secret without whsec_ is the key itself, as for the SDK",
        (standard,), lambda r: not prefixed(r), {"secret": TEXT, "key": TEXT.encode()},
    ),
    Difference(
        "what is signed is the timestamp as sent",
        (standard,), lambda r: stamp(r) != str(int(stamp(r))), {"sent": "0{now}"},
    ),
    Difference(
        "a strange signature beside the one that fits does no harm, nor does a tab",
        (standard,),
        lambda r: not re.fullmatch(PLAIN, listed(r)), {"signatures": "v1 v1,{due}"},
    ),
]  # fmt: skip
"""We accept some of these; they, none, or not always."""


@pytest.mark.parametrize("each", WE_REFUSE, ids=lambda each: each.reason)
def test_what_others_accept_and_we_refuse_is_so(each: Difference) -> None:
    now = time.time()
    asked = request(now=now, **each.example)
    assert each.applies(asked)
    assert [other(asked) for other in each.others] == [True] * len(each.others)
    assert answer(asked, now) is not None


@pytest.mark.parametrize("each", THEY_REFUSE, ids=lambda each: each.reason)
def test_what_we_accept_and_others_refuse_is_so(each: Difference) -> None:
    now = time.time()
    asked = request(now=now, **each.example)
    assert each.applies(asked)
    assert [other(asked) for other in each.others] == [False] * len(each.others)
    assert answer(asked, now) is None


def test_the_sdk_rounds_its_clock_and_we_do_not() -> None:
    while True:
        before = time.time()
        asked = request(now=before - 300)
        accepted = official(asked)
        if int(before) == int(time.time()) and before % 1:
            break  # else the second has changed meanwhile
    assert accepted
    assert answer(asked, before) == Refusal.CLOCK


def test_every_difference_has_its_row_in_the_documentation() -> None:
    sections = DOCUMENTED.read_text().partition("\n## What is refused")[2].partition("\n## ")[0]
    tables = re.findall(r"^\|---.*\n((?:\|.*\n)+)", sections, re.MULTILINE)
    # The clock of the SDK is not in the list, as time cannot be chosen for it.
    assert [table.count("\n") for table in tables] == [len(WE_REFUSE) + 1, len(THEY_REFUSE)]


def mostly(usual: Any, *odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw the usual three times of four, so that a request has one or two oddities."""
    return st.integers(0, 3).flatmap(lambda n: st.one_of(*odd) if n == 3 else st.just(usual))


prefixes = st.sampled_from(["", "whsec_", "whsec_", "WHSEC_", " whsec_", "whsec_ ", "v1,"])
suffixes = st.sampled_from(["", "", "=", "==", " ", "\n", "=\t", "-", "é"])
raw_keys = st.binary(min_size=24, max_size=40) | st.binary(max_size=26)
encoded = raw_keys.map(lambda key: base64.b64encode(key).decode())
encodings = st.one_of(
    encoded,
    encoded.map(lambda text: text.rstrip("=")),
    encoded.map(lambda text: text.replace("+", "-").replace("/", "_")),
    encoded.map(lambda text: text[:9] + "\n" + text[9:]),
    encoded.map(lambda text: text[:8] + "-_.\n" + text[8:]),
    encoded.map(lambda text: text[:8] + "=" + text[8:]),
    st.text("abcXYZ09+/=-_ \n.é", max_size=45),
)


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, bytes]:
    """Give a secret, and a key that somebody may take it for."""
    secret = draw(prefixes) + draw(encodings) + draw(suffixes)
    bare = secret.strip()
    readings = [secret.encode(), bare.encode(), loosely(secret), loosely(secret[6:])]
    readings.append(loosely(bare.removeprefix("whsec_")))
    return secret, draw(st.sampled_from([key for key in readings if key is not None]))


# fmt: off
sent_times = st.sampled_from([
    "0{now}", "00{now}", "{now:013}", " {now}", "{now} ", "{now}\n", "\t{now}", "+{now}", "-{now}",
    "{now}.0", "{now}.9", "{now}.", "{now:_}", "{now:,}", "{now:.9e}", "{now:x}", "{now}000",
    "{arabic}", "", "0", "nan", "inf", "-1", "1e999", "{now} {now}", "²", "9" * 12, "9" * 5000,
])
forms = st.sampled_from([
    "v1,{due}", "v1,{due}", "v1,{due}", "v1,{due}", "v1,{old}", "{due}", "v1,{due}=",
    "v1,{unpadded}", "v1,{url_safe}", "v1,{other_bits}", "v1,{folded}", "v1,{upper}", "v1a,{due}",
    "V1,{due}", "v2,{due}", "v1, {due}", "v1,,{due}", "v1,{due},", "v1={due}", "\tv1,{due}", "v1",
    "v1,", ",", "", "é", "v1,é", "v1," + "x" * 400, "v1,{due}\u00a0", "v1,{due}\x85", "v1,{due}\n",
    "v1,{due}\x1f", "v1,{due}\0", "\ud800",
])
separators = st.sampled_from([
    " ", " ", " ", " ", " ", " ", "  ", "\t", "\n", ",", ", ", " \r\n ", "\u2003", "",
])
# fmt: on
deliveries = st.sampled_from(
    ["", "wh.1", "wh 1", " wh_1", "wh_1\n", "wh_é", "w" * 128, "w" * 129, "\ud800", "../x", "0"]
)
bodies = st.one_of(
    st.binary(),
    st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"", b"\xef\xbb\xbf{}", b"{}\r\n", b"\xed\xa0\x80", b"\xc0\x80"]),
    st.sampled_from([65_535, 65_536, 65_537, 200_000]).map(lambda size: b"a" * size),
)
offsets = st.integers(-200, 200) | st.sampled_from([400, -400, DAY, -DAY, -CREATED])


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Give what is a valid request of this moment, but for a few oddities."""
    secret, key = draw(mostly((SECRET, KEY), secrets()))
    each = draw(mostly(["v1,{due}"], st.lists(forms, max_size=10)))
    asked = request(
        secret,
        key,
        now=int(time.time()) + draw(mostly(0, offsets)),
        delivery=draw(mostly("wh_1", deliveries, st.text(max_size=9))),
        sent=draw(mostly("{now}", sent_times)),
        signed=draw(mostly(None, st.just("{now}"))),
        body=draw(mostly(b"{}", bodies)),
        altered=draw(mostly(b"", st.just(b""), st.sampled_from([b" ", b"\n", b"\0", b"\xff"]))),
        signatures=draw(separators).join(each),
    )
    missing = draw(mostly(None, st.just(None), st.sampled_from(sorted(asked.headers))))
    named = {name: value for name, value in asked.headers.items() if name != missing}
    return asked._replace(headers=named)


def compare(asked: Request) -> None:
    """Everybody gives the same answer, but for the differences that are listed."""
    accepted = answer(asked, time.time()) is None
    refused = [each for each in WE_REFUSE if each.applies(asked)]
    assert not (accepted and refused)
    for other in BOTH:
        if other(asked) != accepted:
            differences = THEY_REFUSE if accepted else WE_REFUSE
            assert [each for each in differences if other in each.others and each.applies(asked)]


@settings(modest, max_examples=250)
@given(requests())
def test_nobody_else_decides_otherwise_but_where_it_is_listed(asked: Request) -> None:
    compare(asked)


@pytest.mark.full
@settings(modest, max_examples=20_000)
@given(requests())
def test_nobody_else_decides_otherwise_in_many_more_requests(asked: Request) -> None:
    compare(asked)
