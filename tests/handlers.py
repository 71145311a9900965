"""Handlers called as Lambda calls them: the sample events, a context, the log, the metrics."""

from __future__ import annotations

import importlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.runtime import runtime
from batchwatch.telemetry import logger

if TYPE_CHECKING:
    import pytest

    from tests.world import World

EVENTS = Path(__file__).parent.parent / "events"


class Told(NamedTuple):
    """What an invocation returned, logged and measured."""

    result: dict[str, Any]
    log: list[dict[str, Any]]
    metrics: dict[str, float]

    def warnings(self) -> list[dict[str, Any]]:
        """The lines of log about what was set aside."""
        return [line for line in self.log if line["level"] == "WARNING"]


@dataclass
class Context:
    """What Lambda tells a function about its invocation."""

    function_name: str
    seconds: float = 60
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:any"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    extra: dict[str, Any] = field(default_factory=dict)

    def get_remaining_time_in_millis(self) -> int:
        """Tell the time left."""
        return round(self.seconds * 1000)


@dataclass
class Handlers:
    """Both functions, in the environment that the template would give them."""

    world: World
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(
        self, name: str, event: dict[str, Any] | None = None, *, seconds: float = 60
    ) -> Told:
        """Invoke a function with an event (by default its sample) and that much time."""
        for variable, value in self.world.environment.items():
            self.monkeypatch.setenv(variable, value)
        runtime.cache_clear()
        runtime()._sleep = lambda _: None
        lines = io.StringIO()
        logger.registered_handler.setStream(lines)  # type: ignore[attr-defined]
        self.capsys.readouterr()
        try:
            result = importlib.import_module(name).handler(
                event or sample(name), Context(name, seconds)
            )
        finally:
            for client in runtime()._openai.values():
                client.close()
        printed = [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]
        return Told(
            result,
            [json.loads(line) for line in lines.getvalue().splitlines()],
            {m["Name"]: sum(said[m["Name"]]) for said in printed
             for m in said["_aws"]["CloudWatchMetrics"][0]["Metrics"]},
        )  # fmt: skip


def sample(name: str) -> dict[str, Any]:
    """Return the sample event of a function."""
    return dict(json.loads((EVENTS / f"{name}.json").read_text()))
