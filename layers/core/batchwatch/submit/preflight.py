"""Each line of a dropped file looked at before it can cost money: pure, in a stream.

A line ends with a line feed, and with nothing else. Blank lines are skipped, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json

from batchwatch.creating import ENDPOINTS
from batchwatch.errors import RefusedJobError
from batchwatch.submit.limits import LIMITS, Limits
from batchwatch.submit.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MARK = b"\xef\xbb\xbf"
_EMBEDDINGS = "/v1/embeddings"
SHOWN = 64 * 1024
"""Bytes that are kept of a bad line."""


class Request(NamedTuple):
    """A line that can be sent, with a line feed; `inputs` of embeddings, 0 elsewhere."""

    line: bytes
    endpoint: str
    model: str
    inputs: int


class Problem(NamedTuple):
    """A line that cannot be sent: which, why, how it begins, and how many bytes it has."""

    number: int
    reason: str
    begins: bytes
    size: int


class _BadLineError(Exception):
    """What is wrong with a line, as a sentence that names the field."""


class Line(NamedTuple):
    """A line without its end, counted from 1; of one that is too long only the beginning."""

    number: int
    text: bytes
    size: int


def check(
    chunks: Iterable[bytes], *, endpoint: str | None = None, limits: Limits = LIMITS
) -> Iterator[Request | Problem]:
    """Give a request or a problem for each line that is not blank.

    `endpoint`: the only one allowed, if any. The bytes are those of the file, in any division.
    RefusedJobError: too many problems, each of which has been given before.
    """
    seen = Seen()
    good = bad = 0
    for line in lines(chunks, limits.line_bytes):
        try:
            request = _request(line, endpoint, seen, limits)
        except _BadLineError as error:
            bad += 1
            yield Problem(line.number, str(error), line.text[:SHOWN], line.size)
        else:
            good += 1
            yield request
            continue
        if not good and bad >= limits.hopeless:
            raise RefusedJobError(
                f"none of the first {bad} lines is a request; is this JSONL, one object a line?"
            )
        if bad >= limits.problems:
            raise RefusedJobError(f"{bad} lines have problems, and the rest was not looked at")


def lines(chunks: Iterable[bytes], longest: int) -> Iterator[Line]:
    """Divide bytes into lines, without those that are blank, or the byte order mark at the start.

    A line is held up to `longest` bytes, whatever it has.
    """
    ends = len(_MARK) + len(b"\r")
    for number, (text, length) in enumerate(_divided(chunks, longest + ends), 1):
        whole = text.removeprefix(_MARK) if number == 1 else text
        cut = length - len(text)
        if not cut:
            whole = whole.removesuffix(b"\r")
        if cut or (whole and not whole.isspace()):
            yield Line(number, whole, len(whole) + cut)


def _divided(chunks: Iterable[bytes], longest: int) -> Iterator[tuple[bytes, int]]:
    """Give what is between line feeds, cut at `longest`, and how long it is uncut."""
    begun: list[bytes] = []
    held = size = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if size or len(piece) > longest:
                begun.append(piece[: longest - held])
                yield b"".join(begun), size + len(piece)
                begun, held, size = [], 0, 0
            else:
                yield piece, len(piece)
        if rest:
            begun.append(rest[: longest - held])
            held += len(begun[-1])
            size += len(rest)
    if size:
        yield b"".join(begun), size


def _request(line: Line, endpoint: str | None, seen: Seen, limits: Limits) -> Request:
    """Read a line; what is wrong with it is told without a word of what it says."""
    if line.size > limits.line_bytes:
        raise _BadLineError(f"the line is longer than {limits.line_bytes} bytes")
    said = _object(line.text)
    custom_id, url, body = said.get("custom_id"), said.get("url"), said.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        raise _BadLineError("custom_id: must be a text that is not empty")
    if said.get("method") != "POST":
        raise _BadLineError("method: must be POST")
    if not isinstance(url, str) or url not in ENDPOINTS:
        raise _BadLineError(f"url: must be one of {', '.join(ENDPOINTS)}")
    if endpoint and url != endpoint:
        raise _BadLineError(f"url: must be {endpoint}, as the options say")
    if not isinstance(body, dict):
        raise _BadLineError("body: must be an object")
    model = _model(body, limits)
    inputs = _inputs(body.get("input"), limits) if url == _EMBEDDINGS else 0
    if not seen.add(custom_id):  # last: the id of a line that is not sent is free
        raise _BadLineError("custom_id: used before")
    return Request(line.text + b"\n", url, model, inputs)


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise _BadLineError(f"the line is not {'JSON' if _is_utf8(text) else 'UTF-8'}") from None
    if not isinstance(said, dict):
        raise _BadLineError("the line is not a JSON object")
    return said


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _model(body: dict[str, Any], limits: Limits) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= limits.model:
        raise _BadLineError(f"body.model: must be a text of 1 to {limits.model} characters")
    if body.get("stream") is True:
        raise _BadLineError("body.stream: a batch cannot stream; leave it out")
    return model


def _inputs(said: object, limits: Limits) -> int:
    """Count what an embedding is asked of: texts, or lists of tokens."""
    kinds = set(map(type, said)) if isinstance(said, list) else set()
    if isinstance(said, str) or kinds == {int}:
        return 1
    if not isinstance(said, list) or kinds not in ({str}, {list}):
        raise _BadLineError("body.input: must be a text, or a list of texts or of tokens")
    if len(said) > limits.inputs:
        raise _BadLineError(f"body.input: has more than {limits.inputs}, the most in a batch")
    return len(said)
