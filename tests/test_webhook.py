"""A signed webhook is followed at once, like a poll of that one batch; anything else changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.errors import Refusal
from batchwatch.webhook import Answer
from local.simulator import Script
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.signed import SECRET, signed, webhook
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")
LIFE = 10  # seconds; then SCRIPT has ended


def ended(world: World, script: Script = SCRIPT, *, found: bool = False) -> str:
    """A batch that has ended, which nobody has polled."""
    batch_id = world.batch(script, found=found)
    world.clock.now += LIFE
    return batch_id


@pytest.mark.parametrize("found", [False, True])
def test_an_end_is_announced_as_soon_as_it_is_told_of(world: World, *, found: bool) -> None:
    batch_id = ended(world, found=found)

    assert world.hear(batch_id).answer is Answer.TAKEN

    (event,) = world.events()
    assert (event.type, event.subject) == ("batch.completed", batch_id)
    assert (event.data.observed_by, event.data.sequence) == ("webhook", 1)


def test_webhooks_alone_bring_every_end_and_every_file(world: World) -> None:
    ends = [
        Script(name=end, endpoint="/v1/embeddings", requests=9, ends=end, failed=1)
        for end in ("completed", "failed", "expired", "cancelled")
    ]
    batches = {ended(world, script, found=True): script.ends for script in ends}
    messages = []

    for batch_id, end in batches.items():
        assert world.hear(batch_id, f"batch.{end}").answer is Answer.TAKEN
        world.archive()
        messages += world.messages()

    assert faults(collect(world, messages, batches)) == []
    assert not any(world.record(batch_id).open for batch_id in batches)


def test_what_is_told_twice_or_late_changes_nothing(world: World) -> None:
    batch_id = ended(world)
    world.hear(batch_id)
    world.archive()
    told, before = world.messages(), world.record(batch_id)
    asked = len(world.openai.requests)

    for of in ("batch.completed", "batch.failed"):
        assert world.hear(batch_id, of).answer is Answer.TAKEN

    assert len(told) == 2
    assert world.messages() == []
    assert world.record(batch_id) == before
    assert len(world.openai.requests) == asked
