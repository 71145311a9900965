"""How a file is sent: whole, or the one range of it that the request wants."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from local.simulator.wire import Answer, RefusedError

_CHUNK = 1 << 20  # bytes read and sent at once


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file, read while it is sent."""

    path: Path
    first: int
    length: int

    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        with self.path.open("rb", buffering=0) as content:
            content.seek(self.first)
            while left > 0 and (chunk := content.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk


def whole(path: Path, filename: str) -> Answer:
    """Answer with the file from its first byte to its last."""
    size = path.stat().st_size
    headers = {
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="{quote(filename)}"',
        "content-length": str(size),
    }
    return Answer(200, headers, Span(path, 0, size))


def whole_or_range(path: Path, filename: str, etag: str | None, wanted: dict[str, str]) -> Answer:
    """Answer with the range in the headers of the request, if it applies."""
    answer = whole(path, filename)
    size = path.stat().st_size
    answer.headers["accept-ranges"] = "bytes"
    if etag is not None:
        answer.headers["etag"] = etag
    span = re.fullmatch(r"bytes=([0-9]{1,18})-([0-9]{0,18})", wanted.get("range", ""))
    if span is None or wanted.get("if-range", etag) != etag:
        return answer
    first, last = int(span[1]), min(int(span[2] or size), size - 1)
    if first >= size:
        refused = RefusedError(416, "The requested range is not satisfiable.")
        refused.answer.headers["content-range"] = f"bytes */{size}"
        raise refused
    if first > last:
        return answer
    length = last - first + 1
    answer.headers |= {
        "content-range": f"bytes {first}-{last}/{size}",
        "content-length": str(length),
    }
    return Answer(206, answer.headers, Span(path, first, length))
