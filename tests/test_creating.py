"""Requests that change something: as the official SDK sends them, checked before, never twice."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import socket
import socketserver
import struct
import tracemalloc
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from batchwatch.creating import ENDPOINTS, NewBatch, checked_expiry, checked_metadata
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    EndedError,
    NotFoundError,
    OpenAIError,
    ParameterError,
    RateLimitedError,
    UnsafeIdError,
)
from batchwatch.openai import Account, OpenAI
from tests.builders import BATCH, batch, modest
from tests.test_openai import UNSAFE, Answer, failing, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONTRACT = Path(os.environ.get("BATCHWATCH_CONTRACT", ""))
recorded = pytest.mark.skipif(
    not CONTRACT.is_absolute(), reason="BATCHWATCH_CONTRACT names no folder"
)
KEY = "sk-test"
LINE = b'{"custom_id":"a"}\n'
NEW = NewBatch(input_file_id="file-1", endpoint="/v1/responses")
FULL = NewBatch(
    input_file_id="file-1",
    endpoint="/v1/responses",
    metadata={"a": "b"},
    output_expires_after=3600,
)
CREATED = batch("validating") | {"id": "batch_1", "data": [], "bytes": len(LINE)}
"""An answer for every question of this file."""


# A server on loopback


class Seen(NamedTuple):
    """A request as it was on the wire; of its body the first 64 KiB, and a digest of all."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    digest: str

    def comparable(self) -> tuple[Any, ...]:
        """What two clients must send alike, but for the boundary of a form."""
        boundary = self.headers.get("content-type", "").partition("boundary=")[2] or "-" * 99
        names = ("authorization", "accept", "content-type", "content-length")
        headers = {name: self.headers.get(name) for name in names}
        text = json.dumps([self.method, self.target, headers, self.body.decode()])
        return tuple(json.loads(text.replace(boundary, "<boundary>")))


class Loopback(socketserver.ThreadingTCPServer):
    """Notes requests; gives its answers in turn, the last one for ever.

    Bytes are an answer, then the connection ends; a number: it is reset after that many bytes of
    the body.
    """

    daemon_threads = True
    request_queue_size = 50

    def __init__(self, *answers: bytes | int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.seen: list[Seen] = []

    @property
    def base_url(self) -> str:
        """Where a client finds it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def openai(self) -> OpenAI:
        """Make a client that does not wait."""
        return OpenAI(Account("default", KEY, base_url=self.base_url), sleep=lambda _: None)


class _Handler(socketserver.StreamRequestHandler):
    server: Loopback

    def handle(self) -> None:
        first = self.rfile.readline().decode().split()
        if not first:
            return
        lines = iter(self.rfile.readline, b"\r\n")
        headers = {
            k.lower(): v.strip() for k, _, v in (each.decode().partition(":") for each in lines)
        }
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        length = int(headers.get("content-length", 0))
        left = min(length, answer) if isinstance(answer, int) else length
        body, digest = b"", hashlib.sha256()
        while left and (chunk := self.rfile.read(min(left, 65_536))):
            body = body or chunk
            digest.update(chunk)
            left -= len(chunk)
        if not left:  # else the client broke off
            self.server.seen.append(Seen(first[0], first[1], headers, body, digest.hexdigest()))
        if isinstance(answer, bytes):
            self.wfile.write(answer)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def http(status: int, said: Any, length: int | None = None) -> bytes:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    size = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode() + body


@contextmanager
def serving(*answers: bytes | int) -> Iterator[Loopback]:
    with Loopback(*answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# As the SDK sends them


def ours(openai: OpenAI) -> None:
    """Do all that this client can, each time with all there is to say."""
    openai.upload("in.jsonl", len(LINE), lambda: [LINE[:5], b"", LINE[5:]], expires_after=3600)
    openai.create(FULL)
    openai.page("batch_0", limit=2)
    openai.retrieve("batch_1")
    openai.cancel("batch_1")
    with openai.stream_file("file-1", {"Accept": "application/binary"}):
        pass


def theirs(base_url: str) -> None:
    """Do the same with the SDK."""
    import openai as sdk  # noqa: PLC0415 - to import it takes longer than most of these tests

    expiry: Any = {"anchor": "created_at", "seconds": 3600}
    with sdk.OpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        client.files.create(file=("in.jsonl", LINE), purpose="batch", expires_after=expiry)
        client.batches.create(
            input_file_id="file-1",
            endpoint="/v1/responses",
            completion_window="24h",
            metadata={"a": "b"},
            output_expires_after=expiry,
        )
        client.batches.list(after="batch_0", limit=2)
        client.batches.retrieve("batch_1")
        client.batches.cancel("batch_1")
        client.files.content("file-1")


@pytest.fixture(scope="module")
def sent() -> list[Seen]:
    """All our requests, as they came in."""
    with serving(http(200, CREATED)) as server, closing(server.openai()) as openai:
        ours(openai)
        return server.seen


def test_each_request_is_that_of_the_installed_sdk(sent: list[Seen]) -> None:
    with serving(http(200, CREATED)) as server:
        theirs(server.base_url)
        assert [each.comparable() for each in sent] == [each.comparable() for each in server.seen]


@recorded
def test_each_request_is_that_of_the_recorded_sdk(sent: list[Seen]) -> None:
    requests = json.loads((CONTRACT / "sdk-requests.json").read_text())["requests"][: len(sent)]
    for ours, theirs in zip(sent, requests, strict=True):
        headers = {name.lower(): value for name, value in theirs["headers"].items()}
        wanted = Seen(theirs["method"], theirs["path"], headers, theirs["body"].encode(), "")
        assert ours.comparable() == wanted.comparable()


def test_what_is_sent_is_what_the_reference_says(sent: list[Seen]) -> None:
    upload, create, _, _, cancel, _ = sent
    form = upload.body.decode().split("--" + upload.headers["content-type"][30:])
    assert [part.strip() for part in form] == [
        "",
        'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch',
        'Content-Disposition: form-data; name="expires_after[anchor]"\r\n\r\ncreated_at',
        'Content-Disposition: form-data; name="expires_after[seconds]"\r\n\r\n3600',
        'Content-Disposition: form-data; name="file"; filename="in.jsonl"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n{LINE.decode()}".strip(),
        "--",
    ]
    assert create.body == (
        b'{"completion_window":"24h","endpoint":"/v1/responses","input_file_id":"file-1",'
        b'"metadata":{"a":"b"},"output_expires_after":{"anchor":"created_at","seconds":3600}}'
    )
    assert [(each.method, each.target) for each in (upload, create, cancel)] == [
        ("POST", "/v1/files"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/batches/batch_1/cancel"),
    ]
    assert cancel.body == b""


def test_what_is_not_said_is_not_sent() -> None:
    assert NEW.body() == {
        "completion_window": "24h",
        "endpoint": "/v1/responses",
        "input_file_id": "file-1",
    }
    line = wire(Answer(200, CREATED))
    line.openai().upload("in.jsonl", len(LINE), lambda: [LINE])
    assert b"expires_after" not in line.requests[0].read()


@pytest.mark.parametrize("name", ['a"b.jsonl', "ü\\n.jsonl", "a\r\nX: y.jsonl", "a;b=c.jsonl"])
def test_no_name_of_a_file_breaks_out_of_its_form(name: str) -> None:
    line = wire(Answer(200, CREATED))
    line.openai().upload(name, len(LINE), lambda: [LINE])
    body = line.requests[0].read()
    boundary = line.requests[0].headers["content-type"].partition("boundary=")[2]
    file = {"file": (name, LINE, "application/octet-stream")}
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    usual = httpx.Request("POST", "http://x", data={"purpose": "batch"}, files=file, headers=kind)
    assert body == usual.read()
    assert line.requests[0].headers["content-length"] == str(len(body))


# What OpenAI would refuse

SECRET = "How do I tell Ms Quilligan"
texts = functools.partial(st.text, st.characters(codec="utf-8"))
metadata = st.dictionaries(texts(max_size=64), texts(max_size=512), max_size=16)
news = st.builds(
    NewBatch,
    input_file_id=st.from_regex(r"file-[A-Za-z0-9]{1,30}", fullmatch=True),
    endpoint=st.sampled_from(ENDPOINTS),
    metadata=st.none() | metadata,
    output_expires_after=st.none() | st.integers(3600, 2_592_000),
)


@functools.cache
def specified(name: str) -> Draft202012Validator:
    said = yaml.safe_load((CONTRACT / "openai-batches.openapi.yaml").read_text())
    schema = {"$ref": f"#/components/schemas/{name}", "components": said["components"]}
    return Draft202012Validator(schema)


@recorded
@modest
@given(news)
def test_what_passes_is_what_the_specification_wants(new: NewBatch) -> None:
    assert list(specified("CreateBatchRequest").iter_errors(new.body())) == []


@recorded
def test_the_endpoints_are_those_of_the_specification() -> None:
    schema = specified("CreateBatchRequest").schema["components"]["schemas"]["CreateBatchRequest"]
    assert list(ENDPOINTS) == schema["properties"]["endpoint"]["enum"]


@modest
@given(news)
def test_what_passes_arrives_as_it_was_meant(new: NewBatch) -> None:
    line = wire(Answer(200, CREATED))
    line.openai().create(new)
    said = json.loads(line.requests[0].read())
    assert said == new.body()
    assert list(said) == sorted(said)
    assert None not in said.values()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"endpoint": "/v1/audio"}, "endpoint must be one of /v1/responses, .*, not '/v1/audio'"),
        ({"endpoint": "/v1/" + "x" * 99}, "endpoint must be one of .*, not '/v1/x{35}…"),
        ({"endpoint": None}, "endpoint must be one of .*, not NoneType"),
        ({"completion_window": "soon"}, "completion_window must be a time such as 24h, not 'soon'"),
        ({"completion_window": "24h\n"}, "completion_window must be a time"),
        ({"completion_window": 24}, "completion_window must be a time such as 24h, not 24"),
        ({"metadata": [SECRET]}, "metadata must be an object of texts, not list"),
        ({"metadata": {"k": [SECRET]}}, "metadata.k must be a text, not list"),
        ({"metadata": {"k": None}}, "metadata.k must be a text, not NoneType"),
        ({"metadata": {"k": SECRET + "\ud800"}}, "metadata.k must be .*not a text with half char"),
        ({"metadata": {"\udfff": SECRET}}, "metadata must have texts as keys, not a text with"),
        ({"metadata": {7: SECRET}}, "metadata must have texts as keys, not int"),
        ({"metadata": {"k" * 65: SECRET}}, "metadata may have keys of 64 char.* most, not 65"),
        ({"metadata": {"k": SECRET * 20}}, "metadata.k may have 512 characters at most, not 520"),
        ({"metadata": {str(n): SECRET for n in range(17)}}, "metadata may have 16 pairs .*not 17"),
        *[
            ({"output_expires_after": odd}, "output_expires_after must be 3600 to 2592000 seconds")
            for odd in (0, 3599, 2_592_001, "3600", 3600.0, True, {"seconds": 3600}, float("nan"))
        ],
        *[({"input_file_id": odd}, "input_file_id ") for odd in [*UNSAFE, None, 7, "sk-1"]],
    ],
)
def test_what_openai_would_refuse_is_refused_by_name(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=f"^{told}") as refusal:
        NewBatch(**{"input_file_id": "file-1", "endpoint": "/v1/responses"} | wrong)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_limits_themselves_are_allowed() -> None:
    full = {f"{n:064}": "v" * 512 for n in range(16)}
    assert checked_metadata(full) == full
    assert [checked_expiry(each) for each in (3600, 2_592_000, None)] == [3600, 2_592_000, None]
    for window in ("24h", "7d", "9999m"):
        assert NewBatch(**{**NEW.model_dump(), "completion_window": window}).body() == {
            **NEW.body(),
            "completion_window": window,
        }


def test_who_adds_a_pair_of_his_own_allows_one_less() -> None:
    with pytest.raises(ParameterError, match="metadata may have 15 pairs at most, not 16"):
        checked_metadata({str(n): "" for n in range(16)}, most=15)


def test_a_batch_to_be_created_does_not_change_with_what_it_was_made_of() -> None:
    said = {"a": "b"}
    new = NewBatch(input_file_id="file-1", endpoint="/v1/responses", metadata=said)
    said["c"] = SECRET * 99
    assert new.metadata == {"a": "b"}


# A batch is created by one request


@pytest.mark.parametrize(
    ("answer", "uncertain"),
    [
        (0, True),  # reset before the answer
        (b"", True),
        (http(200, CREATED)[:40], True),
        (http(200, b'{"id":"batch', length=500), True),
        (http(200, b"<html>"), True),
        (http(200, b"null"), True),
        (http(200, {"object": "file", "id": "file-1"}), True),
        (http(302, b""), True),
        (http(500, {"error": {"code": "token_limit_exceeded"}}), True),
        (http(503, b""), True),
        (http(408, b""), True),
        (http(409, b""), True),
        *[(http(status, b"{}"), False) for status in (400, 401, 403, 404, 413, 422, 429)],
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else str(value),
)
def test_a_creation_that_fails_is_not_sent_again_and_tells_whether_it_may_have_been_done(
    answer: bytes | int, *, uncertain: bool
) -> None:
    with serving(answer, http(200, CREATED)) as server, closing(server.openai()) as openai:
        with pytest.raises(OpenAIError) as error:
            openai.create(NEW)
        assert error.value.uncertain == uncertain
        assert not error.value.limited
        assert [seen.target for seen in server.seen] == ["/v1/batches"]


def test_a_server_that_is_not_there_has_created_nothing() -> None:
    with serving(b"") as server:
        base_url = server.base_url
    openai = OpenAI(Account("a", KEY, base_url=base_url))
    with closing(openai), pytest.raises(OpenAIError, match=r"^POST batches: Connect") as error:
        openai.create(NEW)
    assert not error.value.uncertain


@pytest.mark.parametrize(
    ("trouble", "uncertain"),
    [
        (httpx.ConnectTimeout("slow"), False),
        (httpx.PoolTimeout("crowded"), False),
        (httpx.WriteTimeout("slow"), True),
        (httpx.ReadTimeout("silent"), True),
        (httpx.WriteError("broken"), True),
    ],
    ids=repr,
)
def test_only_what_never_left_was_certainly_not_done(
    trouble: httpx.RequestError, *, uncertain: bool
) -> None:
    line = wire(trouble, Answer(200, CREATED))
    with pytest.raises(OpenAIError) as error:
        line.openai().create(NEW)
    assert (error.value.uncertain, len(line.requests), line.waits) == (uncertain, 1, [])


@pytest.mark.parametrize("status", [408, 409, 429, 500])
def test_not_even_a_server_that_asks_for_it_gets_a_second_creation(status: int) -> None:
    line = wire(failing(status, x_should_retry="true", retry_after_ms="1"), Answer(200, CREATED))
    with pytest.raises(OpenAIError):
        line.openai().create(NEW)
    assert len(line.requests) == 1


def test_a_creation_waits_for_its_turn_and_is_not_sent_where_that_is_far() -> None:
    line = wire(failing(429, retry_after="7"), failing(429, retry_after="60"))
    openai = line.openai()
    for requests, waits in ((1, []), (2, [7]), (2, [7])):
        with pytest.raises(RateLimitedError) as error:
            openai.create(NEW)
        assert not error.value.uncertain
        assert (len(line.requests), line.waits) == (requests, waits)
    assert str(error.value) == "POST batches: not sent, 60 s to rest after a 429"


def test_an_answer_to_a_creation_may_take_a_minute() -> None:
    line = wire(Answer(200, CREATED))
    assert line.openai().create(NEW).id == "batch_1"
    assert line.requests[0].extensions["timeout"]["read"] == 60


# Why it was refused

REACHED = "Enqueued token limit reached for gpt-4o-mini in organization org-1. Limit: 2,000,000"
AZURE = "The number of enqueued tokens has surpassed the configured limit of 30K"


@pytest.mark.parametrize(
    ("status", "error", "limited"),
    [
        (400, {"code": "token_limit_exceeded", "message": REACHED}, True),
        (429, {"code": "token_limit_exceeded", "message": None}, True),
        (400, {"code": "token_limit_exceeded", "message": AZURE}, True),
        (400, {"code": "BadRequest", "message": f"token_limit_exceeded: {AZURE}"}, True),
        (400, {"code": None, "message": REACHED}, True),
        (400, {"message": "enqueued request limit reached for text-embedding-3-small"}, True),
        (400, REACHED, True),
        (400, {"code": "invalid_value", "message": "Not so."}, False),
        (429, {"code": "rate_limit_exceeded", "message": "Rate limit reached."}, False),
        (409, {"code": "token_limit_exceeded"}, False),
        (500, {"code": None, "message": REACHED}, False),
    ],
)
def test_a_full_line_is_told_from_other_refusals(status: int, error: Any, *, limited: bool) -> None:
    with pytest.raises(OpenAIError) as refusal:
        wire(Answer(status, {"error": error})).openai().create(NEW)
    assert refusal.value.limited == limited
    assert "2,000,000" not in str(refusal.value)


@pytest.mark.parametrize(
    ("status", "error", "code", "told"),
    [
        (400, ("invalid_value", "endpoint"), "invalid_value", "400 invalid_value (endpoint)"),
        (
            422,
            ("invalid_type", "metadata.a[0]"),
            "invalid_type",
            "422 invalid_type (metadata.a[0])",
        ),
        (400, (None, "input_file_id"), None, "400 Bad Request (input_file_id)"),
        (400, ("invalid_value", SECRET), "invalid_value", "400 invalid_value"),
        (400, ("invalid_value", "p" * 81), "invalid_value", "400 invalid_value"),
        (400, ("invalid_value", ["a"]), "invalid_value", "400 invalid_value"),
        (404, ("not_found", "model"), "not_found", "404 not_found"),
        (400, (SECRET, None), None, "400 Bad Request"),
        (400, ("sk-proj-0123", None), None, "400 sk-…"),
        (400, ("gw.key", "gw.key"), None, "400 … (…)"),
    ],
)
def test_a_refusal_names_code_and_parameter_and_quotes_nothing(
    status: int, error: tuple[Any, Any], code: str | None, told: str
) -> None:
    said = {"code": error[0], "param": error[1], "message": SECRET}
    with pytest.raises(OpenAIError) as refusal:
        wire(Answer(status, {"error": said})).openai(api_key="gw.key").create(NEW)
    assert str(refusal.value) == f"POST batches: {told}"
    assert refusal.value.code == code


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_told_in_other_words(status: int) -> None:
    with pytest.raises(AccessError) as refusal:
        wire(Answer(status, {"error": REACHED})).openai().create(NEW)
    assert "Enqueued" not in str(refusal.value)


# Cancelled


def test_a_cancelled_batch_can_be_cancelled_again() -> None:
    line = wire(failing(503), Answer(200, batch("cancelling")), Answer(200, batch("cancelled")))
    openai = line.openai()
    assert [openai.cancel(BATCH).status for _ in range(2)] == ["cancelling", "cancelled"]


def test_a_batch_that_has_ended_is_told_at_once() -> None:
    said = {"error": {"message": "Cannot cancel a batch with status 'completed'.", "code": None}}
    line = wire(failing(500), Answer(409, said, {"x-should-retry": "true"}))
    with pytest.raises(EndedError, match=f"^POST batches/{BATCH}/cancel: 409 Conflict$") as error:
        line.openai().cancel(BATCH)
    assert (error.value.uncertain, error.value.passing, len(line.requests)) == (False, False, 2)


@pytest.mark.parametrize(
    ("answers", "kind", "uncertain"),
    [
        ([failing(404)], NotFoundError, False),
        ([httpx.ConnectError("refused")], OpenAIError, False),
        ([failing(429)], RateLimitedError, False),
        ([failing(500)], OpenAIError, True),
        ([failing(500), httpx.ConnectError("refused")], OpenAIError, True),
        ([httpx.ReadTimeout("silent"), failing(404)], NotFoundError, True),
        ([failing(503), failing(429, retry_after="60")], RateLimitedError, True),
        ([Answer(200, batch() | {"id": "batch_2"})], BadAnswerError, True),
    ],
)
def test_one_uncertain_attempt_makes_a_cancellation_uncertain(
    answers: list[Answer | httpx.RequestError], kind: type[OpenAIError], *, uncertain: bool
) -> None:
    with pytest.raises(kind) as error:
        wire(*answers).openai().cancel(BATCH)
    assert error.value.uncertain == uncertain


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_no_unsafe_id_is_cancelled(unsafe: str) -> None:
    line = wire(Answer(200, batch()))
    with pytest.raises(UnsafeIdError):
        line.openai().cancel(unsafe)
    assert line.requests == []


# Uploaded

MIB = 1024 * 1024


def stored(size: Any) -> bytes:
    return http(200, {"id": "file-1", "object": "file", "bytes": size})


def counted(number: int) -> Callable[[], Iterable[bytes]]:
    """Give chunks of 64 KiB, each another."""
    return lambda: (n.to_bytes(4, "big") * 16_384 for n in range(number))


def test_a_large_file_passes_through_without_being_held() -> None:
    size = 64 * MIB
    answers = stored(MIB), stored(size)
    with serving(*answers) as server, closing(server.openai()) as openai:
        openai.upload("in.jsonl", MIB, counted(16))  # so that all is loaded
        tracemalloc.start()
        try:
            assert openai.upload("in.jsonl", size, counted(1024)) == ("file-1", size)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        headers = server.seen[-1].headers
    assert peak < 4 * MIB
    assert "transfer-encoding" not in headers
    assert size < int(headers["content-length"]) < size + 1000


@pytest.mark.parametrize("trouble", [2 * MIB, http(503, b""), http(200, b"")[:20]])
def test_an_upload_that_failed_begins_again_with_its_first_byte(trouble: bytes | int) -> None:
    size = 4 * MIB
    with serving(stored(size)) as server, closing(server.openai()) as openai:
        openai.upload("in.jsonl", size, counted(64))
        server.answers = [trouble, stored(size)]
        openai.upload("in.jsonl", size, counted(64))
        whole, _, again = server.seen
    boundary = again.headers["content-type"].partition("boundary=")[2].encode()
    head = again.body.rstrip(b"\0")  # the first chunk is made of zeros
    form = head + b"".join(counted(64)()) + b"\r\n--" + boundary + b"--\r\n"
    assert again.digest == hashlib.sha256(form).hexdigest()
    assert again.headers["content-length"] == whole.headers["content-length"] == str(len(form))


@pytest.mark.parametrize(
    "said", [{"bytes": 17}, {"bytes": "18"}, {"bytes": 18, "id": "a/b"}, {"bytes": 18, "id": None}]
)
def test_an_upload_that_is_not_there_as_it_was_sent_is_no_upload(said: dict[str, Any]) -> None:
    line = wire(Answer(200, {"id": "file-1"} | said))
    with pytest.raises(BadAnswerError, match=r"^POST files: "):
        line.openai().upload("in.jsonl", len(LINE), lambda: [LINE])


@pytest.mark.parametrize("chunks", [[], [LINE[1:]], [LINE, b"\n"], [LINE] * 9])
def test_a_file_of_another_size_than_was_said_is_never_whole(chunks: list[bytes]) -> None:
    refused = pytest.raises(OpenAIError, match=r"^POST files: not the 18 bytes")
    with serving(stored(len(LINE))) as server, closing(server.openai()) as openai:
        with refused as error:
            openai.upload("in.jsonl", len(LINE), lambda: chunks)
        assert not error.value.uncertain
        assert server.seen == []


def test_what_the_source_raises_comes_through_as_it_is() -> None:
    def source() -> Iterator[bytes]:
        yield LINE[:5]
        raise ZeroDivisionError

    with serving(stored(len(LINE))) as server, closing(server.openai()) as openai:
        with pytest.raises(ZeroDivisionError):
            openai.upload("in.jsonl", len(LINE), source)
        assert server.seen == []


def test_a_file_that_would_expire_too_soon_is_not_uploaded() -> None:
    line = wire(Answer(200, CREATED))
    with pytest.raises(ParameterError, match=r"^expires_after must be 3600"):
        line.openai().upload("in.jsonl", len(LINE), lambda: [LINE], expires_after=60)
    assert line.requests == []
