"""Batches in the shape of 2026, ordinary ones and odd ones."""

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from batchwatch.batch import Batch, Status

CREATED = 1_800_000_000  # 2027-01-15T08:00:00Z
BATCH = "batch_6b49d200819080aa9c1f3de5b7a90c42"
OUTPUT, ERROR = "file-9Qm3vTzKd1LwXb7RjYcPfe", "file-2HsN8uGaVo5EiWk4MtDxZr"
LONGEST_ID = "batch_" + "7" * 506

KNOWN = [status for status in Status if status is not Status.UNKNOWN]
TERMINAL = [status for status in KNOWN if status.terminal]

REACHED = {
    "in_progress": 10,
    "finalizing": 3600,
    "completed": 3660,
    "failed": 5,
    "expired": 86_460,
    "cancelling": 1800,
    "cancelled": 1860,
}
"""Seconds from a batch's creation to each status."""
_WAY = {
    "failed": ["failed"],
    "in_progress": ["in_progress"],
    "finalizing": ["in_progress", "finalizing"],
    "completed": ["in_progress", "finalizing", "completed"],
    "expired": ["in_progress", "finalizing", "expired"],
    "cancelling": ["in_progress", "cancelling"],
    "cancelled": ["in_progress", "cancelling", "cancelled"],
}

modest = settings(max_examples=25, deadline=None, print_blob=True)


def batch(status: str = "completed", **changes: Any) -> dict[str, Any]:
    """Give a batch of a thousand requests as the API shows it in `status`."""
    way = _WAY.get(status, [])
    ran = status in {"completed", "expired", "cancelled"}
    done = {"in_progress": (1000, 400, 0), "cancelling": (1000, 400, 0)}
    ended = (1000, 980, 20) if ran or status == "finalizing" else (0, 0, 0)
    unknown = {**batch("in_progress"), "status": status} if status not in {*KNOWN} else {}
    return {
        "id": BATCH,
        "object": "batch",
        "endpoint": "/v1/responses",
        "model": "gpt-5-mini-2025-08-07" if way else None,
        "errors": errors("Model parameter is required.") if status == "failed" else None,
        "input_file_id": "file-4LpKx7CzQn2VbYw9GtRmAs",
        "completion_window": "24h",
        "status": status,
        "output_file_id": OUTPUT if ran else None,
        "error_file_id": ERROR if ran else None,
        "created_at": CREATED,
        "in_progress_at": None,
        "expires_at": CREATED + 86_400,
        **{f"{each}_at": None for each in REACHED if each != "in_progress"},
        **{f"{each}_at": CREATED + REACHED[each] for each in way},
        "request_counts": counts(*done.get(status, ended)),
        "usage": usage(980) if ran else usage(0),
        "metadata": {"name": "nightly"},
        **unknown,
        **changes,
    }


def without(said: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Leave fields out."""
    return {name: value for name, value in said.items() if name not in names}


def read(status: str = "completed", **changes: Any) -> Batch:
    """Read such a batch."""
    return Batch.read(batch(status, **changes))


def counts(total: int | None, completed: int | None, failed: int | None) -> dict[str, Any]:
    """Count requests."""
    return {"total": total, "completed": completed, "failed": failed}


def usage(answers: int) -> dict[str, Any]:
    """Count tokens."""
    return {
        "input_tokens": 24 * answers,
        "input_tokens_details": {"cached_tokens": 8 * answers},
        "output_tokens": 10 * answers,
        "output_tokens_details": {"reasoning_tokens": 6 * answers},
        "total_tokens": 34 * answers,
    }


def errors(*messages: str) -> dict[str, Any]:
    """Give reasons for a failed validation, one a line."""
    entries = [
        {"code": "invalid_request", "line": line, "message": text, "param": "body.model"}
        for line, text in enumerate(messages, 1)
    ]
    return {"object": "list", "data": entries}


scalars: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["", "2024-07-19T17:13:57.2491382+00:00", "1800000000", CREATED, 1e16, -0.0])
)
json_values: SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
ids = st.sampled_from([BATCH, LONGEST_ID, "a:b=c.d-e_f"]) | st.builds(
    "b{}".format, st.text("aZ09._=:-", max_size=99)
)
raw_statuses = st.sampled_from([*KNOWN, "Validating", " EXPIRED ", "paused", ""]) | st.text()


@st.composite
def odd_batches(draw: st.DrawFn) -> dict[str, Any]:
    """Give JSON objects with an id and a status; all else is missing, odd or unheard of."""
    said = draw(st.sampled_from([{}, batch(), batch("failed"), batch("validating")]))
    names = st.sampled_from(sorted(Batch.model_fields)) | st.text(max_size=8)
    changes = draw(st.dictionaries(names, json_values, max_size=5))
    left_out = draw(st.sets(st.sampled_from(sorted(Batch.model_fields)), max_size=4))
    return without(said, *left_out) | changes | {"id": draw(ids), "status": draw(raw_statuses)}
