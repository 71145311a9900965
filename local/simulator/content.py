"""What the files of a simulated batch hold: pure, repeatable."""

import json
from collections.abc import Iterator, Mapping, Sequence

from local.simulator.lifecycle import MODELS, Script, digest, usage

_MARK = "@@"  # where padding goes; in nothing else that is written
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
            yield _encoded(_refused(batch_id, number))
        for number in shuffled[completed + failed : completed + failed + unfinished]:
            yield _encoded(_never_run(script, batch_id, number))


def _request(script: Script, number: int) -> dict[str, object]:
    text = f"Question {number + 1}?"
    body: dict[str, object] = {"model": MODELS[script.endpoint]}
    if script.endpoint == "/v1/chat/completions":
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["input"] = text
    return {
        "custom_id": _custom_id(number),
        "method": "POST",
        "url": script.endpoint,
        "body": body,
    }


def _padded(script: Script, batch_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
    mark, piece = _MARK.encode(), b" and so on"
    if script.endpoint == "/v1/embeddings":
        mark, piece = f', "{_MARK}"'.encode(), b", -0.0123456789"
    padding: bytes | None = None
    for number in numbers:
        bare = _encoded(_answered(script, batch_id, number))
        if padding is None:  # built once: the answers of a large file are megabytes
            padding = piece * ((script.output_bytes // len(numbers) - len(bare)) // len(piece))
        yield bare.replace(mark, padding, 1)


def _answered(script: Script, batch_id: str, number: int) -> dict[str, object]:
    body = _BODIES[script.endpoint](script, batch_id, number)
    return _line(batch_id, number, response=_response(200, batch_id, number, body))


def _refused(batch_id: str, number: int) -> dict[str, object]:
    status, kind, code, message = _REFUSED[number % len(_REFUSED)]
    error = {"message": message, "type": kind, "param": None, "code": code}
    return _line(batch_id, number, response=_response(status, batch_id, number, {"error": error}))


def _never_run(script: Script, batch_id: str, number: int) -> dict[str, object]:
    error = {"code": f"batch_{script.ends}", "message": _UNFINISHED[script.ends]}
    return _line(batch_id, number, error=error)


def _line(
    batch_id: str,
    number: int,
    *,
    response: Mapping[str, object] | None = None,
    error: Mapping[str, object] | None = None,
) -> dict[str, object]:
    return {
        "id": f"batch_req_{_created_at(batch_id):08x}{digest('line', batch_id, number)[:24]}",
        "custom_id": _custom_id(number),
        "response": response,
        "error": error,
    }


def _response(
    status: int, batch_id: str, number: int, body: Mapping[str, object]
) -> dict[str, object]:
    request_id = digest("request", batch_id, number)[:32]
    return {"status_code": status, "request_id": request_id, "body": body}


def _chat_completion(script: Script, batch_id: str, number: int) -> dict[str, object]:
    tokens = usage(script, 1)
    message: dict[str, object] = {"role": "assistant", "content": _text(number)}
    message |= {"refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{digest('answer', batch_id, number)[:29]}",
        "object": "chat.completion",
        "created": _created_at(batch_id),
        "model": MODELS[script.endpoint],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": tokens["input_tokens"],
            "completion_tokens": tokens["output_tokens"],
            "total_tokens": tokens["total_tokens"],
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _model_response(script: Script, batch_id: str, number: int) -> dict[str, object]:
    identity = digest("answer", batch_id, number)[:50]
    text = {"type": "output_text", "annotations": [], "logprobs": [], "text": _text(number)}
    message = {
        "id": f"msg_{identity}",
        "type": "message",
        "status": "completed",
        "content": [text],
        "role": "assistant",
    }
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": _created_at(batch_id),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": MODELS[script.endpoint],
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage(script, 1),
        "metadata": {},
    }


def _embedding(script: Script, batch_id: str, number: int) -> dict[str, object]:
    tokens = usage(script, 1)
    seed = bytes.fromhex(digest("answer", batch_id, number))
    vector = [*(round(byte / 255 - 0.5, 8) for byte in seed[:8]), _MARK]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": MODELS[script.endpoint],
        "usage": {"prompt_tokens": tokens["input_tokens"], "total_tokens": tokens["total_tokens"]},
    }


_BODIES = {
    "/v1/chat/completions": _chat_completion,
    "/v1/embeddings": _embedding,
    "/v1/responses": _model_response,
}


def _text(number: int) -> str:
    # U+2028 ends a line for str.splitlines() but not in JSONL
    return f"Réponse {number + 1}:\u2028it depends{_MARK}."


def _custom_id(number: int) -> str:
    return f"request-{number + 1}"


def _created_at(batch_id: str) -> int:
    return int(batch_id.removeprefix("batch_")[:8], 16)


def _encoded(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
