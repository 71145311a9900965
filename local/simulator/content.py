"""What the files of a simulated batch hold: pure, repeatable."""

import json
from collections.abc import Iterator, Mapping, Sequence

from local.simulator.bodies import BODIES, MARK, created_at
from local.simulator.lifecycle import Script, digest

_UNFINISHED = {
    "expired": "This request could not be executed before the completion window expired.",
    "cancelled": "This request could not be executed before the batch was cancelled.",
}
_REFUSED = (
    (400, "invalid_request_error", "context_length_exceeded", "The input is too long."),
    (500, "server_error", None, "The server had an error while processing the request."),
    (504, "server_error", None, "Timed out generating response."),
)


def lines(script: Script, batch_id: str, role: str) -> Iterator[bytes]:
    """Yield the lines of the batch's "input", "output" or "error" file."""
    shuffled = sorted(range(script.requests), key=lambda number: digest(batch_id, number))
    completed, failed, unfinished = script.shares
    if role == "input":
        yield from (_encoded(_request(script, number)) for number in range(script.requests))
    elif role == "output":
        yield from _padded(script, batch_id, shuffled[:completed])
    else:
        for number in shuffled[completed : completed + failed]:
            yield _encoded(_refused(script, batch_id, number))
        for number in shuffled[completed + failed : completed + failed + unfinished]:
            yield _encoded(_never_run(script, batch_id, number))


def _request(script: Script, number: int) -> dict[str, object]:
    text = f"Question {number + 1}?"
    body: dict[str, object] = {"model": script.model}
    if script.endpoint == "/v1/chat/completions":
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["input"] = text
    return {
        "custom_id": _custom_id(script, number),
        "method": "POST",
        "url": script.endpoint,
        "body": body,
    }


def _padded(script: Script, batch_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
    mark, piece = _utf8(MARK), b" and so on"
    if script.endpoint == "/v1/embeddings":
        mark, piece = _utf8(f', "{MARK}"'), b", -0.0123456789"
    padding: bytes | None = None
    for number in numbers:
        bare = _encoded(_answered(script, batch_id, number))
        if padding is None:  # built once: the answers of a large file are megabytes
            padding = piece * ((script.output_bytes // len(numbers) - len(bare)) // len(piece))
        yield bare.replace(mark, padding, 1)


def _answered(script: Script, batch_id: str, number: int) -> dict[str, object]:
    body = BODIES[script.endpoint](script, batch_id, number)
    return _line(script, batch_id, number, response=_response(200, batch_id, number, body))


def _refused(script: Script, batch_id: str, number: int) -> dict[str, object]:
    status, kind, code, message = _REFUSED[number % len(_REFUSED)]
    error = {"message": message, "type": kind, "param": None, "code": code}
    response = _response(status, batch_id, number, {"error": error})
    return _line(script, batch_id, number, response=response)


def _never_run(script: Script, batch_id: str, number: int) -> dict[str, object]:
    error = {"code": f"batch_{script.ends}", "message": _UNFINISHED[script.ends]}
    return _line(script, batch_id, number, error=error)


def _line(
    script: Script,
    batch_id: str,
    number: int,
    *,
    response: Mapping[str, object] | None = None,
    error: Mapping[str, object] | None = None,
) -> dict[str, object]:
    return {
        "id": f"batch_req_{created_at(batch_id):08x}{digest('line', batch_id, number)[:24]}",
        "custom_id": _custom_id(script, number),
        "response": response,
        "error": error,
    }


def _response(
    status: int, batch_id: str, number: int, body: Mapping[str, object]
) -> dict[str, object]:
    request_id = digest("request", batch_id, number)[:32]
    return {"status_code": status, "request_id": request_id, "body": body}


def _custom_id(script: Script, number: int) -> str:
    return f"request-{number + 1}" if script.sent is None else script.sent.custom_ids[number]


def _encoded(line: Mapping[str, object]) -> bytes:
    return _utf8(json.dumps(line, ensure_ascii=False)) + b"\n"


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # for the mark
