"""A batch and a dropped file in each state that the status page knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchwatch.cli.look.detail import Stage
from batchwatch.cli.page.overview import Card, Sending, Stored
from tests.cli.page_cards import DAY, HOUR, NOW, batch_id, card

if TYPE_CHECKING:
    from collections.abc import Sequence


def under_way() -> list[Card]:
    """Return a batch in each status that goes on."""
    minutes = 60
    common: dict[str, Any] = {
        "good": None,
        "ended": None,
        "files": (),
        "cost": None,
        "tokens_in": None,
        "tokens_out": None,
        "seen": NOW - 40,
    }

    def going(number: int, status: str, age: float, **changes: Any) -> Card:
        made = {
            **common,
            "status": status,
            "standing": status.replace("_", " "),
            "created": NOW - age,
            "expires": NOW - age + DAY,
            "what_next": (f"To follow it: batchwatch watch {batch_id(number)}",),
        }
        return card(number, **{**made, **changes})

    none: dict[str, Any] = {"total": 0, "completed": 0}
    return [
        going(1, "new", 20, **none, stages=(), expires=None, name=batch_id(1), model=None),
        going(2, "validating", 3 * minutes, **none, name="reviews: sentiment"),
        going(3, "in_progress", 12 * minutes, total=4000, completed=1204, left=28 * minutes),
        going(
            4, "in_progress", 5 * HOUR, total=50_000, completed=31_870, failed=212, left=3 * HOUR
        )._replace(name="embed catalogue", model="text-embedding-3-large", account="research"),
        going(
            5,
            "in_progress",
            40 * minutes,
            total=800,
            completed=3,
            left=3 * HOUR,
            name="calls of October, all of them",
        ),
        going(
            6,
            "finalizing",
            2 * HOUR,
            completed=1188,
            failed=12,
            name="product titles, 14 languages",
        ),
        going(7, "cancelling", HOUR, completed=640, name="summaries of calls"),
        going(8, "in_progress", HOUR, total=2500, completed=2480, left=30, name="tickets: triage"),
    ]


def in_trouble() -> list[Card]:
    """Return a batch for each kind of trouble."""
    slow: dict[str, Any] = {
        "good": None,
        "ended": None,
        "files": (),
        "cost": None,
        "seen": NOW - 50,
    }
    lost_id, gone_id = batch_id(21), batch_id(22)
    return [
        card(
            20,
            **slow,
            name="product titles, 14 languages",
            status="in_progress",
            standing="stalled",
            created=NOW - 9 * HOUR,
            expires=NOW + 15 * HOUR,
            total=12_000,
            completed=4310,
            problems=(
                (
                    "stalled: no progress for 2 h 10 min at 2026-11-22 01:20 UTC; "
                    "usual: a step every 4 min"
                ),
            ),
            what_next=(
                (
                    "It is still watched. See whether OpenAI tells of trouble (status.openai.com). "
                    "If you cancel it, what it has done so far is kept, and paid for."
                ),
                f"To follow it: batchwatch watch {batch_id(20)}",
            ),
        ),
        card(
            21,
            name=lost_id,
            status="lost",
            standing="lost",
            good=False,
            created=NOW - 30 * HOUR,
            ended=None,
            stages=(),
            total=0,
            completed=0,
            cost=None,
            model=None,
            endpoint=None,
            files=(),
            metadata={},
            problems=(
                "OpenAI has not known it since 2026-11-21 22:10:00 UTC; it is still looked for",
            ),
            what_next=(
                (
                    "OpenAI does not know this batch any more. Was it created with the key of "
                    "another project, or registered under a wrong id? It is looked for still."
                ),
                f"To follow it: batchwatch watch {lost_id}",
            ),
        ),
        card(
            22,
            name="reviews: sentiment",
            standing="files lost",
            good=False,
            created=NOW - 20 * HOUR,
            ended=NOW - 17 * HOUR,
            files=(
                Stored("output", "failed", None, None),
                Stored("record", "archived", 1100, 1),
            ),
            problems=("output: crc32 differs from what OpenAI sent, after 5 tries",),
            what_next=(f"To try the files again: batchwatch archive {gone_id}",),
        ),
        card(
            24,
            name="tickets: triage",
            status="expired",
            standing="expired",
            good=False,
            created=NOW - 3 * DAY,
            ended=NOW - 2 * DAY,
            total=30_000,
            completed=18_211,
            problems=("18,211 of 30,000 requests succeeded, 11,789 never ran",),
            what_next=(
                (
                    "What was done is kept, and paid for. 11,789 requests never ran: "
                    "error.jsonl names them. They can be sent again."
                ),
                f"To have its files here: batchwatch fetch {batch_id(24)}",
            ),
        ),
        card(
            25,
            name="",
            status="unreadable",
            standing="unreadable",
            good=False,
            created=None,
            ended=None,
            expires=None,
            seen=None,
            total=0,
            completed=0,
            cost=None,
            model=None,
            endpoint=None,
            files=(),
            metadata={},
            problems=("this row of the table cannot be read: counts",),
            what_next=(),
        ),
        card(
            26,
            **slow,
            name="nightly evaluation",
            status="paused_by_admin",
            standing="unknown",
            created=NOW - 50 * 60,
            total=300,
            completed=10,
            stages=(Stage("validating", int(NOW) - 3000, None),),
            problems=("OpenAI says: paused_by_admin",),
            what_next=("This version does not know that status. It is still watched.",),
        ),
    ]


def jobs() -> list[Sending]:
    """Return a dropped file in each of its states."""
    states: list[tuple[str, bool | None, int, int, Sequence[str]]] = [
        ("reading", None, 0, 0, ()),
        ("sending", None, 6, 1, ()),
        ("waiting", None, 12, 4, ("part 5: the queue of gpt-5-mini is full at OpenAI",)),
        ("in_progress", None, 3, 2, ()),
        ("merging", None, 3, 3, ()),
        ("cancelling", None, 8, 5, ()),
        ("completed", True, 5, 5, ()),
        ("completed", True, 4, 4, ("3 lines set aside",)),
        ("refused", False, 0, 0, ("line 17 is no JSON: Expecting ',' delimiter",)),
        ("cancelled", False, 2, 1, ()),
    ]
    names = ("catalogue.jsonl", "calls-november.jsonl", "reviews.jsonl", "titles.jsonl")
    return [
        Sending(
            f"job_{number:024x}",
            names[number % len(names)],
            status,
            good,
            NOW - number * 5 * HOUR - 600,
            parts,
            done,
            problems,
        )
        for number, (status, good, parts, done, problems) in enumerate(states)
    ]
