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
DESK, PHONE = Look(width=1120, height=1925), Look(width=390, height=844, scale=2, touch=True)
PICTURES = {
    "page-desk": DESK,
    "page-desk-dark": DESK._replace(dark=True),
    "page-phone": PHONE,
    "page-phone-dark": PHONE._replace(dark=True),
}
MOST = 250_000
"""Bytes of a picture."""
_TROUBLES = {"stalled", "files lost"}
_UNDER_WAY = {"validating", "in_progress"}


def overview() -> Overview:
    """Return a month of a stack in which little is wrong, and not too much under way."""
    made = page_sample.busy(240)
    return made._replace(batches=[card for card in made.batches if _shown(card)])


def _shown(card: Card) -> bool:
    if needs_you(card, NOW):
        return card.standing in _TROUBLES and bool(card.problems)
    return card.good is not None or card.status in _UNDER_WAY


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
