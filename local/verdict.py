"""Whether a batch got all that was promised, judged by what came out of the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

RANKS = {"validating": 0, "in_progress": 1, "finalizing": 2, "cancelling": 3}
LAST = 4


def chain_faults(messages: Sequence[str], ended: str | None) -> list[str]:
    """What is wrong with the messages of one batch, whose API says it `ended` so (None: open).

    A repeated message must be the same to the byte; sequences are contiguous; each event names
    the status before it; statuses only move forward; `batch.archived` comes once, at the end.
    """
    bodies: dict[str, str] = {}
    faults = []
    for message in messages:
        identity = json.loads(message)["id"]
        if bodies.setdefault(identity, message) != message:
            faults.append(f"event {identity} came with two bodies")
    events = sorted((json.loads(m) for m in bodies.values()), key=lambda e: e["data"]["sequence"])
    faults += _order_faults(events)
    if ended:
        faults += _end_faults(events, ended)
    return faults


def _order_faults(events: list[dict[str, Any]]) -> list[str]:
    faults = []
    sequences = [event["data"]["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        faults.append(f"its events are numbered {sequences}")
    before: str | None = None
    for event in events:
        data = event["data"]
        if data["previous_status"] != before:
            faults.append(f"{event['type']} follows {before}, not {data['previous_status']}")
        if before and RANKS.get(data["status"], LAST) < RANKS.get(before, LAST):
            faults.append(f"{event['type']} goes back from {before}")
        before = data["status"]
    return faults


def _end_faults(events: list[dict[str, Any]], ended: str) -> list[str]:
    types = [event["type"] for event in events]
    faults = []
    if f"batch.{ended}" not in types:
        faults.append(f"it {ended} at the API, but batch.{ended} was not announced")
    if types.count("batch.archived") != 1 or types[-1:] != ["batch.archived"]:
        faults.append("batch.archived did not come once, at the end")
    return faults
