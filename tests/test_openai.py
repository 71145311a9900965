"""The client: what it asks, how often it asks again, and what it makes of strange answers."""

import json
import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from threading import Event, Thread, current_thread
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import pytest

from batchwatch.account import trust
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
    SecretError,
    UnsafeIdError,
)
from batchwatch.openai import LONGEST_ANSWER, Account, OpenAI
from batchwatch.retry import Rest
from local.simulator import Script, SimulatedOpenAI
from tests.builders import BATCH, OUTPUT, batch

START = 1_800_000_000.0
NIGHTLY = Script(name="nightly", endpoint="/v1/responses", requests=20, ends="completed", failed=2)
UNSAFE = ["", "../x", "a/b", " a", "a?b", "é", "x" * 513]


class Answer(NamedTuple):
    """What a wire answers: `said` as JSON, or bytes as they are."""

    status: int
    said: Any
    headers: Mapping[str, str] = MappingProxyType({})


@dataclass
class Wire:
    """Answers in turn, the last one for ever; an error among them is raised instead."""

    answers: list[Answer | httpx.RequestError]
    requests: list[httpx.Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    now: float = START

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx.RequestError):
            raise answer
        body = answer.said if isinstance(answer.said, bytes) else json.dumps(answer.said).encode()
        return httpx.Response(answer.status, headers=answer.headers, content=body)

    def sleep(self, seconds: float) -> None:
        """Let time pass, and note how much."""
        self.waits.append(seconds)
        self.now += seconds

    def openai(self, **account: Any) -> OpenAI:
        """Make a client at the other end; it notes its waits instead of waiting."""
        known = {"name": "default", "api_key": "sk-test-0123"} | account
        transport = httpx.MockTransport(self)
        return OpenAI(
            Account(**known), transport=transport, clock=lambda: self.now, sleep=self.sleep
        )


def wire(*answers: Answer | httpx.RequestError) -> Wire:
    return Wire(list(answers))


def failing(status: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"error": {"message": "Try later.", "code": None}}, named)


@pytest.fixture
def simulated() -> Iterator[SimulatedOpenAI]:
    """OpenAI on loopback, where an hour has passed since the start."""
    with SimulatedOpenAI(clock=lambda: START + 3600) as openai:
        yield openai
    assert openai.errors == []


@pytest.fixture
def openai(simulated: SimulatedOpenAI) -> Iterator[OpenAI]:
    with closing(connect(simulated)) as client:
        yield client


def connect(simulated: SimulatedOpenAI, key: str = "sk-simulated") -> OpenAI:
    account = Account("default", key, base_url=simulated.base_url)
    return OpenAI(account, sleep=lambda _: None)


def add(simulated: SimulatedOpenAI, number: int) -> list[str]:
    """Give OpenAI that many batches; the newest first, as it lists them."""
    return [simulated.add(NIGHTLY, created_at=START + n) for n in range(number)][::-1]


# What it asks


def test_a_batch_is_retrieved_as_it_is(simulated: SimulatedOpenAI, openai: OpenAI) -> None:
    (batch_id,) = add(simulated, 1)
    assert openai.retrieve(batch_id).said == simulated.batch(batch_id)


def test_pages_lead_through_every_batch_newest_first(
    simulated: SimulatedOpenAI, openai: OpenAI
) -> None:
    ids = add(simulated, 120)
    first = openai.page()
    second = openai.page(first.cursor)
    assert [each.id for each in first.batches + second.batches] == ids
    assert (first.cursor, second.cursor) == (ids[99], None)
    assert [each.id for each in openai.page(ids[9], limit=5).batches] == ids[10:15]


def test_an_account_tells_its_key_organization_and_project() -> None:
    line = wire(Answer(200, batch()))
    line.openai(organization="org-1", project="proj_1", base_url="https://gate.way/v9/").retrieve(
        BATCH
    )
    line.openai().retrieve(BATCH)
    named, plain = line.requests
    assert named.headers["authorization"] == "Bearer sk-test-0123"
    assert named.headers["openai-organization"] == "org-1"
    assert named.headers["openai-project"] == "proj_1"
    assert str(named.url) == f"https://gate.way/v9/batches/{BATCH}"
    assert str(plain.url) == f"https://api.openai.com/v1/batches/{BATCH}"
    assert not {"openai-organization", "openai-project"} & set(plain.headers)


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_an_unsafe_id_is_refused_before_anything_is_asked(unsafe: str) -> None:
    line = wire(Answer(200, batch()))
    openai = line.openai()
    for ask in (openai.retrieve, openai.file, openai.page):
        if ask == openai.page and not unsafe:
            continue  # the first page
        with pytest.raises(UnsafeIdError):
            ask(unsafe)
    with pytest.raises(UnsafeIdError), openai.stream_file(unsafe, {}):
        pass
    assert line.requests == []


def test_an_id_with_reserved_characters_is_one_segment_of_the_path() -> None:
    line = wire(Answer(200, batch() | {"id": "a:b=c.d"}))
    assert line.openai().retrieve("a:b=c.d").id == "a:b=c.d"
    assert line.requests[0].url.raw_path == b"/v1/batches/a%3Ab%3Dc.d"


def test_a_redirect_does_not_carry_the_key_away() -> None:
    line = wire(Answer(302, b"", {"location": "https://elsewhere.example/v1/batches"}))
    with pytest.raises(OpenAIError) as refusal:
        line.openai().retrieve(BATCH)
    assert refusal.value.status == 302
    assert [request.url.host for request in line.requests] == ["api.openai.com"]


@pytest.mark.parametrize(
    "good",
    [
        "https://api.openai.com/v1",
        "http://localhost:8080/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:9",
    ],
)
def test_a_key_may_go_over_https_or_stay_on_this_machine(good: str) -> None:
    line = wire(Answer(200, batch()))
    line.openai(base_url=good).retrieve(BATCH)
    assert str(line.requests[0].url) == f"{good}/batches/{BATCH}"


@pytest.mark.parametrize(
    "bad",
    [
        "http://api.openai.com/v1",
        "http://10.0.0.1/v1",
        "http://localhost.example/v1",
        "http://127.0.0.1.example/v1",
        "http://0.0.0.0/v1",
        "ftp://127.0.0.1/v1",
        "//api.openai.com/v1",
        "api.openai.com/v1",
        "",
        "http://[::1",
        "https://gate.way:port/v1",
    ],
)
def test_a_key_goes_nowhere_else(bad: str) -> None:
    with pytest.raises(SecretError):
        wire().openai(base_url=bad)


# Lists that are odd


ODD: list[Any] = [
    {"id": "x"},
    None,
    7,
    {"status": "failed"},
    {"error": {}},
    batch() | {"id": "a/b"},
]


def rows(ids: str) -> list[Any]:
    return [batch() | {"id": each} for each in ids]


@pytest.mark.parametrize(
    ("said", "ids", "cursor", "unreadable"),
    [
        ({"data": rows("ab"), "has_more": False, "last_id": "b"}, "ab", None, 0),
        ({"data": rows("ab"), "last_id": "b"}, "ab", None, 0),
        ({"data": rows("ab"), "has_more": None, "last_id": "b"}, "ab", None, 0),
        ({"data": rows("ab"), "has_more": True, "last_id": "c"}, "ab", "c", 0),
        ({"data": rows("ab"), "has_more": True}, "ab", "b", 0),
        *[
            ({"data": rows("ab"), "has_more": True, "last_id": odd}, "ab", "b", 0)
            for odd in (None, "", 7, "a/b", ["c"])
        ],
        ({"data": [], "has_more": True, "last_id": "c"}, "", "c", 0),
        ({"data": [], "has_more": True}, "", None, 0),
        ({"data": [*ODD, *rows("ab")], "has_more": True}, "ab", "b", 6),
        ({"data": [*rows("ab"), *ODD], "has_more": True}, "ab", "x", 6),
        ({"data": ODD[1:], "has_more": True}, "", None, 5),
        ({"data": ODD, "has_more": False}, "", None, 6),
        ({"value": rows("ab"), "has_more": True}, "ab", "b", 0),
        ({"data": None, "value": rows("ab")}, "ab", None, 0),
        ({"data": rows("a"), "value": rows("b")}, "a", None, 0),
        ({"data": [], "value": rows("b")}, "", None, 0),
        ({"data": rows("aab")}, "aab", None, 0),
    ],
)
def test_a_page_tells_its_batches_where_the_next_begins_and_how_much_was_unreadable(
    said: dict[str, Any], ids: str, cursor: str | None, unreadable: int
) -> None:
    page = wire(Answer(200, said)).openai().page()
    assert "".join(each.id for each in page.batches) == ids
    assert (page.cursor, page.unreadable) == (cursor, unreadable)


def test_a_page_is_asked_for_by_cursor_and_size() -> None:
    line = wire(Answer(200, {"data": []}))
    line.openai().page()
    line.openai().page("a:b=c", limit=7)
    first, next_one = (dict(request.url.params) for request in line.requests)
    assert (first, next_one) == ({"limit": "100"}, {"limit": "7", "after": "a:b=c"})


@pytest.mark.parametrize(
    "said", [[], {}, {"data": None}, {"data": {"a": 1}}, {"value": 7}, {"error": {}}]
)
def test_a_list_without_rows_is_no_list(said: object) -> None:
    with pytest.raises(BadAnswerError):
        wire(Answer(200, said)).openai().page()


# How often it asks again

BACKOFF = [(0.375, 0.5), (0.75, 1.0)]


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        *[(failing(status), BACKOFF) for status in (408, 409, 429, 500, 502, 503, 504, 529)],
        *[(failing(status), []) for status in (301, 400, 401, 403, 404, 410, 422)],
        (failing(400, x_should_retry="true"), BACKOFF),
        (failing(503, x_should_retry="false"), []),
        (failing(429, retry_after_ms="1500"), [(1.5, 1.5)] * 2),
        (failing(429, retry_after_ms="1500", retry_after="7"), [(1.5, 1.5)] * 2),
        (failing(429, retry_after_ms="soon", retry_after="7"), [(7, 7)] * 2),
        (failing(429, retry_after="0.25"), [(0.25, 0.25)] * 2),
        (failing(429, retry_after="10"), [(10, 10)] * 2),
        (failing(429, retry_after="11"), []),
        (failing(429, retry_after_ms="10001"), []),
        *[(failing(429, retry_after=odd), BACKOFF) for odd in ("0", "-3", "soon", "nan", "")],
        (httpx.ConnectError("refused"), BACKOFF),
        (httpx.ReadTimeout("silent"), BACKOFF),
        (httpx.RemoteProtocolError("gone"), BACKOFF),
    ],
)
def test_a_request_is_repeated_twice_where_that_may_help(
    answer: Answer | httpx.RequestError, waits: list[tuple[float, float]]
) -> None:
    line = wire(answer)
    with pytest.raises(OpenAIError) as trouble:
        line.openai().retrieve(BATCH)
    assert trouble.value.status == (answer.status if isinstance(answer, Answer) else None)
    assert len(line.requests) == len(line.waits) + 1 == len(waits) + 1
    for waited, (least, most) in zip(line.waits, waits, strict=True):
        assert least <= waited <= most


@pytest.mark.parametrize(
    ("seconds", "waits"), [(9, [(9, 9), (0.75, 1)]), (600, []), (-9, BACKOFF)], ids=str
)
def test_a_date_to_come_back_at_is_kept(seconds: float, waits: list[tuple[float, float]]) -> None:
    date = format_datetime(datetime.fromtimestamp(START + seconds, UTC), usegmt=True)
    line = wire(failing(503, retry_after=date))
    with pytest.raises(OpenAIError):
        line.openai().retrieve(BATCH)
    assert len(line.waits) == len(waits)
    for waited, (least, most) in zip(line.waits, waits, strict=True):
        assert least <= waited <= most


def test_a_request_that_succeeds_when_repeated_has_succeeded() -> None:
    line = wire(httpx.ConnectError("refused"), failing(503), Answer(200, batch()))
    assert line.openai().retrieve(BATCH).said == batch()
    assert len(line.waits) == 2


def test_clients_do_not_ask_again_all_at_once() -> None:
    line = wire(failing(503))
    for _ in range(20):
        with pytest.raises(OpenAIError):
            line.openai().retrieve(BATCH)
    assert len(set(line.waits)) > 20


# How an account rests

LIMITED = failing(429)
FINE = Answer(200, batch())


def ask(openai: OpenAI, times: int = 1) -> list[int | None]:
    """Ask for a batch; tell each time the status of the refusal, or nothing."""
    return [refusal.status if (refusal := refused(openai)) else None for _ in range(times)]


def refused(openai: OpenAI) -> OpenAIError | None:
    try:
        openai.retrieve(BATCH)
    except OpenAIError as refusal:
        return refusal
    return None


def test_after_a_429_no_other_thread_asks_before_the_account_has_rested() -> None:
    began, first_rests = Event(), Event()
    sent: list[str] = []
    slept: dict[str, list[float]] = {"first": [], "second": []}

    def answer(_: httpx.Request) -> httpx.Response:
        sent.append(current_thread().name)
        return httpx.Response(429, headers={"retry-after": "7"}) if len(sent) == 1 else fine()

    def sleep(seconds: float) -> None:
        slept[current_thread().name].append(seconds)
        if current_thread().name == "first":
            began.set()
            assert first_rests.wait(10)
        else:
            first_rests.set()

    transport = httpx.MockTransport(answer)
    openai = OpenAI(Account("a", "sk-1"), transport=transport, clock=lambda: START, sleep=sleep)
    first = Thread(target=openai.retrieve, args=(BATCH,), name="first")
    second = Thread(target=openai.retrieve, args=(BATCH,), name="second")
    first.start()
    assert began.wait(10)
    second.start()
    for thread in (first, second):
        thread.join(10)
    assert slept == {"first": [7], "second": [7]}
    assert sorted(sent) == ["first", "first", "second"]


def fine() -> httpx.Response:
    return httpx.Response(200, json=batch())


def test_a_rest_that_is_over_delays_nobody() -> None:
    line = wire(failing(429, retry_after="7"), FINE)
    openai = line.openai()
    assert ask(openai, 3) == [None] * 3
    assert line.waits == [7]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "11"}, 11),
        ({"retry_after_ms": "60500"}, 60.5),
        ({"retry_after": "3600"}, 3600),
        ({"retry_after": "86400"}, 3600),
        ({"retry_after": "inf"}, 3600),
        ({"retry_after": "30", "x_should_retry": "false"}, 30),
    ],
)
def test_a_long_rest_is_kept_without_asking(headers: dict[str, str], seconds: float) -> None:
    line = wire(failing(429, **headers), FINE)
    openai = line.openai()
    assert ask(openai, 3) == [429] * 3
    assert (len(line.requests), line.waits) == (1, [])
    line.now += seconds - 10.5
    trouble = refused(openai)
    assert isinstance(trouble, RateLimitedError)
    assert (trouble.status, trouble.passing) == (429, True)
    assert str(trouble) == f"GET batches/{BATCH}: not sent, 11 s to rest after a 429"
    assert len(line.requests) == 1
    line.now += 0.5
    assert ask(openai) == [None]
    assert line.waits == [10]


def test_who_gives_up_again_and_again_rests_for_longer_each_time() -> None:
    rests = []
    line = wire(LIMITED)
    rest = Rest(lambda: line.now)
    for _ in range(8):
        rest.give_up(None, rest.given_up)
        rests.append(rest.left())
        line.now += rest.left()
    assert rests == [8, 16, 32, 64, 128, 256, 300, 300]


def test_who_gives_up_rests_and_a_success_ends_the_row() -> None:
    line = wire(LIMITED)
    openai = line.openai()
    assert ask(openai, 3) == [429] * 3
    assert len(line.requests) == 6  # the third was not sent: sixteen seconds are too long
    assert line.waits[2] == 8
    line.now += 16
    line.answers = [FINE, LIMITED, LIMITED, LIMITED, FINE]
    assert ask(openai, 3) == [None, 429, None]
    assert line.waits[-1] == 8


def test_what_was_given_up_at_once_counts_once() -> None:
    rest = Rest(lambda: START)
    for _ in range(8):
        rest.give_up(None, 0)
    assert (rest.left(), rest.given_up) == (8, 1)


def test_a_short_rest_does_not_end_a_long_one() -> None:
    rest = Rest(lambda: START)
    for seconds in (90, 5):
        rest.take(seconds)
    assert rest.left() == 90


def test_a_file_that_is_refused_by_429_makes_the_account_rest() -> None:
    line = wire(failing(429, retry_after="7"), FINE)
    openai = line.openai()
    with pytest.raises(RateLimitedError), openai.stream_file(OUTPUT, {}):
        pass
    assert ask(openai) == [None]
    assert (len(line.requests), line.waits) == (2, [7])


def test_a_file_is_not_asked_for_while_the_account_rests() -> None:
    line = wire(failing(429, retry_after="60"))
    openai = line.openai()
    assert ask(openai) == [429]
    with pytest.raises(RateLimitedError, match="60 s to rest"), openai.stream_file(OUTPUT, {}):
        pass
    assert len(line.requests) == 1


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (failing(429, retry_after="7"), [7, 7]),
        (failing(503, retry_after="7"), [7]),
        (failing(503, retry_after="60"), []),
    ],
)
def test_only_a_429_keeps_others_from_asking(answer: Answer, waits: list[float]) -> None:
    line = wire(answer, FINE)
    openai = line.openai()
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            assert ask(openai) == [None]

    openai._sleep = sleep
    ask(openai)
    line.now += 7
    assert ask(openai) == [None]
    assert waited == waits


def test_one_account_does_not_rest_for_another() -> None:
    line = wire(failing(429, retry_after="60"), FINE)
    assert ask(line.openai()) == [429]
    assert ask(line.openai(name="other")) == [None]
    assert line.waits == []


# Answers that are none


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"error":"Later."}', b'{"error":{}}'])
@pytest.mark.parametrize(
    ("status", "kind", "is_passing"),
    [
        (400, OpenAIError, False),
        (401, AccessError, True),
        (403, AccessError, True),
        (404, NotFoundError, False),
        (429, RateLimitedError, True),
        (500, OpenAIError, True),
    ],
)
def test_a_refusal_tells_its_kind_whatever_its_body(
    status: int, kind: type[OpenAIError], *, is_passing: bool, body: bytes
) -> None:
    with pytest.raises(OpenAIError) as refusal:
        wire(Answer(status, body)).openai().retrieve(BATCH)
    assert type(refusal.value) is kind
    assert (refusal.value.status, refusal.value.passing) == (status, is_passing)
    assert "<html>" not in str(refusal.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"code": "rate_limit_exceeded", "message": "Tell me of Rome"}, "429 rate_limit_exceeded"),
        ({"code": None, "type": "server_error"}, "429 server_error"),
        ({"code": "Tell me of Rome", "type": "x"}, "429 Too Many Requests"),
        ({"code": 7}, "429 7"),
        ({"message": "Tell me of Rome"}, "429 Too Many Requests"),
    ],
)
def test_a_refusal_is_told_by_its_code_as_words_may_quote_a_prompt(
    error: dict[str, Any], told: str
) -> None:
    with pytest.raises(OpenAIError) as refusal:
        wire(Answer(429, {"error": error})).openai().retrieve(BATCH)
    assert str(refusal.value) == f"GET batches/{BATCH}: {told}"


def test_a_refused_key_is_told_in_openais_words() -> None:
    words = "You have insufficient permissions for this operation."
    with pytest.raises(AccessError, match=f"403 {words}"):
        wire(Answer(403, {"error": {"message": words}})).openai().retrieve(BATCH)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"not JSON",
        b"\xff",
        b"[]",
        b"null",
        b'"text"',
        b'{"error":{"message":"No batch."}}',
        b'{"id":"batch_2","status":"completed"}',
        b"[" * 100_000,
    ],
    ids=lambda body: str(body[:20]),
)
def test_a_success_that_is_no_batch_is_a_bad_answer(body: bytes) -> None:
    line = wire(Answer(200, body))
    with pytest.raises(BadAnswerError):
        line.openai().retrieve(BATCH)
    assert len(line.requests) == 1


@dataclass
class Endless:
    """An answer that never ends; `given`: bytes of it that were taken. Packed, 1 is 1,000."""

    status: int
    packed: bool = False
    given: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Begin to answer."""
        headers = {"content-encoding": "gzip"} if self.packed else {}
        return httpx.Response(self.status, headers=headers, content=self._pieces(), request=request)

    def _pieces(self) -> Iterator[bytes]:
        pack = zlib.compressobj(wbits=31)
        while True:
            piece = b'{"error": "' + b" " * 1_000_000
            piece = pack.compress(piece) + pack.flush(zlib.Z_SYNC_FLUSH) if self.packed else piece
            self.given += len(piece)
            yield piece


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("status", "error"), [(200, BadAnswerError), (401, AccessError), (404, NotFoundError)]
)
def test_an_answer_that_never_ends_is_not_read_for_ever(
    status: int, error: type[OpenAIError], *, packed: bool
) -> None:
    """It would take the memory that all accounts share."""
    answer = Endless(status, packed)
    openai = OpenAI(Account("default", "sk-1"), transport=httpx.MockTransport(answer))

    with pytest.raises(error):
        openai.retrieve(BATCH)

    if status != 200:  # else it is a file, which others read bit by bit
        with pytest.raises(error), openai.stream_file(OUTPUT, {}):
            pass
    assert answer.given < 3 * LONGEST_ANSWER / (500 if packed else 1)


@pytest.mark.parametrize("said", [{"id": "file-2", "bytes": 7}, {"bytes": 7}, [], None])
def test_metadata_of_another_file_is_a_bad_answer(said: object) -> None:
    with pytest.raises(BadAnswerError):
        wire(Answer(200, said)).openai().file(OUTPUT)


@pytest.mark.parametrize("said", [{}, {"bytes": None}, {"bytes": "7"}, {"bytes": -1}])
def test_a_size_that_is_not_said_is_not_known(said: dict[str, Any]) -> None:
    assert wire(Answer(200, {"id": OUTPUT} | said)).openai().file(OUTPUT).size is None


@pytest.mark.parametrize("key", ["sk-proj-0123_45", "gw.0123/45+6=", "0123456789abcdef"])
def test_a_key_is_in_no_error(key: str) -> None:
    said = f"Incorrect API key provided: {key}."
    for trouble in (
        Answer(401, {"error": {"message": said}}),
        Answer(400, {"error": said}),
        httpx.LocalProtocolError(f"Illegal header value b'Bearer {key}'"),
    ):
        with pytest.raises(OpenAIError) as error:
            wire(trouble).openai(api_key=key).retrieve(BATCH)
        assert key[3:] not in str(error.value)


def test_what_a_server_leaves_of_a_key_is_in_no_error() -> None:
    told = "Incorrect API key provided: sk-pr***3_45. You can find your key at your account."
    with pytest.raises(AccessError, match="provided: … You can") as refusal:
        wire(Answer(401, {"error": {"message": told}})).openai().retrieve(BATCH)
    assert "3_45" not in str(refusal.value)


def test_a_wrong_key_is_refused(simulated: SimulatedOpenAI) -> None:
    with closing(connect(simulated, key="sk-another")) as openai, pytest.raises(AccessError):
        openai.retrieve(BATCH)


def test_whoever_is_asked_must_show_who_he_is() -> None:
    assert trust().verify_mode is ssl.CERT_REQUIRED
    assert trust().check_hostname
