"""What OpenAI and those that speak like it have really answered is read for what it means."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import pytest

from batchwatch.batch import Batch, Role, Status
from batchwatch.errors import AccessError, NotFoundError, OpenAIError
from batchwatch.openai import Account, OpenAI, RemoteFile
from tests.builders import BATCH, CREATED, OUTPUT, batch, counts

SAMPLES = Path(os.environ.get("BATCHWATCH_CONTRACT", "")) / "samples"
recorded = pytest.mark.skipif(
    not SAMPLES.is_absolute(), reason="BATCHWATCH_CONTRACT names no folder"
)
OUT, ERR = Role.OUTPUT, Role.ERROR


def client(
    answer: Callable[[httpx.Request], httpx.Response], account: Account | None = None
) -> OpenAI:
    transport = httpx.MockTransport(answer)
    return OpenAI(account or Account("default", "sk-1"), transport=transport, sleep=lambda _: None)


def answering(status: int, said: object) -> OpenAI:
    return client(lambda _: httpx.Response(status, json=said))


# Recorded samples


class Answer(NamedTuple):
    """What a recorded batch means; `settled`: it has ended, and no file of it is missing."""

    status: Status
    terminal: bool
    settled: bool


VALIDATING, IN_PROGRESS, FINALIZING, CANCELLING = (
    Answer(status, terminal=False, settled=False)
    for status in (
        Status.VALIDATING,
        Status.IN_PROGRESS,
        Status.FINALIZING,
        Status.CANCELLING,
    )
)
COMPLETED, FAILED, CANCELLED = (
    Answer(status, terminal=True, settled=True)
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
)
EXPIRED_WITHOUT_ITS_ERROR_FILE = Answer(Status.EXPIRED, terminal=True, settled=False)

BATCHES = {
    "azure.batch.completed.endpoint-null.2024-07.json": [COMPLETED],
    "azure.spec-example.cancel_batch.2024-10-21.json": [CANCELLING],
    "batch.cancelled.before-start.json": [CANCELLED],
    "batch.cancelling.json": [CANCELLING],
    "batch.completed.2025-01.no-usage.json": [COMPLETED],
    "batch.completed.2025.usage.json": [COMPLETED],
    "batch.completed.all-failed.no-output-file.2026-03.json": [COMPLETED],
    "batch.completed.usage-zero.json": [COMPLETED],
    "batch.expired.output-file-only.json": [EXPIRED_WITHOUT_ITS_ERROR_FILE],
    "batch.failed.invalid_json_line.2024-04.json": [FAILED],
    "batch.finalizing.2025-01.json": [FINALIZING],
    "batch.in_progress.2025-01.json": [IN_PROGRESS],
    "batch.in_progress.2025-10.model-set.json": [IN_PROGRESS],
    "batch.validating.2025-01.no-usage-no-model.json": [VALIDATING],
    "batch.validating.2025-10.json": [VALIDATING],
}
LISTS = {
    "list.last-page.has_more-false.json": [COMPLETED] * 6,
    "list.page1.limit2.json": [CANCELLED, IN_PROGRESS],
    "list.page2.after.limit2.json": [IN_PROGRESS, CANCELLED],
}
"""Row by row, in the order of the list."""
CURSORS = {
    "list.last-page.has_more-false.json": None,
    "list.page1.limit2.json": "batch_68ffc52151448190afaff0bd92164896",
    "list.page2.after.limit2.json": "batch_68ffc504f298819087e3b6ceebbf8c01",
}
FILES = {
    "azure.file.created.2025-03.json": 176_064,
    "file.created.2025-10.json": 233,
    "file.created.expires_at-null.2025-04.json": 470,
    "file.retrieved.expires_at-set.2025-04.json": 470,
}
"""Bytes of each."""
REASONS = "batch-errors.entries.json"
REFUSALS = {
    "error-or-delete.DownloadFileCanParseServiceError.json": [(404, NotFoundError)],
    "error-or-delete.UploadFileCanParseServiceError.json": [(400, OpenAIError)],
    "http-errors.json": [
        (400, OpenAIError),
        (400, OpenAIError),
        (400, OpenAIError),
        (404, NotFoundError),
        (400, OpenAIError),
        (409, OpenAIError),
        (400, OpenAIError),
        (400, OpenAIError),
    ],
}
OF_NO_KIND_YET = {
    "azure.output.chat.2024-07.jsonl",  # lines of files are copied, not read
    "error-or-delete.DeleteFileFalse.json",  # nothing is ever deleted
    "error.batch_expired.documented.jsonl",
    "error.http-400.context_length_exceeded.2024-08.jsonl",
    "output.chat.2025-03.jsonl",
    "output.chat.2026.jsonl",
    "output.chat.finish-length.2024-12.jsonl",
    "output.embeddings.2026.jsonl",
    "output.responses.2026.jsonl",
    "provenance.json",
    "response-headers.json",
    "uploads.cancel.json",
    "uploads.create-parts-complete.json",
    "webhook.documented-delivery.realtime.json",
    "webhook.spec-examples.batch.jsonl",
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


@recorded
def test_every_sample_has_its_place_in_these_tables() -> None:
    named = {*BATCHES, *LISTS, *FILES, REASONS, *REFUSALS, *OF_NO_KIND_YET}
    assert named == {file.name for file in SAMPLES.iterdir()}
    assert set(CURSORS) == set(LISTS)


@recorded
@pytest.mark.parametrize("name", [*BATCHES, *LISTS])
def test_a_recorded_batch_means_what_the_table_says_and_loses_nothing(name: str) -> None:
    rows = sample(name)["data"] if name in LISTS else [sample(name)]
    batches = [Batch.read(row) for row in rows]
    assert [
        Answer(each.status, each.status.terminal, each.status.terminal and not each.missing)
        for each in batches
    ] == (BATCHES | LISTS)[name]
    for each, said in zip(batches, rows, strict=True):
        assert each.raw_status == said["status"]
        assert each.status_at == said.get(f"{each.status}_at", said["created_at"])
        plain = {key: value for key, value in said.items() if not isinstance(value, dict)}
        assert {key: getattr(each, key) for key in plain} == plain
        for given_on in (each.said, each.model_dump(), json.loads(each.model_dump_json())):
            assert json.dumps(given_on) == json.dumps(said)


@recorded
@pytest.mark.parametrize("name", LISTS)
def test_a_recorded_list_is_a_page(name: str) -> None:
    page = answering(200, sample(name)).page()
    assert [each.said for each in page.batches] == sample(name)["data"]
    assert (page.cursor, page.unreadable) == (CURSORS[name], 0)


@recorded
@pytest.mark.parametrize("name", FILES)
def test_a_recorded_file_is_read(name: str) -> None:
    said = sample(name)
    assert answering(200, said).file(said["id"]) == RemoteFile(said["id"], FILES[name])


@recorded
def test_recorded_reasons_of_a_failure_are_read() -> None:
    entries = sample(REASONS)
    reasons = Batch.read(batch("failed", errors={"object": "list", "data": entries})).errors
    assert reasons
    assert len(reasons.data) == len(entries) == 10
    for read, said in zip(reasons.data, entries, strict=True):
        assert (read.code, read.line) == (said["code"], said["line"])
        assert (read.message, read.param) == (said["message"], said["param"])


@recorded
@pytest.mark.parametrize("name", REFUSALS)
def test_a_recorded_refusal_is_an_error_of_its_kind(name: str) -> None:
    told = sample(name)
    told = told if isinstance(told, list) else [told]
    raised = []
    for each in told:
        with pytest.raises(OpenAIError) as refusal:
            answering(each["status"], each["body"]).retrieve(BATCH)
        raised.append((refusal.value.status, type(refusal.value)))
        assert each["body"]["error"]["message"] not in str(refusal.value)
    assert raised == REFUSALS[name]


# Shapes of other providers


class Read(NamedTuple):
    """What such a batch is to be read as; `done`: requests with an answer, of how many."""

    status: Status
    created_at: int | None = CREATED
    status_at: int | None = None
    done: tuple[int, int] | None = None
    missing: Iterable[Role] = ()
    reasons: Iterable[str] | None = None


TOGETHER = {
    "id": "4f1f1d3c-90a2-4a7e-8f64-6c5b1d0a1f77",
    "user_id": "660000000000000000000000",
    "input_file_id": "file-0c1d2e3f-1111-4222-8333-444455556666",
    "file_size_bytes": 1024,
    "status": "IN_PROGRESS",
    "job_deadline": "2027-01-16T08:00:00.000Z",
    "created_at": "2027-01-15T08:00:00.249Z",
    "endpoint": "/v1/chat/completions",
    "progress": 75,
    "model_id": "some/model",
}
NOVITA = {
    "id": "batch_novita123",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "version": "v1",
    "input_file_id": "file_in",
    "output_file_id": "",
    "error_file_id": "",
    "status": "PROGRESS",
    "errors": "",
    "created_at": "2027-01-15T08:00:00Z",
    "in_progress_at": {},
    "expires_at": {"seconds": 1},
    "completed_at": None,
    "completion_window": "48h",
    "request_counts": counts(20, 5, 1),
    "created_by": "user",
    "remark": "",
    "metadata": {},
}
MARITACA = {
    "id": "batch-7",
    "object": "batch",
    "status": "queued",
    "created_at": CREATED,
    "input_file_id": "file-1",
    "request_counts": counts(4, 0, 0),
    "errors": [],
}
AZURE = {
    "id": "batch_3f1c7d2e-54a5-46be-b1b7-518884fcbdde",
    "object": "batch",
    "status": "Validating",
    "endpoint": "/chat/completions",
    "input_file_id": "file-3c5d",
    "completion_window": "24h",
    "created_at": "2027-01-15T08:00:00.2491382+00:00",
    "expires_at": "2027-01-16T08:00:00.2491382+00:00",
    "in_progress_at": None,
    "completed_at": None,
    "failed_at": None,
    "output_file_id": "",
    "error_file_id": "",
    "errors": None,
    "metadata": None,
    "request_counts": counts(None, None, None),
}
AZURE_STORAGE = AZURE | {
    "created_at": CREATED,
    "expires_at": CREATED + 86_400,
    "input_file_id": None,
    "output_file_id": None,
    "error_file_id": None,
    "input_blob": "https://mine.blob.core.windows.net/in/test.jsonl",
    "output_blob": "",
    "error_blob": "",
}
BLOBS = {
    "output_blob": "https://mine.blob.core.windows.net/out/0123/results.jsonl",
    "error_blob": "https://mine.blob.core.windows.net/out/0123/errors.jsonl",
}
LITELLM = batch() | {
    "id": "bGl0ZWxsbV9wcm94eTpiYXRjaF9pZDs" * 9 + "bQ==",
    "output_file_id": "bGl0ZWxsbV9wcm94eTpmaWxl" * 10,
    "error_file_id": None,
    "request_counts": counts(0, 0, 0),
}
DONE_AT = CREATED + 3660
DATE_DONE = "2027-01-15T09:01:00.1234567+00:00"

SHAPES: dict[str, tuple[dict[str, Any], Read]] = {
    "Together, running": (TOGETHER, Read(Status.IN_PROGRESS)),
    "Together, ended": (
        TOGETHER
        | {"status": "COMPLETED", "completed_at": "2027-01-15T09:01:00Z", "output_file_id": "f-1"},
        Read(Status.COMPLETED, status_at=DONE_AT),
    ),
    "Together, without a file yet": (
        TOGETHER | {"status": "COMPLETED"},
        Read(Status.COMPLETED, missing={OUT}),
    ),
    "Novita, running": (NOVITA, Read(Status.IN_PROGRESS, done=(6, 20))),
    "Novita, failed": (
        NOVITA | {"status": "FAILED", "errors": "bad line 1", "created_at": str(CREATED)},
        Read(Status.FAILED, done=(6, 20), reasons=["bad line 1"]),
    ),
    "Novita, ended": (
        NOVITA | {"status": "COMPLETED", "output_file_id": "file_out"},
        Read(Status.COMPLETED, done=(6, 20), missing={ERR}),
    ),
    "Maritaca, waiting": (
        MARITACA,
        Read(Status.VALIDATING, status_at=CREATED, done=(0, 4), reasons=[]),
    ),
    "Maritaca, ended": (
        MARITACA
        | {"status": "succeeded", "completed_at": DONE_AT, "output_file_id": "file-2"}
        | {"request_counts": counts(4, 4, 0)},
        Read(Status.COMPLETED, status_at=DONE_AT, done=(4, 4), reasons=[]),
    ),
    "Maritaca, failed": (
        MARITACA | {"status": "failed", "errors": ["no model", "no messages"]},
        Read(Status.FAILED, done=(0, 4), reasons=["no model", "no messages"]),
    ),
    "Azure, validating": (AZURE, Read(Status.VALIDATING, status_at=CREATED)),
    "Azure, ended": (
        AZURE
        | {"status": "Completed", "completed_at": DATE_DONE}
        | {"output_file_id": "file-out", "error_file_id": "file-of-0-bytes"},
        Read(Status.COMPLETED, status_at=DONE_AT),
    ),
    "Azure, failed": (
        AZURE
        | {"status": "failed", "completed_at": DATE_DONE}
        | {"request_counts": counts(10, None, None), "error_file_id": "file-err"},
        Read(Status.FAILED),
    ),
    "Azure, canceled": (
        AZURE | {"status": "Canceled", "cancelled_at": DATE_DONE},
        Read(Status.CANCELLED, status_at=DONE_AT),
    ),
    "Azure, past its time": (
        AZURE | {"status": "In_Progress", "expires_at": "2020-01-01T00:00:00.0000000+00:00"},
        Read(Status.IN_PROGRESS),
    ),
    "Azure's customer's storage, running": (
        AZURE_STORAGE | {"status": "in_progress", "in_progress_at": CREATED + 10},
        Read(Status.IN_PROGRESS, status_at=CREATED + 10),
    ),
    "Azure's customer's storage, ended": (
        AZURE_STORAGE
        | {"status": "completed", "completed_at": DONE_AT, "request_counts": counts(9, 8, 1)}
        | BLOBS,
        Read(Status.COMPLETED, status_at=DONE_AT, done=(9, 9)),
    ),
    "Azure's customer's storage, not named yet": (
        AZURE_STORAGE
        | {"status": "completed", "completed_at": DONE_AT, "request_counts": counts(9, 8, 1)},
        Read(Status.COMPLETED, status_at=DONE_AT, done=(9, 9), missing={OUT, ERR}),
    ),
    "LiteLLM": (LITELLM, Read(Status.COMPLETED, status_at=DONE_AT)),
    "Mistral": (
        {"id": "7c5b", "status": "TIMEOUT_EXCEEDED", "created_at": CREATED},
        Read(Status.EXPIRED, missing={OUT}),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_batches_of_other_providers_are_read_for_what_they_mean(shape: str) -> None:
    said, expected = SHAPES[shape]
    read = answering(200, said).retrieve(said["id"])
    told = read.counts
    assert Read(
        read.status,
        read.created_at,
        read.status_at,
        (told.done, told.total or 0) if told else None,
        read.missing,
        None if read.errors is None else [entry.message or "" for entry in read.errors.data],
    ) == expected._replace(missing=frozenset(expected.missing))
    assert read.raw_status == said["status"]
    assert json.dumps(read.model_dump()) == json.dumps(said)


def test_the_places_in_a_customers_storage_are_told() -> None:
    ended = Batch.read(AZURE_STORAGE | {"status": "completed"} | BLOBS)
    assert [ended.blob(role) for role in (OUT, ERR)] == list(BLOBS.values())
    assert [ended.file_id(role) for role in (OUT, ERR)] == [None, None]


# Azure's requests


def everything_asked_of(account: Account) -> list[httpx.Request]:
    """Send all requests that a client has; return them."""
    requests = []
    said = {"batches": {"value": [batch()]}, BATCH: batch(), OUTPUT: {"id": OUTPUT}}

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=said.get(request.url.path.rpartition("/")[2], {}))

    azure = client(answer, account)
    azure.retrieve(BATCH)
    azure.page("b", limit=5)
    azure.file(OUTPUT)
    with azure.stream_file(OUTPUT, {"range": "bytes=0-"}):
        pass
    return requests


RES = "https://res.openai.azure.com"
PATHS = [
    f"batches/{BATCH}",
    "batches?limit=5&after=b",
    f"files/{OUTPUT}",
    f"files/{OUTPUT}/content",
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("base", "version"),
    [
        (f"{RES}/openai/v1", None),
        (f"{RES}/openai/v1", "preview"),
        (f"{RES}/openai", "2024-10-21"),
        ("https://gate.way/azure", "2024-10-21"),
    ],
)
def test_azure_is_asked_in_both_forms_of_its_address(
    base: str, version: str | None, slash: str
) -> None:
    account = Account("azure", "0123abcd", base + slash, api_version=version)
    requests = everything_asked_of(account)
    urls = [httpx.URL(f"{base}/{path}") for path in PATHS]
    if version:
        urls = [url.copy_merge_params({"api-version": version}) for url in urls]
    assert [(each.url.path, dict(each.url.params)) for each in requests] == [
        (url.path, dict(url.params)) for url in urls
    ]
    for each in requests:
        assert each.headers["api-key"] == "0123abcd"
        assert "authorization" not in each.headers


@pytest.mark.parametrize(
    ("base", "version", "auth", "header"),
    [
        (f"{RES}/openai/v1", None, None, "api-key"),
        (f"{RES.upper()}/openai/v1", None, None, "api-key"),
        ("https://res.services.ai.azure.com/openai/v1", None, None, "api-key"),
        ("https://gate.way/v1", "v1", None, "api-key"),
        ("https://gate.way/v1", None, None, "authorization"),
        ("https://azure.com.example/v1", None, None, "authorization"),
        ("https://notazure.com/v1", None, None, "authorization"),
        (f"{RES}/openai/v1", None, "bearer", "authorization"),
        (f"{RES}/openai", "2024-10-21", "bearer", "authorization"),
        ("https://gate.way/v1", None, "api-key", "api-key"),
    ],
)
def test_a_key_is_told_in_one_header(
    base: str, version: str | None, auth: Literal["bearer", "api-key"] | None, header: str
) -> None:
    account = Account("azure", "0123abcd", base, api_version=version, auth=auth)
    for request in everything_asked_of(account):
        told = {name: request.headers.get(name) for name in ("api-key", "authorization")}
        value = "0123abcd" if header == "api-key" else "Bearer 0123abcd"
        assert told == {"api-key": None, "authorization": None, header: value}


def test_a_key_of_azure_is_in_no_error() -> None:
    words = {"code": "401", "message": "Access denied for key 0123abcd at this resource."}
    account = Account("azure", "0123abcd", f"{RES}/openai", api_version="2024-10-21")
    azure = client(lambda _: httpx.Response(401, json={"error": words}), account)
    with pytest.raises(AccessError, match="denied for key … at") as refusal:
        azure.retrieve(BATCH)
    assert "0123abcd" not in str(refusal.value)
