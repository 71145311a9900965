"""A file of OpenAI as one stream of bytes, from any of them on.

OpenAI cuts large downloads. What is missing is asked for by Range; where that is not given, the
file must be had in one piece. No answer is believed that does not say where it begins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from batchwatch.errors import BadAnswerError, CutOffError, NoResumeError, ShortDownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.openai import OpenAI, RemoteFile

LEAST = 1024 * 1024
"""Bytes that an answer must bring for the rest to be asked for at once."""
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")


class Source:
    """A file to read. `size` in bytes, None where nobody says; `etag`: a strong one or None."""

    def __init__(self, openai: OpenAI, file: RemoteFile, etag: str | None = None) -> None:
        self._openai = openai
        self.id = file.id
        self.size = file.size
        self.etag = etag

    def read(self, start: int = 0) -> Iterator[bytes]:
        """Read from byte `start` on; a cut is made good as long as each answer brings something.

        CutOffError where it is not; NoResumeError where the rest is not to be had.
        """
        at = start
        while True:
            before = at
            try:
                for chunk in self._answer(at):
                    at += len(chunk)
                    yield chunk
            except CutOffError:
                if at == self.size:
                    return
                if self.size is None or at - before < LEAST:
                    raise
            else:
                return

    def _answer(self, start: int) -> Iterator[bytes]:
        """Read one answer to its end or its cut."""
        # Compressed content would have neither the length nor the bytes of the file.
        headers = {"Accept": "application/binary", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            headers |= {"If-Range": self.etag} if self.etag else {}
        with self._openai.stream_file(self.id, headers) as answer:
            self._check_start(answer, start)
            self._check_size(answer, start)
            self.etag = _strong(answer.headers.get("etag")) or (self.etag if start else None)
            try:
                yield from answer.iter_bytes()
            except httpx.RequestError as error:
                raise CutOffError(f"cut off: {type(error).__name__}") from error

    def _check_start(self, answer: httpx.Response, start: int) -> None:
        """Refuse an answer that is not the file, or not from byte `start` on."""
        if "text/html" in answer.headers.get("content-type", ""):
            raise BadAnswerError("a page of HTML in place of a file")
        partial = answer.status_code == httpx.codes.PARTIAL_CONTENT
        if not start and not partial:
            return
        given = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        begins = given and (int(given[1]), int(given[2])) == (start, self.size)
        same = self.etag is None or answer.headers.get("etag", self.etag) == self.etag
        if not (partial and begins and same) or _encoded(answer):
            raise NoResumeError(f"asked for bytes from {start} on, was given something else")

    def _check_size(self, answer: httpx.Response, start: int) -> None:
        """Refuse an answer that contradicts the metadata; believe it where they say nothing."""
        length = answer.headers.get("content-length", "")
        size = start + int(length) if length.isdigit() and not _encoded(answer) else self.size
        if self.size not in {None, size}:
            raise ShortDownloadError(f"a file of {self.size} bytes offered as {size}")
        self.size = size
        if size is None and not _framed(answer):
            raise ShortDownloadError("nobody says how long the file is")


def _encoded(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("content-encoding", "identity") != "identity")


def _framed(answer: httpx.Response) -> bool:
    """Whether a cut would be noticed on the way: the end of the body is told somehow."""
    told = answer.headers
    return "content-length" in told or "chunked" in told.get("transfer-encoding", "")


def _strong(etag: str | None) -> str | None:
    """Only a strong validator names bytes."""
    return etag if etag and etag.startswith('"') else None
