"""Which batches a list is to show: read from the command line, decided row by row. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from batchwatch.batch import Status
from batchwatch.cli.look import view
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.reading import status_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchwatch.items import Row
    from batchwatch.record import Record

OPEN, NEW, LOST, INCOMPLETE = "open", "new", "lost", "incomplete"
STATUSES = (*(each.value for each in Status), OPEN, NEW, LOST, INCOMPLETE, view.UNREADABLE)
_HAVE_WORK_LEFT = {
    OPEN,
    NEW,
    *(status.value for status in Status if not status.terminal and status is not Status.UNKNOWN),
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_TIMES = "give an age such as 30m, 12h or 7d, or a time such as 2026-11-22 or 2026-11-22T08:00Z"


@dataclass(frozen=True)
class Filters:
    """What a batch must be to be shown; nothing said: any.

    statuses      one of them
    metadata      all of these pairs; None: any value
    model         by its name, with or without its date; `*` stands for anything
    since, until  when it was made, in seconds since 1970, both included
    """

    statuses: frozenset[str] = frozenset()
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    model: str | None = None
    since: float | None = None
    until: float | None = None

    @property
    def timed(self) -> bool:
        """Whether it matters when a batch was made."""
        return self.since is not None or self.until is not None

    @property
    def of_content(self) -> bool:
        """Whether a batch must be read before it is known whether it is to be shown."""
        return bool(self.statuses or self.metadata or self.model)

    @property
    def only_with_work_left(self) -> bool:
        """Whether all that can match is in the index of batches with work left."""
        return bool(self.statuses) and self.statuses <= _HAVE_WORK_LEFT

    def match(self, row: Row) -> bool:
        """Whether a row is to be shown; one that cannot be read only where nothing else is told."""
        if row.trouble:
            plain = not (self.metadata or self.model)
            return plain and (not self.statuses or view.UNREADABLE in self.statuses)
        known = row.known
        return (
            self._in_time(known.created_at)
            and (not self.statuses or any(_is(known, status) for status in self.statuses))
            and self._model(known)
            and self._metadata((known.batch and known.batch.metadata) or {})
        )

    def told(self) -> str:
        """Name the filters, as one may type them."""
        parts = [f"--status {status}" for status in sorted(self.statuses)]
        for key, value in self.metadata.items():
            parts.append(f"--metadata {key}" + ("" if value is None else f"={value}"))
        parts += [f"--model {self.model}"] if self.model else []
        parts += [f"--since {view.iso(self.since)}"] if self.since is not None else []
        parts += [f"--until {view.iso(self.until)}"] if self.until is not None else []
        return " ".join(parts)

    def _in_time(self, created_at: int | None) -> bool:
        if created_at is None:
            return not self.timed
        early = self.since is not None and created_at < self.since
        return not early and (self.until is None or created_at <= self.until)

    def _model(self, known: Record) -> bool:
        if self.model is None:
            return True
        model = (known.batch and known.batch.model) or ""
        return any(fnmatchcase(name, self.model) for name in (model, _DATED.sub("", model)))

    def _metadata(self, metadata: Mapping[str, Any]) -> bool:
        return all(
            key in metadata and value in {None, _text(metadata[key])}
            for key, value in self.metadata.items()
        )


def read_filters(  # noqa: PLR0913 - one each
    *,
    statuses: Iterable[str] | None,
    metadata: Iterable[str] | None,
    model: str | None,
    since: str | None,
    until: str | None,
    now: float,
) -> Filters:
    """Read what was typed; CommandError where nothing at all could match."""
    filters = Filters(
        frozenset(_status(text) for text in statuses or ()),
        _pairs(metadata or ()),
        model,
        _moment("--since", since, now),
        _moment("--until", until, now, end_of_day=True),
    )
    if filters.since is not None and filters.since > now:
        raise _wrong(f"--since {since} is in the future, when no batch was made", _TIMES)
    if None not in (filters.since, filters.until) and filters.since > filters.until:  # type: ignore[operator]
        raise _wrong(f"--since {since} is after --until {until}, so no batch can match", _TIMES)
    return filters


def _wrong(cause: str, way_out: str) -> CommandError:
    return CommandError(Code.USAGE, cause, way_out)


def _is(known: Record, status: str) -> bool:
    match status:
        case "open":
            return known.open
        case "incomplete":
            return view.incomplete(known)
        case "unknown":
            return view.status_of(known) not in set(STATUSES) - {"unknown"}
        case _:
            return view.status_of(known) == status


def _status(text: str) -> str:
    name = status_name(text)
    if name not in STATUSES:
        raise _wrong(f"no batch has the status {text!r}", f"one of: {', '.join(STATUSES)}")
    return name


def _pairs(texts: Iterable[str]) -> dict[str, str | None]:
    pairs: dict[str, str | None] = {}
    for text in texts:
        key, said, value = text.partition("=")
        if not key:
            raise _wrong(f"--metadata {text!r} names no key", "give KEY=VALUE, or KEY alone")
        if said and pairs.get(key) not in {None, value}:
            raise _wrong(
                f"--metadata {key} cannot be both {pairs[key]!r} and {value!r}",
                "all that are given must match: give one VALUE for each KEY",
            )
        pairs[key] = value if said else pairs.get(key)
    return pairs


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(option: str, text: str | None, now: float, *, end_of_day: bool = False) -> float | None:
    """Read an age or a time, of UTC unless it says otherwise; seconds since 1970."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    try:
        seconds = _time(text, end_of_day=end_of_day).timestamp()
    except (ValueError, OverflowError) as error:
        raise _wrong(f"{option} {text!r} is no time", _TIMES) from error
    if seconds < 0:
        raise _wrong(f"{option} {text} is before 1970, when no batch was made", _TIMES)
    return seconds


def _time(text: str, *, end_of_day: bool) -> datetime:
    if _DAY.fullmatch(text):
        begin = datetime.combine(date.fromisoformat(text), time(tzinfo=UTC))
        return begin + timedelta(days=1, seconds=-1) if end_of_day else begin
    said = datetime.fromisoformat(text)
    return said if said.tzinfo else said.replace(tzinfo=UTC)
