"""How the simulated OpenAI breaks off, slows down, refuses for a while, and fails by chance."""

import socket
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from tests.simulator.client import KEY, Client, download_of
from tests.simulator.test_faults import part
from tests.simulator.test_lifecycle import COMPLETED, START

CLOSED, RESET = httpx.RemoteProtocolError, httpx.ReadError
FRAMINGS: list[dict[str, Any]] = [{}, {"chunked": True}]
BREAKS: list[dict[str, Any]] = [{}, {"reset": True}]


def received(client: Client, url: str, **asked: Any) -> tuple[bytes, type[Exception] | None]:
    """Download until the end, and tell what end it was."""
    pieces: list[bytes] = []
    try:
        with client.stream("GET", url, **asked) as answer:
            pieces.extend(answer.iter_raw())
    except httpx.TransportError as trouble:
        return b"".join(pieces), type(trouble)
    return b"".join(pieces), None


def end_of(kind: dict[str, Any]) -> type[Exception]:
    """Tell how a client sees a body break off."""
    return RESET if kind.get("reset") else CLOSED


# The end of a body


@pytest.mark.parametrize("kind", [*BREAKS, *FRAMINGS[1:], {"reset": True, "chunked": True}])
@pytest.mark.parametrize("length", [0, 1, 20_000])
def test_a_download_breaks_off_after_so_many_bytes(
    client: Client, url: str, content: bytes, length: int, kind: dict[str, Any]
) -> None:
    client.simulated.fault("/content", cut_after=length, **kind)
    assert received(client, url) == (content[:length], end_of(kind))
    assert client.simulated.served == length
    assert received(client, url) == (content, None)


@pytest.mark.parametrize("kind", BREAKS)
def test_every_answer_breaks_off_after_so_many_bytes_of_its_own(
    client: Client, url: str, content: bytes, kind: dict[str, Any]
) -> None:
    client.simulated.fault("/content", cut_after=20_000, times=-1, **kind)
    came, ends = b"", []
    while len(came) < len(content):
        piece, end = received(client, url, **part(len(came)))
        came += piece
        ends.append(end)
    assert came == content
    assert ends == [end_of(kind)] * (len(content) // 20_000) + [None]
    assert client.simulated.served == len(content)


def test_a_reset_loses_nothing_that_was_sent_before(client: Client) -> None:
    large = download_of(client, replace(COMPLETED, requests=100, output_bytes=20_000_000))
    client.simulated.fault("/content", cut_after=15_000_000, reset=True)
    piece, end = received(client, large)
    assert (len(piece), end) == (15_000_000, RESET)


def test_an_answer_with_no_more_bytes_than_that_is_whole_and_its_connection_is_kept(
    client: Client, url: str, content: bytes
) -> None:
    client.simulated.fault("/content", cut_after=len(content), stall=3600, reset=True, times=-1)
    for _ in range(2):
        assert received(client, url) == (content, None)


def test_in_chunks_even_the_end_alone_may_be_missing(
    client: Client, url: str, content: bytes
) -> None:
    client.simulated.fault("/content", cut_after=len(content), chunked=True)
    assert received(client, url) == (content, CLOSED)


def test_an_unframed_body_that_is_cut_looks_whole_unless_it_is_reset(
    client: Client, url: str, content: bytes
) -> None:
    client.simulated.fault("/content", cut_after=5, unframed=True)
    assert received(client, url) == (content[:5], None)
    client.simulated.fault("/content", cut_after=5, unframed=True, reset=True)
    assert received(client, url) == (content[:5], RESET)


def test_a_reset_may_come_before_any_answer(client: Client, url: str) -> None:
    client.simulated.fault("/content", reset=True)
    host, port = client.base_url.host, client.base_url.port
    with closing(socket.create_connection((host, port or 0))) as raw:
        asked = f"GET /v1{url} HTTP/1.1\r\nAuthorization: {KEY['Authorization']}\r\n\r\n"
        raw.sendall(asked.encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    assert len(client.simulated.requests) == 1
    assert client.get(url).status_code == 200


# Time


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("first", [0, 10_000])
def test_a_download_stalls_after_so_many_bytes(
    client: Client, url: str, content: bytes, first: int, framing: dict[str, Any]
) -> None:
    client.simulated.fault("/content", cut_after=20_000, stall=3600, **framing)
    with closing(HTTPConnection(client.base_url.netloc.decode(), timeout=60)) as connection:
        connection.request("GET", f"/v1{url}", headers=KEY | part(first)["headers"])
        answer = connection.getresponse()
        assert answer.read(20_000) == content[first : first + 20_000]
        connection.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            answer.read(1)


@pytest.mark.parametrize("kind", BREAKS)
def test_a_stall_ends_with_the_connection(
    client: Client, url: str, content: bytes, kind: dict[str, Any]
) -> None:
    client.simulated.fault("/content", cut_after=100, stall=0.01, **kind)
    assert received(client, url) == (content[:100], end_of(kind))


@pytest.mark.parametrize("kind", BREAKS)
def test_closing_does_not_wait_for_a_stall(
    client: Client, url: str, content: bytes, kind: dict[str, Any]
) -> None:
    before = set(threading.enumerate())
    client.simulated.fault("/content", cut_after=100, stall=3600, **kind)
    with client.stream("GET", url) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == content[:100]
        client.simulated.__exit__()
        assert set(threading.enumerate()) < before
        with pytest.raises(httpx.TransportError):
            next(pieces)


def test_a_fault_delays_an_answer(client: Client) -> None:
    client.simulated.fault(r"/batches", delay=3600)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/batches", timeout=0.05)


# A rate limit


def test_what_is_beyond_the_rate_limit_is_refused_until_the_next_minute(client: Client) -> None:
    client.clock.now = START - START % 60 + 20.5
    client.simulated.limit_per_minute = 3
    answers = [client.get("/batches") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[3].headers["retry-after"] == "40"
    error = answers[3].json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    client.clock.now += 39
    assert client.get("/batches").headers["retry-after"] == "1"
    client.clock.now += 1
    assert [client.get("/batches").status_code for _ in range(4)] == [200, 200, 200, 429]
    client.simulated.limit_per_minute = None
    assert client.get("/batches").status_code == 200


def test_what_the_rate_limit_refuses_uses_up_no_fault(client: Client) -> None:
    client.simulated.fault("/batches", status=500)
    client.simulated.limit_per_minute = 0
    assert client.get("/batches").status_code == 429
    client.simulated.limit_per_minute = None
    assert [client.get("/batches").status_code for _ in range(2)] == [500, 200]


# Trouble by chance


def seen(client: Client, url: str, content: bytes, timeout: float = 5) -> str:
    """Name what became of one download."""
    try:
        answer = client.get(url, timeout=timeout)
    except httpx.TransportError as trouble:
        return type(trouble).__name__
    if answer.status_code == 200:
        assert answer.content == content
    if answer.status_code == 429:
        assert answer.headers["retry-after"] == "0"
    return f"{answer.status_code} {answer.headers['content-type']}"


def test_a_share_of_requests_goes_wrong_in_every_way(
    client: Client, url: str, content: bytes
) -> None:
    client.simulated.unreliable(share=0.5, seed=7, stall=3600)
    ways = Counter(seen(client, url, content, timeout=0.2) for _ in range(100))
    assert set(ways) == {
        "200 application/octet-stream",
        "429 application/json",
        "500 application/json",
        "502 text/html",
        "ReadError",
        "RemoteProtocolError",
        "ReadTimeout",
    }
    assert 35 <= 100 - ways["200 application/octet-stream"] <= 65
    client.simulated.unreliable(share=0)
    assert {seen(client, url, content) for _ in range(20)} == {"200 application/octet-stream"}


def test_a_seed_always_draws_the_same(client: Client, url: str, content: bytes) -> None:
    def run(seed: int) -> list[object]:
        client.simulated.unreliable(share=0.7, seed=seed, stall=0)
        before = client.simulated.served
        return [seen(client, url, content) for _ in range(30)] + [client.simulated.served - before]

    assert run(7) == run(7) != run(8)


def test_a_seed_draws_the_same_for_requests_at_once(client: Client) -> None:
    statuses: list[int] = []  # 0: none came

    def ask() -> None:
        with Client(client.simulated, client.clock) as own:
            for _ in range(20):
                try:
                    statuses.append(own.get("/batches").status_code)
                except httpx.TransportError:
                    statuses.append(0)

    def run() -> Counter[int]:
        statuses.clear()
        client.simulated.unreliable(share=0.5, seed=3, stall=0)
        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        return Counter(statuses)

    assert run() == run()
