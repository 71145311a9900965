"""An API that fails again and again: every batch ends as it would have ended with a calm one."""

from __future__ import annotations

from itertools import count

import pytest

from local.scenario import scenario
from local.simulator.trouble import Chance
from tests.judge.checker import faults
from tests.whole.stack import deployed, fresh_seed
from tests.world import KEY

SHARE = 0.2
"""Of all answers, how many are refusals, cut off, reset or slow."""
LEAST = 60
"""Requests that the scenario makes at least: each batch is asked for twice, each file too."""


def failing(seed: int, requests: int) -> int:
    """How many of the first requests go wrong."""
    chance = Chance(share=SHARE, seed=seed, stall=0)
    return sum(chance.draw() is not None for _ in range(requests))


@pytest.mark.full
def test_an_api_that_fails_every_fifth_time_changes_nothing_of_what_comes_out() -> None:
    seed = next(seed for seed in count(fresh_seed()) if failing(seed, LEAST) >= LEAST * SHARE)
    with deployed() as stack:
        stack.openai.unreliable(share=SHARE, seed=seed)
        ends = {stack.watch(script): script.ends for script in scenario()}

        with stack.ticking():
            unfinished = stack.settle(100)

        outside = stack.outside(ends)
        assert failing(seed, len(stack.openai.requests)) >= LEAST * SHARE
        assert (unfinished, stack.failed) == ([], [])
        told = {item["batch_id"]: item.get("status") for item in outside.items}
        assert {batch_id: told.get(batch_id) for batch_id in ends} == ends
        assert faults(outside, secrets=[KEY]) == []  # byte for byte what a calm API has
