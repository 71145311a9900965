"""Nothing is sent twice or forgotten, wherever Submitter dies, fails or is met by another.

Each mishap of sending_kinds.py at each call that Submitter makes; by default a few, where a batch
is made. Repeat a run that failed: `uv run python -m tests.mishap.sweep SCHEDULE`.
"""

from __future__ import annotations

import pytest

from tests.mishap.mutants import Mutant, living
from tests.mishap.sending_mutants import SENDING_MUTANTS
from tests.mishap.sending_schedules import CASES, DROPS, Case, calm

BY_DEFAULT = [Case("dropped", kind) for kind in ("dies-after", "cancel-after")]


@pytest.mark.parametrize(
    ("files", "lag"),
    [
        pytest.param(files, lag, marks=[pytest.mark.full] * ((files, lag) != ("dropped", False)))
        for files in DROPS
        for lag in (False, True)
    ],
)
def test_a_calm_run_sends_everything_once(files: str, *, lag: bool) -> None:
    outcome = calm(files, lag=lag)

    assert outcome.faults == []
    assert outcome.repeated == 0


@pytest.mark.parametrize("case", BY_DEFAULT, ids=str)
def test_a_mishap_when_a_batch_is_made_makes_no_second_one(case: Case) -> None:
    point = next(point for point in case.schedules() if point.call == "openai.create")

    assert point.run().faults == []


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_mishap_at_any_call_sends_nothing_twice_and_forgets_nothing(case: Case) -> None:
    outcomes = (schedule.run() for schedule in case.schedules())

    assert [f"{o.schedule}: {fault}" for o in outcomes for fault in o.faults] == []


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, id=name, marks=pytest.mark.full)
        for name, mutant in SENDING_MUTANTS.items()
    ],
)
def test_a_wrong_design_of_sending_is_found_out(mutant: Mutant) -> None:
    points = [p for p in Case.read(mutant.case).schedules() if p.call == mutant.at]

    with living(mutant):
        found = next((point for point in reversed(points) if point.run().faults), None)

    assert found
    assert found.run().faults == []
