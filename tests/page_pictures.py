"""Pictures of the status page, on a desk and on a phone, by day and by night.

`uv run python -m tests.page_pictures` renews docs/page-*.png, by the Chromium of this machine. What
is shown is a stack made by hand, the same on each run, at a time that stands still.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from batchwatch.cli.page.figures import needs_you
from batchwatch.cli.page.render import render
from tests.browser.chromium import Look, found, started
from tests.cli import page_sample
from tests.cli.page_cards import NOW

if TYPE_CHECKING:
    from batchwatch.cli.page.overview import Card, Overview

DOCS = Path(__file__).parents[1] / "docs"
DESK, PHONE = Look(width=1120, height=2020), Look(width=390, height=844, scale=2, touch=True)
PICTURES = {
    "page-desk": DESK,
    "page-desk-dark": DESK._replace(dark=True),
    "page-phone": PHONE,
    "page-phone-dark": PHONE._replace(dark=True),
}
MOST = 250_000
"""Bytes of a picture."""
_ODD = {*page_sample.HOSTILE, page_sample.LONG, page_sample.RIGHT_TO_LEFT, ""}
_SHOWN = {"stalled", "files lost"}
_JOBS = ("catalogue.jsonl", "calls-november.jsonl", "titles-fr.jsonl")


def overview() -> Overview:
    """Return a month of a stack, with names as they usually are and few things that are wrong."""
    made = page_sample.busy(240)
    batches = [card for card in made.batches if card.name not in _ODD and _usual(card)]
    under_way = [job for job in made.jobs if job.good is None]
    jobs = [job._replace(name=name) for job, name in zip(under_way, _JOBS, strict=False)]
    return made._replace(batches=batches, jobs=jobs)


def _usual(card: Card) -> bool:
    asks = needs_you(card, NOW)
    return not asks or (card.standing in _SHOWN and bool(card.problems or card.stages))


def draw(folder: Path) -> None:
    """Write every picture into a folder."""
    program = found()
    if program is None:
        sys.exit("there is no chromium on this machine")
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page.html"
        page.write_text(render(overview()))
        with started(program, Path(scratch) / "profile") as browser:
            tab = browser.tab()
            tab.stop_clock(NOW + 20)
            for name, look in PICTURES.items():
                tab.open(page, look)
                (folder / f"{name}.png").write_bytes(tab.picture())


if __name__ == "__main__":
    draw(DOCS)
