"""How a file is sent: whole, or the one range of it that the request wants."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from local.simulator.wire import Answer, RefusedError

_CHUNK = 1 << 20  # bytes read and sent at once


def whole(path: Path, filename: str) -> Answer:
    """Answer with the file from its first byte to its last."""
    size = path.stat().st_size
    headers = {
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="{quote(filename)}"',
        "content-length": str(size),
    }
    return Answer(200, headers, _read(path, 0, size))


def whole_or_range(path: Path, filename: str, wanted: dict[str, str]) -> Answer:
    """Answer with the range in the headers of the request, if it applies."""
    answer = whole(path, filename)
    size = path.stat().st_size
    etag = f'"{sha256(f"{path.name}/{size}".encode()).hexdigest()[:32]}"'
    answer.headers |= {"accept-ranges": "bytes", "etag": etag}
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
    return Answer(206, answer.headers, _read(path, first, length))


def _read(path: Path, first: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as content:
        content.seek(first)
        while length > 0 and (chunk := content.read(min(_CHUNK, length))):
            length -= len(chunk)
            yield chunk
