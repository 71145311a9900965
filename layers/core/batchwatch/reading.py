"""How single fields of an answer are read: what cannot be understood is nothing, never a crash."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, ValidatorFunctionWrapHandler


def _text(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _seconds(said: object) -> int | None:
    """Seconds since 1970 from an int, a float, digits or an ISO date; else nothing."""
    if isinstance(said, bool) or said is None:
        return None
    try:
        return int(float(said)) if isinstance(said, int | float | str) else None
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _count(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None


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
