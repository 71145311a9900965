"""What may go wrong with one answer on its way."""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from local.simulator.download import Span
from local.simulator.wire import (
    Answer,
    HangUpError,
    Request,
    error_answer,
    json_answer,
    whole_answer,
)

_GZIP = zlib.MAX_WBITS | 16  # as zlib wants to be told


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests that match."""

    match: str  # pattern searched in "METHOD /path?query"
    times: int = 1  # requests yet to hit; -1: every one
    status: int | None = None  # answered at once, nothing is done; None: the true answer
    body: bytes | None = None  # for that status; None: an error in OpenAI's form
    headers: dict[str, str] = field(default_factory=dict)  # added or replaced
    edit: Callable[[dict[str, Any]], object] | None = None  # changes the answer's JSON in place
    # How a file is sent
    whole: bool = False  # no range is heeded
    early: int = 0  # bytes by which a range starts before what Content-Range says
    # How a body is sent
    gzip: bool = False  # compressed, whatever was asked for
    chunked: bool = False  # without Content-Length, in chunks
    unframed: bool = False  # without Content-Length, until the connection closes
    # When it is sent, and how much of it
    delay: float = 0  # seconds between the making of the answer and its sending
    cut_after: int | None = None  # bytes of this body before the connection closes, if it has more
    cut_share: float | None = None  # the same as a share of the body, below 1
    stall: float = 0  # seconds between the cut and the closing
    reset: bool = False  # resets instead of closing; without a cut: before any answer

    def __post_init__(self) -> None:
        """Refuse what would not do what it says."""
        if self.stall and self.cut_after is None and self.cut_share is None:
            raise ValueError("a stall comes after a cut; before the answer it is a delay")
        if self.chunked and self.unframed:
            raise ValueError("a body is either chunked or unframed")

    def instead(self) -> Answer | None:
        """Answer in place of the true one, if it is to be replaced."""
        if self.status is None:
            return None
        if self.body is None:
            return error_answer(self.status, "The request could not be served.")
        return whole_answer(self.status, self.body)

    def taken(self, request: Request) -> Request:
        """Read the request as it is then answered."""
        if not self.whole:
            return request
        headers = {name: value for name, value in request.headers.items() if name != "range"}
        return replace(request, headers=headers)

    def spoil(self, answer: Answer, wait: Callable[[float], object]) -> None:
        """Change the answer on its way."""
        if self.edit is not None:
            content = json.loads(b"".join(answer.chunks))
            self.edit(content)
            edited = json_answer(answer.status, content)
            answer.headers, answer.chunks = answer.headers | edited.headers, edited.chunks
        if self.early and isinstance(answer.chunks, Span):
            first = max(0, answer.chunks.first - self.early)
            answer.chunks = replace(answer.chunks, first=first)
        if self.gzip:
            self._compress(answer)
        self._end(answer, wait)
        self._reframe(answer)
        answer.headers |= {name.lower(): value for name, value in self.headers.items()}

    def _compress(self, answer: Answer) -> None:
        answer.headers["content-encoding"] = "gzip"
        answer.chunks = _gzipped(answer.chunks)
        if not (self.chunked or self.unframed):  # the length must be known beforehand
            body = b"".join(answer.chunks)
            answer.headers["content-length"] = str(len(body))
            answer.chunks = [body]

    def _end(self, answer: Answer, wait: Callable[[float], object]) -> None:
        length = self.cut_after
        if self.cut_share is not None:
            length = int(self.cut_share * int(answer.headers["content-length"]))
        if length is not None:
            answer.chunks = self._cut(answer.chunks, length, wait)
        elif self.reset:
            raise HangUpError(reset=True)

    def _cut(
        self, chunks: Iterable[bytes], left: int, wait: Callable[[float], object]
    ) -> Iterator[bytes]:
        open_end = self.chunked or self.unframed  # the end itself is yet to be told
        for chunk in chunks:
            if left < len(chunk):
                yield chunk[:left]
                break
            yield chunk
            left -= len(chunk)
        else:
            if left or not open_end:
                return
        wait(self.stall)
        raise HangUpError(reset=self.reset)

    def _reframe(self, answer: Answer) -> None:
        if self.chunked or self.unframed:
            del answer.headers["content-length"]
        if self.chunked:
            answer.headers["transfer-encoding"] = "chunked"
        if self.unframed:
            answer.headers["connection"] = "close"


def _gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1, wbits=_GZIP)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()
