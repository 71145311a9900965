"""How single fields of an answer are read: what cannot be understood is nothing, never a crash."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ValidationError, ValidatorFunctionWrapHandler


class Growing(StrEnum):
    """Names to which a later version may add.

    One of those is no error: it is read, compared and written as it is, so that an item of a later
    version can be read after a rollback. It equals none of the members.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        later = str.__new__(cls, value)
        later._name_ = later._value_ = value
        return later


_YEAR_10000 = 253_402_300_800  # what comes later was not seconds

_STATUSES = {
    "canceled": "cancelled",
    "canceling": "cancelling",
    "cancellation_requested": "cancelling",
    "created": "validating",
    "pending": "validating",
    "pre_schedule": "validating",
    "queued": "validating",
    "progress": "in_progress",
    "running": "in_progress",
    "succeeded": "completed",
    "success": "completed",
    "timeout_exceeded": "expired",
}
"""What compatible providers call a status, and what OpenAI calls it."""


def _text(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _seconds(said: object) -> int | None:
    """Seconds since 1970 from an int, a float, digits or an ISO date; 0 is nothing, as all else."""
    if isinstance(said, bool) or said is None:
        return None
    seconds = _number(said) if isinstance(said, int | float | str) else None
    if seconds is None and isinstance(said, str):
        seconds = _date(said)
    return int(seconds) if seconds is not None and 0 < seconds < _YEAR_10000 else None


def _number(said: float | str) -> float | None:
    try:
        return float(said)
    except (ValueError, OverflowError):
        return None


def _date(said: str) -> float | None:
    try:
        moment = datetime.fromisoformat(said.strip().upper())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _count(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None


def status_name(said: object) -> str:
    """Spell a status as OpenAI does, if its meaning is known."""
    name = re.sub("[ -]", "_", str(said).strip().lower())
    return _STATUSES.get(name, name)


def errors_object(said: object) -> object:
    """Put the reasons of a failure, which may be a text or a list, into an object with `data`."""
    if isinstance(said, str) and said:
        return {"data": [{"message": said}]}
    return {"data": said} if isinstance(said, list) else said


def error_entries(said: object) -> object:
    """Make an object of each reason; some are mere texts."""
    entries = said if isinstance(said, list) else []
    return [e if isinstance(e, Mapping) else {"message": str(e)} for e in entries]


def whole_characters(said: Any) -> Any:
    """Replace half characters, which JSON can spell and nothing can store."""
    text = json.dumps(said, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return said


def mapping(said: object) -> dict[str, Any] | None:
    """Read an object; anything else is nothing."""
    return dict(said) if isinstance(said, Mapping) else None


def or_nothing(said: object, read: ValidatorFunctionWrapHandler) -> object:
    """A part that cannot be read is nothing; the batch it belongs to still counts."""
    try:
        return read(said)
    except ValidationError:
        return None


Text = Annotated[str | None, BeforeValidator(_text)]
Seconds = Annotated[int | None, BeforeValidator(_seconds)]
Count = Annotated[int | None, BeforeValidator(_count)]
