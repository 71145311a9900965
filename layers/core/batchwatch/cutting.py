"""A batch made to fit into an item of the ledger and into an event."""

import json
from typing import Any

from batchwatch.batch import Batch

LARGEST = 60_000
"""Bytes of JSON that a batch may have in the ledger and in an event."""


def cut(said: dict[str, Any], limit: int = LARGEST) -> dict[str, Any]:
    """Shorten a batch object to `limit` bytes of JSON: first its errors, then what is not known.

    A cut is told in the object itself by `truncated: true`.
    """
    if _size(said) <= limit:
        return said
    errors = said.get("errors")
    entries = errors.get("data") if isinstance(errors, dict) else None
    if isinstance(errors, dict) and isinstance(entries, list):
        for keep in (1000, 300, 100, 30, 10, 3, 0):
            fewer = errors | {"data": entries[:keep], "truncated": True, "total": len(entries)}
            if _size(said | {"errors": fewer}) <= limit:
                return said | {"errors": fewer}
    known = {k: v for k, v in said.items() if k in Batch.model_fields and _size(v) <= limit // 32}
    status = str(said.get("status"))[: limit // 64]
    return {"status": status} | known | {"truncated": True}


def _size(value: object) -> int:
    return len(json.dumps(value).encode())
