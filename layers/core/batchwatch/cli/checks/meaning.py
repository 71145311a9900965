"""What the answers to the questions of `doctor --probe` mean. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from batchwatch.batch import Batch

_WHOLE, _PARTIAL = 200, 206
_TOO_MANY, _BROKEN = 429, 500
_FILES = ("output_file_id", "error_file_id")


class Answer(NamedTuple):
    """What is known now; `details`: what was seen, as JSON would have it."""

    question: str
    answer: str
    details: dict[str, Any]


class Seen(NamedTuple):
    """An answer with content of a file: its head, and the body as far as it was read."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    error: str = ""

    @property
    def silent(self) -> bool:
        """Whether it is no answer at all: the API was not reached, or had too much to do."""
        return self.status in {0, _TOO_MANY} or self.status >= _BROKEN

    @property
    def etag(self) -> str | None:
        """The ETag, weak or strong."""
        return self.headers.get("etag")

    @property
    def strong(self) -> str | None:
        """The ETag, if it names bytes."""
        return self.etag if self.etag and self.etag.startswith('"') else None


class Pair(NamedTuple):
    """A batch as the list shows it and, right after, as a retrieve does, if it knows it."""

    row: Batch
    alone: Batch | None


def ranges(whole: Seen, part: Seen, start: int, size: int | None) -> Answer:
    """Say whether a file can be read from a byte on."""
    given = part.headers.get("content-range")
    details = {"status": part.status, "content-range": given, "start": start, "bytes": size}
    details["accept-ranges"] = whole.headers.get("accept-ranges")
    question = "content answers Range"
    if part.error:
        word = "not to be told" if part.silent else "refused"
        return Answer(question, f"{word}: {part.error}", details)
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
    if second.silent:
        same = f"not to be told: {second.error}"
    return [
        Answer("strong ETag", kind if there else "no: none", details),
        Answer("ETag stays the same", same if there else "there is none", details),
    ]


def if_range(etag: str | None, same: Seen | None, other: Seen) -> Answer:
    """Say whether a part is only given of the file that is meant."""
    details = {"etag": etag, "same": same and same.status, "other": other.status}
    question = "If-Range holds"
    if failed := [each for each in (same, other) if each and each.silent]:
        return Answer(question, f"not to be told: {failed[0].error}", details)
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
    question = "Content-Length is the size"
    if told is None:
        return Answer(question, "there is none", details)
    if size is None:
        return Answer(question, f"{told}, but the file tells no bytes", details)
    return Answer(question, "yes" if told == str(size) else f"no: {told}, not {size}", details)


def compressed(whole: Seen) -> Answer:
    """Say whether the answer is compressed though only `identity` was accepted."""
    how = whole.headers.get("content-encoding", "identity")
    told = {"content-encoding": how, "content-type": whole.headers.get("content-type")}
    question = "compressed unasked"
    return Answer(question, "no" if how == "identity" else f"yes: {how}", told)


def agreement(pairs: list[Pair]) -> Answer:
    """Say in which fields list and retrieve differ, and which only one of them has."""
    differ: dict[str, list[str]] = {}
    for row, alone in pairs:
        for field in _differing(row.said, alone.said) if alone else ["unknown to retrieve"]:
            differ.setdefault(field, []).append(row.id)
    question, details = "list agrees with retrieve", {"batches": len(pairs), "differ": differ}
    if not pairs:
        return Answer(question, "not to be told: there are no batches", details)
    of = f"of the newest {len(pairs)}"
    if not differ:
        return Answer(question, f"yes: in every field {of}", details)
    told = ", ".join(f"{field} ({len(ids)})" for field, ids in differ.items())
    going_on = {row.id for row, _ in pairs if not row.status.terminal}
    moved = any(going_on.intersection(ids) for ids in differ.values())
    why = "; those still open may have moved in between" if moved else ""
    return Answer(question, f"no, {of}: {told}{why}", details)


def _differing(row: dict[str, Any], alone: dict[str, Any]) -> Iterator[str]:
    for field in sorted(row.keys() | alone.keys()):
        if row.get(field) != alone.get(field):
            yield field
        elif (field in row) != (field in alone):
            yield f"{field} (null or absent)"


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
    return Answer("headers of rate limits", ", ".join(names) or "none", told)
