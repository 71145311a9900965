"""HTTP on loopback: a server, what it reads and what it sends."""

import json
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import ioctl
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR, SO_LINGER, SOL_SOCKET, socket
from socketserver import ThreadingTCPServer
from tempfile import SpooledTemporaryFile
from termios import TIOCOUTQ
from threading import Event, Thread
from typing import IO, Any

_LARGEST_BODY = 1 << 30  # bytes
_IN_MEMORY = 4 << 20  # bytes of a body; a larger one waits on disk
_PIECE = 1 << 18  # bytes read at once
_STOP_EVERY = 0.01  # seconds between two looks at whether to stop
_DRAINED_EVERY = 0.001  # seconds between two looks at whether all has arrived


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
    chunks: Iterable[bytes]  # may raise HangUpError


class HangUpError(Exception):
    """The connection ends here, whatever has been sent; with `reset`, by a TCP reset."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.answer = error_answer(status, message, param, code)


def json_answer(status: int, content: object) -> Answer:
    """Answer with JSON."""
    return whole_answer(status, json.dumps(content).encode())


def error_answer(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> Answer:
    """Answer with an error in OpenAI's form."""
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "requests"  # what there are too many of
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_answer(status, {"error": error})


def whole_answer(status: int, body: bytes) -> Answer:
    """Answer with bytes at hand."""
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return Answer(status, headers, [body])


@contextmanager
def serving(
    answer: Callable[[Request, bytes], Answer],
    mistakes: list[BaseException],
    closing: Event,
    large: Callable[[Request, IO[bytes]], Answer] | None = None,
) -> Iterator[str]:
    """Serve the answers at the origin yielded; keep what goes wrong in making them.

    `closing` is set at the end, so that nobody waits on. `large` answers a request whose body is
    too large for memory; without it every body is read whole.
    """
    with _Server(partial(_Handler, answer, large, closing), mistakes) as server:
        thread = Thread(target=server.serve_forever, args=(_STOP_EVERY,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            closing.set()
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

    def __init__(
        self,
        answer: Callable[[Request, bytes], Answer],
        large: Callable[[Request, IO[bytes]], Answer] | None,
        closing: Event,
        *connection: Any,
    ) -> None:
        self.answer, self.large, self.closing = answer, large, closing
        super().__init__(*connection)

    def do_GET(self) -> None:
        with SpooledTemporaryFile(_IN_MEMORY) as body:
            try:
                for piece in self._pieces():
                    body.write(piece)  # one by one: writelines() moves to disk only at the end
            except ValueError:
                self.send_error(HTTPStatus.BAD_REQUEST)
            else:
                try:
                    self._send(self._answer(body))
                except HangUpError as end:
                    self.close_connection = True
                    if end.reset:
                        self._reset()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 named by the standard library

    def _answer(self, body: IO[bytes]) -> Answer:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        size = body.tell()
        body.seek(0)
        if self.large is not None and size > _IN_MEMORY:
            return self.large(request, body)
        return self.answer(request, body.read())

    def _pieces(self) -> Iterator[bytes]:
        """Read the body; ValueError if its end cannot be told."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            yield from self._exactly(_length(self.headers.get("content-length", "0"), 10))
            return
        while length := _length(self.rfile.readline().partition(b";")[0], 16):
            yield from self._exactly(length)
            self.rfile.read(len(b"\r\n"))
        while self.rfile.readline().strip():
            pass  # trailers

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self.rfile.read(min(left, _PIECE))
            if not piece:
                raise ValueError(f"{left} bytes less than announced")
            left -= len(piece)
            yield piece

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        chunked = answer.headers.get("transfer-encoding") == "chunked"
        for chunk in filter(None, answer.chunks):  # an empty one would end a chunked body
            if chunked:
                self.wfile.write(b"%x\r\n" % len(chunk))
            self.wfile.write(chunk)
            if chunked:
                self.wfile.write(b"\r\n")
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        """Reset the connection, once the client's side has all that was sent."""
        while _unsent(self.connection) and not self.closing.wait(_DRAINED_EVERY):
            pass  # a reset throws away what is on its way
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()  # before the server does it, which would first say goodbye

    def version_string(self) -> str:
        return "simulated"

    def log_message(self, *_: Any) -> None:
        """Stay silent; SimulatedOpenAI.requests tells what came."""


def _unsent(connection: socket) -> int:
    """Count the bytes that the other side has not acknowledged; 0 where the system cannot tell."""
    try:
        told = ioctl(connection, TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(told, sys.byteorder)


def _length(text: str | bytes, base: int) -> int:
    length = int(text, base)
    if not 0 <= length <= _LARGEST_BODY:
        raise ValueError(f"a body of {length} bytes")
    return length
