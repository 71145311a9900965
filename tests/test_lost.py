"""A batch that OpenAI does not know: lost after misses over time, and found by any answer."""

from typing import Any

import pytest

from batchwatch.watch import MISSES
from tests.builders import BATCH, CREATED, TERMINAL, batch, counts
from tests.lives import Life, lived, lost

HOUR = 3600
DAY = 24 * HOUR


def test_a_batch_not_found_five_times_over_an_hour_is_lost() -> None:
    life = lived("in_progress")
    quarter = HOUR // 4
    for minute in range(100, 160):
        assert life.miss(60 * minute) == []
        assert life.known.misses == 1 + (60 * (minute - 100)) // quarter
    assert life.miss(60 * 160 - 1) == []
    assert not life.known.lost
    assert life.known.v == MISSES
    assert life.miss(60 * 160) == ["lost"]
    assert (life.known.lost, life.known.settled) == (True, False)
    assert life.known.lost_at == CREATED + 60 * 160
    assert life.miss(3 * DAY) == []
    data = life.events[-1].data
    assert (data.status, data.previous_status, data.sequence) == ("in_progress", "in_progress", 2)
    assert data.batch.said == batch("in_progress")


def test_time_alone_loses_no_batch() -> None:
    life = lived("in_progress")
    told = [life.miss(day * DAY) for day in range(MISSES)]
    assert told == [[], [], [], [], ["lost"]]


def test_a_batch_that_was_never_there_is_lost_with_no_more_than_its_id() -> None:
    life = Life()
    assert [life.miss(hour * HOUR) for hour in range(5)] == [[], [], [], [], ["lost"]]
    data = life.events[0].data
    assert (data.status, data.previous_status, data.sequence) == ("unknown", None, 1)
    assert data.batch.said == {"id": BATCH, "status": "unknown"}
    assert life.see("in_progress", DAY) == ["in_progress"]
    assert (life.events[1].data.previous_status, life.known.lost) == ("unknown", False)


def test_a_batch_that_has_ended_is_not_missed() -> None:
    for status in TERMINAL:
        life = lived(status)
        was = life.known
        assert [life.miss(hour * HOUR) for hour in range(9)] == [[]] * 9
        assert life.known == was


@pytest.mark.parametrize("status", ["in_progress", "validating", "completed", "paused"])
def test_any_answer_makes_misses_forgotten(status: str) -> None:
    life = lived("in_progress", at=0)
    for hour in range(4):
        life.miss(hour * HOUR)
    assert life.known.misses == 4
    life.see(status, 4 * HOUR)
    assert (life.known.misses, life.known.missing_since) == (0, None)
    assert life.miss(5 * HOUR) == []


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        ("in_progress", {}, []),
        ("in_progress", {"request_counts": counts(1000, 401, 0)}, []),
        ("in_progress", {"request_counts": counts(1000, 900, 0)}, []),
        ("finalizing", {}, ["finalizing"]),
        ("completed", {}, ["completed"]),
        ("paused", {}, ["unknown"]),
    ],
)
def test_a_batch_found_again_is_watched_again(
    status: str, said: dict[str, Any], told: list[str]
) -> None:
    life = lost()
    life.known = life.known.model_copy(update={"abandoned": True})
    before = life.known.v
    assert life.see(status, 5 * HOUR, **said) == told
    assert life.known.v == before + 1
    absent = (life.known.lost, life.known.abandoned, life.known.misses, life.known.missing_since)
    assert absent == (False, False, 0, None)
    assert life.known.batch
    assert life.known.batch.said == batch(status, **said)
    moved = bool(said) or status != "in_progress"
    assert life.known.progressed_at == CREATED + 5 * HOUR * moved


def test_an_answer_from_before_finds_a_batch_and_is_not_believed() -> None:
    life = lost()
    assert life.see("validating", 5 * HOUR) == []
    assert not life.known.lost
    assert life.known.batch
    assert life.known.batch.raw_status == "in_progress"


def test_a_batch_lost_again_is_told_again_under_another_id() -> None:
    life = lost()
    life.see("in_progress", 5 * HOUR)
    assert [life.miss(hour * HOUR) for hour in range(6, 11)][-1] == ["lost"]
    first, second = life.events[-2:]
    assert first.type == second.type
    assert first.id != second.id
