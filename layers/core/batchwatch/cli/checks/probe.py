"""Questions to the real API that its documents leave open, asked by reading alone.

What an answer means is told in meaning.py.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Self

import httpx

from batchwatch.batch import Role
from batchwatch.cli.checks.meaning import (
    Answer,
    Pair,
    Seen,
    agreement,
    behind,
    compressed,
    etags,
    if_range,
    length,
    limits,
    ranges,
)
from batchwatch.errors import BatchwatchError, NotFoundError, OpenAIError
from batchwatch.openai import OpenAI
from batchwatch.record import FileState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from batchwatch.account import Account
    from batchwatch.batch import Batch
    from batchwatch.items import Row

SMALL = 1_000_000
"""Bytes; no larger file is chosen, and no more is read of one that is named."""
NOBODY = "batch_00000000000000000000000000000000"
_PIECE = 200_000  # bytes read of an answer; two are read, of the others the head alone
_LOOKED_THROUGH = 500  # batches of the ledger
_NEWEST = 5
_LOOKS = 10
_BETWEEN_LOOKS = 1.0  # seconds


def small_file(rows: Iterable[Row]) -> str | None:
    """Return the output of the newest batch that is archived, small and not empty."""
    for row in islice(rows, _LOOKED_THROUGH):
        file = row.known.files.get(Role.OUTPUT)
        if file and file.state is FileState.ARCHIVED and 1 < (file.bytes or 0) <= SMALL:
            return file.file_id
    return None


class Probe:
    """Asks the API of an account. `requests` and `bytes` (of files): how much was asked for."""

    def __init__(self, account: Account, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ear = _Ear()
        self._openai = OpenAI(account, transport=self._ear)
        self._sleep = sleep
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._openai.close()

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return len(self._ear.heads)

    def answers(self, file_id: str | None) -> Iterator[Answer]:
        """Ask everything; of downloads only where there is a file. OpenAIError if nothing works."""
        newest = self._openai.page(limit=_NEWEST).batches
        if file_id:
            yield from self._downloads(file_id)
        pairs = [Pair(row, self._alone(row.id)) for row in newest]
        yield agreement(pairs)
        yield self._lag(pairs)
        yield self._unknown_cursor()
        yield limits(self._ear.heads)

    def _alone(self, batch_id: str) -> Batch | None:
        try:
            return self._openai.retrieve(batch_id)
        except NotFoundError:
            return None

    def _downloads(self, file_id: str) -> Iterator[Answer]:
        try:
            size = self._openai.file(file_id).size
        except OpenAIError as error:
            yield Answer("content answers Range", f"not to be told: {error}", {})
            return
        whole, again = self._see(file_id, _PIECE), self._see(file_id, 0)
        if whole.error:
            yield Answer("content answers Range", f"not to be told: {whole.error}", {})
            return
        start = min(size or 0, len(whole.body)) // 2
        part = {"Range": f"bytes={start}-"}
        yield ranges(whole, self._see(file_id, _PIECE, part), start, size)
        yield from etags(whole, again)
        mine = self._see(file_id, 0, part | {"If-Range": whole.strong}) if whole.strong else None
        other = self._see(file_id, 0, part | {"If-Range": '"another"'})
        yield if_range(whole.strong, mine, other)
        yield length(whole, size)
        yield compressed(whole)

    def _see(self, file_id: str, most: int, wanted: Mapping[str, str] | None = None) -> Seen:
        """Ask for the content as the archiver does, and read at most so many bytes of it."""
        headers = {"Accept": "application/binary", "Accept-Encoding": "identity", **(wanted or {})}
        body = b""
        try:
            with self._openai.stream_file(file_id, headers) as answer:
                for piece in answer.iter_bytes() if most else ():
                    body += piece
                    if len(body) >= most:
                        break
        except OpenAIError as error:
            return Seen(error.status or 0, error=str(error))
        except httpx.RequestError as error:
            return Seen(answer.status_code, answer.headers, body, f"cut: {type(error).__name__}")
        finally:
            self.bytes += len(body)
        return Seen(answer.status_code, answer.headers, body)

    def _lag(self, pairs: list[Pair]) -> Answer:
        """Ask for the list until it shows what a retrieve has shown."""
        question, began = "list lags behind", time.monotonic()
        late = {alone.id: alone for row, alone in pairs if alone and behind(row, alone)}
        details = {"late": sorted(late), "looked_at": len(pairs)}
        if not pairs:
            return Answer(question, "not to be told: there are no batches", details)
        if not late:
            return Answer(question, f"not seen: all of {len(pairs)} were up to date", details)
        for _ in range(_LOOKS):
            self._sleep(_BETWEEN_LOOKS)
            rows = self._openai.page(limit=_NEWEST).batches
            late = {r.id: late[r.id] for r in rows if r.id in late and behind(r, late[r.id])}
            if not late:
                took = time.monotonic() - began
                return Answer(
                    question, f"under {took:.1f} s", details | {"seconds": round(took, 1)}
                )
        return Answer(question, f"more than {_LOOKS} s", details)

    def _unknown_cursor(self) -> Answer:
        question = "after= an unknown id"
        try:
            page = self._openai.page(after=NOBODY, limit=1)
        except BatchwatchError as error:
            status, code = getattr(error, "status", None), getattr(error, "code", None)
            return Answer(question, f"refused: {error}", {"status": status, "code": code})
        told = "by the list from its top" if page.batches else "by an empty list"
        return Answer(question, told, {"status": 200, "batches": len(page.batches)})


class _Ear(httpx.BaseTransport):
    """Passes requests on, and remembers the head of each answer under the kind of request."""

    def __init__(self) -> None:
        self._under = httpx.HTTPTransport(trust_env=False)
        self.heads: list[tuple[str, Mapping[str, str]]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._under.handle_request(request)
        parts = request.url.path.rstrip("/").split("/")
        kind = next((p for p in reversed(parts) if p in {"batches", "files", "content"}), "")
        alone = " (one)" if kind == "batches" and parts[-1] != kind else ""
        self.heads.append((kind + alone, answer.headers))
        return answer

    def close(self) -> None:
        self._under.close()
