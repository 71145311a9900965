"""What a simulated batch looks like at a given moment: pure, repeatable."""

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})
MODELS = {
    "/v1/chat/completions": "gpt-4o-mini-2024-07-18",
    "/v1/embeddings": "text-embedding-3-small",
    "/v1/responses": "gpt-5-mini-2025-08-07",
    "/v1/completions": "gpt-3.5-turbo-instruct",
    "/v1/moderations": "omni-moderation-latest",
    "/v1/images/generations": "gpt-image-1",
    "/v1/images/edits": "gpt-image-1",
    "/v1/videos": "sora-2",
}

_WINDOW = 86_400  # seconds from creation to expiry
_INPUT_TOKENS = 24  # of each answered request
_BYTES_PER_TOKEN = 4  # of an answer
_LATER = ("finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_INVALID = (
    ("invalid_json_line", "This line is not parseable as valid JSON.", None),
    ("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id"),
    ("invalid_request", "Model parameter is required.", "body.model"),
)


class Problem(NamedTuple):
    """Why a batch failed: an entry of its errors; `line` from 1, None: the file as a whole."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What an uploaded file asks for."""

    model: str
    custom_ids: tuple[str, ...]  # in the order of its lines
    tokens: int  # by which it counts while it is enqueued
    problems: tuple[Problem, ...] = ()  # any: the batch fails


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
    sent: Sent | None = None  # the uploaded file that it answers; None: requests made up

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

    @property
    def model(self) -> str:
        """The model that every request names."""
        return MODELS[self.endpoint] if self.sent is None else self.sent.model

    @property
    def runs(self) -> bool:
        """Whether the batch is ever in progress."""
        return self.ends != "failed" and (self.ends != "cancelled" or self.running > 0)

    @property
    def shares(self) -> tuple[int, int, int]:
        """How many requests end completed, failed and unfinished; none of a batch never run."""
        if not self.runs:
            return 0, 0, 0
        return self.requests - self.failed - self.unfinished, self.failed, self.unfinished


def batch_id(created_at: float, number: int) -> str:
    """Make an id that starts with the time of creation, as OpenAI's do."""
    return f"batch_{int(created_at):08x}{digest('batch', int(created_at), number)[:24]}"


def file_id(of_batch: str, role: str) -> str:
    """Make the id of a batch's "input", "output" or "error" file."""
    chosen = bytes.fromhex(digest("file", of_batch, role))[:22]
    return "file-" + "".join(_LETTERS[byte % len(_LETTERS)] for byte in chosen)


def digest(*parts: object) -> str:
    """Derive 64 hex digits from the parts, always the same."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def snapshot(
    script: Script, batch_id: str, created_at: float, now: float, cancelled_at: float | None = None
) -> dict[str, object]:
    """Build the batch object as the API shows it at `now`."""
    timeline = _timeline(script, created_at, cancelled_at)
    reached = {status: int(at) for status, at in timeline.items() if at <= now}
    status = [*reached][-1] if reached else "validating"
    started, terminal = "in_progress" in reached, status in TERMINAL
    outcome = script if cancelled_at is None else cancelled(script, created_at, cancelled_at)
    completed, failed, unfinished = outcome.shares if started else (0, 0, 0)
    if status == "in_progress":
        completed, failed = _progress(script, created_at, now)
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": script.endpoint,
        "model": script.model if started else None,
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
        "usage": usage(outcome, completed if terminal else 0),
        "metadata": {"name": script.name},
    }


def cancelled(script: Script, created_at: float, cancelled_at: float) -> Script:
    """Tell what becomes of a batch that somebody cancels; nothing new if that comes too late."""
    timeline = _timeline(script, created_at, cancelled_at)
    if timeline == _timeline(script, created_at):
        return script
    completed, failed = _progress(script, created_at, cancelled_at)
    planned, _, _ = script.shares
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


def usage(script: Script, completed: int) -> dict[str, object]:
    """Count the tokens of that many answers."""
    input_tokens, output_tokens = _INPUT_TOKENS * completed, _output_tokens(script) * completed
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _output_tokens(script: Script) -> int:
    if script.endpoint == "/v1/embeddings":
        return 0
    return max(8, script.output_bytes // max(1, script.shares[0]) // _BYTES_PER_TOKEN)


def _timeline(
    script: Script, created_at: float, cancelled_at: float | None = None
) -> dict[str, float]:
    """Name each status in its order, with the moment it begins."""
    started, ended = _run(script, created_at)
    moments = {"validating": created_at}
    if script.ends == "failed":
        moments["failed"] = started
    else:
        if script.runs:
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


def _expires_at(script: Script, created_at: float) -> float:
    return _run(script, created_at)[1] if script.ends == "expired" else created_at + _WINDOW


def _progress(script: Script, created_at: float, at: float) -> tuple[int, int]:
    """Count the requests completed and failed by that moment; neither ever falls."""
    started, ended = _run(script, created_at)
    completed, failed, _ = script.shares
    if at >= ended:
        return completed, failed
    if at <= started:
        return 0, 0
    done = int((completed + failed) * (at - started) / (ended - started))
    failures = failed * done // max(1, completed + failed)
    return done - failures, failures


def _errors(script: Script) -> dict[str, object]:
    told = [
        Problem(*problem, line=min(line, script.requests or 1))
        for line, problem in enumerate(_INVALID, start=1)
    ]
    problems = told if script.sent is None else script.sent.problems
    return {"object": "list", "data": [problem._asdict() for problem in problems]}
