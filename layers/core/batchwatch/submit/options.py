"""How the batches of a dropped file are to be made: by its sidecar, or by the object's metadata.

The sidecar is a JSON object; the object metadata has the same by other names, as texts:
`batchwatch-account`, `batchwatch-metadata` (JSON), `batchwatch-output-expires-after`, … Where both
say something, it must be the same. Nothing is ignored: a misspelled option could cost money.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError, from_json

from batchwatch.creating import (
    ENDPOINTS,
    LONGEST_EXPIRY,
    LONGEST_KEY,
    LONGEST_VALUE,
    MOST_PAIRS,
    SHORTEST_EXPIRY,
)
from batchwatch.errors import RefusedJobError
from batchwatch.record import Kept
from batchwatch.submit.unrun import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_REQUESTS = 50_000
_PREFIX = "batchwatch-"
_NAME = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")  # what is none may be something confidential

_Expiry = Annotated[int, Field(ge=SHORTEST_EXPIRY, le=LONGEST_EXPIRY)]
OnBadLines = Literal["quarantine", "refuse"]


def _seconds(said: object) -> object:
    """Read the API's own form too."""
    if isinstance(said, dict) and set(said) == {"anchor", "seconds"}:
        return said["seconds"] if said["anchor"] == "created_at" else said
    return said


class Options(Kept):
    """What the owner of a file wants of its batches, as it is kept: it has been checked.

    `output_expires_after`: seconds after the creation of a batch. `part_requests`: the most in a
    part, where that is to be fewer than must be. None: not said.
    """

    account: str | None = None
    endpoint: str | None = None
    metadata: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    output_expires_after: int | None = None
    completion_window: str = "24h"
    on_bad_lines: str = "quarantine"
    part_requests: int | None = None


class _Asked(Options):
    """The same as it is asked for, which is checked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    account: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] | None = None
    endpoint: str | None = None
    metadata: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    output_expires_after: Annotated[
        Annotated[int, Field(ge=SHORTEST_EXPIRY, le=LONGEST_EXPIRY)] | None,
        BeforeValidator(_seconds),
    ] = None
    completion_window: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[smhdw]$")] = "24h"
    on_bad_lines: OnBadLines = "quarantine"
    part_requests: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] | None = None

    @field_validator("endpoint")
    @classmethod
    def _known(cls, said: str | None) -> str | None:
        if said is not None and said not in ENDPOINTS:
            raise PydanticCustomError("endpoint", "unknown")
        return said

    @field_validator("metadata")
    @classmethod
    def _fits(cls, said: dict[str, str]) -> dict[str, str]:
        long = any(len(k) > LONGEST_KEY or len(v) > LONGEST_VALUE for k, v in said.items())
        if MARK in said or len(said) >= MOST_PAIRS or long:
            raise PydanticCustomError("metadata", "does not fit")
        return said


_WANTED = {
    "account": "must be the name of an account: up to 32 of a-z, 0-9 and -",
    "endpoint": f"must be one of {', '.join(ENDPOINTS)}",
    "metadata": (
        f"must be an object of at most {MOST_PAIRS - 1} pairs, with names of up to {LONGEST_KEY}"
        f" and texts of up to {LONGEST_VALUE} characters, none of them {MARK}"
    ),
    "output_expires_after": f"must be seconds, {SHORTEST_EXPIRY} to {LONGEST_EXPIRY}",
    "completion_window": "must be a text such as 24h",
    "on_bad_lines": "must be quarantine or refuse",
    "part_requests": f"must be a number from 1 to {MOST_REQUESTS}",
}
_AS_JSON = {"metadata", "output_expires_after", "part_requests"}


def read_options(
    sidecar: bytes | None, object_metadata: Mapping[str, str], *, on_bad_lines: OnBadLines
) -> Options:
    """Read what is said of a file; `on_bad_lines` is what counts where nothing is said of that.

    RefusedJobError: something is said that cannot be meant so.
    """
    beside = {name: _parsed(name, v) for name, v in _of_object(object_metadata).items()}
    said = {} if sidecar is None else _of_sidecar(sidecar)
    for name in said.keys() & beside.keys():
        if said[name] != beside[name]:  # a sidecar of another time, as a rule
            raise RefusedJobError(
                f"the option {name} is another one in the options beside the file than in the"
                " object's metadata; leave one of them out"
            )
    try:
        asked = _Asked.model_validate({"on_bad_lines": on_bad_lines} | beside | said)
    except ValidationError as error:
        field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        shown = field if field in said else _beside(field)
        raise RefusedJobError(f"the option {shown} {_WANTED[field]}") from None
    return Options.model_validate(asked.model_dump())


def _of_sidecar(sidecar: bytes) -> dict[str, Any]:
    try:
        said = from_json(sidecar.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise RefusedJobError("the options beside the file must be one JSON object, in UTF-8")
    for name in said:
        if name not in _WANTED:
            raise _unknown(name, sorted(_WANTED))
    return {name: value for name, value in said.items() if value is not None}


def _of_object(metadata: Mapping[str, str]) -> dict[str, str]:
    """Take what is ours out of an object's metadata, by the names that a sidecar has."""
    said = {key.lower().replace("_", "-"): value for key, value in metadata.items()}
    names = {_beside(name): name for name in _WANTED}
    for name in names:
        if (bare := name.removeprefix(_PREFIX)) in said:
            raise RefusedJobError(f"the object's metadata has {bare}; is {name} meant?")
    ours = {key: value for key, value in said.items() if key.startswith(_PREFIX)}
    for name in ours:
        if name not in names:
            raise _unknown(name, sorted(names))
    return {names[name]: value for name, value in ours.items()}


def _parsed(name: str, text: str) -> object:
    """Read a text of the object's metadata; what is not JSON stays a text, and is refused so."""
    if name not in _AS_JSON:
        return text
    try:
        said: object = from_json(text.encode(errors="replace"), allow_inf_nan=False)
    except ValueError:
        return text
    return text if said is None else said


def _beside(name: str) -> str:
    return _PREFIX + name.replace("_", "-")


def _unknown(name: str, there_are: list[str]) -> RefusedJobError:
    shown = f"the option {name}" if _NAME.fullmatch(name) else "an option"
    return RefusedJobError(f"{shown} does not exist; there are {', '.join(there_are)}")
