"""One file at OpenAI, served as fast as this machine can, and cut off on demand.

`python -m benchmarks.transfer_origin BYTES` is a process of its own, asked by its parent.
"""

from __future__ import annotations

import re
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from benchmarks.child import answer

FILE = "file-transfer"
KEY = "sk-transfer"
_ETAG = '"transfer"'
_CHUNK = 1024 * 1024
_LINE = b'{"custom_id":"request-%09d","response":{"status_code":200,"body":"%s"}}\n'
_LINES = 4_999  # some 10 MB, which no part is a multiple of
_BLOCK = b"".join(_LINE % (n, b"0123456789abcdef" * 128) for n in range(_LINES))
_VIEW = memoryview(_BLOCK)


class Cut(NamedTuple):
    """How many of the next answers end after `at` bytes of theirs; -1: all that come.

    Quietly: as if that were all, with no length told.
    """

    at: int
    times: int = -1
    quietly: bool = False


class Origin:
    """Serves one file of `size` bytes, from a thread, as long as the context lasts."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.served = 0
        self.cut = Cut(0, times=0)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"origin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """Where a client finds it."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def crc32(self) -> int:
        """Return the checksum of the file, as it ought to arrive."""
        crc32 = 0
        for piece in pieces(0, self.size):
            crc32 = zlib.crc32(piece, crc32)
        return crc32

    def next_cut(self) -> Cut | None:
        """Use up a cut, if any is left."""
        with self._lock:
            if not self.cut.times:
                return None
            self.cut = self.cut._replace(times=self.cut.times - 1)
            return self.cut

    def count(self, size: int) -> None:
        """Count bytes that went out."""
        with self._lock:
            self.served += size


def pieces(start: int, end: int) -> Any:
    """Give the bytes of a file from `start` to `end`: one block, again and again."""
    while start < end:
        at = start % len(_BLOCK)
        piece = _VIEW[at : at + min(_CHUNK, end - start)]
        yield piece
        start += len(piece)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin: Origin

    def do_GET(self) -> None:
        if self.path.endswith("/content"):
            self._content()
            return
        about = b'{"object":"file","id":"%s","bytes":%d}' % (FILE.encode(), self.origin.size)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(about)))
        self.end_headers()
        self.wfile.write(about)

    def _content(self) -> None:
        size, cut = self.origin.size, self.origin.next_cut()
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        end = min(size, start + cut.at) if cut else size
        quietly = bool(cut and cut.quietly)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("ETag", _ETAG)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if quietly:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        self.close_connection = end < size
        for piece in pieces(start, end):
            self._send(piece, chunked=quietly)
            self.origin.count(len(piece))
        if quietly:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, piece: memoryview, *, chunked: bool) -> None:
        if chunked:
            self.wfile.write(b"%x\r\n" % len(piece))
        self.wfile.write(piece)
        if chunked:
            self.wfile.write(b"\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stdin ends."""
    with Origin(int(sys.argv[1])) as origin:

        def begin() -> dict[str, object]:
            return {"base_url": origin.base_url, "crc32": origin.crc32()}

        def cut(at: int, times: int, *, quietly: bool) -> None:
            origin.cut, origin.served = Cut(at, times, quietly), 0

        def served() -> int:
            return origin.served

        answer(begin=begin, cut=cut, served=served)


if __name__ == "__main__":
    main()
