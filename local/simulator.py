"""A simulated OpenAI on loopback: files and batches with the wire format of the real API."""

import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import SHUT_RDWR
from socketserver import ThreadingTCPServer
from tempfile import TemporaryDirectory
from threading import Event, Lock, RLock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote

from local import lifecycle
from local.lifecycle import MODELS, Script

_CHUNK = 1 << 20  # bytes read, written and sent at once
_RETENTION = 30 * 86_400  # seconds
_PAGE, _LARGEST_PAGE = 20, 100  # batches in a list
_JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names in lower case."""

    method: str
    path: str  # with the query
    headers: dict[str, str]


@dataclass(slots=True)
class Answer:
    """One answer about to be sent; header names in lower case."""

    status: int
    headers: dict[str, str]
    chunks: Iterable[bytes]
    hang_up: bool = False  # after the last chunk, whatever Content-Length says


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests that match."""

    match: str  # pattern searched in "METHOD /path?query"
    times: int = 1  # requests yet to hit; -1: every one
    status: int | None = None  # answered at once, nothing is done; None: the true answer
    body: bytes | None = None  # for that status; None: an error in OpenAI's form
    headers: dict[str, str] = field(default_factory=dict)  # added or replaced
    delay: float = 0  # seconds between the making of the answer and its sending
    cut_after: int | None = None  # bytes of the body sent before the connection closes
    edit: Callable[[dict[str, Any]], object] | None = None  # changes the answer's JSON in place

    def instead(self) -> Answer | None:
        """Answer in place of the true one, if it is to be replaced."""
        if self.status is None:
            return None
        if self.body is None:
            return _error(self.status, "The request could not be served.")
        return _answer(self.status, self.body)

    def spoil(self, answer: Answer) -> None:
        """Change the answer on its way."""
        if self.edit is not None:
            content = json.loads(b"".join(answer.chunks))
            self.edit(content)
            edited = _json(answer.status, content)
            answer.headers, answer.chunks = answer.headers | edited.headers, edited.chunks
        answer.headers |= {name.lower(): value for name, value in self.headers.items()}
        if self.cut_after is not None:
            answer.chunks, answer.hang_up = _first(self.cut_after, answer.chunks), True


@dataclass(slots=True)
class _Batch:
    script: Script
    created_at: float
    cancelled_at: float | None = None
    shown: dict[str, object] = field(default_factory=dict)  # as its creator gave it

    def outcome(self) -> Script:
        if self.cancelled_at is None:
            return self.script
        return lifecycle.cancelled(self.script, self.created_at, self.cancelled_at)


@dataclass(slots=True)
class _File:
    role: str
    filename: str
    created_at: float  # of an output or error file: that of its batch, until it exists
    batch_id: str | None = None  # None: uploaded
    written: Script | None = None  # that its content on disk follows
    gone: bool = False


class _RefusedError(Exception):
    """A request that OpenAI refuses."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.answer = _error(status, message, param, code)


class SimulatedOpenAI:
    """OpenAI's batches and files, for as long as the context lasts."""

    def __init__(
        self,
        *,
        key: str = "sk-simulated",
        clock: Callable[[], float] = time.time,
        directory: Path | None = None,
    ) -> None:
        self.base_url = ""  # known once entered
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.errors: list[BaseException] = []  # the simulator's own mistakes
        self.ranges = True  # False: every download starts at the first byte
        self._key = key
        self._clock = clock
        self._directory = directory
        self._batches: dict[str, _Batch] = {}
        self._files: dict[str, _File] = {}
        self._lock = RLock()
        self._writing = Lock()  # apart: a large file is written while polls are answered
        self._closing = Event()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        if self._directory is None:
            self._directory = Path(self._cleanup.enter_context(TemporaryDirectory()))
        self._directory.mkdir(parents=True, exist_ok=True)
        server = self._cleanup.enter_context(_Server(partial(_Handler, self), self.errors))
        self.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        for step in (thread.join, server.hang_up, server.shutdown, self._closing.set):
            self._cleanup.callback(step)  # the last one runs first
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def scripts(self) -> dict[str, Script]:
        """Each batch's script; of one cancelled by request, the script that it then followed."""
        with self._lock:
            return {batch_id: batch.outcome() for batch_id, batch in self._batches.items()}

    def add(self, script: Script, *, created_at: float | None = None) -> str:
        """Create a batch and return its id."""
        with self._lock:
            created = self._clock() if created_at is None else created_at
            batch_id = lifecycle.batch_id(created, len(self._batches))
            self._batches[batch_id] = _Batch(script, created)
            for role in ("input", "output", "error"):
                file = _File(role, f"{batch_id}_{role}.jsonl", created, batch_id)
                self._files[lifecycle.file_id(batch_id, role)] = file
            return batch_id

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return the batch object as the API shows it now."""
        with self._lock:
            batch = self._batches[batch_id]
            now = self._clock()
            shown = lifecycle.snapshot(
                batch.script, batch_id, batch.created_at, now, batch.cancelled_at
            )
            return shown | batch.shown

    def file(self, file_id: str) -> Path:
        """Return the file's content on disk, whether or not the API shows it yet."""
        file = self._files[file_id]
        path = self._path(file_id)
        with self._writing:
            script = self._batches[file.batch_id].outcome() if file.batch_id else None
            if file.batch_id and script and script != file.written:
                part = path.with_suffix(".part")  # whoever reads an earlier version keeps it
                with part.open("wb", buffering=_CHUNK) as content:
                    content.writelines(lifecycle.lines(script, file.batch_id, file.role))
                part.replace(path)
                file.written = script
        return path

    def _path(self, file_id: str) -> Path:
        if self._directory is None:
            raise RuntimeError("files are kept only inside the context")
        return self._directory / f"{file_id}.jsonl"

    def delete_file(self, file_id: str) -> None:
        """Lose the file, as if it had expired."""
        self._files[file_id].gone = True

    def fault(self, match: str, **kind: Any) -> Fault:
        """Let the next requests that match go wrong; the fields of Fault say how."""
        fault = Fault(match, **kind)
        with self._lock:
            self.faults.append(fault)
        return fault

    def answer(self, request: Request, body: bytes) -> Answer:
        """Answer one request, truly or as the first fault that matches has it."""
        with self._lock:
            self.requests.append(request)
            fault = self._due(request)
        answer = (fault and fault.instead()) or self._true_answer(request, body)
        if fault:
            self._closing.wait(fault.delay)
            fault.spoil(answer)
        answer.headers.setdefault("x-request-id", f"req_{uuid.uuid4().hex}")
        return answer

    def _due(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.match, f"{request.method} {request.path}"):
                fault.times -= fault.times > 0
                return fault
        return None

    def _true_answer(self, request: Request, body: bytes) -> Answer:
        try:
            self._authorize(request.headers.get("authorization", ""))
            return self._routed(request, body)
        except _RefusedError as refused:
            return refused.answer

    def _authorize(self, authorization: str) -> None:
        key = authorization.removeprefix("Bearer ")
        if not key:
            raise _RefusedError(401, "You didn't provide an API key.")
        if key != self._key:
            message = f"Incorrect API key provided: {key[:3]}***{key[-4:]}."
            raise _RefusedError(401, message, code="invalid_api_key")

    def _routed(self, request: Request, body: bytes) -> Answer:
        path, _, query = request.path.partition("?")
        content: object
        match request.method, *map(unquote, path.removeprefix("/v1/").split("/")):
            case "GET", "batches":
                content = self._list(parse_qs(query))
            case "POST", "batches":
                content = self._create(_parameters(body))
            case "GET", "batches", batch_id:
                content = self._known(batch_id)
            case "POST", "batches", batch_id, "cancel":
                content = self._cancel(batch_id)
            case "POST", "files":
                content = self._upload(request.headers, body)
            case "GET", "files", file_id:
                content = self._metadata(file_id)
            case "GET", "files", file_id, "content":
                return self._content(file_id, request.headers)
            case _:
                raise _RefusedError(404, f"Invalid URL ({request.method} {path})")
        return _json(200, content)

    def _list(self, query: dict[str, list[str]]) -> dict[str, object]:
        limit = _limit(query.get("limit", [str(_PAGE)])[-1])
        with self._lock:
            oldest_first = sorted(self._batches, key=lambda each: self._batches[each].created_at)
            ids, start = oldest_first[::-1], 0
            if "after" in query:
                after = query["after"][-1]
                if after not in ids:
                    raise _RefusedError(400, f"No batch found with id '{after}'.", "after")
                start = ids.index(after) + 1
            page = ids[start : start + limit]
            return {
                "object": "list",
                "data": [self.batch(batch_id) for batch_id in page],
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
                "has_more": start + limit < len(ids),
            }

    def _known(self, batch_id: str) -> dict[str, Any]:
        if batch_id not in self._batches:
            raise _RefusedError(404, f"No batch found with id '{batch_id}'.")
        return self.batch(batch_id)

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        input_file_id = given["input_file_id"]
        if self._found(input_file_id).role != "input":
            raise _RefusedError(400, "The input file must have purpose 'batch'.", "input_file_id")
        with self.file(input_file_id).open("rb") as content:
            requests = sum(1 for line in content if line.strip())
        script = Script(
            name=input_file_id,
            endpoint=given["endpoint"],
            requests=requests,
            ends="completed" if requests else "failed",
        )
        with self._lock:
            batch_id = self.add(script)
            shown = {"input_file_id": input_file_id, "metadata": given.get("metadata")}
            self._batches[batch_id].shown = shown
            return self.batch(batch_id)

    def _cancel(self, batch_id: str) -> dict[str, Any]:
        if not batch_id.startswith("batch"):
            message = f"Invalid 'batch_id': '{batch_id}'. Expected an ID that begins with 'batch'."
            raise _RefusedError(400, message, "batch_id", "invalid_value")
        with self._lock:
            status = self._known(batch_id)["status"]
            if status in {"completed", "failed", "expired"}:
                raise _RefusedError(409, f"Cannot cancel a batch with status '{status}'.")
            if status not in {"cancelling", "cancelled"}:
                self._batches[batch_id].cancelled_at = self._clock()
            return self.batch(batch_id)

    def _upload(self, headers: dict[str, str], body: bytes) -> dict[str, object]:
        form = _form(headers.get("content-type", ""), body)
        for name in ("file", "purpose"):
            if name not in form:
                raise _missing(name)
        filename, content = form["file"]
        purpose = form["purpose"][1].decode(errors="replace")
        if purpose != "batch":
            raise _RefusedError(400, f"'{purpose}' is not one of ['batch'] - 'purpose'", "purpose")
        if Path(filename).suffix not in {"", ".jsonl"}:
            raise _RefusedError(400, "Invalid file format for Batch API. Must be .jsonl")
        with self._lock:
            file_id = lifecycle.file_id(str(len(self._files)), "upload")
            self._path(file_id).write_bytes(content)
            self._files[file_id] = _File("input", filename or "upload", self._clock())
        return self._metadata(file_id)

    def _found(self, file_id: str) -> _File:
        file = self._files.get(file_id)
        if file and not file.gone:
            if file.batch_id is None or file.role == "input":
                return file
            if self.batch(file.batch_id)[f"{file.role}_file_id"] == file_id:
                return file
        raise _RefusedError(404, f"No such File object: {file_id}", "id")

    def _metadata(self, file_id: str) -> dict[str, object]:
        file = self._found(file_id)
        created_at = int(file.created_at)
        if file.batch_id and file.role != "input":
            batch = self.batch(file.batch_id)
            created_at = batch[f"{batch['status']}_at"]
        return {
            "object": "file",
            "id": file_id,
            "purpose": "batch" if file.role == "input" else "batch_output",
            "filename": file.filename,
            "bytes": self.file(file_id).stat().st_size,
            "created_at": created_at,
            "expires_at": created_at + _RETENTION,
            "status": "processed",
            "status_details": None,
        }

    def _content(self, file_id: str, headers: dict[str, str]) -> Answer:
        file = self._found(file_id)
        path = self.file(file_id)
        size = path.stat().st_size
        answer = Answer(
            200,
            {
                "content-type": "application/octet-stream",
                "content-disposition": f'attachment; filename="{quote(file.filename)}"',
                "content-length": str(size),
            },
            _read(path, 0, size),
        )
        if self.ranges:
            etag = f'"{sha256(f"{file_id}/{size}".encode()).hexdigest()[:32]}"'
            answer.headers |= {"accept-ranges": "bytes", "etag": etag}
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
            if wanted and headers.get("if-range", etag) == etag:
                last = min(int(wanted[2] or size), size - 1)
                _narrow(answer, path, int(wanted[1]), last, size)
        return answer


class _Server(ThreadingTCPServer):
    """One thread for each connection, all of them ended by hang_up()."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: Callable[..., Any], errors: list[BaseException]) -> None:
        self.errors = errors
        self.connections: dict[Thread, Any] = {}
        super().__init__(("127.0.0.1", 0), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        arguments = (request, client_address)
        thread = Thread(target=self.process_request_thread, args=arguments, daemon=True)
        alive = {each: open_ for each, open_ in self.connections.items() if each.is_alive()}
        self.connections = alive | {thread: request}
        thread.start()

    def hang_up(self) -> None:
        """Close the connections that clients keep alive and see their threads end."""
        for connection in self.connections.values():
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)
        for thread in self.connections:
            thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes

    def __init__(self, simulated: SimulatedOpenAI, *connection: Any) -> None:
        self.simulated = simulated
        super().__init__(*connection)

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        self._send(self.simulated.answer(request, self._body()))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 named by the standard library

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for chunk in answer.chunks:
            self.wfile.write(chunk)
        if answer.hang_up:
            self.close_connection = True

    def version_string(self) -> str:
        return "simulated"

    def log_message(self, *_: Any) -> None:
        """Stay silent; SimulatedOpenAI.requests tells what came."""


def _answer(status: int, body: bytes) -> Answer:
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return Answer(status, headers, [body])


def _json(status: int, content: object) -> Answer:
    return _answer(status, json.dumps(content).encode())


def _error(status: int, message: str, param: str | None = None, code: str | None = None) -> Answer:
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return _json(status, {"error": error})


def _missing(name: str) -> _RefusedError:
    message = f"Missing required parameter: '{name}'."
    return _RefusedError(400, message, name, "missing_required_parameter")


def _expect(name: str, value: object, kind: str) -> None:
    given = _JSON_TYPES[type(value)]
    if given != kind:
        message = f"Invalid type for '{name}': expected {kind}, but got {given} instead."
        raise _RefusedError(400, message, name, "invalid_type")


def _limit(text: str) -> int:
    _expect("limit", int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text, "an integer")
    limit = int(text)
    for wrong, bound, code in (
        (limit < 1, ">= 1", "integer_below_min_value"),
        (limit > _LARGEST_PAGE, f"<= {_LARGEST_PAGE}", "integer_above_max_value"),
    ):
        if wrong:
            message = f"Invalid 'limit': expected a value {bound}, but got {limit} instead."
            raise _RefusedError(400, message, "limit", code)
    return limit


def _parameters(body: bytes) -> dict[str, Any]:
    """Read what a new batch is to be."""
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise _RefusedError(400, "We could not parse the JSON body of your request.")
    for name in ("input_file_id", "endpoint", "completion_window"):
        if name not in given:
            raise _missing(name)
        _expect(name, given[name], "a string")
    for name, supported in (("endpoint", list(MODELS)), ("completion_window", ["24h"])):
        if given[name] not in supported:
            listed = ", ".join(f"'{value}'" for value in supported)
            message = f"Invalid value: '{given[name]}'. Supported values are: {listed}."
            raise _RefusedError(400, message, name, "invalid_value")
    if given.get("metadata") is not None:
        _expect("metadata", given["metadata"], "an object")
        for name, value in given["metadata"].items():
            _expect(f"metadata.{name}", value, "a string")
    return given


def _form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Split a multipart form into file name and content by field."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise _RefusedError(400, "Expected a multipart form.")
    form = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = dict(re.findall(r'\b(name|filename)="([^"\r\n]*)"', head.decode(errors="replace")))
        form[named.get("name", "")] = named.get("filename", ""), content.removesuffix(b"\r\n")
    return form


def _narrow(answer: Answer, path: Path, first: int, last: int, size: int) -> None:
    """Let the answer be that one range of the file; a range that ends too early is ignored."""
    if first >= size:
        refused = _RefusedError(416, "The requested range is not satisfiable.")
        refused.answer.headers["content-range"] = f"bytes */{size}"
        raise refused
    if first <= last:
        answer.status = 206
        answer.headers["content-range"] = f"bytes {first}-{last}/{size}"
        answer.headers["content-length"] = str(last - first + 1)
        answer.chunks = _read(path, first, last - first + 1)


def _read(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as content:
        content.seek(start)
        while length > 0 and (chunk := content.read(min(_CHUNK, length))):
            length -= len(chunk)
            yield chunk


def _first(length: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:length]
        length -= len(chunk)
        if length <= 0:
            return
