"""Overviews made by hand: a month of a busy stack with every outcome, and the empty ones.

The same on each run: what is by chance comes from a seed.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from batchwatch.cli.look.detail import Stage
from batchwatch.cli.page.overview import Card, Overview, Sending, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_795_316_498.0  # 2026-11-22 03:01:38 UTC
DAY, HOUR = 86_400, 3600

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</title></style><style>*{display:none}</style>",
    "<!-- <details open ontoggle=alert(1)>",
    "&lt;b&gt; &amp;amp; {{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)//http://evil.example/x.js",
    "\u202egnp.exe\u202c\x1b[31mred\x00\u2066",
)
"""What somebody may write into a name, hoping that it is run."""
LONG = "supercalifragilistic" * 12
RIGHT_TO_LEFT = "تقييم المراجعات اليومية — סיכום שבועי"

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
            Stored("output", "archived", 8_400_000, 1200),
            Stored("record", "archived", 1100, 1),
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
            told = "Most often one mistake is in all of them. Fix it, and send them again."
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
                "what_next": (told, fetch),
            }
        case _:
            return {}


def _under_way() -> list[Card]:
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
        going(5, "in_progress", 40 * minutes, total=800, completed=3, left=3 * HOUR, name=LONG),
        going(6, "finalizing", 2 * HOUR, completed=1188, failed=12, name=RIGHT_TO_LEFT),
        going(7, "cancelling", HOUR, completed=640, name="summaries of calls"),
        going(8, "in_progress", HOUR, total=2500, completed=2480, left=30, name=HOSTILE[0]),
    ]


def _in_trouble() -> list[Card]:
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
            23,
            name=HOSTILE[1],
            account=HOSTILE[2],
            status="failed",
            standing="failed",
            good=False,
            created=NOW - 26 * HOUR,
            ended=NOW - 26 * HOUR + 44,
            total=0,
            completed=0,
            model=HOSTILE[3],
            endpoint=HOSTILE[4],
            cost=None,
            files=(Stored(HOSTILE[0], HOSTILE[1], 12, 1),),
            problems=(
                *(f"line {line}: {text}" for line, text in enumerate(HOSTILE, 1)),
                "and 1,204 more errors",
            ),
            what_next=(
                f"Fix {HOSTILE[0]}, and send it again.",
                f"To have its files here: batchwatch fetch {HOSTILE[5]}",
            ),
            metadata={**{text: text for text in HOSTILE}, "long": LONG, "rtl": RIGHT_TO_LEFT},
            job=HOSTILE[1],
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
            problems=(),
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
        ("refused", False, 0, 0, ("line 17 is no JSON: Expecting ',' delimiter", HOSTILE[0])),
        ("cancelled", False, 2, 1, ()),
    ]
    names = ("catalogue.jsonl", "calls-november.jsonl", HOSTILE[1], LONG + ".jsonl", RIGHT_TO_LEFT)
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


def overview(
    batches: Sequence[Card] = (), jobs: Sequence[Sending] = (), **changes: Any
) -> Overview:
    """Return an overview of the last 30 days, the newest first."""
    made = Overview(
        stack="batchwatch",
        region="eu-central-1",
        at=NOW,
        since=NOW - 30 * DAY,
        older=False,
        prices="list prices of 2026-11-01, batch tier",
        batches=sorted(batches, key=lambda each: -(each.created or 0)),
        jobs=jobs,
    )
    return made._replace(**changes)


def busy(count: int = 320) -> Overview:
    """Return every state and outcome, and a month of history."""
    return overview([*_under_way(), *_in_trouble(), *history(count)], jobs(), older=True)


def calm() -> Overview:
    """Return a stack where all is well, and nothing under way."""
    good = [each for each in history(60, seed=3) if each.good and not each.failed]
    return overview(good)


def empty() -> Overview:
    """Return a stack that has seen no batch."""
    return overview()
