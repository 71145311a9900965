"""The status page in a browser: nothing runs that should not, and everybody can read it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchwatch.cli.page.render import render
from tests.browser.chromium import REQUIRED, Look, found, started
from tests.cli import page_sample
from tests.cli.page_cards import NOW, card
from tests.page_pictures import DOCS, MOST, PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.cli.page.overview import Overview
    from tests.browser.chromium import Tab

AUDIT = Path(__file__).with_name("audit.js").read_text()
HOSTILE = "</script><img src=x onerror=window.pwned=1>"
ROWS = "[...document.querySelectorAll('#list > li')].filter(row => row.checkVisibility())"
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
FOCUSED = "document.activeElement.name"
FAULTY = Path(__file__).with_name("faulty.html")


def everything() -> Overview:
    """Every state and outcome, and a dozen that ended."""
    return page_sample.busy(12)


def hostile() -> Overview:
    """Texts that are meant to be run, wherever there is one."""
    made = page_sample.hostile()
    one = card(99, name=HOSTILE, metadata={"name": HOSTILE, HOSTILE: HOSTILE})
    return made._replace(batches=[one, *made.batches])


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    """One browser for all tests of this file."""
    program = found()
    if program is None:
        assert os.environ.get(REQUIRED) != "required", "there is no chromium on this machine"
        pytest.skip("there is no chromium on this machine")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        started(program, Path(profile)) as browser,
    ):
        tab = browser.tab()
        tab.stop_clock(NOW)
        yield tab


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(render(everything()))
    return file


def wrong(tab: Tab, look: Look) -> list[str]:
    """Say what is the matter with the page that is shown, with all its parts unfolded."""
    tab.run(UNFOLD)
    tab.see(look._replace(height=tab.run("document.documentElement.scrollHeight")))
    said = tab.run(AUDIT)
    assert said["texts"] > 5
    found: list[str] = said["wrong"]
    return found


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_every_text_is_whole_and_legible_by_day_and_by_night(
    tab: Tab, page: Path, width: int
) -> None:
    day, night = Look(width=width), Look(width=width, dark=True)

    tab.open(page, day)

    assert (wrong(tab, day), wrong(tab, night)) == ([], [])
    assert (tab.complaints, tab.requests) == ([], [page.as_uri()])


@pytest.mark.parametrize("count", [0, 8])
def test_a_page_with_little_on_it_fits_a_phone(tab: Tab, tmp_path: Path, count: int) -> None:
    page, look = tmp_path / "page.html", Look(width=360, touch=True)
    made = page_sample.calm()
    page.write_text(render(made._replace(batches=made.batches[:count])))

    tab.open(page, look)

    assert tab.run("[innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    assert wrong(tab, look) == []
    assert (tab.complaints, tab.requests) == ([], [page.as_uri()])


def test_what_cannot_be_read_is_found(tab: Tab) -> None:
    look = Look(width=360)

    tab.open(FAULTY, look)

    assert [text.split(": ")[-1] for text in wrong(tab, look)] == [
        "900 wide in 360",
        "pale",
        "grey on a dark bar",
        "what is hidden without a word",
        "wide",
        "below / above",
    ]
    assert [text for text in tab.complaints if "Content Security Policy" in text]


def test_names_that_are_meant_to_be_run_are_text(tab: Tab, tmp_path: Path) -> None:
    page, look = tmp_path / "page.html", Look(width=360)
    page.write_text(render(hostile()))

    tab.open(page, look)

    assert wrong(tab, look) == []
    assert tab.run("[typeof window.pwned, document.images.length]") == ["undefined", 0]
    assert str(tab.run("document.body.innerText")).count(HOSTILE) >= 3
    assert (tab.complaints, tab.requests) == ([], [page.as_uri()])


def test_batches_are_found_sorted_and_unfolded_by_keys_alone(tab: Tab, page: Path) -> None:
    tab.open(page, Look())
    everything = tab.run(f"{ROWS}.length")

    to(tab, "q")
    tab.write("embed")
    found = tab.run(f"{ROWS}.map(row => row.textContent.toLowerCase().includes('embed'))")
    for _ in "embed":
        tab.press("Backspace")
    to(tab, "by")
    before = tab.run(f"{ROWS}.map(row => row.dataset.v)")
    tab.press("ArrowDown")
    after = tab.run(f"{ROWS}.map(row => row.dataset.v)")
    tab.press("Tab", "Enter")

    assert 0 < len(found) < everything
    assert all(found)
    assert len(after) == everything
    assert after != before
    assert sorted(after) == sorted(before)
    assert tab.run("document.activeElement.closest('details').open") is True


def to(tab: Tab, name: str) -> None:
    """Go on by the Tab key until a field has the focus."""
    for _ in range(200):
        tab.press("Tab")
        if tab.run(FOCUSED) == name:
            return
    pytest.fail(f"the keyboard does not come to {name}")


def test_without_scripts_every_batch_is_there(tab: Tab, page: Path) -> None:
    tab.open(page, Look(script=False))

    assert tab.run(f"{ROWS}.length") == len(everything().batches)
    assert tab.run("document.getElementById('find').checkVisibility()") is False
    tab.run("document.querySelector('#list summary').click()")
    unfolded = tab.run("document.querySelector('#list details[open] dl').innerText")
    assert any(each.id in unfolded for each in everything().batches)


def test_on_paper_there_is_nothing_to_press(tab: Tab, page: Path) -> None:
    tab.open(page, Look(width=794, media="print"))

    pressed = "[...document.querySelectorAll('input, select, button, nav')]"
    assert tab.run(f"{pressed}.filter(each => each.checkVisibility()).length") == 0
    assert tab.run(f"{ROWS}.length") == len(everything().batches)


def test_how_a_batch_fares_is_said_in_words_where_colours_are_the_systems(
    tab: Tab, page: Path
) -> None:
    look = Look(colours="forced", dark=True)
    tab.open(page, look)

    of_row = "[row.textContent, row.querySelector('summary').innerText]"
    told = tab.run(f"{ROWS}.map(row => {of_row})")
    marks = tab.run("[...document.querySelectorAll('symbol')].map(each => each.innerHTML)")

    for each in everything().batches:
        assert [each.standing in line for row, line in told if each.id in row] == [True]
    assert len({*marks}) == len(marks) == 5
    assert wrong(tab, look) == []


def test_the_pictures_of_the_page_are_small_and_shown() -> None:
    text = (DOCS / "cli.md").read_text()

    sizes = {name: (DOCS / f"{name}.png").stat().st_size for name in PICTURES}

    assert {name: size for name, size in sizes.items() if not 10_000 < size < MOST} == {}
    assert [name for name in PICTURES if f'"{name}.png"' not in text] == []
