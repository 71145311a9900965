"""The same questions asked of other verifiers: each difference is meant, and has its reason."""

from __future__ import annotations

import base64
import functools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from batchwatch.errors import Refusal
from tests.asked import DAY, KEY, SECRET, Request, answer, request
from tests.builders import CREATED, modest

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENTED = Path(__file__).parent.parent / "docs" / "verifier.md"

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
SHORT_KEY = {"secret": "whsec_" + base64.b64encode(b"s" * 23).decode(), "key": b"s" * 23}

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
    tables = re.findall(r"^\|---.*\n((?:\|.*\n)+)", DOCUMENTED.read_text(), re.MULTILINE)
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


@settings(modest, max_examples=150)
@given(requests())
def test_nobody_else_decides_otherwise_but_where_it_is_listed(asked: Request) -> None:
    compare(asked)


@pytest.mark.full
@settings(modest, max_examples=20_000)
@given(requests())
def test_nobody_else_decides_otherwise_in_many_more_requests(asked: Request) -> None:
    compare(asked)
