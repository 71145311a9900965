"""How far down a list is walked: what is seen, what it costs, and that it always ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchwatch.batch import Batch, Status
from batchwatch.listing import MOST_PAGES, Walk
from batchwatch.openai import Page
from tests.builders import modest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAGE = 100


def shown(ids: Sequence[str], created: Sequence[int | None]) -> List:
    """A list of batches, newest first."""
    said = zip(ids, created, strict=True)
    rows = [
        # (not read: thousands of them are made)
        Batch.model_construct(id=i, status=Status.COMPLETED, created_at=at)
        for i, at in said
    ]
    return List(rows)


class List:
    """A list in pages, as the API gives it; counts what is asked for."""

    def __init__(self, rows: list[Batch], size: int = PAGE) -> None:
        self.rows, self.size, self.asked = rows, size, 0
        self._place = {row.id: at for at, row in enumerate(rows)}

    def __call__(self, after: str | None) -> Page:
        """Give the page behind a cursor."""
        self.asked += 1
        start = self._place[after] + 1 if after else 0
        rows = self.rows[start : start + self.size]
        more = start + self.size < len(self.rows)
        return Page(rows, rows[-1].id if more else None, 0)


def numbered(number: int) -> list[str]:
    return [f"b{n}" for n in range(number)]


def walk(
    pages: Callable[[str | None], Page],
    wanted: dict[str, int],
    enough: Callable[[Sequence[Batch]], bool] = lambda _: True,
) -> tuple[Walk, list[str]]:
    walk = Walk(pages, wanted)
    return walk, [batch.id for page in walk.go(enough, lambda: True) for batch in page]


def requests(pattern: Sequence[bool], created: Sequence[int]) -> tuple[int, int, int]:
    """Ask for all that is open; count the requests, the open ones, and the pages down to them."""
    ids = numbered(len(pattern))
    pages = shown(ids, created)
    wanted = {i: at for i, at, is_open in zip(ids, created, pattern, strict=True) if is_open}
    done, _ = walk(pages, wanted)
    singly = len(done.unseen)
    deepest = max((n for n, is_open in enumerate(pattern) if is_open), default=0)
    tried = max(1, done.pages // 10) * (len(wanted) > singly)
    return pages.asked + singly + tried, len(wanted), deepest // PAGE + 1


ALL_AT_ONCE, ONE_BY_ONE = 0, 1
"""Seconds between the creations of two batches."""


def mixed(*parts: tuple[int, int]) -> list[bool]:
    """A list of so many ended, so many open batches, in turn."""
    return [is_open for ended, running in parts for is_open in [False] * ended + [True] * running]


LISTS = {
    "everything is open": mixed((0, 1000)),
    "one in six has ended": mixed(*[(1, 5)] * 200),
    "the newest have ended": mixed((200, 1000)),
    "the oldest have ended": mixed((0, 1000), (200, 0)),
    "some in the middle have ended": mixed((0, 500), (200, 500)),
    "one, the newest": mixed((0, 1), (500, 0)),
    "one, far down": mixed((5000, 1)),
    "three, far down": mixed((5000, 3)),
    "a few, far apart": mixed(*[(400, 1)] * 30),
    "a few, each on its page": mixed(*[(99, 1)] * 30),
    "a crowd, far down": mixed((5000, 250)),
    "two crowds": mixed((900, 80), (2000, 300)),
    "ten on the second page": mixed((150, 10)),
    "a thousand after many that ended": mixed((8000, 1000)),
}


@pytest.mark.parametrize("pattern", LISTS)
def test_a_poll_costs_little_more_than_the_cheaper_of_all_pages_and_all_batches(
    pattern: str,
) -> None:
    created = [1_800_000_000 - n * ONE_BY_ONE for n in range(len(LISTS[pattern]))]

    asked, number, pages = requests(LISTS[pattern], created)

    assert asked <= 1.2 * min(number, pages) + 1


@pytest.mark.parametrize("apart", [ALL_AT_ONCE, ONE_BY_ONE])
@pytest.mark.parametrize(
    "pattern", ["one in six has ended", "the newest have ended", "some in the middle have ended"]
)
def test_a_thousand_open_batches_among_twelve_hundred_cost_at_most_fourteen_requests(
    pattern: str, apart: int
) -> None:
    created = [1_800_000_000 - n * apart for n in range(1200)]

    assert requests(LISTS[pattern], created)[0] <= 14


parts = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)), min_size=1, max_size=4)
spread = st.tuples(st.integers(1, 20), st.integers(1, 250)).map(lambda how: [(how[1], 1)] * how[0])


@settings(modest, max_examples=40)
@given(parts | spread, st.lists(st.integers(0, 5000), max_size=9))
def test_wherever_the_open_batches_lie_little_more_is_asked_than_there_are(
    places: list[tuple[int, int]], pauses: list[int]
) -> None:
    pattern = mixed(*places)
    created = [1_800_000_000 - sum(pauses[: n // 50]) for n in range(len(pattern))]

    asked, number, _ = requests(pattern, created)

    assert asked <= 2 * number + 6


# Lists that are not as they should be


def test_a_batch_that_comes_again_on_the_next_page_is_given_once() -> None:
    rows = shown(numbered(4), [9, 8, 7, 6]).rows
    pages = {None: Page(rows[:2], "b1", 0), "b1": Page(rows[1:], None, 0)}

    done, ids = walk(pages.__getitem__, {}, enough=lambda _: False)

    assert ids == ["b0", "b1", "b2", "b3"]
    assert done.ended


def test_an_empty_page_that_promises_more_is_passed() -> None:
    rows = shown(numbered(2), [9, 8]).rows
    pages = {None: Page([], "x", 0), "x": Page(rows, None, 0)}

    _, ids = walk(pages.__getitem__, {"b0": 9, "b1": 8})

    assert ids == ["b0", "b1"]


@pytest.mark.parametrize("cursors", [["x"] * 9, ["x", "y", "x", "y"], ["x", "y", "z"]])
def test_a_list_that_goes_round_in_circles_is_left(cursors: list[str]) -> None:
    rows = shown(numbered(2), [9, 8]).rows
    told = iter(cursors)

    done, ids = walk(lambda _: Page(rows, next(told), 0), {"b0": 9, "c": 1, "d": 1})

    assert ids == ["b0", "b1"]
    assert done.ended
    assert done.unseen == {"c": 1, "d": 1}


def test_a_list_that_never_ends_is_left_some_time() -> None:
    asked = iter(range(10**6))

    def page(_: str | None) -> Page:
        number = next(asked)
        row = Batch.read({"id": f"b{number}", "status": "completed"})
        return Page([row], f"b{number}", 0)

    done, ids = walk(page, {}, enough=lambda _: False)

    assert len(ids) == done.pages == MOST_PAGES
    assert not done.ended
    assert done.last == f"b{MOST_PAGES - 1}"


def test_what_the_list_leaves_out_does_not_lead_to_its_end() -> None:
    pages = shown(numbered(5000), [10_000 - n for n in range(5000)])

    done, _ = walk(pages, {f"hidden{n}": 9_999 for n in range(50)})

    assert pages.asked == 1
    assert len(done.unseen) == 50


def test_the_oldest_first_or_without_dates_all_pages_are_asked_for_while_they_help() -> None:
    for created in ([n + 1 for n in range(500)], [None] * 500):
        pages = shown(numbered(500), created)
        wanted = {f"b{n}": n + 1 for n in range(0, 500, 10)}

        done, ids = walk(pages, wanted)

        assert not done.unseen
        assert len(ids) == 500


def test_a_walk_goes_on_where_another_was_cut_off() -> None:
    pages = shown(numbered(500), [1000 - n for n in range(500)])
    two = iter([True, True, False])
    first = Walk(pages, {})
    ids = [b.id for page in first.go(lambda _: False, lambda: next(two)) for b in page]

    second = Walk(pages, {}, first.last)
    ids += [b.id for page in second.go(lambda _: False, lambda: True) for b in page]

    assert ids == numbered(500)
    assert (first.ended, second.ended) == (False, True)
