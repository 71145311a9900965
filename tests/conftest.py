"""What tests stand on: a world in memory, and one emulator for those that want the real thing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local.simulator import SimulatedOpenAI
from tests.handlers import Handlers
from tests.world import KEY, REGION, Clock, World, aws_in_memory, build

if TYPE_CHECKING:
    from collections.abc import Iterator

# Before anything makes a client: no profile, role or key of the person who runs the tests counts.
for name in [name for name in os.environ if name.startswith(("AWS_", "OPENAI_"))]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until a test moves it."""
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    """The service in memory, watching a simulated OpenAI."""
    with aws_in_memory(), SimulatedOpenAI(key=KEY, clock=clock) as openai:
        world = build(openai, clock)
        yield world
        world.stop()
        assert openai.errors == []


@pytest.fixture
def invoke(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Handlers:
    """Call a function as Lambda does."""
    return Handlers(world, monkeypatch, capsys)
