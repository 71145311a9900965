"""A multipart form, split where it lies: a file in it may be too large for memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from local.simulator.wire import RefusedError

_CHUNK = 1 << 20  # bytes looked at together
_LONGEST_HEAD = 1 << 13  # bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form, read while somebody wants it."""

    filename: str
    size: int  # bytes
    first: int  # byte of the body
    body: IO[bytes]

    def __iter__(self) -> Iterator[bytes]:
        self.body.seek(self.first)
        left = self.size
        while left > 0 and (chunk := self.body.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk

    @property
    def text(self) -> str:
        """Its content, as text."""
        return b"".join(self).decode(errors="replace")


def fields(content_type: str, body: IO[bytes]) -> dict[str, Field]:
    """Find the fields of a form by name; RefusedError if it is none."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise RefusedError(400, "Expected a multipart form.")
    mark = b"--" + boundary[1].encode()
    places = list(_places(body, mark))
    form = {}
    for place, end in pairwise(places):
        name, field = _field(body, place + len(mark), end)
        form[name] = field
    return form


def _places(body: IO[bytes], mark: bytes) -> Iterator[int]:
    """Find the mark wherever it begins."""
    body.seek(0)
    window, start = b"", 0
    while chunk := body.read(_CHUNK):
        window += chunk
        yield from (start + found.start() for found in re.finditer(re.escape(mark), window))
        passed = max(0, len(window) - len(mark) + 1)  # the rest may be the beginning of a mark
        window, start = window[passed:], start + passed


def _field(body: IO[bytes], first: int, end: int) -> tuple[str, Field]:
    body.seek(first)
    head, blank, _ = body.read(min(end - first, _LONGEST_HEAD)).partition(b"\r\n\r\n")
    named = dict(re.findall(r'\b(name|filename)="([^"\r\n]*)"', head.decode(errors="replace")))
    begin = first + len(head) + len(blank)
    size = max(0, end - begin - len(b"\r\n"))
    return named.get("name", ""), Field(named.get("filename", ""), size, begin, body)
