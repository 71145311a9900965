"""The simulated OpenAI, as it answers on the wire."""

import json
import os
import socket
import threading
import tracemalloc
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from local.simulator import SimulatedOpenAI
from local.simulator.lifecycle import Script, file_id
from tests.simulator.client import KEY, Client, Clock
from tests.simulator.test_lifecycle import (
    ANSWERED,
    COMPLETED,
    EXPIRED,
    FAILED,
    SCRIPTS,
    START,
    life,
    read,
)

PURPOSE: dict[str, Any] = {"purpose": (None, "batch")}


@pytest.fixture
def output(client: Client) -> str:
    """Id of the output file of a batch that has ended."""
    ended = client.simulated.add(replace(COMPLETED, output_bytes=50_000))
    client.clock.now += 60
    return file_id(ended, "output")


def error(response: httpx.Response) -> tuple[int, str, str | None, str | None]:
    told = response.json()["error"]
    return response.status_code, told["message"], told["param"], told["code"]


def new(**changes: object) -> dict[str, Any]:
    """Ask for a new batch."""
    asked = {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}
    return {"json": asked | changes}


# Batches on the wire


def test_pages_list_the_newest_batch_first(client: Client) -> None:
    ids = [client.simulated.add(COMPLETED, created_at=START - age) for age in (30, 10, 20, 10)]
    page = client.get("/batches", params={"limit": 3}).json()
    rest = client.get("/batches", params={"limit": 3, "after": page["last_id"]}).json()
    listed = [batch["id"] for batch in page["data"] + rest["data"]]
    assert listed == [ids[3], ids[1], ids[2], ids[0]]
    assert (page["first_id"], page["has_more"]) == (ids[3], True)
    assert (rest["last_id"], rest["has_more"]) == (ids[0], False)


def test_a_page_is_of_20_batches_and_may_be_empty(client: Client) -> None:
    empty = client.get("/batches").json()
    assert empty.pop("data") == []
    assert empty == {"object": "list", "first_id": None, "last_id": None, "has_more": False}
    for _ in range(21):
        client.simulated.add(COMPLETED)
    assert len(client.get("/batches").json()["data"]) == 20


def test_a_batch_is_retrieved_as_it_is_now(client: Client) -> None:
    name = client.simulated.add(COMPLETED)
    client.clock.now += 3
    assert client.get(f"/batches/{name}").json() == client.simulated.batch(name)
    assert client.simulated.batch(name)["status"] == "in_progress"
    assert client.simulated.scripts == {name: COMPLETED}


def test_a_cancelled_batch_keeps_its_partial_output(client: Client) -> None:
    name = client.simulated.add(COMPLETED)
    client.simulated.file(file_id(name, "output"))  # written as if nobody would cancel
    client.clock.now += 3.5
    assert client.post(f"/batches/{name}/cancel").json()["status"] == "cancelling"
    client.clock.now += 1
    batch = client.post(f"/batches/{name}/cancel").json()
    assert (batch["status"], batch["cancelled_at"]) == ("cancelled", START + 4)
    assert batch["request_counts"] == {"total": 10, "completed": 4, "failed": 1}
    assert client.get(f"/files/{batch['output_file_id']}/content").content.count(b"\n") == 4
    assert client.get(f"/files/{batch['error_file_id']}/content").content.count(b"\n") == 6
    assert client.simulated.scripts[name].ends == "cancelled"


@pytest.mark.parametrize("script", [COMPLETED, FAILED, EXPIRED])
def test_what_has_ended_is_not_cancelled(client: Client, script: Script) -> None:
    name = client.simulated.add(script)
    client.clock.now += 60
    message = f"Cannot cancel a batch with status '{script.ends}'."
    assert error(client.post(f"/batches/{name}/cancel")) == (409, message, None, None)


def test_a_batch_of_an_uploaded_file_completes(client: Client) -> None:
    request = (
        b'{"custom_id": "%s", "method": "POST", "url": "/v1/responses", "body": {"model": "m"}}'
    )
    content = request % b"a" + b"\r\n" + request % b"--b" + b"\n"
    files = PURPOSE | {"file": ("in.jsonl", content)}
    uploaded = client.post("/files", files=files).json()
    assert (uploaded["filename"], uploaded["bytes"]) == ("in.jsonl", len(content))
    assert client.get(f"/files/{uploaded['id']}/content").content == content
    asked = new(input_file_id=uploaded["id"], metadata={"team": "blue"})
    name = client.post("/batches", **asked).json()["id"]
    client.clock.now += 60
    batch = client.get(f"/batches/{name}").json()
    assert asked["json"].items() <= batch.items()
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    output_as_input = client.post("/batches", **new(input_file_id=batch["output_file_id"]))
    assert error(output_as_input)[::2] == (400, "input_file_id")


def test_an_upload_may_come_in_chunks(client: Client) -> None:
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
    ("asked", "sent", "told"),
    [
        ("GET /batches", {"headers": {"Authorization": ""}}, (401, None, None)),
        ("GET /models", {}, (404, None, None)),
        ("GET /files", {}, (404, None, None)),
        ("GET /files/file-1", {}, (404, "id", None)),
        ("GET /batches/batch_1/more", {}, (404, None, None)),
        ("GET /batches?after=batch_1", {}, (400, "after", None)),
        ("GET /batches?limit=0", {}, (400, "limit", "integer_below_min_value")),
        ("GET /batches?limit=101", {}, (400, "limit", "integer_above_max_value")),
        ("GET /batches?limit=ten", {}, (400, "limit", "invalid_type")),
        ("POST /batches/batch_1/cancel", {}, (404, None, None)),
        ("POST /batches/other/cancel", {}, (400, "batch_id", "invalid_value")),
        ("POST /batches", {"content": b"{"}, (400, None, None)),
        ("POST /batches", {"content": b"\xff"}, (400, None, None)),
        ("POST /batches", {"content": b"[" * 100_000}, (400, None, None)),
        ("POST /batches", {"json": []}, (400, None, None)),
        ("POST /batches", new(input_file_id=None), (400, "input_file_id", "invalid_type")),
        ("POST /batches", new(input_file_id="file-none"), (404, "id", None)),
        ("POST /batches", new(endpoint="/v1/invalid"), (400, "endpoint", "invalid_value")),
        ("POST /batches", new(completion_window="1h"), (400, "completion_window", "invalid_value")),
        ("POST /batches", new(metadata={"a": [1]}), (400, "metadata.a", "invalid_type")),
        ("POST /files", {"content": b"{}"}, (400, None, None)),
        ("POST /files", {"files": PURPOSE}, (400, "file", "missing_required_parameter")),
        ("POST /files", {"files": PURPOSE | {"file": ("a.csv", b"{}")}}, (400, None, None)),
        ("POST /files", {"files": {"file": b"", "purpose": b"assistants"}}, (400, "purpose", None)),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: Client, asked: str, sent: dict[str, Any], told: tuple[int, str | None, str | None]
) -> None:
    method, path = asked.split()
    status, _, *which = error(client.request(method, path, **sent))
    assert (status, *which) == told


def test_errors_are_worded_as_by_openai(client: Client) -> None:
    told = error(client.post("/batches", json={}))
    assert told[:2] == (400, "Missing required parameter: 'input_file_id'.")
    assert told[2:] == ("input_file_id", "missing_required_parameter")
    told = error(client.get("/batches", headers={"Authorization": "Bearer sk-of-another"}))
    assert told == (401, "Incorrect API key provided: sk-***ther.", None, "invalid_api_key")
    strange = "batch_a/b c?d=é"
    told = error(client.get(f"/batches/{quote(strange, safe='')}"))
    assert told == (404, f"No batch found with id '{strange}'.", None, None)
    told = error(client.get(client.base_url.copy_with(path="/batches")))
    assert told == (404, "Invalid URL (GET /batches)", None, None)


# Files on the wire


def test_a_file_is_described_and_downloaded(client: Client, output: str) -> None:
    about = client.get(f"/files/{output}").json()
    answer = client.get(f"/files/{output}/content")
    assert answer.content == client.simulated.file(output).read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == about["bytes"]
    assert (about["purpose"], about["created_at"]) == ("batch_output", START + 7)
    assert about["expires_at"] - about["created_at"] == 30 * 86_400


def test_an_output_file_is_not_there_before_the_batch_has_ended(client: Client) -> None:
    name = client.simulated.add(COMPLETED)
    client.clock.now += 6.5
    hidden = file_id(name, "output")
    assert error(client.get(f"/files/{hidden}"))[0] == 404
    assert client.get(f"/files/{file_id(name, 'input')}").json()["purpose"] == "batch"
    client.clock.now += 0.5
    assert client.get(f"/files/{hidden}").status_code == 200


def test_a_deleted_file_is_gone(client: Client, output: str) -> None:
    client.simulated.delete_file(output)
    gone = (404, f"No such File object: {output}", "id", None)
    assert error(client.get(f"/files/{output}")) == gone
    assert error(client.get(f"/files/{output}/content")) == gone


@pytest.mark.parametrize("wanted", ["bytes=0-99", "bytes=1000-", "bytes=49000-999999999"])
def test_a_range_of_a_file_is_sent_alone(client: Client, output: str, wanted: str) -> None:
    url = f"/files/{output}/content"
    whole = client.get(url)
    etag = whole.headers["etag"]
    part = client.get(url, headers={"Range": wanted, "If-Range": etag})
    first, last = wanted.removeprefix("bytes=").split("-")
    expected = whole.content[int(first) : int(last or 10**9) + 1]
    end = int(first) + len(expected) - 1
    assert (part.status_code, part.content) == (206, expected)
    assert part.headers["content-range"] == f"bytes {first}-{end}/{len(whole.content)}"
    assert (part.headers["etag"], part.headers["accept-ranges"]) == (etag, "bytes")
    assert client.get(url, headers={"Range": wanted, "If-Range": '"other"'}).status_code == 200


def test_a_range_beyond_the_end_is_refused(client: Client, output: str) -> None:
    answer = client.get(f"/files/{output}/content", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")


@pytest.mark.parametrize("wanted", ["bytes=9-3", "bytes=0-1,4-5", f"bytes={'9' * 5000}-"])
def test_a_range_that_cannot_be_read_is_ignored(client: Client, output: str, wanted: str) -> None:
    answer = client.get(f"/files/{output}/content", headers={"Range": wanted})
    assert answer.status_code == 200


def test_an_origin_without_ranges_sends_the_whole_file(client: Client, output: str) -> None:
    client.simulated.ranges = False
    answer = client.get(f"/files/{output}/content", headers={"Range": "bytes=5-"})
    whole = client.simulated.file(output).read_bytes()
    assert (answer.status_code, answer.content) == (200, whole)
    assert "etag" not in answer.headers


def test_a_large_file_is_never_whole_in_memory(client: Client) -> None:
    large = client.simulated.add(replace(COMPLETED, requests=200, output_bytes=60_000_000))
    client.clock.now += 60
    tracemalloc.start()
    try:
        with client.stream("GET", f"/files/{file_id(large, 'output')}/content") as answer:
            received = sum(len(chunk) for chunk in answer.iter_raw())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == pytest.approx(60_000_000, rel=0.01)
    assert peak < 10_000_000


# The server


def test_every_request_is_kept_and_every_answer_has_an_id(client: Client) -> None:
    answers = [client.get("/batches?limit=5"), client.get("/nothing")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    first, second = client.simulated.requests
    assert (first.method, first.path) == ("GET", "/v1/batches?limit=5")
    assert (second.method, second.path) == ("GET", "/v1/nothing")
    assert first.headers["authorization"] == KEY["Authorization"]


def test_a_connection_is_kept_alive(client: Client) -> None:
    connection = HTTPConnection(client.base_url.netloc.decode())
    connection.request("POST", "/v1/batches", b"{}", KEY)
    assert connection.getresponse().read()
    kept = connection.sock
    connection.request("GET", "/v1/batches", headers=KEY)
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"Content-Length: 9\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}",
    ],
)
def test_a_body_whose_end_cannot_be_told_is_refused(client: Client, rest: bytes) -> None:
    connection = HTTPConnection(client.base_url.netloc.decode())
    connection.connect()
    connection.sock.sendall(b"POST /v1/batches HTTP/1.1\r\n" + rest)
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 400 ")
    connection.close()
    assert client.simulated.requests == []


def test_one_slow_answer_does_not_hold_up_another(client: Client) -> None:
    reached, released = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        released.wait(60)

    client.simulated.fault(r"/batches", edit=hold)
    waiting = threading.Thread(target=client.get, args=("/batches",), kwargs={"timeout": 60})
    waiting.start()
    assert reached.wait(60)
    assert client.get("/batches").status_code == 200
    released.set()
    waiting.join()


@pytest.mark.parametrize("folder", [None, "files"])
def test_closing_leaves_no_thread_and_only_files_put_elsewhere(
    tmp_path: Path, folder: str | None
) -> None:
    before, directory = set(threading.enumerate()), tmp_path / folder if folder else None
    with SimulatedOpenAI(directory=directory) as simulated, Client(simulated, Clock()) as client:
        path = simulated.file(file_id(simulated.add(COMPLETED), "output"))
        client.get("/batches")
        assert path.exists()
        assert set(threading.enumerate()) > before
        simulated.__exit__()  # while the client keeps its connection
        assert set(threading.enumerate()) == before
    assert path.exists() == (path.parent == directory) == bool(folder)


def test_a_client_that_leaves_is_no_mistake(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    large = client.simulated.add(replace(COMPLETED, requests=100, output_bytes=20_000_000))
    client.clock.now += 60
    connection = HTTPConnection(client.base_url.netloc.decode())
    connection.request("GET", f"/v1/files/{file_id(large, 'output')}/content", headers=KEY)
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 200 ")
    connection.close()
    client.simulated.__exit__()
    assert client.simulated.errors == []
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_the_simulator_is_kept() -> None:
    def broken() -> float:
        raise LookupError("no time")

    with SimulatedOpenAI(clock=broken) as simulated, Client(simulated, Clock()) as client:
        simulated.add(COMPLETED, created_at=START)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/batches")
    assert [type(mistake) for mistake in simulated.errors] == [LookupError]


# The contract


def test_answers_have_the_recorded_shape(client: Client) -> None:
    folder = os.environ.get("BATCHWATCH_CONTRACT")
    if not folder:
        pytest.skip("BATCHWATCH_CONTRACT names no folder with the recorded contract")
    yaml, jsonschema = pytest.importorskip("yaml"), pytest.importorskip("jsonschema")
    samples = Path(folder) / "samples"
    document = yaml.safe_load((samples.parent / "openai-batches.patched.openapi.yaml").read_text())

    def check(name: str, content: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(content)

    names = [client.simulated.add(script) for script in SCRIPTS]
    while client.clock.now < START + 10:
        client.clock.now += 0.5
        check("ListBatchesResponse", client.get("/batches").json())
    check("ErrorResponse", client.get("/batches/batch_1").json())
    check("ErrorResponse", client.get("/batches?limit=0").json())
    check("OpenAIFile", client.get(f"/files/{file_id(names[0], 'output')}").json())
    for sample in samples.glob("batch.*.json"):
        assert set(json.loads(sample.read_text())) <= set(life(COMPLETED)[-1]), sample.name
    for script in SCRIPTS:
        for line in read(script, "output") + read(script, "error"):
            check("BatchRequestOutput", line)
        for line in read(script, "input"):
            check("BatchRequestInput", line)
    for script, kind in zip(ANSWERED, ("chat", "responses", "embeddings"), strict=True):
        theirs = (samples / f"output.{kind}.2026.jsonl").read_bytes().partition(b"\n")[0]
        assert places(read(script, "output")[0]) <= places(json.loads(theirs))


def places(value: object, path: str = "") -> set[str]:
    """Name the place of each value in a JSON document."""
    if isinstance(value, dict):
        return {path}.union(*(places(each, f"{path}.{name}") for name, each in value.items()))
    if isinstance(value, list):
        return {path}.union(*(places(each, f"{path}[]") for each in value))
    return {path}
