"""A client of the simulated OpenAI that can also reach behind the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from local.simulator.lifecycle import file_id
from tests.simulator.test_lifecycle import START

if TYPE_CHECKING:
    from local.simulator import Script, SimulatedOpenAI

KEY = {"Authorization": "Bearer sk-simulated"}


class Clock:
    """A time that only a test moves."""

    now: float = START

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Client(httpx.Client):
    """A client of the simulated OpenAI, which it can reach behind the wire."""

    def __init__(self, simulated: SimulatedOpenAI, clock: Clock) -> None:
        super().__init__(base_url=simulated.base_url, headers=KEY, trust_env=False)
        self.simulated, self.clock = simulated, clock


def download_of(client: Client, script: Script) -> str:
    """Let a batch run to its end, and name where its output file is."""
    name = client.simulated.add(script)
    client.clock.now += 60
    return f"/files/{file_id(name, 'output')}/content"
