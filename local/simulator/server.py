"""A simulated OpenAI on loopback: files and batches with the wire format of the real API."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import IO, Any, Self
from urllib.parse import unquote

from local.simulator import download, parameters
from local.simulator.faults import Fault
from local.simulator.lifecycle import Script, digest
from local.simulator.listing import Listing
from local.simulator.store import File, Store
from local.simulator.trouble import Trouble
from local.simulator.validation import Rules
from local.simulator.wire import Answer, RefusedError, Request, json_answer, serving

__all__ = ["Fault", "Pace", "SimulatedOpenAI"]

_RETENTION = 30 * 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """What becomes of a batch that is created by a request; durations in seconds."""

    validating: float = 1.0
    running: float = 5.0
    finalizing: float = 1.0  # cancelling, too
    failed: float = 0.0  # share of its requests that are answered with an HTTP error


class SimulatedOpenAI(Store, Trouble):
    """OpenAI's batches and files, served for as long as the context lasts."""

    def __init__(
        self,
        *,
        key: str = "sk-simulated",
        clock: Callable[[], float] = time.time,
        directory: Path | None = None,
    ) -> None:
        self._open = ExitStack()
        if directory is None:
            directory = Path(self._open.enter_context(TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        Store.__init__(self, directory, clock)
        Trouble.__init__(self)
        self.base_url = ""  # known once entered
        self.listing = Listing()  # how the list of batches is served
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []  # the simulator's own mistakes
        self.ranges = True  # False: every download starts at the first byte
        self.etags = True  # False: downloads carry no ETag
        self.served = 0  # bytes of downloads sent, each counted just before it is
        self.pace = Pace()  # of the batches created from now on
        self.unknown_models: set[str] = set()
        self.most_requests = 50_000  # of a file
        self.largest_upload = 200_000_000  # bytes of a file
        self._key = key
        self._closing = Event()

    def __enter__(self) -> Self:
        server = serving(self.answer, self.errors, self._closing, large=self.answer)
        origin = self._open.enter_context(server)
        self.base_url = f"{origin}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def answer(self, request: Request, body: bytes | IO[bytes]) -> Answer:
        """Answer one request, truly or as what is in store for it has it."""
        body = BytesIO(body) if isinstance(body, bytes) else body
        with self._lock:
            self.requests.append(request)
            fault = self._due(request, self.now())
        answer = fault.instead() or self._true_answer(fault.taken(request), body)
        content = isinstance(answer.chunks, download.Span)
        self._closing.wait(fault.delay)
        fault.spoil(answer, self._closing.wait)
        if content:
            answer.chunks = self._counted(answer.chunks)
        answer.headers.setdefault("x-request-id", f"req_{uuid.uuid4().hex}")
        return answer

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            with self._lock:
                self.served += len(chunk)
            yield chunk

    def _true_answer(self, request: Request, body: IO[bytes]) -> Answer:
        try:
            self._authorize(request.headers.get("authorization", ""))
            return self._routed(request, body)
        except RefusedError as refused:
            return refused.answer

    def _authorize(self, authorization: str) -> None:
        key = authorization.removeprefix("Bearer ")
        if not key:
            raise RefusedError(401, "You didn't provide an API key.")
        if key != self._key:
            message = f"Incorrect API key provided: {key[:3]}***{key[-4:]}."
            raise RefusedError(401, message, code="invalid_api_key")

    def _routed(self, request: Request, body: IO[bytes]) -> Answer:
        path, _, query = request.path.partition("?")
        content: object
        match request.method, *map(unquote, path.split("/")[1:]):
            case "GET", "v1", "batches":
                content = self._page(*parameters.page(query))
            case "POST", "v1", "batches":
                content = self._create(parameters.new_batch(body.read()))
            case "GET", "v1", "batches", batch_id:
                content = self._retrieve(batch_id)
            case "POST", "v1", "batches", batch_id, "cancel":
                content = self._cancel(batch_id)
            case "POST", "v1", "files":
                form = request.headers.get("content-type", "")
                sent = parameters.upload(form, body, self.largest_upload)
                content = self._describe(self.upload(*sent))
            case "GET", "v1", "files", file_id:
                content = self._describe(file_id)
            case "GET", "v1", "files", file_id, "content":
                return self._download(file_id, request.headers)
            case _:
                raise RefusedError(404, f"Invalid URL ({request.method} {path})")
        return json_answer(200, content)

    def _page(self, limit: int, after: str | None) -> dict[str, object]:
        with self._lock:
            self._settled()
            return self.listing.page(self, limit, after)

    def _retrieve(self, batch_id: str) -> dict[str, Any]:
        batch = self.find(batch_id)
        if batch is None:
            raise RefusedError(404, f"No batch found with id '{batch_id}'.")
        with self._lock:
            batch.asked_at = self._settled()
            return batch.shown(batch.asked_at)

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        input_file_id = given["input_file_id"]
        if self._shown(input_file_id).role != "input":
            raise RefusedError(400, "The input file must have purpose 'batch'.", "input_file_id")
        rules = Rules(given["endpoint"], frozenset(self.unknown_models), self.most_requests)
        sent, pace = self.examined(input_file_id, rules), self.pace
        requests = len(sent.custom_ids)
        script = Script(
            name=input_file_id,
            endpoint=given["endpoint"],
            requests=requests,
            ends="failed" if sent.problems else "completed",
            failed=int(pace.failed * requests),
            validating=pace.validating,
            running=pace.running,
            finalizing=pace.finalizing,
            sent=sent,
        )
        with self._lock:
            now = self._settled()
            problem = self._no_place(sent, now) if self.fail_fast and not sent.problems else None
            if problem:
                raise RefusedError(400, problem.message, code=problem.code)
            return self.batch(self.create(script, given))

    def _cancel(self, batch_id: str) -> dict[str, Any]:
        if not batch_id.startswith("batch"):
            message = f"Invalid 'batch_id': '{batch_id}'. Expected an ID that begins with 'batch'."
            raise RefusedError(400, message, "batch_id", "invalid_value")
        with self._lock:
            status = self._retrieve(batch_id)["status"]
            if status in {"completed", "failed", "expired"}:
                raise RefusedError(409, f"Cannot cancel a batch with status '{status}'.")
            if status not in {"cancelling", "cancelled"}:
                self._batches[batch_id].cancelled_at = self.now()
            return self.batch(batch_id)

    def _shown(self, file_id: str) -> File:
        file = self._files.get(file_id)
        if file and not file.gone and self._is_made(file_id, file):
            lasts = float("inf") if file.expires_after is None else file.expires_after
            if self.now() < self._made_at(file) + lasts:
                return file
        raise RefusedError(404, f"No such File object: {file_id}", "id")

    def _is_made(self, file_id: str, file: File) -> bool:
        if file.batch is None or file.role == "input":
            return True
        return bool(self.batch(file.batch.id)[f"{file.role}_file_id"] == file_id)

    def _made_at(self, file: File) -> int:
        if file.batch is None or file.role == "input":
            return int(file.created_at)
        batch = self.batch(file.batch.id)
        return int(batch[f"{batch['status']}_at"])

    def _describe(self, file_id: str) -> dict[str, object]:
        file = self._shown(file_id)
        created_at = self._made_at(file)
        return {
            "object": "file",
            "id": file_id,
            "purpose": "batch" if file.role == "input" else "batch_output",
            "filename": file.filename,
            "bytes": self.file(file_id).stat().st_size,
            "created_at": created_at,
            "expires_at": created_at + (file.expires_after or _RETENTION),
            "status": "processed",
            "status_details": None,
        }

    def _download(self, file_id: str, headers: dict[str, str]) -> Answer:
        file, path = self._shown(file_id), self.file(file_id)
        if not self.ranges:
            return download.whole(path, file.filename)
        etag = f'"{digest(file_id, file.version, path.stat().st_size)[:32]}"'
        return download.whole_or_range(path, file.filename, etag if self.etags else None, headers)
