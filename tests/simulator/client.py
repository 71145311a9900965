"""A client of the simulated OpenAI that can also reach behind the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
        # Over plain HTTP: no certificates, which would take as long to read as the rest of a test
        super().__init__(
            base_url=simulated.base_url,
            headers=KEY,
            trust_env=False,
            verify=False,
        )
        self.simulated, self.clock = simulated, clock


def download_of(client: Client, script: Script) -> str:
    """Let a batch run to its end, and name where its output file is."""
    name = client.simulated.add(script)
    client.clock.now += 60
    return f"/files/{file_id(name, 'output')}/content"


def request(custom_id: object = "a", **changes: object) -> dict[str, object]:
    """Make a line of an input file; None leaves a field out."""
    body = {"model": "gpt-5-mini", "input": "Why?"}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/responses", "body": body}
    return {name: value for name, value in (line | changes).items() if value is not None}


def uploaded(client: Client, *lines: dict[str, object] | bytes) -> str:
    """Upload a file of these lines and return its id."""
    encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    content = b"".join(line + b"\n" for line in encoded)
    form: dict[str, Any] = {"purpose": (None, "batch"), "file": ("in.jsonl", content)}
    answer = client.post("/files", files=form).raise_for_status()
    return str(answer.json()["id"])


def created(client: Client, file_id: str, **changes: object) -> dict[str, Any]:
    """Create a batch of an uploaded file; return it, or the error."""
    asked = {"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h"}
    told: dict[str, Any] = client.post("/batches", json=asked | changes).json()
    return told


def sent(client: Client, *lines: dict[str, object] | bytes, **changes: object) -> str:
    """Upload these lines, create a batch of them and return its id."""
    return str(created(client, uploaded(client, *lines), **changes)["id"])


def retrieved(client: Client, batch_id: str) -> dict[str, Any]:
    """Ask for a batch."""
    batch: dict[str, Any] = client.get(f"/batches/{batch_id}").raise_for_status().json()
    return batch
