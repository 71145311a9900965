"""What `watch` draws: as it fits, whatever others have written."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from batchwatch.cli.follow.following import Shown
from batchwatch.cli.follow.pace import Pace
from batchwatch.cli.follow.progress import Seen, in_order
from batchwatch.cli.follow.screen import Lines, Picture
from batchwatch.cli.output import Output
from tests.watch_picture import PICTURE

NOW = 1_800_000_000.0


def seen(number: int, status: str = "in_progress", **changes: Any) -> Seen:
    """Show a batch of fifty thousand requests."""
    one = Seen("batch", f"batch_{number:032x}", f"nightly-summaries-{number}", status, {})
    return one._replace(
        done=20_000, total=50_000, errors=1234, since=NOW - 12_000, detail="archiving", **changes
    )


def drawn(rows: list[Seen], width: int = 80, height: int = 24) -> list[str]:
    """Draw them on a screen of some size."""
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True)
    picture = Picture()
    picture.rows = [Shown(each, Pace(5.0, 12_345)) for each in in_order(rows)]
    picture.now = NOW
    with console.capture() as said:
        console.print(picture, end="")
    plain = "".join(Console(file=StringIO()).render_str(said.get(), markup=False).plain)
    return [line for line in _without_colours(plain).splitlines() if line]


def _without_colours(text: str) -> str:
    out, inside = [], False
    for character in text:
        inside = inside or character == "\x1b"
        if not inside:
            out.append(character)
        inside = inside and character != "m"
    return "".join(out)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
def test_it_fits_whatever_the_width(width: int) -> None:
    lines = drawn([seen(number) for number in range(5)], width)

    assert max(len(line) for line in lines) <= width
    assert sum("20,0" in line for line in lines) == 5  # no row is folded


def test_at_eighty_columns_it_says_what_matters() -> None:
    header, row, *_ = drawn([seen(1)])

    for word in ("name", "status", "requests", "errors", "left", "files"):
        assert word in header
    for word in ("nightly-", "in_progress", "20,000/50,000", "1,234", "3 h 25 min", "archiving"):
        assert word in row


def test_more_than_fit_are_summed_up_in_a_line() -> None:
    rows = [seen(number) for number in range(30)]
    rows += [seen(99, "failed", trouble=True, ended=True, good=False)]
    rows += [seen(100 + n, "completed", ended=True, over=True) for n in range(3)]

    lines = drawn(rows, height=12)

    assert len(lines) <= 12
    assert "failed" in lines[1]  # problems first
    assert "… and 27 more: 24 in_progress, 3 completed" in lines[-2]
    assert "34 in all: 30 in_progress, 3 completed, 1 failed" in lines[-1]


def test_wide_screens_show_ids_and_no_column_becomes_narrower() -> None:
    console = Console(file=StringIO(), width=120, height=24)
    picture, frames = Picture(), []
    for rows in [[], [seen(1)], [seen(1)._replace(name="n", done=1, detail="", errors=0)]]:
        picture.rows, picture.now = [Shown(each, Pace()) for each in rows], NOW
        with console.capture() as said:
            console.print(picture)
        frames.append(said.get().splitlines())

    nothing, first, second = frames
    assert not "".join(nothing).strip()
    assert (seen(1).id in first[1], first[0]) == (True, second[0])
    assert not any(seen(1).id in line for line in drawn([seen(1)], width=119))


def test_a_sentence_is_folded_between_words_and_everything_still_fits() -> None:
    console = Console(file=StringIO(), width=40, height=12)
    picture = Picture()
    picture.rows = [Shown(seen(number), Pace(5.0, 12_345)) for number in range(30)]
    picture.now, picture.note = NOW, "AWS has too much to do for BatchGetItem; asking again in 4 s"
    with console.capture() as said:
        console.print(picture, end="")

    lines = said.get().splitlines()
    assert len(lines) <= 12
    assert [line.split()[-1] for line in lines[-2:]] == ["BatchGetItem;", "s"]


def test_a_name_is_shown_as_it_is_written() -> None:
    lines = drawn([seen(1)._replace(name="[red]x[/]")])

    assert lines[1].startswith("[red]x[/] ")


def test_plain_lines_are_aligned_and_tell_when_another_day_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, day = Lines(Output()), 86_400
    long, brief = seen(1), seen(2)._replace(name="brief")
    for after, status in ((0, "in_progress"), (1, "finalizing"), (day, "completed")):
        rows = [Shown(each._replace(status=status), Pace()) for each in (long, brief)]
        lines.show(rows, NOW + after)

    told = capsys.readouterr().out.splitlines()
    assert len({line.index(" in_prog") for line in told[:2]}) == 1
    assert [len(line.split()[0]) for line in told] == [8, 8, 8, 8, 10, 8]


def test_where_nothing_is_known_of_the_time_left_there_is_a_dash() -> None:
    console = Console(file=StringIO(), width=80, height=24)
    picture = Picture()
    picture.rows, picture.now = [Shown(seen(1), Pace())], NOW
    with console.capture() as said:
        console.print(picture)

    assert "\N{EN DASH}" in said.get()


def test_the_picture_in_the_documents_needs_nothing_from_elsewhere() -> None:
    svg = PICTURE.read_text()

    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own
    addresses = set(re.findall(r"https?://[^\"'\s]+", svg))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "@font-face" not in svg
