"""The runs with mishaps find what is wrong with each known wrong design."""

from __future__ import annotations

import pytest

from tests.mishap.mutants import MUTANTS, Mutant, Swap, living
from tests.mishap.schedules import Case


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, id=name, marks=[pytest.mark.full] * (number % 40 > 0))
        for number, (name, mutant) in enumerate(MUTANTS.items())
    ],
)
def test_a_wrong_design_is_found_out(mutant: Mutant) -> None:
    points = [p for p in Case.read(mutant.case).schedules() if p.call == mutant.at]

    with living(mutant):
        found = next((point for point in points if point.run().faults), None)

    assert found
    assert found.run().faults == []


def test_a_mutant_whose_words_are_gone_fails_loudly() -> None:
    gone = Mutant((Swap("outbox.Outbox.deliver", "words that are not there", ""),), "", "")

    with pytest.raises(LookupError, match=r"outbox\.Outbox\.deliver"), living(gone):
        pass
