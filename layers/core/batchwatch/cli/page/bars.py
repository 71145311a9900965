"""Small bars within a line: shares, how far requests are, and timelines. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.cli.page.plots import percent, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from batchwatch.cli.page.figures import Segment


def bar(share_of: float) -> Markup:
    """Draw a bar of so much of its place, from 0 to 1."""
    width = percent(min(1, max(0, share_of)))
    return tag(
        "svg",
        tag("rect", width=width, height="100%", class_="o-well"),
        class_="bar",
        aria_hidden="true",
    )


def progress(completed: int, failed: int, total: int) -> Markup:
    """Draw how far requests are: done, failed, and what is to come."""
    whole = max(1, total, completed + failed)
    done = tag("rect", width=percent(completed / whole), height="100%", class_="o-well")
    if failed:
        done += tag(
            "rect",
            x=percent(completed / whole),
            width=percent(failed / whole),
            height="100%",
            class_="o-failed",
        )
    return tag("svg", done, class_="bar track", aria_hidden="true")


_STAGES = {
    "validating": "v",
    "in_progress": "i",
    "finalizing": "f",
    "cancelling": "k",
    "archived": "a",
}


def stages(segments: Sequence[Segment]) -> Markup:
    """Draw a timeline; by the style, stages differ in height, so that they need no colour."""
    drawn = [
        tag("rect", class_=_STAGES.get(name, "o"), x=f"{start:g}%", width=f"{width:g}%")
        for name, start, width in segments
    ]
    return tag("svg", *drawn, class_="stages", aria_hidden="true")
