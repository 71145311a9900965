"""A simulated OpenAI on the wire, and an output file to download from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.simulator import SimulatedOpenAI
from tests.simulator.client import Client, Clock, download_of
from tests.simulator.test_lifecycle import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client() -> Iterator[Client]:
    """Connect to a simulated OpenAI that makes no mistakes of its own."""
    clock = Clock()
    with SimulatedOpenAI(clock=clock) as simulated, Client(simulated, clock) as client:
        yield client
    assert simulated.errors == []


@pytest.fixture
def url(client: Client) -> str:
    """Where the output file of a batch that has ended is downloaded."""
    return download_of(client, replace(COMPLETED, output_bytes=50_000))


@pytest.fixture
def content(client: Client, url: str) -> bytes:
    """What is in that file."""
    return client.simulated.file(url.split("/")[2]).read_bytes()
