"""What becomes of a file that is uploaded, and of a batch that is created of it."""

from __future__ import annotations

import json
import tracemalloc
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.simulator import Pace, SimulatedOpenAI
from local.simulator.lifecycle import MODELS
from local.simulator.wire import HangUpError, Request
from tests.simulator.client import (
    KEY,
    Client,
    Clock,
    created,
    request,
    retrieved,
    sent,
    uploaded,
)
from tests.simulator.test_lifecycle import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORM = {"content-type": "multipart/form-data; boundary=limit"}


def answers(client: Client, batch: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """Read the output or error file of a batch; without one, nothing."""
    file_id = batch[f"{role}_file_id"]
    if file_id is None:
        return []
    lines = client.get(f"/files/{file_id}/content").content.split(b"\n")
    return [json.loads(line) for line in lines if line]


def ended(client: Client, batch_id: str) -> dict[str, Any]:
    """Let time pass and ask for a batch."""
    client.clock.now += 60
    return retrieved(client, batch_id)


# It is answered as it was asked


def test_each_request_of_an_uploaded_file_is_answered_once_and_out_of_order(client: Client) -> None:
    client.simulated.pace = Pace(failed=0.3)
    ids = [f'{number}, "\\« \uffff' for number in range(20)]
    batch = ended(client, sent(client, *map(request, ids)))
    output, error = (answers(client, batch, role) for role in ("output", "error"))
    assert [len(output), len(error)] == [14, 6]
    told = [line["custom_id"] for line in output + error]
    assert sorted(told) == sorted(ids) != told
    assert {line["response"]["body"]["model"] for line in output} == {"gpt-5-mini"}
    assert batch["request_counts"] == {"total": 20, "completed": 14, "failed": 6}
    assert batch["model"] == "gpt-5-mini"
    assert answers(client, batch, "output") == output


@pytest.mark.parametrize("endpoint", MODELS)
def test_every_endpoint_answers(client: Client, endpoint: str) -> None:
    line = request(url=endpoint, body={"model": "mine", "input": "Why?"})
    batch = ended(client, sent(client, line, endpoint=endpoint))
    (answer,) = answers(client, batch, "output")
    assert (batch["status"], batch["endpoint"], answer["custom_id"]) == ("completed", endpoint, "a")
    assert answer["response"]["body"]


def test_a_batch_takes_as_long_as_its_pace_says_and_can_be_cancelled_on_its_way(
    client: Client,
) -> None:
    client.simulated.pace = Pace(validating=10, running=20, finalizing=30)
    lines = [request(str(number)) for number in range(10)]
    batch_id, other = sent(client, *lines), sent(client, *lines)
    client.clock.now = START + 20
    assert client.post(f"/batches/{other}/cancel").json()["status"] == "cancelling"
    batch = ended(client, batch_id)
    names = ("in_progress_at", "finalizing_at", "completed_at")
    assert [batch[name] - START for name in names] == [10, 30, 60]
    stopped = retrieved(client, other)
    output, error = (answers(client, stopped, role) for role in ("output", "error"))
    assert (stopped["status"], len(output), len(error)) == ("cancelled", 5, 5)
    assert {line["custom_id"] for line in output + error} == {line["custom_id"] for line in lines}


def test_a_batch_shows_what_its_creator_gave_and_its_files_expire_as_asked(client: Client) -> None:
    metadata = {f"{number:064}": "x" * 512 for number in range(16)}
    expiry = {"anchor": "created_at", "seconds": 3600}
    file_id = uploaded(client, request())
    told = created(client, file_id, metadata=metadata, output_expires_after=expiry)
    batch = ended(client, told["id"])
    assert (batch["metadata"], batch["input_file_id"]) == (metadata, file_id)
    output = client.get(f"/files/{batch['output_file_id']}").json()
    assert output["expires_at"] - output["created_at"] == 3600
    client.clock.now += 3600
    assert client.get(f"/files/{batch['output_file_id']}/content").status_code == 404


def test_an_input_file_expires_as_asked(client: Client) -> None:
    form: dict[str, Any] = {
        "purpose": (None, "batch"),
        "expires_after[anchor]": (None, "created_at"),
        "expires_after[seconds]": (None, "3600"),
        "file": ("in.jsonl", b"{}\n"),
    }
    told = client.post("/files", files=form).json()
    assert told["expires_at"] - told["created_at"] == 3600
    client.clock.now += 3600
    assert created(client, told["id"])["error"]["message"] == f"No such File object: {told['id']}"
    form["expires_after[seconds]"] = (None, "60")
    assert client.post("/files", files=form).json()["error"]["param"] == "expires_after.seconds"


# What OpenAI refuses


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (b"\xef\xbb\xbf" + json.dumps(request()).encode(), "invalid_json_line", None),
        (b'{"a": NaN}', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (request("\ud800"), "invalid_json_line", None),
        (request(custom_id=None), "missing_required_parameter", "custom_id"),
        (request(method=None), "missing_required_parameter", "method"),
        (request(url=None), "missing_required_parameter", "url"),
        (request(body=None), "missing_required_parameter", "body"),
        (request(custom_id=1), "invalid_request", "custom_id"),
        (request(method="GET"), "invalid_method", "method"),
        (request(url="/v1/embeddings"), "invalid_url", "url"),
        (request(body=[]), "invalid_request", "body"),
        (request(body={}), "invalid_request", "body.model"),
        (request(body={"model": "unheard-of"}), "model_not_found", "body.model"),
        (request(body={"model": "other"}), "mismatched_model", "body.model"),
        (
            request(body={"model": "gpt-5-mini", "stream": True}),
            "streaming_unsupported",
            "body.stream",
        ),
        (request("first"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_a_batch_fails_that_has_a_line_which_is_not_as_it_should_be(
    client: Client, line: dict[str, object] | bytes, code: str, param: str | None
) -> None:
    client.simulated.unknown_models = {"unheard-of"}
    batch_id = sent(client, request("first"), b" ", line, request("last"))
    assert retrieved(client, batch_id)["status"] == "validating"
    batch = ended(client, batch_id)
    (problem,) = batch["errors"]["data"]
    assert (batch["status"], problem["code"], problem["param"]) == ("failed", code, param)
    assert (problem["line"], bool(problem["message"])) == (3, True)
    assert batch["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert batch["output_file_id"] is batch["error_file_id"] is None


@pytest.mark.parametrize(
    ("lines", "endpoint", "code"),
    [
        ([b"", b" \r"], "/v1/responses", "empty_file"),
        ([request(str(number)) for number in range(4)], "/v1/responses", "too_many_tasks"),
        (
            [request(url="/v1/embeddings", body={"model": "m", "input": ["a", "b", "c", "d"]})],
            "/v1/embeddings",
            "too_many_tasks",
        ),
    ],
)
def test_a_batch_fails_of_a_file_that_holds_nothing_or_too_much(
    client: Client, lines: list[Any], endpoint: str, code: str
) -> None:
    client.simulated.most_requests = 3
    batch = ended(client, sent(client, *lines, endpoint=endpoint))
    (problem,) = batch["errors"]["data"]
    assert (batch["status"], problem["code"], problem["line"]) == ("failed", code, None)


def test_each_line_has_its_own_error_worded_as_by_openai(client: Client) -> None:
    batch = ended(client, sent(client, b"{", request(url="/v1/videos")))
    assert batch["errors"]["data"] == [
        {
            "code": "invalid_json_line",
            "message": "This line is not parseable as valid JSON.",
            "param": None,
            "line": 1,
        },
        {
            "code": "invalid_url",
            "message": "The URL provided for this request does not match the batch endpoint.",
            "param": "url",
            "line": 2,
        },
    ]


def test_a_file_that_is_too_large_is_refused_at_its_upload(client: Client) -> None:
    client.simulated.largest_upload = 2
    form: dict[str, Any] = {"purpose": (None, "batch"), "file": ("in.jsonl", b"{}\n")}
    answer = client.post("/files", files=form)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "File is too large."
    assert client.simulated.uploads == []


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"metadata": []}, "metadata", "invalid_type"),
        (
            {"metadata": {str(number): "" for number in range(17)}},
            "metadata",
            "object_above_max_properties",
        ),
        ({"metadata": {"a": "x" * 513}}, "metadata.a", "string_above_max_length"),
        ({"metadata": {"n" * 65: ""}}, f"metadata.{'n' * 64}", "string_above_max_length"),
        ({"output_expires_after": 3600}, "output_expires_after", "invalid_type"),
        (
            {"output_expires_after": {"seconds": 3600}},
            "output_expires_after.anchor",
            "missing_required_parameter",
        ),
        (
            {"output_expires_after": {"anchor": "now", "seconds": 3600}},
            "output_expires_after.anchor",
            "invalid_value",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 3599}},
            "output_expires_after.seconds",
            "integer_below_min_value",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 2_592_001}},
            "output_expires_after.seconds",
            "integer_above_max_value",
        ),
    ],
)
def test_a_creation_that_makes_no_sense_is_refused(
    client: Client, changes: dict[str, Any], param: str, code: str
) -> None:
    error = created(client, uploaded(client, request()), **changes)["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert client.simulated.created == []


# What a test can tell from outside


@pytest.mark.parametrize("fault", [{"reset": True}, {"cut_after": 20}])
def test_a_creation_is_carried_out_though_its_answer_is_lost(
    client: Client, fault: dict[str, Any]
) -> None:
    file_id = uploaded(client, request())
    client.simulated.fault("POST /v1/batches$", **fault)
    with pytest.raises(httpx.TransportError):
        created(client, file_id, metadata={"part": "1"})
    (made,) = client.simulated.created
    assert (made.input_file_id, made.metadata, made.at) == (file_id, {"part": "1"}, START)
    assert (made.model, made.endpoint, made.requests) == ("gpt-5-mini", "/v1/responses", 1)
    (listed,) = client.get("/batches").json()["data"]
    assert (listed["id"], listed["metadata"]) == (made.id, {"part": "1"})


def test_every_upload_is_kept_and_may_be_used_again(client: Client) -> None:
    file_id = uploaded(client, request())
    both = [created(client, file_id)["id"] for _ in range(2)]
    (upload,) = client.simulated.uploads
    size = client.simulated.file(file_id).stat().st_size
    assert (upload.id, upload.filename, upload.bytes) == (file_id, "in.jsonl", size)
    assert [made.id for made in client.simulated.created] == both
    assert len(set(both)) == 2


def test_requests_may_be_answered_without_a_server() -> None:
    openai = SimulatedOpenAI(clock=Clock())
    headers = {name.lower(): value for name, value in KEY.items()}
    body = form([json.dumps(request()).encode()])
    answer = openai.answer(Request("POST", "/v1/files", headers | FORM), b"".join(body))
    file_id = json.loads(b"".join(answer.chunks))["id"]
    asked = {"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h"}
    openai.fault("POST /v1/batches$", reset=True)
    with openai, pytest.raises(HangUpError):
        openai.answer(Request("POST", "/v1/batches", headers), json.dumps(asked).encode())
    assert [made.input_file_id for made in openai.created] == [file_id]


# At full size


@pytest.mark.parametrize(
    ("count", "size"),
    [(300, 60_000), pytest.param(50_000, 3_800, marks=pytest.mark.full)],
)
def test_a_large_upload_is_never_whole_in_memory(client: Client, count: int, size: int) -> None:
    lines = (json.dumps(numbered(number, size)).encode() + b"\n" for number in range(count))
    connection = HTTPConnection(client.base_url.netloc.decode())
    tracemalloc.start()
    try:
        connection.request("POST", "/v1/files", form(lines), KEY | FORM, encode_chunked=True)
        file_id = json.loads(connection.getresponse().read())["id"]
        batch = ended(client, created(client, file_id)["id"])
        client.get(f"/files/{batch['output_file_id']}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        connection.close()
    assert batch["request_counts"]["completed"] == count
    assert client.simulated.uploads[0].bytes > count * size
    assert peak < 7_000_000 + 1_000 * count


def numbered(number: int, size: int) -> dict[str, object]:
    return request(str(number), body={"model": "gpt-5-mini", "input": "x" * size})


def form(content: Iterable[bytes]) -> Iterator[bytes]:
    yield b'--limit\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    yield b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    yield from content
    yield b"\r\n--limit--\r\n"
