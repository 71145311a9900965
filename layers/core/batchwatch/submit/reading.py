"""A dropped file read once, as a stream: good lines into parts, bad lines aside, and a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import OutOfTimeError, RefusedJobError
from batchwatch.submit.limits import LIMITS, Limits
from batchwatch.submit.parts import Parts, PlannedPart, Writing
from batchwatch.submit.preflight import Problem, Request, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from batchwatch.archive import Archive
    from batchwatch.submit.inbox import Dropped, Rewritten
    from batchwatch.submit.options import Options

_BEGINS = 8
_FIRST = 10
_TOLD = 3


class Plan(NamedTuple):
    """What is to be sent, and what is not: counts of lines, and the first that have problems.

    `lines_uri`: where all of them are, if there are any.
    """

    parts: tuple[PlannedPart, ...] = ()
    accepted: int = 0
    rejected: int = 0
    lines_uri: str | None = None
    first: tuple[tuple[int, str], ...] = ()


class RefusedReadingError(RefusedJobError):
    """Raised when a file is refused for what was read of it; `plan` is that, without parts."""

    def __init__(self, message: str, plan: Plan) -> None:
        super().__init__(message)
        self.plan = plan


class Destination(NamedTuple):
    """Where a reading writes to, and how long it may take.

    `key`: where a part goes, by its number. Each of up to 16 groups has a buffer of the part size
    of `archive`; S3 takes no less than 5 MiB. `late`: asked for each chunk.
    """

    archive: Archive
    rejected: Rewritten
    key: Callable[[int], str]
    lines_key: str
    late: Callable[[], bool]
    limits: Limits = LIMITS


def read_into_parts(dropped: Dropped, options: Options, to: Destination) -> Plan:
    """Read a file to its end. When this returns, every part is there, and every line accounted for.

    RefusedReadingError: no batch is to be made of it. CopyError: it is to be read again. Parts that
    are whole by then are left where they are.
    """
    limits = to.limits
    if options.part_requests:
        limits = limits._replace(requests=min(options.part_requests, limits.requests))
    reading = _Reading(to, Parts(to.archive, to.key, limits), options)
    try:
        return reading.read(_until(to.late, dropped.chunks()), limits)
    finally:
        reading.leave()


class Report(NamedTuple):
    """What the owner of a file is told; without parts in its plan, it was refused.

    `object`: its address. `reason`: a sentence; None where the plan says it all.
    """

    object: str
    version: str | None
    job: str
    reason: str | None
    plan: Plan = Plan()


def write_report(to: Rewritten, key: str, report: Report) -> str:
    """Write a report, in place of an earlier one; return its address."""
    plan = report.plan
    some = (
        f"{plan.rejected} lines have problems and were left out; the other {plan.accepted} are sent"
    )
    said = {
        "object": report.object,
        "version": report.version,
        "job": report.job,
        "outcome": "quarantined" if plan.parts else "refused",
        "reason": report.reason or some,
        "accepted": plan.accepted,
        "rejected": plan.rejected,
        "lines": plan.lines_uri,
        "first": [{"line": line, "reason": reason} for line, reason in plan.first],
    }
    return to.put_file(key, json.dumps(said, indent=2).encode() + b"\n").s3_uri


class _Reading:
    """The lines of one file, sorted into those that are sent and those that are not."""

    def __init__(self, to: Destination, parts: Parts, options: Options) -> None:
        self._parts = parts
        self._options = options
        self._bad = Writing(to.rejected, to.lines_key)
        self._accepted = self._rejected = 0
        self._first: list[tuple[int, str]] = []
        self._begins = b""

    def read(self, chunks: Iterable[bytes], limits: Limits) -> Plan:
        refusal = None
        try:
            for found in check(chunks, endpoint=self._options.endpoint, limits=limits):
                if isinstance(found, Request):
                    self._accept(found)
                else:
                    self._reject(found)
            refusal = self._refusal()
        except RefusedJobError as error:
            refusal = str(error)
        lines = self._bad.close().s3_uri if self._rejected else None
        plan = Plan((), self._accepted, self._rejected, lines, tuple(self._first))
        if refusal:
            raise RefusedReadingError(refusal, plan)
        return plan._replace(parts=self._parts.close())

    def leave(self) -> None:
        """Drop what is under way; nothing is, after a good end."""
        self._parts.abort()
        self._bad.abort()

    def _accept(self, request: Request) -> None:
        self._accepted += 1
        if not (self._rejected and self._options.on_bad_lines == "refuse"):
            self._parts.add(request)

    def _reject(self, problem: Problem) -> None:
        self._rejected += 1
        if not self._first:
            self._begins = problem.begins[:_BEGINS]
        if len(self._first) < _FIRST:
            self._first.append((problem.number, problem.reason))
        self._bad.add(_set_aside(problem))

    def _refusal(self) -> str | None:
        """Say why nothing of a file is sent that was read to its end, if so."""
        first = "; ".join(f"line {line}: {reason}" for line, reason in self._first[:_TOLD])
        if not self._accepted and not self._rejected:
            return "the file has nothing but blank lines"
        if not self._accepted:
            hint = looks_like(self._begins)
            return f"none of its {self._rejected} lines is a request{hint}: {first}"
        if self._rejected and self._options.on_bad_lines == "refuse":
            bad = f"{self._rejected} of its {self._accepted + self._rejected} lines have problems"
            return f"{bad}: {first}; correct them, or let on_bad_lines be quarantine"
        return None


def looks_like(begins: bytes) -> str:
    """Say what a file seems to be that has no request in it, by how it begins."""
    for start, kind in _OTHERS.items():
        if begins.startswith(start):
            return f" ({kind})"
    return "" if begins.lstrip().startswith(b"{") else " (it is to have one JSON object a line)"


_OTHERS = {
    b"\x1f\x8b": "it seems to be packed by gzip; unpack it",
    b"PK\x03\x04": "it seems to be a zip or a spreadsheet",
    b"\xff\xfe": "it seems to be UTF-16; save it as UTF-8",
    b"\xfe\xff": "it seems to be UTF-16; save it as UTF-8",
    b"[": "it seems to be one JSON array; jq -c '.[]' makes lines of it",
}


def _set_aside(problem: Problem) -> bytes:
    """Show a bad line to its owner."""
    said: dict[str, object] = {
        "line": problem.number,
        "reason": problem.reason,
        "text": problem.begins.decode(errors="replace"),
    }
    if problem.size > len(problem.begins):
        said["truncated"] = True
    return json.dumps(said, ensure_ascii=False).encode() + b"\n"


def _until(late: Callable[[], bool], chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if late():
            raise OutOfTimeError("the time was up before a file was read")
        yield chunk
