"""Nothing is sent twice or forgotten, wherever Submitter dies, fails or is met by another.

Each mishap of sending_kinds.py at each call that Submitter makes; by default at a few of them.
Repeat a run that failed: `uv run python -m tests.mishap.sweep SCHEDULE`.
"""

from __future__ import annotations

import pytest

from tests.mishap.sending_schedules import CASES, DROPS, Case, Schedule, calm

A_FEW = [
    "dropped/dies-after-23-openai.create",
]


@pytest.mark.parametrize("schedule", A_FEW)
def test_a_mishap_at_some_call_sends_nothing_twice_and_forgets_nothing(schedule: str) -> None:
    assert Schedule.read(schedule).run().faults == []


@pytest.mark.full
@pytest.mark.parametrize("files", DROPS)
@pytest.mark.parametrize("lag", [False, True])
def test_a_calm_run_sends_everything_once(files: str, *, lag: bool) -> None:
    outcome = calm(files, lag=lag)

    assert outcome.faults == []
    assert outcome.repeated == 0


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_mishap_at_any_call_sends_nothing_twice_and_forgets_nothing(case: Case) -> None:
    outcomes = (schedule.run() for schedule in case.schedules())

    assert [f"{o.schedule}: {fault}" for o in outcomes for fault in o.faults] == []
