"""Overviews made by hand: a month of a busy stack, a calm one, an empty one, and a hostile one."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from batchwatch.cli.look.detail import Stage
from batchwatch.cli.page.overview import Card, Overview, Sending, Stored
from tests.cli.page_cards import DAY, HOUR, NOW, card, history
from tests.cli.page_cases import in_trouble, jobs, under_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    return overview([*under_way(), *in_trouble(), *history(count)], jobs(), older=True)


def calm() -> Overview:
    """Return a stack where all is well, and nothing under way."""
    good = [each for each in history(60, seed=3) if each.good and not each.failed]
    return overview(good)


def empty() -> Overview:
    """Return a stack that has seen no batch."""
    return overview()


def hostile() -> Overview:
    """Return an overview in which every text tries to be more than that."""
    texts = cycle((*HOSTILE, LONG, RIGHT_TO_LEFT))
    ways: list[tuple[bool | None, str]] = [(None, ""), (True, "completed"), (False, "failed")]
    cards = [
        _hostile(number, good, standing, texts) for number in range(4) for good, standing in ways
    ]
    sent = [
        Sending(next(texts), next(texts), next(texts), good, NOW - HOUR, 3, 1, (next(texts),) * 3)
        for good in (None, True, False)
    ]
    return overview(cards, sent, stack=HOSTILE[0], region=HOSTILE[1], prices=HOSTILE[2])


def _hostile(number: int, good: bool | None, standing: str, texts: Iterator[str]) -> Card:  # noqa: FBT001 - as a card has it
    return card(
        number,
        id=f"{next(texts)}{number}{good}",
        account=next(texts),
        name=next(texts),
        status=next(texts),
        standing=standing or next(texts),
        good=good,
        ended=None if good is None else NOW - 60,
        stages=(Stage(next(texts), int(NOW) - 90, 60), Stage(next(texts), int(NOW) - 30, None)),
        endpoint=next(texts),
        model=next(texts),
        files=(Stored(next(texts), next(texts), 12, 1),),
        problems=tuple(next(texts) for _ in range(9)),
        what_next=(next(texts), f"To have its files here: batchwatch fetch {next(texts)}"),
        metadata={text: next(texts) for text in (*HOSTILE, LONG)},
        job=next(texts),
    )
