"""An API that fails again and again: every batch ends as it would have ended with a calm one."""

from __future__ import annotations

from local.scenario import scenario
from local.simulator.trouble import Chance
from tests.judge.checker import faults
from tests.whole.stack import deployed, fresh_seed
from tests.world import KEY

SHARE = 0.2
"""Of all answers, how many are refusals, cut off, reset or slow."""


def test_an_api_that_fails_every_fifth_time_changes_nothing_of_what_comes_out() -> None:
    seed = fresh_seed()
    with deployed() as stack:
        stack.openai.unreliable(share=SHARE, seed=seed)
        ends = {stack.watch(script): script.ends for script in scenario()}

        with stack.ticking():
            unfinished = stack.settle(100)

        outside = stack.outside(ends)
        chance = Chance(share=SHARE, seed=seed, stall=0)
        assert sum(chance.draw() is not None for _ in stack.openai.requests) > 20
        assert (unfinished, stack.failed) == ([], [])
        assert {item["batch_id"]: item["status"] for item in outside.items} == ends
        assert faults(outside, secrets=[KEY]) == []  # byte for byte what a calm API has
