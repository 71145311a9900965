"""Requests divided into parts, each of which OpenAI takes as a batch, and written as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import RefusedJobError
from batchwatch.record import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.archive import Archive, Part, Stored
    from batchwatch.submit.limits import Limits
    from batchwatch.submit.preflight import Request


class PlannedPart(NamedTuple):
    """A part as it lies in the bucket; `size` in bytes, `crc32` eight hex digits."""

    number: int
    endpoint: str
    model: str
    requests: int
    size: int
    key: str
    crc32: str


class Writing:
    """An object under way, of which no more is held than a part of an upload."""

    def __init__(self, archive: Archive, key: str) -> None:
        self.size = 0
        self._archive = archive
        self._key = key
        self._most = archive.part_bytes(None)
        self._upload: str | None = None
        self._parts: list[Part] = []
        self._tally = Tally()
        self._held: list[bytes] = []
        self._held_bytes = 0

    def add(self, piece: bytes) -> None:
        """Write some bytes more."""
        self._held.append(piece)
        self._held_bytes += len(piece)
        self.size += len(piece)
        if self._held_bytes >= self._most:
            self._send()

    def close(self) -> Stored:
        """Make the object visible."""
        if self._upload is None:
            return self._archive.put_file(self._key, self._taken())
        if self._held:
            self._send()
        stored = self._archive.complete(self._key, self._upload, self._parts, self._tally)
        self._upload = None
        return stored

    def abort(self) -> None:
        """Leave nothing behind of an object that is not visible yet."""
        self._taken()
        if self._upload is not None:
            self._archive.abort(self._key, self._upload)
            self._upload = None

    def _send(self) -> None:
        if self._upload is None:
            self._upload = self._archive.begin(self._key)
        body = self._taken()
        number = len(self._parts) + 1
        self._parts.append(self._archive.put_part(self._key, self._upload, number, body))
        self._tally = self._tally.add(body)

    def _taken(self) -> bytes:
        body = b"".join(self._held)
        self._held, self._held_bytes = [], 0
        return body


class _OpenPart:
    """A part that may yet grow."""

    def __init__(self, number: int, first: Request, key: str, writing: Writing) -> None:
        self.number = number
        self.writing = writing
        self._of = first.endpoint, first.model
        self._key = key
        self._requests = 0
        self._inputs = 0

    def add(self, request: Request) -> None:
        self.writing.add(request.line)
        self._requests += 1
        self._inputs += request.inputs

    def has_room(self, request: Request, limits: Limits) -> bool:
        return (
            self._requests < limits.requests
            and self._inputs + request.inputs <= limits.inputs
            and self.writing.size + len(request.line) <= limits.part_bytes
        )

    def close(self) -> PlannedPart:
        stored = self.writing.close()
        return PlannedPart(
            self.number, *self._of, self._requests, stored.size, self._key, stored.crc32
        )


class Parts:
    """All parts of a file. `key` says where a part is written, by its number."""

    def __init__(self, archive: Archive, key: Callable[[int], str], limits: Limits) -> None:
        self._archive = archive
        self._key = key
        self._limits = limits
        self._open: dict[tuple[str, str], _OpenPart] = {}  # one of each group, the last
        self._closed: list[PlannedPart] = []
        self._begun = 0

    def add(self, request: Request) -> None:
        """Write a request into a part that has room for it."""
        group = request.endpoint, request.model
        part = self._open.get(group)
        if part is None or not part.has_room(request, self._limits):
            if part is not None:
                self._closed.append(part.close())
            part = self._begin(request)
            self._open[group] = part
        part.add(request)

    def close(self) -> tuple[PlannedPart, ...]:
        """Write what is held; return all parts, in the order of their first lines."""
        for group, part in list(self._open.items()):
            self._closed.append(part.close())
            del self._open[group]
        return tuple(sorted(self._closed))

    def abort(self) -> None:
        """Drop what is not written to its end; whole parts stay."""
        for part in self._open.values():
            part.writing.abort()
        self._open.clear()

    def _begin(self, first: Request) -> _OpenPart:
        most = self._limits
        if self._begun >= most.parts:
            raise RefusedJobError(
                f"the file makes more than {most.parts} parts of up to {most.requests} requests;"
                " divide it, or allow more requests in a part"
            )
        new = (first.endpoint, first.model) not in self._open
        if new and len(self._open) >= most.groups:
            raise RefusedJobError(
                f"the file has more than {most.groups} combinations of endpoint and model;"
                " divide it by model"
            )
        self._begun += 1
        key = self._key(self._begun)
        return _OpenPart(self._begun, first, key, Writing(self._archive, key))
