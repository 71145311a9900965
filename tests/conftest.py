"""What tests stand on: a world in memory, and one emulator for those that want the real thing."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from moto import backend_index
from moto.core import responses
from moto.core.serialize import (
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
)

from local.simulator import SimulatedOpenAI
from tests.handlers import Handlers
from tests.world import KEY, REGION, Clock, World, aws_in_memory, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.core.model import Shape

# Before anything makes a client: no profile, role or key of the person who runs the tests counts.
for name in [name for name in os.environ if name.startswith(("AWS_", "OPENAI_"))]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}

if sys.dont_write_bytecode:  # as in many containers: compiled once for all workers, out of the way
    kept = Path(__file__).parent.parent / ".pytest_cache" / "bytecode"
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(kept)
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(kept)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits for the local AWS most of the time, so that others work meanwhile."""
    waits = ["test_readme.py", "whole"]  # the longest first
    items.sort(key=lambda item: [name not in item.path.parts for name in waits])


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


def _let_sessions_share_what_they_load() -> None:
    """Read the model of a service once a process, not once for each session that is made."""
    botocore.session.create_loader = cache(botocore.session.create_loader)


SERVICES = {
    *("cloudwatch", "dynamodb", "events", "logs", "s3", "scheduler", "secretsmanager", "sns"),
    "sqs",
}
"""What tests use of moto, which compares each request with the address of every service."""
_get_value = ResponseSerializer.get_value


def _let_moto_remember() -> None:
    """Let it find out but once what took it a third of the time of a test; its answers stay."""
    patterns = backend_index.backend_url_patterns
    backend_index.backend_url_patterns = [each for each in patterns if each[0] in SERVICES]
    for name in ("method_names_from_class", "camelcase_to_underscores"):
        setattr(responses, name, cache(getattr(responses, name)))
    ResponseSerializer.get_value = _value  # type: ignore[method-assign]


def _value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
    """Take a member of an answer. In a plain dict it always goes by the same names."""
    picker = self._value_picker
    if (
        type(value) is dict
        and type(picker) is XFormedAttributePicker
        and not picker.response_transformers
    ):
        return next((value[name] for name in _names(shape, key) if name in value), None)
    return _get_value(self, value, key, shape)


@cache
def _names(shape: Shape, key: str) -> tuple[str, ...]:
    """By which names moto looks for a member in a dict, the first one first."""
    names = XFormedAttributePicker().get_possible_keys(AttributePickerContext({}, key, shape))
    return tuple(dict.fromkeys(names))


_let_sessions_share_what_they_load()
_let_moto_remember()
