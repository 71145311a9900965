"""What a client of the simulated OpenAI sees when something goes wrong."""

import gzip
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from local.simulator import Fault
from tests.simulator.client import Client, download_of
from tests.simulator.test_lifecycle import COMPLETED
from tests.simulator.test_server import error

HTML = {"Content-Type": "text/html"}


def part(first: int, last: int | str = "", **headers: str) -> dict[str, Any]:
    """Ask for a range."""
    return {"headers": {"Range": f"bytes={first}-{last}", **headers}}


# Which requests


def test_a_fault_hits_as_often_as_it_says(client: Client) -> None:
    fault = client.simulated.fault(
        r"GET /v1/batches", times=2, status=429, body=b"slow down", headers={"Retry-After": "3"}
    )
    answers = [client.get("/batches") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert (answers[0].content, answers[0].headers["retry-after"]) == (b"slow down", "3")
    assert fault.times == 0


def test_a_fault_may_last_for_ever_and_do_nothing(client: Client) -> None:
    name = client.simulated.add(COMPLETED)
    client.simulated.fault(r"cancel$", times=-1, status=500)
    for _ in range(3):
        assert error(client.post(f"/batches/{name}/cancel"))[0] == 500
    assert client.simulated.batch(name)["status"] == "validating"


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_burst_of_three_is_followed_by_the_true_answer(
    client: Client, url: str, content: bytes, status: int
) -> None:
    client.simulated.fault("/content", status=status, times=3)
    answers = [client.get(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status] * 3 + [200]
    assert error(answers[0])[1] == "The request could not be served."
    assert answers[3].content == content


def test_a_fault_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="stall"):
        Fault("", stall=1)
    with pytest.raises(ValueError, match="chunked"):
        Fault("", chunked=True, unframed=True)


# What the answer says


def test_a_fault_edits_the_true_answer(client: Client, url: str, content: bytes) -> None:
    name = client.simulated.add(COMPLETED)
    edits = {"status": "résting", "output_file_id": ""}
    client.simulated.fault(name, edit=lambda batch: batch.update(edits))
    assert client.get(f"/batches/{name}").json() == client.simulated.batch(name) | edits
    about = url.removesuffix("/content")
    client.simulated.fault(f"{about}$", edit=lambda file: file.update(bytes=7))
    assert [client.get(about).json()["bytes"] for _ in range(2)] == [7, len(content)]


def test_a_download_may_turn_out_to_be_a_page(client: Client, url: str) -> None:
    page = b"<html><body>Please sign in</body></html>"
    client.simulated.fault("/content", status=200, body=page, headers=HTML)
    answer = client.get(url)
    assert (answer.status_code, answer.content) == (200, page)
    assert answer.headers.get_list("content-type") == ["text/html"]
    assert client.simulated.served == 0


def test_a_range_may_be_answered_with_the_whole(client: Client, url: str, content: bytes) -> None:
    client.simulated.fault("/content", whole=True)
    answers = [client.get(url, **part(40_000)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 206]
    assert [answer.content for answer in answers] == [content, content[40_000:]]
    assert "content-range" not in answers[0].headers


def test_a_range_may_say_that_it_is_another(client: Client, url: str, content: bytes) -> None:
    wrong = f"bytes 7-{len(content) - 1}/{len(content)}"
    client.simulated.fault("/content", headers={"Content-Range": wrong})
    answer = client.get(url, **part(40_000))
    assert answer.headers.get_list("content-range") == [wrong]
    assert (answer.status_code, answer.content) == (206, content[40_000:])


def test_a_range_may_start_elsewhere_than_it_says(client: Client, url: str, content: bytes) -> None:
    client.simulated.fault("/content", early=1_000)
    answer = client.get(url, **part(40_000, 40_499))
    assert answer.headers["content-range"] == f"bytes 40000-40499/{len(content)}"
    assert (answer.status_code, answer.content) == (206, content[39_000:39_500])


@pytest.mark.parametrize("longer", [b"", b"and more"])
def test_a_file_replaced_between_two_requests_is_sent_whole(
    client: Client, url: str, content: bytes, longer: bytes
) -> None:
    etag = client.get(url).headers["etag"]
    other = content[::-1] + longer
    client.simulated.replace_file(url.split("/")[2], other)
    answer = client.get(url, **part(40_000, **{"If-Range": etag}))
    assert (answer.status_code, answer.content) == (200, other)
    assert answer.headers["etag"] != etag
    assert client.get(url.removesuffix("/content")).json()["bytes"] == len(other)
    again = client.get(url, **part(40_000, **{"If-Range": answer.headers["etag"]}))
    assert (again.status_code, again.content) == (206, other[40_000:])


def test_a_file_may_be_replaced_before_anybody_wanted_it(client: Client, url: str) -> None:
    client.simulated.replace_file(url.split("/")[2], b"other")
    assert client.get(url).content == b"other"


def test_without_etags_a_range_is_sent_only_where_no_condition_is_made(
    client: Client, url: str
) -> None:
    client.simulated.etags = False
    condition = {"If-Range": '"anything"'}
    answers = [client.get(url), client.get(url, **part(5)), client.get(url, **part(5, **condition))]
    assert [answer.status_code for answer in answers] == [200, 206, 200]
    assert not any("etag" in answer.headers for answer in answers)


# How the body is sent


@pytest.mark.parametrize("first", [0, 40_000])
def test_a_body_may_be_compressed_though_nobody_asked(
    client: Client, url: str, content: bytes, first: int
) -> None:
    client.simulated.fault("/content", gzip=True)
    identity = {"Accept-Encoding": "identity"}
    with client.stream("GET", url, **part(first, **identity)) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(sent) == client.simulated.served
    assert gzip.decompress(sent) == content[first:]


@pytest.mark.parametrize("packed", [{}, {"gzip": True}])
@pytest.mark.parametrize("framing", ["chunked", "unframed"])
def test_a_body_may_come_without_its_length(
    client: Client, url: str, content: bytes, framing: str, packed: dict[str, Any]
) -> None:
    client.simulated.fault("/content", **{framing: True}, **packed)
    answer = client.get(url)
    assert "content-length" not in answer.headers
    assert ("transfer-encoding" in answer.headers) == (framing == "chunked")
    assert ("content-encoding" in answer.headers) == bool(packed)
    assert answer.content == content
    assert client.get(url).headers["content-length"] == str(len(content))


@pytest.mark.parametrize("framing", [{"chunked": True}, {"unframed": True}])
def test_a_large_body_is_never_whole_in_memory(client: Client, framing: dict[str, Any]) -> None:
    url = download_of(client, replace(COMPLETED, requests=200, output_bytes=60_000_000))
    client.simulated.fault("/content", **framing)
    tracemalloc.start()
    try:
        with client.stream("GET", url) as answer:
            came = sum(len(chunk) for chunk in answer.iter_raw())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert came == client.simulated.served == pytest.approx(60_000_000, rel=0.01)
    assert peak < 10_000_000
