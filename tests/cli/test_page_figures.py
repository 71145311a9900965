"""What the plots of the status page show, and that they are drawn within their bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.cli.look.detail import Stage
from batchwatch.cli.page import figures, plots, words
from batchwatch.cli.page.figures import Outcome
from tests.builders import modest
from tests.cli.page_cards import DAY, HOUR, NOW, card, history
from tests.cli.page_sample import overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.cli.page.overview import Card

_MIDNIGHT = NOW // DAY * DAY


@pytest.mark.parametrize(
    ("good", "standing", "failed", "is_"),
    [
        (None, "in progress", 0, Outcome.OPEN),
        (None, "stalled", 3, Outcome.OPEN),
        (True, "completed", 0, Outcome.WELL),
        (True, "completed with errors", 3, Outcome.ERRORS),
        (False, "expired", 0, Outcome.CUT),
        (False, "cancelled", 0, Outcome.CUT),
        (False, "sent again", 0, Outcome.CUT),
        (False, "failed", 0, Outcome.FAILED),
        (False, "files lost", 0, Outcome.FAILED),
        (False, "lost", 0, Outcome.FAILED),
        (False, "unreadable", 0, Outcome.FAILED),
    ],
)
def test_a_batch_has_one_of_five_outcomes(
    good: bool | None,  # noqa: FBT001 - a parameter
    standing: str,
    failed: int,
    is_: Outcome,
) -> None:
    assert figures.outcome(card(good=good, standing=standing, failed=failed)) is is_


def test_who_cancelled_a_batch_is_not_told_of_it() -> None:
    assert figures.needs_you(card(good=False, standing="expired"), NOW)
    assert not figures.needs_you(card(good=False, standing="cancelled"), NOW)
    assert not figures.needs_you(card(good=False, standing="sent again"), NOW)


def test_what_cannot_be_read_is_no_history_however_old_it_is() -> None:
    odd = card(good=False, standing="unreadable", created=NOW - 90 * DAY, ended=None, seen=None)

    assert figures.needs_you(odd._replace(problems=("in the ledger: files",)), NOW)


def _some(number: int, created: float, good: bool | None, total: int, cost: float) -> Card:  # noqa: FBT001 - as a card has it
    return card(number, created=created, good=good, total=total, completed=total // 2, cost=cost)


_CARDS = st.lists(
    st.builds(
        _some,
        st.integers(0, 99),
        st.floats(NOW - 40 * DAY, NOW),
        st.sampled_from([None, True, False]),
        st.integers(0, 10_000),
        st.floats(0, 100),
    ),
    max_size=12,
)


@modest
@given(_CARDS, st.floats(0, 20_000))
def test_the_days_together_are_all_batches_of_the_time_asked_for(
    cards: list[Card], back: float
) -> None:
    asked = overview(cards, since=NOW - back * DAY)
    within = figures.within(asked)
    spans = figures.spans(asked)

    assert sum(span.total for span in spans) == len(within)
    ended = [each for each in within if each.good is not None]
    assert sum(span.requests for span in spans) == sum(each.total for each in ended)
    assert sum(span.completed for span in spans) == sum(each.completed for each in ended)
    assert math.isclose(
        sum(span.cost for span in spans), sum(each.cost or 0 for each in within), abs_tol=1e-6
    )
    assert len(spans) <= 62
    unit = min(DAY, spans[0].seconds)
    assert all(span.start % unit == 0 for span in spans)
    assert 0 < spans[-1].start + spans[-1].seconds - NOW <= unit
    assert spans[0].start <= asked.since


def test_days_begin_at_midnight_in_utc() -> None:
    before, after = card(1, created=_MIDNIGHT - 1), card(2, created=_MIDNIGHT)
    spans = figures.spans(overview([before, after], since=NOW - 3 * DAY))

    assert [span.total for span in spans] == [0, 0, 1, 1]
    assert plots.day(spans[-1].start) == "22 Nov"


def test_a_year_is_shown_by_the_week_and_ten_years_by_the_season() -> None:
    assert {span.seconds for span in figures.spans(overview(since=NOW - 365 * DAY))} == {7 * DAY}
    assert {span.seconds for span in figures.spans(overview(since=NOW - 3650 * DAY))} == {91 * DAY}


def test_of_two_days_and_less_the_hours_are_shown() -> None:
    spans = figures.spans(overview([card(1, created=NOW - HOUR)], since=NOW - 6 * HOUR))

    assert {span.seconds for span in spans} == {HOUR}
    assert [span.total for span in spans] == [0, 0, 0, 0, 0, 1, 0]
    assert [plots.hour(span.start) for span in spans[-2:]] == ["02:00", "03:00"]
    assert words.told_of_days(spans) == "1 batch, most at 02:00 (1); none failed."


@modest
@given(st.lists(st.floats(0, 10**7), min_size=1, max_size=20), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = figures.percentile(ordered, share)

    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered)


@modest
@given(st.lists(st.floats(0, 10**9), min_size=1, max_size=20))
def test_every_duration_is_in_a_bin(values: list[float]) -> None:
    found = figures.histogram(sorted(values))

    assert sum(found.counts) == len(values)
    assert found.bounds[0] < found.bounds[1]
    assert all(0 <= found.place(value) <= 1 for value in (*values, *found.ticks))


def test_only_completed_batches_tell_how_long_batches_take() -> None:
    cards = [
        card(1, created=NOW - 90, ended=NOW),
        card(2, created=NOW - 60, ended=NOW),
        card(3, created=NOW - DAY, ended=NOW, status="expired"),
        card(4, created=NOW - 60, ended=None),
        card(5, created=None, ended=NOW),
    ]

    assert figures.durations(cards) == [60, 90]


def test_models_beyond_the_sixth_are_counted_together() -> None:
    cards = [card(each, model=f"model-{each}", cost=float(each)) for each in range(9)]
    spent = figures.by_model([*cards, card(model="free", cost=None)])

    assert [each.model for each in spent] == [*(f"model-{n}" for n in (8, 7, 6, 5, 4)), "4 others"]
    assert sum(each.cost for each in spent) == sum(range(9))
    assert sum(each.batches for each in spent) == 9


def test_of_how_many_batches_the_cost_is_known_is_said() -> None:
    spent = figures.by_model([card(1, cost=1.0), card(2, cost=None)])

    assert words.told_of_models(spent, 2).endswith("The cost is known of 1 of 2 batches.")


def test_batches_under_way_that_are_in_no_bar_are_told_of() -> None:
    old = card(1, good=None, created=NOW - 40 * DAY)
    told = words.told_of_days(figures.spans(overview([old, card(2)])), 1)

    assert told.endswith("none failed. 1 under way is older, or not dated yet.")


def test_a_timeline_has_the_stages_in_proportion_and_none_too_short_to_be_seen() -> None:
    stages = (
        Stage("validating", 0, 1),
        Stage("in_progress", 1, 6000),
        Stage("finalizing", 6001, 3000),
        Stage("completed", 9001, None),
    )
    found = figures.timeline(card(stages=stages, archived=9002.0), NOW)

    assert [each.name for each in found] == ["validating", "in_progress", "finalizing", "archived"]
    assert all(each.width >= 1.5 for each in found)
    assert found[1].width == pytest.approx(2 * found[2].width, abs=0.2)
    assert found[-1].start + found[-1].width == pytest.approx(100, abs=0.2)


def test_the_timeline_of_a_batch_under_way_reaches_until_now() -> None:
    going = card(good=None, stages=(Stage("validating", int(NOW) - 60, None),))

    assert figures.timeline(going, NOW) == [("validating", 0, 100)]
    assert figures.timeline(card(stages=()), NOW) == []


_MANY = [
    pytest.param([], id="none"),
    pytest.param([card(1)], id="one"),
    pytest.param([card(number) for number in range(50)], id="all alike"),
    pytest.param([card(1, total=0, completed=0, cost=0.0)], id="nothing in it"),
    pytest.param([card(1, cost=1e-7), card(2, cost=1e9)], id="far apart"),
    pytest.param(history(1500), id="very many"),
]


@pytest.mark.parametrize("cards", _MANY)
@pytest.mark.parametrize("back", [0.01, 30, 900])
def test_plots_stay_within_their_bounds(cards: Sequence[Card], back: float) -> None:
    asked = overview(cards, since=NOW - back * DAY)
    spans = figures.spans(asked)
    drawn = [plots.by_day(spans, "t", "d"), plots.cost_by_day(spans, "t", "d")]
    if any(span.requests for span in spans):
        drawn.append(plots.rates(spans, "t", "d"))
    if ordered := figures.durations(cards):
        spread = plots.spread(figures.histogram(ordered), ordered[0], ordered[-1], "t", "d")
        drawn.append(spread)

    for each in drawn:
        assert len(each) < 20_000
        for shape in ET.fromstring(each).iter():  # noqa: S314 - our own
            _within_bounds(shape)


def _within_bounds(shape: ET.Element) -> None:
    across = [shape.get(name, "0") for name in ("x", "x1", "x2", "cx")]
    shares = [float(each.rstrip("%")) for each in across if each.endswith("%")]
    assert all(0 <= share <= 100.01 for share in shares)
    if shape.tag == "rect":
        width, height = (shape.get(name, "0") for name in ("width", "height"))
        assert shares[0] + float(width.rstrip("%")) <= 100.01
        assert 0 <= float(height) <= plots.HEIGHT
    down = [float(shape.get(name, "0")) for name in ("y", "y1", "y2", "cy")]
    assert all(-0.01 <= each <= plots.HEIGHT + 22 for each in down)


@modest
@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_at_a_round_number_not_far_above(highest: float) -> None:
    top = plots.ceiling(highest)

    assert highest <= top * 1.000001
    assert top <= 1.7 * highest


@modest
@given(st.integers(0, 10**6))
def test_an_axis_of_batches_has_whole_numbers(highest: int) -> None:
    top = plots.even(highest)

    assert top >= highest
    assert top % 2 == 0


@pytest.mark.parametrize(
    ("amount", "told"),
    [(0, "$0"), (0.00002, "<$0.0001"), (0.0032, "$0.0032"), (12.4, "$12.40"), (1204.4, "$1,204")],
)
def test_dollars_are_as_exact_as_their_size_needs(amount: float, told: str) -> None:
    assert plots.dollars(amount) == told


@modest
@given(st.lists(st.floats(0, 10**5), max_size=9))
def test_amounts_that_are_shown_add_up_to_the_sum_that_is_shown(costs: list[float]) -> None:
    *shown, whole = plots.amounts(costs)

    cents = [0.0 if "<" in each else float(each.strip("$").replace(",", "")) for each in shown]
    assert math.isclose(sum(cents), float(whole.strip("<$").replace(",", "")), abs_tol=1e-4)
    assert all(abs(one - each) <= 0.01 for one, each in zip(cents, costs, strict=True))


def test_amounts_have_as_many_decimals_as_their_sum_needs() -> None:
    assert plots.amounts([0.333, 0.333, 0.3345]) == ["$0.33", "$0.33", "$0.34", "$1.00"]
    assert plots.amounts([0.0012, 0, 0.00001]) == ["$0.0012", "$0", "<$0.0001", "$0.0012"]


@pytest.mark.parametrize(
    ("value", "told"),
    [(1, "100%"), (0.99999, "99.9%"), (0.982, "98.2%"), (1e-6, "0.1%"), (0, "0%")],
)
def test_a_share_is_100_percent_only_where_nothing_is_missing(value: float, told: str) -> None:
    assert plots.share(value) == told


def test_a_course_is_told_in_words() -> None:
    stages = (
        Stage("validating", int(NOW) - 4000, 120),
        Stage("in_progress", int(NOW) - 3880, 3600),
        Stage("completed", int(NOW) - 280, None),
    )
    told = words.course(card(stages=stages, archived=NOW - 265), NOW)

    assert told == (
        "2 min validating, 1 h in progress; completed 22 Nov, 02:56, archived 15 s later"
    )


@pytest.mark.parametrize(
    ("back", "told"),
    [(30 * DAY, "30 days"), (DAY, "24 hours"), (HOUR, "hour"), (600, "10 minutes"), (0, "minute")],
)
def test_how_far_back_a_page_looks_is_said_as_one_would(back: int, told: str) -> None:
    assert words.period(overview(since=NOW - back)) == told
