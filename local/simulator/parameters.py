"""What a request asks for, or why OpenAI refuses it."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from local.simulator.lifecycle import MODELS
from local.simulator.wire import RefusedError

_PAGE, _LARGEST_PAGE = 20, 100  # batches in a list
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
    for name, supported in (("endpoint", list(MODELS)), ("completion_window", ["24h"])):
        if given[name] not in supported:
            listed = ", ".join(f"'{value}'" for value in supported)
            message = f"Invalid value: '{given[name]}'. Supported values are: {listed}."
            raise RefusedError(400, message, name, "invalid_value")
    if given.get("metadata") is not None:
        _expect("metadata", given["metadata"], dict)
        for name, value in given["metadata"].items():
            _expect(f"metadata.{name}", value, str)
    return given


def upload(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Read the name and the content of an input file."""
    form = _form(content_type, body)
    for name in ("file", "purpose"):
        if name not in form:
            raise _missing(name)
    filename, content = form["file"]
    purpose = form["purpose"][1].decode(errors="replace")
    if purpose != "batch":
        raise RefusedError(400, f"'{purpose}' is not one of ['batch'] - 'purpose'", "purpose")
    if Path(filename).suffix not in {"", ".jsonl"}:
        raise RefusedError(400, "Invalid file format for Batch API. Must be .jsonl")
    return filename or "upload", content


def _form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Split a multipart form into file name and content by field."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise RefusedError(400, "Expected a multipart form.")
    form = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = dict(re.findall(r'\b(name|filename)="([^"\r\n]*)"', head.decode(errors="replace")))
        form[named.get("name", "")] = named.get("filename", ""), content.removesuffix(b"\r\n")
    return form


def _limit(text: str) -> int:
    _expect("limit", int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text, int)
    limit = int(text)
    if 1 <= limit <= _LARGEST_PAGE:
        return limit
    bound, code = f"<= {_LARGEST_PAGE}", "integer_above_max_value"
    if limit < 1:
        bound, code = ">= 1", "integer_below_min_value"
    message = f"Invalid 'limit': expected a value {bound}, but got {limit} instead."
    raise RefusedError(400, message, "limit", code)


def _expect(name: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        expected, given = _JSON_TYPES[kind], _JSON_TYPES[type(value)]
        message = f"Invalid type for '{name}': expected {expected}, but got {given} instead."
        raise RefusedError(400, message, name, "invalid_type")


def _missing(name: str) -> RefusedError:
    message = f"Missing required parameter: '{name}'."
    return RefusedError(400, message, name, "missing_required_parameter")
