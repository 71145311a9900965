"""What a request asks for, or why OpenAI refuses it."""

import json
import re
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs

from local.simulator.forms import Field, fields
from local.simulator.lifecycle import MODELS
from local.simulator.wire import RefusedError

_PAGE, _LARGEST_PAGE = 20, 100  # batches in a list
_PAIRS, _NAME, _VALUE = 16, 64, 512  # of metadata: pairs, characters, characters
_EXPIRY = 3_600, 2_592_000  # seconds
_JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


def page(query: str) -> tuple[int, str | None]:
    """Read how many batches to list, and after which one."""
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    return _limit(given.get("limit", str(_PAGE))), given.get("after")


def new_batch(body: bytes) -> dict[str, Any]:
    """Read what a new batch is to be."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise RefusedError(400, "We could not parse the JSON body of your request.")
    for name in ("input_file_id", "endpoint", "completion_window"):
        if name not in given:
            raise _missing(name)
        _expect(name, given[name], str)
    _choose("endpoint", given["endpoint"], list(MODELS))
    _choose("completion_window", given["completion_window"], ["24h"])
    if given.get("metadata") is not None:
        _check_metadata(given["metadata"])
    if given.get("output_expires_after") is not None:
        _check_expiry("output_expires_after", given["output_expires_after"])
    return given


def _check_metadata(metadata: Any) -> None:
    _expect("metadata", metadata, dict)
    if len(metadata) > _PAIRS:
        message = (
            f"Invalid 'metadata': too many properties. Expected an object with at most {_PAIRS}"
            f" properties, but got an object with {len(metadata)} properties instead."
        )
        raise RefusedError(400, message, "metadata", "object_above_max_properties")
    for name, value in metadata.items():
        _expect(f"metadata.{name}", value, str)
        for what, text, longest in (("name", name, _NAME), ("value", value, _VALUE)):
            if len(text) > longest:  # the words of a name that is too long are not documented
                message = (
                    f"Invalid 'metadata.{name[:_NAME]}': {what} too long. Expected a string with"
                    f" maximum length {longest}, but got a string with length {len(text)} instead."
                )
                raise RefusedError(
                    400, message, f"metadata.{name[:_NAME]}", "string_above_max_length"
                )


def _check_expiry(name: str, given: Any) -> int:
    """Return the seconds."""
    _expect(name, given, dict)
    for part, kind in (("anchor", str), ("seconds", int)):
        if part not in given:
            raise _missing(f"{name}.{part}")
        _expect(f"{name}.{part}", given[part], kind)
    _choose(f"{name}.anchor", given["anchor"], ["created_at"])
    _between(f"{name}.seconds", given["seconds"], *_EXPIRY)
    return int(given["seconds"])


def upload(content_type: str, body: IO[bytes], largest: int) -> tuple[str, Field, int | None]:
    """Read the name and the content of an input file, and the seconds after which it expires."""
    form = fields(content_type, body)
    for name in ("file", "purpose"):
        if name not in form:
            raise _missing(name)
    content, purpose = form["file"], form["purpose"].text
    if purpose != "batch":
        raise RefusedError(400, f"'{purpose}' is not one of ['batch'] - 'purpose'", "purpose")
    if Path(content.filename).suffix not in {"", ".jsonl"}:
        raise RefusedError(400, "Invalid file format for Batch API. Must be .jsonl")
    if content.size > largest:
        raise RefusedError(400, "File is too large.")
    return content.filename or "upload", content, _file_expiry(form)


def _file_expiry(form: dict[str, Field]) -> int | None:
    prefix = "expires_after["
    given: dict[str, object] = {
        name.removeprefix(prefix).removesuffix("]"): field.text
        for name, field in form.items()
        if name.startswith(prefix)
    }
    seconds = str(given.get("seconds", ""))
    if re.fullmatch(r"[0-9]{1,9}", seconds):
        given["seconds"] = int(seconds)
    return _check_expiry("expires_after", given) if given else None


def _limit(text: str) -> int:
    _expect("limit", int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text, int)
    _between("limit", int(text), 1, _LARGEST_PAGE)
    return int(text)


def _between(name: str, value: int, least: int, most: int) -> None:
    if least <= value <= most:
        return
    bound, code = f"<= {most}", "integer_above_max_value"
    if value < least:
        bound, code = f">= {least}", "integer_below_min_value"
    message = f"Invalid '{name}': expected a value {bound}, but got {value} instead."
    raise RefusedError(400, message, name, code)


def _choose(name: str, value: str, supported: list[str]) -> None:
    if value not in supported:
        listed = ", ".join(f"'{each}'" for each in supported)
        message = f"Invalid value: '{value}'. Supported values are: {listed}."
        raise RefusedError(400, message, name, "invalid_value")


def _expect(name: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        expected, given = _JSON_TYPES[kind], _JSON_TYPES[type(value)]
        message = f"Invalid type for '{name}': expected {expected}, but got {given} instead."
        raise RefusedError(400, message, name, "invalid_type")


def _missing(name: str) -> RefusedError:
    message = f"Missing required parameter: '{name}'."
    return RefusedError(400, message, name, "missing_required_parameter")
