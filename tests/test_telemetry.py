"""What an operator is told, and when an alarm has something to ring about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World

ALWAYS = {"OpenBatches", "Events", "Problems"}


def test_a_calm_poll_tells_only_what_is_told_always(world: World, invoke: Handlers) -> None:
    world.runtime.ledger.register(ACCOUNT, "batch_1")
    world.openai.fault("batch_1", status=503, times=-1)

    assert set(invoke("poller").metrics) == ALWAYS


def test_a_refused_key_is_one_account_and_not_one_for_each_batch(
    world: World, invoke: Handlers
) -> None:
    for number in range(5):
        world.runtime.ledger.register(ACCOUNT, f"batch_{number}")
    key = {"api_key": "sk-wrong", "base_url": world.openai.base_url}
    unusable = {"api_key": 7}
    accounts = {"accounts": {ACCOUNT: key, "good": key | {"api_key": KEY}, "odd": unusable}}
    world.put_secret(json.dumps(accounts))

    told = invoke("poller")

    assert told.metrics["AccountsRefused"] == 2
    assert told.metrics["Problems"] == 2
    assert told.result["problems"] == 2


def test_a_secret_that_cannot_be_read_is_told(world: World, invoke: Handlers) -> None:
    world.put_secret("sk-pasted-as-it-is")

    assert invoke("poller").metrics["AccountsRefused"] == 1
