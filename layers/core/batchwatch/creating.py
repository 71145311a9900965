"""A batch that is to be created: what OpenAI would refuse is refused before anything is sent.

No text repeats a value of the metadata: it is the owner's, and texts are logged.
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from batchwatch.batch import safe_id
from batchwatch.errors import ParameterError, UnsafeIdError

ENDPOINTS = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
SHORTEST_EXPIRY, LONGEST_EXPIRY = 3600, 2_592_000
"""Seconds: an hour, 30 days."""
_WINDOW = re.compile(r"[0-9]{1,4}[smhdw]")
_HALF = re.compile("[\ud800-\udfff]")
_SHOWN = 40


def checked_metadata(said: object, most: int = MOST_PAIRS) -> dict[str, str] | None:
    """Return metadata that OpenAI takes, `most` pairs of them; ParameterError for any other."""
    if said is None:
        return None
    if not isinstance(said, dict):
        raise ParameterError(f"metadata must be an object of texts, not {_kind(said)}")
    if len(said) > most:
        raise ParameterError(f"metadata may have {most} pairs at most, not {len(said)}")
    for key, value in said.items():
        if not _is_text(key):
            raise ParameterError(f"metadata must have texts as keys, not {_kind(key)}")
        if len(key) > LONGEST_KEY:
            raise ParameterError(
                f"metadata may have keys of {LONGEST_KEY} characters at most, not {len(key)}"
            )
        if not _is_text(value):
            raise ParameterError(f"metadata.{_name(key)} must be a text, not {_kind(value)}")
        if len(value) > LONGEST_VALUE:
            raise ParameterError(
                f"metadata.{_name(key)} may have {LONGEST_VALUE} characters at most,"
                f" not {len(value)}"
            )
    return said


def checked_expiry(said: object, parameter: str = "output_expires_after") -> int | None:
    """Return seconds after which OpenAI deletes a file; ParameterError for what it refuses."""
    if said is None:
        return None
    whole = isinstance(said, int) and not isinstance(said, bool)
    if not whole or not SHORTEST_EXPIRY <= said <= LONGEST_EXPIRY:  # type: ignore[operator]
        raise ParameterError(
            f"{parameter} must be {SHORTEST_EXPIRY} to {LONGEST_EXPIRY} seconds, not {_given(said)}"
        )
    return said  # type: ignore[return-value]


def checked_endpoint(said: object) -> str:
    """Return an endpoint that takes batches; ParameterError for any other."""
    if not isinstance(said, str) or said not in ENDPOINTS:
        raise ParameterError(f"endpoint must be one of {', '.join(ENDPOINTS)}, not {_given(said)}")
    return said


def checked_window(said: object) -> str:
    """Return a time such as 24h, the only one of OpenAI; other providers know others."""
    if not isinstance(said, str) or not _WINDOW.fullmatch(said):
        raise ParameterError(f"completion_window must be a time such as 24h, not {_given(said)}")
    return said


def _checked_file(said: object) -> str:
    if not isinstance(said, str):
        raise ParameterError(f"input_file_id must be a text, not {_kind(said)}")
    try:
        return safe_id(said)
    except UnsafeIdError as error:
        raise ParameterError(f"input_file_id of {len(said)} characters: {error}") from error


class NewBatch(BaseModel):
    """What a batch is created from; ParameterError where OpenAI would refuse it.

    `output_expires_after`: in seconds after the creation of the batch's own files.
    """

    # ParameterError is no ValueError, so that pydantic lets it through.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    input_file_id: Annotated[str, BeforeValidator(_checked_file)]
    endpoint: Annotated[str, BeforeValidator(checked_endpoint)]
    completion_window: Annotated[str, BeforeValidator(checked_window)] = "24h"
    metadata: Annotated[dict[str, str] | None, BeforeValidator(checked_metadata)] = None
    output_expires_after: Annotated[int | None, BeforeValidator(checked_expiry)] = None

    def body(self) -> dict[str, Any]:
        """Give the request as the official SDK sends it, in its order; what is None is left out."""
        body: dict[str, Any] = {
            "completion_window": self.completion_window,
            "endpoint": self.endpoint,
            "input_file_id": self.input_file_id,
        }
        if self.metadata is not None:
            body["metadata"] = self.metadata
        if self.output_expires_after is not None:
            seconds = self.output_expires_after
            body["output_expires_after"] = {"anchor": "created_at", "seconds": seconds}
        return body


def _is_text(said: object) -> bool:
    """Whether it is a text of whole characters; JSON can spell halves, which nobody can send."""
    return isinstance(said, str) and not _HALF.search(said)


def _kind(said: object) -> str:
    return "a text with half characters" if isinstance(said, str) else type(said).__name__


def _name(key: str) -> str:
    return ascii(key)[1:-1]


def _given(said: object) -> str:
    """Show what was given, if it is short enough to be read."""
    if not isinstance(said, str | int | float):
        return type(said).__name__
    shown = ascii(said)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
