"""How long a batch will take, as told from what the ledger keeps."""

from __future__ import annotations

from itertools import pairwise

import pytest

from batchwatch.cli.follow.pace import Paces, Run, run_of
from batchwatch.cli.look import view
from batchwatch.prices import prices_of
from batchwatch.record import Record
from tests.builders import read

BEGAN = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def run(after: float, done: int, total: int = 1000, expires: float | None = BEGAN + DAY) -> Run:
    """Show a batch as it was last written of, so many seconds after it began."""
    return Run("batch_1", BEGAN, BEGAN + after, done, total, expires)


def test_at_first_the_pace_is_that_since_the_batch_began() -> None:
    pace = Paces(10).of([run(after=HOUR, done=250)], BEGAN + HOUR)

    assert pace.rate == pytest.approx(250 / HOUR)
    assert pace.left == pytest.approx(3 * HOUR)


def test_once_it_is_watched_what_it_did_of_late_counts_more() -> None:
    paces = Paces(10)
    for after, done in [(HOUR, 100), (HOUR + 300, 200), (HOUR + 600, 300), (HOUR + 900, 400)]:
        pace = paces.of([run(after, done)], BEGAN + after)

    assert pace.rate == pytest.approx(100 / 300)  # not the 400 in 4500 s of the whole
    assert pace.left == pytest.approx(6 * 300)


def test_between_two_steps_the_time_left_runs_down() -> None:
    paces, seen = Paces(10), run(after=HOUR, done=500)

    lefts = [paces.of([seen], BEGAN + HOUR + wait).left for wait in range(0, 700, 100)]

    assert lefts == pytest.approx([HOUR - wait for wait in range(0, 700, 100)])


def test_when_a_step_is_late_the_time_left_grows_evenly_and_never_jumps() -> None:
    paces, seen = Paces(10), run(after=HOUR, done=500, expires=None)

    lefts = [paces.of([seen], BEGAN + HOUR + wait).left or 0.0 for wait in range(0, 7200, 10)]

    assert max(abs(b - a) for a, b in pairwise(lefts)) < 50
    assert lefts[-1] > lefts[0]


def test_where_nothing_is_to_be_known_nothing_is_told() -> None:
    paces = Paces(10)

    assert paces.of([run(after=0, done=0)], BEGAN + HOUR) == (None, None)
    assert paces.of(None, BEGAN) == (None, None)
    assert paces.of([], BEGAN) == (None, None)
    assert paces.of([run(after=HOUR, done=1000)], BEGAN + HOUR).left is None


def test_nothing_takes_longer_than_until_the_batch_expires() -> None:
    pace = Paces(10).of([run(after=12 * HOUR, done=1)], BEGAN + 12 * HOUR)

    assert pace.left == pytest.approx(12 * HOUR)


def test_a_job_takes_as_long_as_its_slowest_part() -> None:
    slow = run(after=HOUR, done=100)._replace(batch_id="batch_2")
    fast = run(after=HOUR, done=900)
    unknown = run(after=0, done=0)._replace(batch_id="batch_3")

    assert Paces(10).of([slow, fast], BEGAN + HOUR).left == pytest.approx(9 * HOUR)
    assert Paces(10).of([slow, fast, unknown], BEGAN + HOUR).left is None


@pytest.mark.parametrize("total", [0, 1, 7])
def test_counts_that_make_no_sense_do_no_harm(total: int) -> None:
    paces = Paces(10)
    for now, done in [(5, 3), (5, 9), (4, 2), (900, 9)]:
        left = paces.of([run(now, done, total)], BEGAN + now).left
        assert left is None or left > 0


@pytest.mark.parametrize(
    ("began", "total", "left"),
    [
        (1_800_000_000, 1000, 9_000),
        (1_800_000_000, 100_000, 86_400 - 1000),  # OpenAI ends it after a day
        (1_800_000_000, 10**400, None),
        (1_800_000_000, 99, None),  # more are done than there are
        (1_800_001_000, 1000, None),
    ],
)
def test_no_end_is_foretold_that_no_calendar_has(began: int, total: int, left: int | None) -> None:
    counts = {"total": total, "completed": 100, "failed": 0}
    batch = read("in_progress", in_progress_at=began, request_counts=counts)
    known = Record(account="a", batch_id=batch.id, batch=batch, progressed_at=BEGAN + 1000)

    assert view.seconds_left(known) == left
    assert (Paces(10).of([run_of(known)], BEGAN + 1000).left is None) is (left is None)  # type: ignore[list-item]


def test_a_provider_that_tells_no_expiry_gets_no_endless_time_left() -> None:
    batch = read(
        "in_progress",
        in_progress_at=1,
        expires_at=None,
        request_counts={"total": 10**9, "completed": 1, "failed": 0},
    )
    known = Record(account="a", batch_id=batch.id, batch=batch, progressed_at=BEGAN)

    assert view.said(known, prices_of("")[0])["done_by"] is None
