"""What OpenAI finds when it validates an uploaded file.

Codes and words are OpenAI's where they are known; a comment says where not.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from local.simulator.lifecycle import Problem, Sent

_TOLD = 100  # problems of a file; not documented
_BYTES_PER_TOKEN = 4
_HALF = re.compile(r"[\ud800-\udfff]")  # JSON can write it, UTF-8 cannot
_NEEDED = ("custom_id", "method", "url", "body")


class Rules(NamedTuple):
    """What a file is held against."""

    endpoint: str
    unknown_models: frozenset[str]
    most_requests: int  # of a file; of embeddings also: inputs


class InvalidError(Exception):
    """A line that OpenAI refuses."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.told = code, message, param


def examine(path: Path, rules: Rules) -> Sent:
    """Read a file line by line.

    It counts as so many tokens as a quarter of its bytes.
    """
    reading = _Reading(rules)
    problems = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                reading.take(line)
            except InvalidError as invalid:
                problems.append(Problem(*invalid.told, line=number))
            if len(problems) == _TOLD or reading.too_many:
                break
    if not reading.requests:  # the words are not documented
        problems = [Problem("empty_file", "The input file is empty.")]
    if reading.too_many:  # neither are these; the code is Azure's
        most = rules.most_requests
        problems = [Problem("too_many_tasks", f"The input file has more than {most:,} requests.")]
    tokens = path.stat().st_size // _BYTES_PER_TOKEN
    return Sent(reading.model, tuple(reading.custom_ids), tokens, tuple(problems))


class _Reading:
    """What the lines so far have said."""

    def __init__(self, rules: Rules) -> None:
        self.requests = 0
        self.inputs = 0
        self.custom_ids: dict[str, None] = {}  # in their order
        self.model = ""
        self._rules = rules

    @property
    def too_many(self) -> bool:
        return max(self.requests, self.inputs) > self._rules.most_requests

    def take(self, line: bytes) -> None:
        """Take a line; InvalidError with the first thing that is wrong with it."""
        self.requests += 1
        request = _parsed(line)
        for name in _NEEDED:
            if request.get(name) is None:
                message = f"Missing required parameter: '{name}'."
                raise InvalidError("missing_required_parameter", message, name)
        custom_id, body = request["custom_id"], request["body"]
        # Not documented: what is of the wrong type, and another method
        if not isinstance(custom_id, str):
            raise InvalidError("invalid_request", "Expected a string.", "custom_id")
        if not isinstance(body, dict):
            raise InvalidError("invalid_request", "Expected an object.", "body")
        if request["method"] != "POST":
            raise InvalidError("invalid_method", "Only POST is supported.", "method")
        if request["url"] != self._rules.endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            raise InvalidError("invalid_url", message, "url")
        self._check_body(body)
        if _HALF.search(f"{custom_id}{body['model']}"):
            raise InvalidError("invalid_json_line", "Half of a character is no text.")
        if custom_id in self.custom_ids:  # the words are not documented
            message = f"The custom_id '{custom_id}' is used more than once in this file."
            raise InvalidError("duplicate_custom_id", message, "custom_id")
        self.custom_ids[custom_id] = None

    def _check_body(self, body: dict[str, Any]) -> None:
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise InvalidError("invalid_request", "Model parameter is required.", "body.model")
        if model in self._rules.unknown_models:
            message = f"The provided model '{model}' is not supported by the Batch API."
            raise InvalidError("model_not_found", message, "body.model")
        self.model = self.model or model
        if model != self.model:  # the words are not documented
            message = f"All requests of a file must name one model: '{model}', '{self.model}'."
            raise InvalidError("mismatched_model", message, "body.model")
        if body.get("stream"):
            chat = self._rules.endpoint == "/v1/chat/completions"
            message = "Streaming is not supported in the Batch API."
            message = f"Chat Completions: {message}" if chat else message
            raise InvalidError("streaming_unsupported", message, "body.stream")
        if self._rules.endpoint == "/v1/embeddings":
            self.inputs += _inputs(body.get("input"))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        request = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise InvalidError("invalid_json_line", "This line is not parseable as valid JSON.")
    return request


def _inputs(given: object) -> int:
    """Count the inputs of a request for embeddings: texts, or texts as numbers of tokens."""
    if isinstance(given, list) and not all(isinstance(each, int) for each in given):
        return len(given)
    return 1


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)
