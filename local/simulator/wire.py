"""HTTP on loopback: a server, what it reads and sends, and what may go wrong on the way."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any

_LARGEST_BODY = 1 << 30  # bytes
_STOP_EVERY = 0.01  # seconds between two looks at whether to stop


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
            return error_answer(self.status, "The request could not be served.")
        return _whole_answer(self.status, self.body)

    def spoil(self, answer: Answer) -> None:
        """Change the answer on its way."""
        if self.edit is not None:
            content = json.loads(b"".join(answer.chunks))
            self.edit(content)
            edited = json_answer(answer.status, content)
            answer.headers, answer.chunks = answer.headers | edited.headers, edited.chunks
        answer.headers |= {name.lower(): value for name, value in self.headers.items()}
        if self.cut_after is not None:
            answer.chunks, answer.hang_up = _first(self.cut_after, answer.chunks), True


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.answer = error_answer(status, message, param, code)


def json_answer(status: int, content: object) -> Answer:
    """Answer with JSON."""
    return _whole_answer(status, json.dumps(content).encode())


def error_answer(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> Answer:
    """Answer with an error in OpenAI's form."""
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_answer(status, {"error": error})


def _whole_answer(status: int, body: bytes) -> Answer:
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return Answer(status, headers, [body])


def _first(length: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:length]
        length -= len(chunk)
        if length <= 0:
            return


@contextmanager
def serving(
    answer: Callable[[Request, bytes], Answer], mistakes: list[BaseException]
) -> Iterator[str]:
    """Serve the answers at the origin yielded; keep what goes wrong in making them."""
    with _Server(partial(_Handler, answer), mistakes) as server:
        thread = Thread(target=server.serve_forever, args=(_STOP_EVERY,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.hang_up()
            thread.join()


class _Server(ThreadingTCPServer):
    """One thread for each connection; server_close() waits for all of them."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, handler: Callable[..., Any], mistakes: list[BaseException]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.mistakes = mistakes
        self.connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes

    def __init__(self, answer: Callable[[Request, bytes], Answer], *connection: Any) -> None:
        self.answer = answer
        super().__init__(*connection)

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = self._body()
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            self._send(self.answer(Request(self.command, self.path, headers), body))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 named by the standard library

    def _body(self) -> bytes:
        """Read the body; ValueError if its end cannot be told."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(_length(self.headers.get("content-length", "0"), 10))
        pieces = []
        while length := _length(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self._exactly(length))
            self._exactly(len(b"\r\n"))
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def _exactly(self, length: int) -> bytes:
        piece = self.rfile.read(length)
        if len(piece) < length:
            raise ValueError(f"{len(piece)} bytes instead of {length}")
        return piece

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


def _length(text: str | bytes, base: int) -> int:
    length = int(text, base)
    if not 0 <= length <= _LARGEST_BODY:
        raise ValueError(f"a body of {length} bytes")
    return length
