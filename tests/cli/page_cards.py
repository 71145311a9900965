"""Batches made by hand for the status page, and a month of them; by chance, but from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

from batchwatch.cli.look.detail import Stage
from batchwatch.cli.page.overview import Card, Stored

NOW = 1_795_316_498.0  # 2026-11-22 03:01:38 UTC
DAY, HOUR = 86_400, 3600

_NAMES = (
    "nightly evaluation",
    "reviews: sentiment",
    "embed catalogue",
    "tickets: triage",
    "product titles, 14 languages",
    "summaries of calls",
)
_MODELS = ("gpt-5-mini", "gpt-5", "gpt-5-nano", "gpt-4.1-mini", "o4-mini", "text-embedding-3-large")
_DOLLARS = (0.0011, 0.0062, 0.0003, 0.0009, 0.0024, 0.00007)


def batch_id(number: int) -> str:
    """Return an id as OpenAI makes them."""
    return f"batch_{Random(number).getrandbits(128):032x}"  # noqa: S311 - a sample


def _place(number: int, name: str) -> str:
    return f"s3://batchwatch-archive-1a2b3c/batches/account=main/{batch_id(number)}/{name}"


def card(number: int = 0, **changes: Any) -> Card:
    """Return a batch that completed an hour ago, but for the changes."""
    made = Card(
        id=batch_id(number),
        account="main",
        name="nightly evaluation",
        status="completed",
        standing="completed",
        good=True,
        created=NOW - 2 * HOUR,
        ended=NOW - HOUR,
        expires=NOW + 22 * HOUR,
        seen=NOW - HOUR + 20,
        stages=(),
        archived=None,
        total=1200,
        completed=1200,
        failed=0,
        left=None,
        endpoint="/v1/responses",
        model="gpt-5-mini-2025-08-07",
        tokens_in=1_204_000,
        tokens_out=310_000,
        cost=0.46,
        files=(
            Stored("output", "archived", 8_400_000, 1200, _place(number, "output.jsonl")),
            Stored("record", "archived", 1100, 1, _place(number, "record.json")),
        ),
        problems=(),
        what_next=(f"To have its files here: batchwatch fetch {batch_id(number)}",),
        metadata={"name": "nightly evaluation", "team": "search"},
        job=None,
    )
    made = made._replace(**changes)
    return made if "stages" in changes else _staged(made)


def _staged(made: Card) -> Card:
    if made.created is None:
        return made
    begun = int(made.created)
    end = int(made.ended if made.ended is not None else NOW)
    if made.status == "validating":
        return made._replace(stages=(Stage("validating", begun, None),))
    if made.status == "failed":
        checked = (Stage("validating", begun, end - begun), Stage("failed", end, None))
        return made._replace(stages=checked, archived=made.ended)
    chance, whole = Random(made.id), end - begun  # noqa: S311 - a sample
    started = begun + max(1, int(whole * 0.5 * chance.random() ** 3))
    last = end - max(1, int(whole * 0.25 * chance.random() ** 2))
    stages = [Stage("validating", begun, started - begun)]
    if made.good is None and made.status == "in_progress":
        return made._replace(stages=[*stages, Stage("in_progress", started, None)])
    middle = "cancelling" if made.status in {"cancelling", "cancelled"} else "finalizing"
    stages.append(Stage("in_progress", started, last - started))
    if made.good is None:
        return made._replace(stages=[*stages, Stage(middle, last, None)])
    stages += [Stage(middle, last, end - last), Stage(made.status, end, None)]
    return made._replace(stages=stages, archived=end + 14.0)


def history(count: int = 320, seed: int = 7, days: int = 30) -> list[Card]:
    """Return a month of batches that have ended, the newest first."""
    chance = Random(seed)  # noqa: S311 - a sample
    ages = sorted(chance.random() * days * DAY for _ in range(count))
    return [_past(chance, number, NOW - 3 * HOUR - age) for number, age in enumerate(ages, 100)]


def _past(chance: Random, number: int, created: float) -> Card:
    model = chance.choices(range(6), (8, 3, 4, 2, 1, 3))[0]
    total = int(10 ** chance.uniform(1.7, 4.6))
    ended = min(created + chance.lognormvariate(8.6, 1.1) + 40, created + DAY)
    kind = chance.choices(
        ("completed", "some", "failed", "expired", "cancelled", "none"), (80, 11, 3, 2, 2, 0.7)
    )[0]
    name = chance.choice(_NAMES)
    changes = {
        "name": name,
        "account": chance.choice(("main", "main", "main", "research")),
        "model": _MODELS[model],
        "endpoint": "/v1/embeddings" if model == 5 else "/v1/responses",
        "created": created,
        "ended": ended,
        "expires": created + DAY,
        "seen": ended + 30,
        "total": total,
        "completed": total,
        "tokens_in": total * 900,
        "tokens_out": total * 260,
        "cost": total * _DOLLARS[model],
        "metadata": {"name": name, "team": chance.choice(("search", "support", "catalogue"))},
    }
    return card(number, **{**changes, **_end(chance, kind, created, total, batch_id(number))})


def _end(chance: Random, kind: str, created: float, total: int, its: str) -> dict[str, Any]:
    fetch = f"To have its files here: batchwatch fetch {its}"
    match kind:
        case "some":
            failed = max(1, int(total * chance.random() ** 4 * 0.4))
            told = "The reasons are in error.jsonl. Those that failed can be sent again."
            return {
                "standing": "completed with errors",
                "completed": total - failed,
                "failed": failed,
                "problems": (f"{failed:,} requests failed",),
                "what_next": (told, fetch),
            }
        case "none":
            told = (
                "Most often one mistake is in all of them. error.jsonl names the requests, and "
                "says why. Mend that, and send the requests named there again."
            )
            return {
                "standing": "without success",
                "good": False,
                "completed": 0,
                "failed": total,
                "cost": 0.0,
                "problems": (f"{total:,} requests failed",),
                "what_next": (told, fetch),
            }
        case "failed":
            return {
                "status": "failed",
                "standing": "failed",
                "good": False,
                "ended": created + 20 + 200 * chance.random(),
                "total": 0,
                "completed": 0,
                "cost": None,
                "tokens_in": None,
                "tokens_out": None,
                "files": (),
                "problems": (
                    "line 3: Missing required parameter: 'custom_id' (missing_required_parameter)",
                ),
                "what_next": (
                    "Nothing ran, nothing is charged. Fix the input file, and send it again.",
                ),
            }
        case "expired" | "cancelled":
            done = int(total * chance.random())
            ended = created + (DAY if kind == "expired" else HOUR)
            told = f"What was done is kept, and paid for. {total - done:,} requests never ran."
            return {
                "status": kind,
                "standing": kind,
                "good": False,
                "ended": ended,
                "completed": done,
                "problems": (
                    f"{done:,} of {total:,} requests succeeded, {total - done:,} never ran",
                ),
                "what_next": (told, fetch),
            }
        case _:
            return {}
