"""The simulated OpenAI: what its batches look like in time, and how it answers on the wire."""

import http.client
import json
import os
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from local.lifecycle import Script, batch_id, cancelled, file_id, lines, snapshot
from local.simulator import SimulatedOpenAI

START = 1_800_000_000.0
BATCH = batch_id(START, 7)
COMPLETED = Script(
    name="nightly", endpoint="/v1/chat/completions", requests=10, ends="completed", failed=2
)
EXPIRED = replace(COMPLETED, ends="expired", endpoint="/v1/responses", unfinished=3)
FAILED = Script(name="broken", endpoint="/v1/embeddings", requests=4, ends="failed")
CANCELLED = replace(EXPIRED, ends="cancelled", endpoint="/v1/embeddings")
NEVER_STARTED = replace(COMPLETED, ends="cancelled", failed=0, running=0)
SCRIPTS = [COMPLETED, EXPIRED, FAILED, CANCELLED, NEVER_STARTED]


@dataclass
class Clock:
    """A time that only a test moves."""

    now: float = START

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulated(clock: Clock) -> Iterator[SimulatedOpenAI]:
    with SimulatedOpenAI(clock=clock) as openai:
        yield openai
    assert openai.errors == []


@pytest.fixture
def client(simulated: SimulatedOpenAI) -> Iterator[httpx.Client]:
    with connect(simulated) as client:
        yield client


def connect(simulated: SimulatedOpenAI, key: str = "sk-simulated") -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=simulated.base_url, headers=headers, trust_env=False)


def life(script: Script, cancelled_at: float | None = None) -> list[dict[str, Any]]:
    """Look at a batch each quarter of a second until long after its end."""
    moments = (START + quarter / 4 for quarter in range(60))
    return [snapshot(script, BATCH, START, now, cancelled_at) for now in moments]


def statuses(views: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(view["status"] for view in views))


def read(script: Script, role: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(script, BATCH, role)]


def error(response: httpx.Response) -> tuple[int, str, str | None, str | None]:
    told = response.json()["error"]
    return response.status_code, told["message"], told["param"], told["code"]


# What a batch looks like at a given moment


@pytest.mark.parametrize(
    ("script", "chain"),
    [
        (COMPLETED, "validating in_progress finalizing completed"),
        (EXPIRED, "validating in_progress finalizing expired"),
        (FAILED, "validating failed"),
        (CANCELLED, "validating in_progress cancelling cancelled"),
        (NEVER_STARTED, "validating cancelling cancelled"),
    ],
)
def test_a_batch_goes_through_the_statuses_of_its_script(script: Script, chain: str) -> None:
    assert statuses(life(script)) == chain.split()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_batch_never_takes_back_what_it_showed(script: Script) -> None:
    views = life(script)
    for earlier, later in pairwise(views):
        for name, at in earlier.items():
            if name.endswith("_at") and at is not None:
                assert later[name] == at
        for name, count in earlier["request_counts"].items():
            assert later["request_counts"][name] >= count


def test_counts_grow_while_a_batch_is_in_progress() -> None:
    half = snapshot(COMPLETED, BATCH, START, START + 1 + 2.5)
    assert half["request_counts"] == {"total": 10, "completed": 4, "failed": 1}
    assert half["model"] == "gpt-4o-mini-2024-07-18"
    assert half["output_file_id"] is half["error_file_id"] is None


def test_a_batch_that_is_validating_has_no_model_and_no_counts() -> None:
    first = snapshot(COMPLETED, BATCH, START, START)
    assert first["model"] is None
    assert first["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert first["expires_at"] == START + 86_400


def test_an_expired_batch_expires_when_its_run_ends() -> None:
    last = life(EXPIRED)[-1]
    assert last["expires_at"] == last["finalizing_at"] == START + 6
    assert last["expired_at"] == START + 7
    assert last["request_counts"] == {"total": 10, "completed": 5, "failed": 2}


def test_a_failed_batch_tells_why_and_has_no_files() -> None:
    last = life(FAILED)[-1]
    assert {"code", "line", "message", "param"} == set(last["errors"]["data"][0])
    assert last["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert last["output_file_id"] is last["error_file_id"] is None


def test_a_batch_cancelled_before_it_started_has_no_files() -> None:
    last = life(NEVER_STARTED)[-1]
    assert last["in_progress_at"] is last["output_file_id"] is last["error_file_id"] is None
    assert last["request_counts"]["total"] == 0
    assert read(NEVER_STARTED, "output") == read(NEVER_STARTED, "error") == []


def test_a_batch_whose_requests_all_failed_has_only_an_error_file() -> None:
    last = life(replace(COMPLETED, failed=10))[-1]
    assert last["output_file_id"] is None
    assert last["error_file_id"] == file_id(BATCH, "error")


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 3.5, 6.0, 6.5])
def test_a_batch_can_be_cancelled_at_any_moment_before_its_end(moment: float) -> None:
    views = life(COMPLETED, cancelled_at=START + moment)
    before = [view for view in life(COMPLETED) if view["status"] == "in_progress"]
    last, outcome = views[-1], cancelled(COMPLETED, START, START + moment)
    counts = last["request_counts"]
    assert statuses(views)[-2:] == ["cancelling", "cancelled"]
    assert (last["cancelling_at"], last["cancelled_at"]) == (
        int(START + moment),
        int(START + moment + 1),
    )
    assert bool(last["finalizing_at"]) == (moment >= 6)
    assert len(read(outcome, "output")) == counts["completed"]
    assert len(read(outcome, "error")) == counts["total"] - counts["completed"]
    assert counts["total"] == (10 if moment >= 1 else 0)
    assert counts["completed"] <= before[-1]["request_counts"]["completed"] + 1
    assert bool(last["error_file_id"]) == bool(read(outcome, "error"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_batch_at_its_end_cannot_be_cancelled(script: Script) -> None:
    assert life(script, cancelled_at=START + 7) == life(script)


def test_ids_are_told_by_creation_and_number() -> None:
    assert batch_id(START, 7) == BATCH
    assert BATCH.startswith(f"batch_{int(START):08x}")
    assert len(BATCH) == len("batch_") + 32
    assert len({batch_id(START, number) for number in range(100)}) == 100


@pytest.mark.parametrize(
    "change",
    [{"failed": 11}, {"unfinished": 1}, {"ends": "in_progress"}, {"endpoint": "/v1/nothing"}],
)
def test_a_script_that_no_batch_can_follow_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(COMPLETED, **change)


# What its files hold


@pytest.mark.parametrize("script", [COMPLETED, EXPIRED, CANCELLED])
def test_every_request_is_in_one_file_once_and_out_of_order(script: Script) -> None:
    asked = [line["custom_id"] for line in read(script, "input")]
    output = [line["custom_id"] for line in read(script, "output")]
    told = output + [line["custom_id"] for line in read(script, "error")]
    assert sorted(told) == sorted(asked)
    assert output != [name for name in asked if name in output]
    assert read(script, "output") == read(script, "output")


@pytest.mark.parametrize("script", [COMPLETED, EXPIRED, CANCELLED])
def test_usage_is_the_sum_over_the_answers(script: Script) -> None:
    usages = [line["response"]["body"]["usage"] for line in read(script, "output")]
    usage = life(script)[-1]["usage"]
    assert usage["total_tokens"] == sum(each["total_tokens"] for each in usages) > 0
    assert life(script)[10]["usage"]["total_tokens"] == 0


def test_an_error_line_tells_a_refusal_from_a_request_never_run() -> None:
    told = read(EXPIRED, "error")
    refused = [line for line in told if line["response"]]
    unfinished = [line for line in told if not line["response"]]
    assert (len(refused), len(unfinished)) == (2, 3)
    assert all(line["error"] is None for line in refused)
    assert all(line["response"]["body"]["error"]["message"] for line in refused)
    assert all(line["response"]["status_code"] >= 400 for line in refused)
    assert {line["error"]["code"] for line in unfinished} == {"batch_expired"}
    assert read(CANCELLED, "error")[-1]["error"]["code"] == "batch_cancelled"


@pytest.mark.parametrize("script", [COMPLETED, EXPIRED, CANCELLED])
def test_an_output_file_is_padded_to_about_the_size_wanted(script: Script) -> None:
    padded = replace(script, output_bytes=300_000)
    assert sum(map(len, lines(padded, BATCH, "output"))) == pytest.approx(300_000, rel=0.01)
    assert len(read(padded, "output")) == len(read(script, "output"))


def test_a_line_ends_only_where_its_bytes_say_so() -> None:
    content = b"".join(lines(COMPLETED, BATCH, "output"))
    assert content.count(b"\n") == 8
    assert len(content.decode().splitlines()) > 8


# Batches on the wire


def test_pages_list_the_newest_batch_first(
    simulated: SimulatedOpenAI, client: httpx.Client
) -> None:
    ids = [simulated.add(COMPLETED, created_at=START - age) for age in (30, 10, 20, 10)]
    newest_first = [ids[3], ids[1], ids[2], ids[0]]
    page = client.get("/batches", params={"limit": 3}).json()
    rest = client.get("/batches", params={"limit": 3, "after": page["last_id"]}).json()
    assert [batch["id"] for batch in page["data"] + rest["data"]] == newest_first
    assert (page["first_id"], page["has_more"]) == (ids[3], True)
    assert (rest["last_id"], rest["has_more"]) == (ids[0], False)


def test_a_page_is_of_20_batches_and_may_be_empty(
    simulated: SimulatedOpenAI, client: httpx.Client
) -> None:
    empty: dict[str, object] = {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    assert client.get("/batches").json() == empty
    for _ in range(21):
        simulated.add(COMPLETED)
    assert len(client.get("/batches").json()["data"]) == 20


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("0", "integer_below_min_value"),
        ("101", "integer_above_max_value"),
        ("ten", "invalid_type"),
    ],
)
def test_a_limit_out_of_bounds_is_refused(client: httpx.Client, limit: str, code: str) -> None:
    status, _, param, given = error(client.get("/batches", params={"limit": limit}))
    assert (status, param, given) == (400, "limit", code)


def test_a_batch_is_retrieved_as_it_is_now(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock
) -> None:
    name = simulated.add(COMPLETED)
    clock.now += 3
    assert client.get(f"/batches/{name}").json() == simulated.batch(name)
    assert simulated.batch(name)["status"] == "in_progress"
    assert simulated.scripts == {name: COMPLETED}


def test_an_unknown_id_is_told_as_it_was_meant(client: httpx.Client) -> None:
    strange = "batch_a/b c?d=é"
    message = f"No batch found with id '{strange}'."
    assert error(client.get(f"/batches/{quote(strange, safe='')}")) == (404, message, None, None)
    assert error(client.post("/batches/batch_1/cancel"))[0] == 404
    assert error(client.post("/batches/other/cancel"))[::2] == (400, "batch_id")


def test_only_the_right_key_is_let_in(simulated: SimulatedOpenAI) -> None:
    with connect(simulated, key="sk-of-somebody-else") as stranger:
        status, message, _, code = error(stranger.get("/batches"))
    assert (status, code) == (401, "invalid_api_key")
    assert message.startswith("Incorrect API key provided: sk-")
    assert error(httpx.get(f"{simulated.base_url}/batches", trust_env=False))[0] == 401


@pytest.mark.parametrize("path", ["/models", "/batches/batch_1/more", "/files"])
def test_any_other_url_is_unknown(client: httpx.Client, path: str) -> None:
    assert error(client.get(path))[:2] == (404, f"Invalid URL (GET /v1{path})")


def test_a_cancelled_batch_keeps_its_partial_output(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock
) -> None:
    name = simulated.add(COMPLETED)
    simulated.file(file_id(name, "output"))  # written as if nobody would cancel
    clock.now += 3.5
    assert client.post(f"/batches/{name}/cancel").json()["status"] == "cancelling"
    clock.now += 1
    batch = client.get(f"/batches/{name}").json()
    assert (batch["status"], batch["cancelled_at"]) == ("cancelled", START + 4)
    assert batch["request_counts"] == {"total": 10, "completed": 4, "failed": 1}
    assert client.get(f"/files/{batch['output_file_id']}/content").content.count(b"\n") == 4
    assert client.get(f"/files/{batch['error_file_id']}/content").content.count(b"\n") == 6
    assert client.post(f"/batches/{name}/cancel").status_code == 200


@pytest.mark.parametrize("script", [COMPLETED, FAILED, EXPIRED])
def test_what_has_ended_is_not_cancelled(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock, script: Script
) -> None:
    name = simulated.add(script)
    clock.now += 60
    message = f"Cannot cancel a batch with status '{script.ends}'."
    assert error(client.post(f"/batches/{name}/cancel")) == (409, message, None, None)


def test_a_batch_of_an_uploaded_file_completes(client: httpx.Client, clock: Clock) -> None:
    content = b'{"custom_id": "a"}\r\n{"custom_id": "--b"}\n'
    uploaded = client.post(
        "/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", content)}
    ).json()
    asked = {
        "input_file_id": uploaded["id"],
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"team": "blue"},
    }
    name = client.post("/batches", json=asked).json()["id"]
    clock.now += 60
    batch = client.get(f"/batches/{name}").json()
    assert asked.items() <= batch.items()
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert client.get(f"/files/{uploaded['id']}/content").content == content
    assert (uploaded["filename"], uploaded["bytes"]) == ("in.jsonl", len(content))


def test_an_upload_may_come_in_chunks(client: httpx.Client) -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n',
        b"{}\n",
        b"\r\n--x--\r\n",
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/files", content=iter(form), headers=headers).json()["bytes"] == 3
    assert client.get("/batches").status_code == 200


@pytest.mark.parametrize(
    ("filename", "purpose", "param"),
    [("a.csv", "batch", None), ("a.jsonl", "assistants", "purpose")],
)
def test_an_upload_that_is_no_batch_file_is_refused(
    client: httpx.Client, filename: str, purpose: str, param: str | None
) -> None:
    answer = client.post("/files", data={"purpose": purpose}, files={"file": (filename, b"{}")})
    assert error(answer)[::2] == (400, param)


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"input_file_id": None}, 400, "input_file_id", "invalid_type"),
        ({"input_file_id": "file-none"}, 404, "id", None),
        ({"endpoint": "/v1/invalid"}, 400, "endpoint", "invalid_value"),
        ({"completion_window": "1h"}, 400, "completion_window", "invalid_value"),
        ({"metadata": {"tags": ["a"]}}, 400, "metadata.tags", "invalid_type"),
    ],
)
def test_a_batch_that_cannot_be_is_not_created(
    client: httpx.Client, change: dict[str, Any], status: int, param: str, code: str | None
) -> None:
    asked = {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}
    told = error(client.post("/batches", json=asked | change))
    assert (told[0], *told[2:]) == (status, param, code)


def test_a_batch_needs_its_parameters(client: httpx.Client) -> None:
    message = "Missing required parameter: 'input_file_id'."
    given = error(client.post("/batches", json={}))
    assert given == (400, message, "input_file_id", "missing_required_parameter")
    assert error(client.post("/batches", content=b"{"))[0] == 400


# Files on the wire


@pytest.fixture
def output(simulated: SimulatedOpenAI, clock: Clock) -> str:
    """Id of the output file of a batch that has ended."""
    name = simulated.add(replace(COMPLETED, output_bytes=50_000))
    clock.now += 60
    return str(simulated.batch(name)["output_file_id"])


def test_a_file_is_described_and_downloaded(
    simulated: SimulatedOpenAI, client: httpx.Client, output: str
) -> None:
    about = client.get(f"/files/{output}").json()
    answer = client.get(f"/files/{output}/content")
    assert answer.content == simulated.file(output).read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == about["bytes"]
    assert (about["purpose"], about["created_at"]) == ("batch_output", START + 7)
    assert about["expires_at"] - about["created_at"] == 30 * 86_400


def test_an_output_file_is_not_there_before_the_batch_has_ended(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock
) -> None:
    name = simulated.add(COMPLETED)
    clock.now += 6.5
    hidden = file_id(name, "output")
    assert error(client.get(f"/files/{hidden}"))[0] == 404
    assert client.get(f"/files/{file_id(name, 'input')}").json()["purpose"] == "batch"
    clock.now += 0.5
    assert client.get(f"/files/{hidden}").status_code == 200


def test_a_deleted_file_is_gone(
    simulated: SimulatedOpenAI, client: httpx.Client, output: str
) -> None:
    simulated.delete_file(output)
    gone = (404, f"No such File object: {output}", "id", None)
    assert error(client.get(f"/files/{output}")) == gone
    assert error(client.get(f"/files/{output}/content")) == gone


@pytest.mark.parametrize("wanted", ["bytes=0-99", "bytes=1000-", "bytes=49000-999999999"])
def test_a_range_of_a_file_is_sent_alone(client: httpx.Client, output: str, wanted: str) -> None:
    url = f"/files/{output}/content"
    whole = client.get(url)
    etag = whole.headers["etag"]
    part = client.get(url, headers={"Range": wanted, "If-Range": etag})
    first, last = wanted.removeprefix("bytes=").split("-")
    expected = whole.content[int(first) : int(last or 10**9) + 1]
    end = int(first) + len(expected) - 1
    assert (part.status_code, part.content) == (206, expected)
    assert part.headers["content-range"] == f"bytes {first}-{end}/{len(whole.content)}"
    assert part.headers["etag"] == etag
    assert part.headers["accept-ranges"] == "bytes"


def test_a_range_beyond_the_end_is_refused(client: httpx.Client, output: str) -> None:
    answer = client.get(f"/files/{output}/content", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=9-3"},
        {"Range": "bytes=0-1,4-5"},
        {"Range": "bytes=5-", "If-Range": '"another"'},
    ],
)
def test_a_range_that_does_not_apply_is_ignored(
    client: httpx.Client, output: str, headers: dict[str, str]
) -> None:
    assert client.get(f"/files/{output}/content", headers=headers).status_code == 200


def test_an_origin_without_ranges_sends_the_whole_file(
    simulated: SimulatedOpenAI, client: httpx.Client, output: str
) -> None:
    simulated.ranges = False
    answer = client.get(f"/files/{output}/content", headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.content) == (200, simulated.file(output).read_bytes())
    assert "etag" not in answer.headers


def test_a_large_file_is_never_whole_in_memory(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock
) -> None:
    large = replace(COMPLETED, requests=200, output_bytes=60_000_000)
    url = f"/files/{file_id(simulated.add(large), 'output')}/content"
    clock.now += 60
    tracemalloc.start()
    try:
        with client.stream("GET", url) as answer:
            received = sum(len(chunk) for chunk in answer.iter_raw())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == pytest.approx(60_000_000, rel=0.01)
    assert peak < 10_000_000


# Faults


def test_a_fault_hits_as_often_as_it_says(simulated: SimulatedOpenAI, client: httpx.Client) -> None:
    name = simulated.add(COMPLETED)
    fault = simulated.fault(
        r"GET /v1/batches/", times=2, status=429, body=b"slow down", headers={"Retry-After": "3"}
    )
    answers = [client.get(f"/batches/{name}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert (answers[0].content, answers[0].headers["retry-after"]) == (b"slow down", "3")
    assert fault.times == 0


def test_a_fault_may_last_for_ever_and_do_nothing(
    simulated: SimulatedOpenAI, client: httpx.Client
) -> None:
    name = simulated.add(COMPLETED)
    simulated.fault(r"cancel$", times=-1, status=500)
    for _ in range(3):
        assert error(client.post(f"/batches/{name}/cancel"))[0] == 500
    assert simulated.batch(name)["status"] == "validating"


def test_a_fault_edits_the_true_answer(simulated: SimulatedOpenAI, client: httpx.Client) -> None:
    name = simulated.add(COMPLETED)
    simulated.fault(name, edit=lambda batch: batch.update(status="résting", output_file_id=""))
    edited = client.get(f"/batches/{name}").json()
    assert edited == simulated.batch(name) | {"status": "résting", "output_file_id": ""}


def received_of(answer: httpx.Response) -> bytes:
    """Receive an answer that ends too early."""
    received = b""
    try:
        for chunk in answer.iter_raw():
            received += chunk
    except httpx.RemoteProtocolError:
        return received
    pytest.fail("the answer was whole")


@pytest.mark.parametrize("length", [0, 1, 20_000])
def test_a_fault_cuts_a_download_short(
    simulated: SimulatedOpenAI, client: httpx.Client, output: str, length: int
) -> None:
    whole = simulated.file(output).read_bytes()
    simulated.fault(r"/content", cut_after=length)
    with client.stream("GET", f"/files/{output}/content") as answer:
        assert int(answer.headers["content-length"]) == len(whole)
        assert received_of(answer) == whole[:length]
    assert client.get(f"/files/{output}/content").content == whole


def test_a_fault_delays_an_answer(simulated: SimulatedOpenAI, client: httpx.Client) -> None:
    simulated.fault(r"/batches", delay=3600)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/batches", timeout=0.05)


# The server


def test_every_request_is_kept_and_every_answer_has_an_id(
    simulated: SimulatedOpenAI, client: httpx.Client
) -> None:
    ids = {client.get(path).headers["x-request-id"] for path in ("/batches?limit=5", "/nothing")}
    assert len(ids) == 2
    assert [request.path for request in simulated.requests] == [
        "/v1/batches?limit=5",
        "/v1/nothing",
    ]
    assert simulated.requests[0].method == "GET"
    assert simulated.requests[0].headers["authorization"] == "Bearer sk-simulated"


def test_a_connection_is_kept_alive(simulated: SimulatedOpenAI) -> None:
    connection = http.client.HTTPConnection(urlsplit(simulated.base_url).netloc)
    connection.request("POST", "/v1/batches", b"{}", {"Authorization": "Bearer sk-simulated"})
    assert connection.getresponse().read()
    kept = connection.sock
    connection.request("GET", "/v1/batches", headers={"Authorization": "Bearer sk-simulated"})
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()


def test_one_slow_answer_does_not_hold_up_another(
    simulated: SimulatedOpenAI, client: httpx.Client
) -> None:
    name = simulated.add(COMPLETED)
    reached, released = threading.Event(), threading.Event()

    def hold(_: dict[str, Any]) -> None:
        reached.set()
        released.wait(60)

    def wait() -> None:
        with connect(simulated) as patient:
            patient.get("/batches", timeout=60)

    simulated.fault(r"/batches$", edit=hold)
    waiting = threading.Thread(target=wait)
    waiting.start()
    assert reached.wait(60)
    assert client.get(f"/batches/{name}").status_code == 200
    released.set()
    waiting.join()


def test_closing_leaves_no_thread_and_no_file(clock: Clock) -> None:
    before = set(threading.enumerate())
    with SimulatedOpenAI(clock=clock) as simulated, connect(simulated) as client:
        name = simulated.add(COMPLETED)
        path = simulated.file(file_id(name, "output"))
        client.get("/batches")
        assert path.exists()
        assert set(threading.enumerate()) > before
        simulated.__exit__()
        assert set(threading.enumerate()) == before
    assert not path.exists()


def test_files_are_kept_in_the_directory_given(tmp_path: Path, clock: Clock) -> None:
    with SimulatedOpenAI(clock=clock, directory=tmp_path / "files") as simulated:
        path = simulated.file(file_id(simulated.add(COMPLETED), "output"))
    assert path.parent == tmp_path / "files"
    assert path.exists()


def test_a_client_that_leaves_is_no_mistake(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    with SimulatedOpenAI(clock=clock) as simulated:
        large = replace(COMPLETED, requests=100, output_bytes=20_000_000)
        output = file_id(simulated.add(large), "output")
        clock.now += 60
        address = urlsplit(simulated.base_url)
        with socket.create_connection((address.hostname or "", address.port or 0)) as leaving:
            leaving.sendall(
                f"GET /v1/files/{output}/content HTTP/1.1\r\nHost: simulated\r\n"
                "Authorization: Bearer sk-simulated\r\n\r\n".encode()
            )
            assert leaving.recv(100)
    assert simulated.errors == []
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_the_simulator_is_kept() -> None:
    def broken() -> float:
        raise LookupError("no time")

    with SimulatedOpenAI(clock=broken) as simulated, connect(simulated) as client:
        simulated.add(COMPLETED, created_at=START)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/batches")
    assert [type(mistake) for mistake in simulated.errors] == [LookupError]


# The contract


def test_answers_have_the_recorded_shape(
    simulated: SimulatedOpenAI, client: httpx.Client, clock: Clock
) -> None:
    folder = os.environ.get("BATCHWATCH_CONTRACT")
    if not folder:
        pytest.skip("BATCHWATCH_CONTRACT names no folder with the recorded contract")
    yaml = pytest.importorskip("yaml")
    jsonschema = pytest.importorskip("jsonschema")
    contract = Path(folder)
    document = yaml.safe_load((contract / "openai-batches.patched.openapi.yaml").read_text())

    def check(name: str, content: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(content)

    names = [simulated.add(script) for script in SCRIPTS]
    while clock.now < START + 10:
        clock.now += 0.5
        check("ListBatchesResponse", client.get("/batches").json())
    check("ErrorResponse", client.get("/batches/batch_1").json())
    check("ErrorResponse", client.get("/batches?limit=0").json())
    check("OpenAIFile", client.get(f"/files/{file_id(names[0], 'output')}").json())
    batch = client.get(f"/batches/{names[0]}").json()
    for sample in (contract / "samples").glob("batch.*.json"):
        assert set(json.loads(sample.read_text())) <= set(batch), sample.name
    for script in SCRIPTS:
        for line in read(script, "output") + read(script, "error"):
            check("BatchRequestOutput", line)
        for line in read(script, "input"):
            check("BatchRequestInput", line)
    for endpoint, recorded in {
        "/v1/chat/completions": "output.chat.2026.jsonl",
        "/v1/embeddings": "output.embeddings.2026.jsonl",
        "/v1/responses": "output.responses.2026.jsonl",
    }.items():
        [ours, *_] = read(replace(COMPLETED, endpoint=endpoint), "output")
        theirs = (contract / "samples" / recorded).read_bytes().partition(b"\n")[0]
        assert keys(ours) <= keys(json.loads(theirs))


def keys(value: object, path: str = "") -> set[str]:
    """Name the place of each value in a JSON document."""
    if isinstance(value, dict):
        return {path}.union(*(keys(each, f"{path}.{name}") for name, each in value.items()))
    if isinstance(value, list):
        return {path}.union(*(keys(each, f"{path}[]") for each in value))
    return {path}
