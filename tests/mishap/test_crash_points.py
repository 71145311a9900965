"""Nothing is lost, forked or put back, wherever a process dies, a call fails or another gets in.

Each mishap of mishaps.py at each call that the service makes; by default at a few of them,
spread over all. Repeat a run that failed: `uv run python -m tests.mishap.sweep SCHEDULE`.
"""

from __future__ import annotations

import pytest

from tests.mishap.schedules import BATCHES, CASES, UNPOLLED, WITH_WEBHOOKS, Case, calm

EVERY = 200
"""By default one point in so many is tried, others for each kind."""
ONE_IN = 30
"""By default so few of the cases with webhooks are tried: they cost as much as all the others."""
CUTS = [case for case in CASES if case.kind.startswith(("cut-", "short-"))]
"""Of these, every eighth: tests/test_copying.py plays them all, on less."""
SPARED = {*WITH_WEBHOOKS, *CUTS}
BY_DEFAULT = [c for c in CASES if c not in SPARED][::8] + WITH_WEBHOOKS[::ONE_IN] + CUTS[::8]


@pytest.mark.parametrize(
    ("batches", "lag"),
    [(batches, lag) for batches in BATCHES for lag in {False, batches not in UNPOLLED}],
)
def test_a_calm_run_ends_well_and_repeats_nothing(batches: str, *, lag: bool) -> None:
    outcome = calm(batches, lag=lag)

    assert outcome.faults == []
    assert outcome.repeated == 0


@pytest.mark.parametrize("case", BY_DEFAULT, ids=str)
def test_a_mishap_at_some_call_does_no_harm(case: Case) -> None:
    points = case.schedules()

    assert faults(case, (CASES.index(case) * 7) % min(EVERY, len(points)), EVERY) == []


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_mishap_at_any_call_does_no_harm(case: Case) -> None:
    assert faults(case, 0, 1) == []


def faults(case: Case, first: int, step: int) -> list[str]:
    """What is wrong after the runs of a case, each with the schedule that leads to it."""
    outcomes = (schedule.run() for schedule in case.schedules()[first::step])
    return [f"{outcome.schedule}: {fault}" for outcome in outcomes for fault in outcome.faults]
