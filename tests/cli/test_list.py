"""`batchwatch list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.simulator import Script
from tests.command_line import batchwatch

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


def test_the_newest_batch_comes_first(world: World) -> None:
    older = world.batch(BRIEF)
    world.clock.now += 100
    newer = world.batch(BRIEF)
    world.poll(after=1)

    said = batchwatch("list", "--json")

    assert said.code == 0
    assert [batch["id"] for batch in said.objects] == [newer, older]


def test_a_stack_that_is_not_there_is_named_with_the_way_out() -> None:
    said = batchwatch("list", "--stack", "other")

    assert said.code == 3
    assert "no stack 'other' in us-east-1" in said.err
    assert "--stack" in said.err
