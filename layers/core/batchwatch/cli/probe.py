"""Questions to the real API that its documents leave open: asked by reading, answered by looking.

What an answer means is decided by pure functions, of what was seen; `Probe` sees it.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx  # noqa: TID251 - to look at the headers of each answer

from batchwatch.batch import Role
from batchwatch.errors import BatchwatchError, OpenAIError
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
_PIECE = 200_000  # bytes read of one answer, at most; there are five answers at most that are read
_LOOKED_THROUGH = 500  # batches of the ledger
_NEWEST = 5
_LOOKS = 10
_BETWEEN_LOOKS = 1.0  # seconds
_PARTIAL, _WHOLE = 206, 200
_COUNTS = ("request_counts", "usage")
_FILES = ("output_file_id", "error_file_id")


class Answer(NamedTuple):
    """What is known now; `details`: what was seen, as JSON would have it."""

    question: str
    answer: str
    details: dict[str, Any]


class Seen(NamedTuple):
    """An answer with content of a file: its head, and the body as far as it was read."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str = ""

    @property
    def etag(self) -> str | None:
        """The ETag, weak or strong."""
        return self.headers.get("etag")

    @property
    def strong(self) -> str | None:
        """The ETag, if it names bytes."""
        return self.etag if self.etag and self.etag.startswith('"') else None


class Pair(NamedTuple):
    """A batch as the list shows it and, right after, as a retrieve does."""

    row: Batch
    alone: Batch


# ── What it means ──────────────────────────────────────────────────────────────────────────────


def ranges(whole: Seen, part: Seen, start: int, size: int | None) -> Answer:
    """Say whether a file can be read from a byte on."""
    given = part.headers.get("content-range")
    details = {"status": part.status, "content-range": given, "start": start, "bytes": size}
    details["accept-ranges"] = whole.headers.get("accept-ranges")
    question = "does a file's content answer Range"
    if part.error:
        return Answer(question, f"refused: {part.error}", details)
    if part.status != _PARTIAL:
        return Answer(question, f"no: {part.status}, from the first byte", details)
    wanted = f"bytes {start}-{(size or 0) - 1}/{size}"
    rest = whole.body[start:]
    both = min(len(rest), len(part.body))
    if size is not None and given != wanted:
        return Answer(question, f"wrongly: {given} in place of {wanted}", details)
    if rest[:both] != part.body[:both]:
        return Answer(question, "wrongly: other bytes than those of the whole file", details)
    return Answer(question, f"yes: 206, {given}", details)


def etags(first: Seen, second: Seen) -> list[Answer]:
    """Say whether there is an ETag, of which kind, and whether it stays."""
    details = {"first": first.etag, "second": second.etag}
    kind = f"yes: {first.strong}" if first.strong else f"no: a weak one, {first.etag}"
    same = "yes" if first.etag == second.etag else f"no: {first.etag}, then {second.etag}"
    there = first.etag is not None
    return [
        Answer("does it send a strong ETag", kind if there else "no: none", details),
        Answer(
            "is the ETag the same for two requests", same if there else "there is none", details
        ),
    ]


def if_range(etag: str | None, same: Seen | None, other: Seen) -> Answer:
    """Say whether a part is only given of the file that is meant."""
    details = {"etag": etag, "same": same and same.status, "other": other.status}
    question = "does If-Range hold"
    if other.status == _PARTIAL:
        return Answer(question, "no: a part is given whatever the ETag", details)
    if same is None:
        return Answer(question, "not to be told: no strong ETag", details)
    if same.status == _PARTIAL and other.status == _WHOLE:
        return Answer(question, "yes: 206 for its ETag, 200 for another", details)
    return Answer(question, f"no: {same.status} for its ETag, {other.status} else", details)


def length(whole: Seen, size: int | None) -> Answer:
    """Say whether the length in the head is that of the metadata."""
    told = whole.headers.get("content-length")
    details = {"content-length": told, "bytes": size}
    details["transfer-encoding"] = whole.headers.get("transfer-encoding")
    question = "does Content-Length match the file's bytes"
    if told is None:
        return Answer(question, "there is none", details)
    if size is None:
        return Answer(question, f"{told}, but the file tells no bytes", details)
    return Answer(question, "yes" if told == str(size) else f"no: {told}, not {size}", details)


def compressed(whole: Seen) -> Answer:
    """Say whether the answer is compressed though only `identity` was accepted."""
    how = whole.headers.get("content-encoding", "identity")
    told = {"content-encoding": how, "content-type": whole.headers.get("content-type")}
    question = "is the content compressed when not asked"
    return Answer(question, "no" if how == "identity" else f"yes: {how}", told)


def agreement(pairs: list[Pair]) -> Answer:
    """Say in which fields list and retrieve differ, and which only one of them has."""
    differ: dict[str, list[str]] = {}
    for row, alone in pairs:
        for field in sorted(row.said.keys() | alone.said.keys()):
            if row.said.get(field) != alone.said.get(field):
                differ.setdefault(field, []).append(alone.id)
            elif (field in row.said) != (field in alone.said):
                differ.setdefault(f"{field} (null or absent)", []).append(alone.id)
    question = "does the list agree with retrieve"
    if not pairs:
        return Answer(question, "not to be told: there are no batches", {})
    of = f"of the newest {len(pairs)}"
    if not differ:
        return Answer(question, f"yes: in every field {of}", {"batches": len(pairs)})
    told = ", ".join(f"{field} ({len(ids)})" for field, ids in differ.items())
    kinds = [
        kind
        for kind, fields in (("counts or usage", _COUNTS), ("file ids", _FILES))
        if differ.keys() & set(fields)
    ]
    about = f"; {' and '.join(kinds)} among them" if kinds else ""
    return Answer(question, f"no, {of}: {told}{about}", {"batches": len(pairs), "differ": differ})


def behind(row: Batch, seen: Batch) -> bool:
    """Whether a row shows less than was seen of the batch before."""
    files = any(seen.said.get(field) and not row.said.get(field) for field in _FILES)
    done = [batch.counts.done if batch.counts else 0 for batch in (row, seen)]
    return row.status.rank < seen.status.rank or done[0] < done[1] or files


def limits(heads: Iterable[tuple[str, Mapping[str, str]]]) -> Answer:
    """Say which headers tell of rates, by kind of request; the latest of each."""
    told: dict[str, dict[str, str]] = {}
    for path, headers in heads:
        said = {n: v for n, v in headers.items() if "ratelimit" in n or n.startswith("retry-after")}
        told.setdefault(path, {}).update(said)
    names = sorted({name for said in told.values() for name in said})
    return Answer("which headers tell of rate limits", ", ".join(names) or "none", told)


# ── Asking ─────────────────────────────────────────────────────────────────────────────────────


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
        pairs = [Pair(row, self._openai.retrieve(row.id)) for row in newest]
        yield agreement(pairs)
        yield self._lag(pairs)
        yield self._unknown_cursor()
        yield limits(self._ear.heads)

    def _downloads(self, file_id: str) -> Iterator[Answer]:
        try:
            size = self._openai.file(file_id).size
        except OpenAIError as error:
            yield Answer("does a file's content answer Range", f"not to be told: {error}", {})
            return
        whole, again = self._see(file_id, _PIECE), self._see(file_id, 0)
        if whole.error:
            yield Answer("does a file's content answer Range", f"not to be told: {whole.error}", {})
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
        question, began = "how long does the list lag behind retrieve", time.monotonic()
        late = {alone.id: alone for row, alone in pairs if behind(row, alone)}
        details = {"late": sorted(late), "looked_at": len(pairs)}
        if not late:
            return Answer(question, f"not seen: {len(pairs)} rows were up to date", details)
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
        question = "how is `after=` with an unknown id answered"
        try:
            page = self._openai.page(after=NOBODY, limit=1)
        except BatchwatchError as error:
            status, code = getattr(error, "status", None), getattr(error, "code", None)
            return Answer(question, f"refused: {error}", {"status": status, "code": code})
        told = "by the list from its top" if page.batches else "by an empty list"
        return Answer(question, told, {"status": _WHOLE, "batches": len(page.batches)})


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
