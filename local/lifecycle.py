"""What a simulated batch looks like at a given moment and what its files hold: pure, repeatable."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})
MODELS = {
    "/v1/chat/completions": "gpt-4o-mini-2024-07-18",
    "/v1/embeddings": "text-embedding-3-small",
    "/v1/responses": "gpt-5-mini-2025-08-07",
}

_WINDOW = 86_400  # seconds from creation to expiry
_INPUT_TOKENS = 24  # of each answered request
_LATER = ("finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_MARK = "@@"  # where padding goes; in nothing else that is written
_UNFINISHED = {
    "expired": "This request could not be executed before the completion window expired.",
    "cancelled": "This request could not be executed before the batch was cancelled.",
}
_INVALID = (
    ("invalid_json_line", "This line is not parseable as valid JSON.", None),
    ("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id"),
    ("invalid_request", "Model parameter is required.", "body.model"),
)
_REFUSED = (
    (400, "invalid_request_error", "context_length_exceeded", "The input is too long."),
    (500, "server_error", None, "The server had an error while processing the request."),
    (504, "server_error", None, "Timed out generating response."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What will become of one batch; durations in seconds."""

    name: str  # for people; becomes metadata
    endpoint: str
    requests: int
    ends: str
    failed: int = 0  # requests answered with an HTTP error
    unfinished: int = 0  # requests never run
    validating: float = 1.0
    running: float = 5.0  # 0 and ends="cancelled": cancelled before it started
    finalizing: float = 1.0  # of a cancelled batch: cancelling
    output_bytes: int = 0  # answers are padded to an output file of about this size

    def __post_init__(self) -> None:
        """Refuse a script that no batch can follow."""
        if self.endpoint not in MODELS:
            raise ValueError(f"unknown endpoint {self.endpoint!r}")
        if self.ends not in TERMINAL:
            raise ValueError(f"no batch ends {self.ends!r}")
        if min(self.failed, self.unfinished, self.requests - self.failed - self.unfinished) < 0:
            raise ValueError(f"{self.failed} failed, {self.unfinished} unfinished: {self.requests}")
        if self.unfinished and self.ends == "completed":
            raise ValueError("a completed batch leaves no request unfinished")


def batch_id(created_at: float, number: int) -> str:
    """Make an id that starts with the time of creation, as OpenAI's do."""
    return f"batch_{int(created_at):08x}{_hex('batch', int(created_at), number)[:24]}"


def file_id(of_batch: str, role: str) -> str:
    """Make the id of a batch's "input", "output" or "error" file."""
    digest = bytes.fromhex(_hex("file", of_batch, role))
    return "file-" + "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:22])


def snapshot(
    script: Script, batch_id: str, created_at: float, now: float, cancelled_at: float | None = None
) -> dict[str, object]:
    """Build the batch object as the API shows it at `now`."""
    timeline = _timeline(script, created_at, cancelled_at)
    reached = {status: int(at) for status, at in timeline.items() if at <= now}
    status = [*reached][-1] if reached else "validating"
    started, terminal = "in_progress" in reached, status in TERMINAL
    outcome = script if cancelled_at is None else cancelled(script, created_at, cancelled_at)
    completed, failed, unfinished = _shares(outcome)
    if status == "in_progress":
        completed, failed = _progress(script, created_at, now)
    elif not started:
        completed = failed = unfinished = 0
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": script.endpoint,
        "model": MODELS[script.endpoint] if started else None,
        "errors": _errors(script) if status == "failed" else None,
        "input_file_id": file_id(batch_id, "input"),
        "completion_window": "24h",
        "status": status,
        "output_file_id": file_id(batch_id, "output") if terminal and completed else None,
        "error_file_id": file_id(batch_id, "error") if terminal and failed + unfinished else None,
        "created_at": int(created_at),
        "in_progress_at": reached.get("in_progress"),
        "expires_at": int(_expires_at(script, created_at)),
        **{f"{name}_at": reached.get(name) for name in _LATER},
        "request_counts": {
            "total": script.requests if started else 0,
            "completed": completed,
            "failed": failed,
        },
        "usage": _usage(outcome, completed if terminal else 0),
        "metadata": {"name": script.name},
    }


def cancelled(script: Script, created_at: float, cancelled_at: float) -> Script:
    """Tell what becomes of a batch that somebody cancels; nothing new if that comes too late."""
    timeline = _timeline(script, created_at, cancelled_at)
    if timeline == _timeline(script, created_at):
        return script
    completed, failed = _progress(script, created_at, cancelled_at)
    planned = _shares(script)[0]
    started = timeline.get("in_progress")
    return replace(
        script,
        ends="cancelled",
        failed=failed,
        unfinished=script.requests - completed - failed,
        validating=min(script.validating, cancelled_at - created_at),
        # above 0 even if cancelled at that very moment, for it had started
        running=0.0 if started is None else max(cancelled_at - started, 0.001),
        output_bytes=script.output_bytes * completed // planned if planned else 0,
    )


def lines(script: Script, batch_id: str, role: str) -> Iterator[bytes]:
    """Yield the lines of the batch's "input", "output" or "error" file."""
    if role == "input":
        yield from (_encoded(_request(script, number)) for number in range(script.requests))
        return
    shuffled = sorted(range(script.requests), key=lambda number: _hex(batch_id, number))
    completed, failed, unfinished = _shares(script)
    if role == "output":
        yield from _answers(script, batch_id, shuffled[:completed])
        return
    for number in shuffled[completed : completed + failed]:
        yield _encoded(_refused(batch_id, number))
    for number in shuffled[completed + failed : completed + failed + unfinished]:
        error = {"code": f"batch_{script.ends}", "message": _UNFINISHED[script.ends]}
        yield _encoded(_line(batch_id, number, None, error))


def _timeline(
    script: Script, created_at: float, cancelled_at: float | None = None
) -> dict[str, float]:
    """Name each status in its order, with the moment it begins."""
    started, ended = _run(script, created_at)
    moments = {"validating": created_at}
    if script.ends == "failed":
        moments["failed"] = started
    else:
        if _runs(script):
            moments["in_progress"] = started
        moments["cancelling" if script.ends == "cancelled" else "finalizing"] = ended
        moments[script.ends] = ended + script.finalizing
    if cancelled_at is None or cancelled_at >= moments.get("cancelling", moments[script.ends]):
        return moments
    past = {status: at for status, at in moments.items() if at <= cancelled_at}
    return past | {"cancelling": cancelled_at, "cancelled": cancelled_at + script.finalizing}


def _run(script: Script, created_at: float) -> tuple[float, float]:
    started = created_at + script.validating
    return started, started + script.running


def _runs(script: Script) -> bool:
    return script.ends != "failed" and (script.ends != "cancelled" or script.running > 0)


def _expires_at(script: Script, created_at: float) -> float:
    return _run(script, created_at)[1] if script.ends == "expired" else created_at + _WINDOW


def _shares(script: Script) -> tuple[int, int, int]:
    """Count the requests that end completed, failed and unfinished; none of a batch never run."""
    if not _runs(script):
        return 0, 0, 0
    answered = script.requests - script.failed - script.unfinished
    return answered, script.failed, script.unfinished


def _progress(script: Script, created_at: float, at: float) -> tuple[int, int]:
    """Count the requests completed and failed by that moment; neither ever falls."""
    started, ended = _run(script, created_at)
    completed, failed, _ = _shares(script)
    if at >= ended:
        return completed, failed
    if at <= started:
        return 0, 0
    done = int((completed + failed) * (at - started) / (ended - started))
    failures = failed * done // max(1, completed + failed)
    return done - failures, failures


def _errors(script: Script) -> dict[str, object]:
    entries = [
        {
            "code": code,
            "message": message,
            "param": param,
            "line": min(line, max(1, script.requests)),
        }
        for line, (code, message, param) in enumerate(_INVALID, start=1)
    ]
    return {"object": "list", "data": entries}


def _usage(script: Script, completed: int) -> dict[str, object]:
    input_tokens, output_tokens = _INPUT_TOKENS * completed, _output_tokens(script) * completed
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _output_tokens(script: Script) -> int:
    """Estimate the tokens of one answer, at four bytes each."""
    if script.endpoint == "/v1/embeddings":
        return 0
    return max(8, script.output_bytes // max(1, _shares(script)[0]) // 4)


def _request(script: Script, number: int) -> dict[str, object]:
    text = f"Question {number + 1}?"
    body: dict[str, object] = {"model": MODELS[script.endpoint]}
    if script.endpoint == "/v1/chat/completions":
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["input"] = text
    return {
        "custom_id": f"request-{number + 1}",
        "method": "POST",
        "url": script.endpoint,
        "body": body,
    }


def _answers(script: Script, batch_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
    mark, piece = _MARK.encode(), b" and so on"
    if script.endpoint == "/v1/embeddings":
        mark, piece = f', "{_MARK}"'.encode(), b", -0.0123456789"
    padding: bytes | None = None
    for number in numbers:
        response = {
            "status_code": 200,
            "request_id": _hex("request", batch_id, number)[:32],
            "body": _ANSWERS[script.endpoint](script, batch_id, number),
        }
        bare = _encoded(_line(batch_id, number, response, None))
        if padding is None:  # built once: the answers of a large file are megabytes
            padding = piece * ((script.output_bytes // len(numbers) - len(bare)) // len(piece))
        yield bare.replace(mark, padding, 1)


def _chat_completion(script: Script, batch_id: str, number: int) -> dict[str, object]:
    tokens = _output_tokens(script)
    message: dict[str, object] = {"role": "assistant", "content": _text(number)}
    message |= {"refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{_hex('answer', batch_id, number)[:29]}",
        "object": "chat.completion",
        "created": _created(batch_id),
        "model": MODELS[script.endpoint],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": _INPUT_TOKENS,
            "completion_tokens": tokens,
            "total_tokens": _INPUT_TOKENS + tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _response(script: Script, batch_id: str, number: int) -> dict[str, object]:
    identity = _hex("answer", batch_id, number)[:50]
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
        "created_at": _created(batch_id),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": MODELS[script.endpoint],
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _usage(script, 1),
        "metadata": {},
    }


def _embedding(script: Script, batch_id: str, number: int) -> dict[str, object]:
    digest = bytes.fromhex(_hex("answer", batch_id, number))
    vector = [*(round(byte / 255 - 0.5, 8) for byte in digest[:8]), _MARK]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": MODELS[script.endpoint],
        "usage": {"prompt_tokens": _INPUT_TOKENS, "total_tokens": _INPUT_TOKENS},
    }


_ANSWERS = {
    "/v1/chat/completions": _chat_completion,
    "/v1/embeddings": _embedding,
    "/v1/responses": _response,
}


def _text(number: int) -> str:
    # U+2028 ends a line for str.splitlines() but not in JSONL
    return f"Réponse {number + 1}:\u2028it depends{_MARK}."


def _refused(batch_id: str, number: int) -> dict[str, object]:
    status, kind, code, message = _REFUSED[number % len(_REFUSED)]
    error = {"message": message, "type": kind, "param": None, "code": code}
    request_id = _hex("request", batch_id, number)[:32]
    response = {"status_code": status, "request_id": request_id, "body": {"error": error}}
    return _line(batch_id, number, response, None)


def _line(
    batch_id: str,
    number: int,
    response: Mapping[str, object] | None,
    error: Mapping[str, object] | None,
) -> dict[str, object]:
    return {
        "id": f"batch_req_{_created(batch_id):08x}{_hex('line', batch_id, number)[:24]}",
        "custom_id": f"request-{number + 1}",
        "response": response,
        "error": error,
    }


def _encoded(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _created(batch_id: str) -> int:
    return int(batch_id.removeprefix("batch_")[:8], 16)


def _hex(*parts: object) -> str:
    """Derive 64 hex digits from the parts, always the same."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
