"""The command line as a person or a script uses it, without a process of its own."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import boto3
from botocore.handlers import BUILTIN_HANDLERS
from typer import testing
from typer.main import get_command

from batchwatch.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.world import World

_ASKED = "before-call.cloudformation.DescribeStacks"
testing._get_command = cache(get_command)  # type: ignore[attr-defined]  # built but once
WIDE = {"COLUMNS": "220", "NO_COLOR": "1"}


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What `--json` printed, one object a line."""
        return [json.loads(line) for line in self.out.split("\n") if line]


def batchwatch(*arguments: str, stdin: str | None = None, **environment: str | None) -> Said:
    """Run a command; an error that it does not expect is the test's own."""
    runner = testing.CliRunner()
    result = runner.invoke(app, arguments, input=stdin, env=WIDE | environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def _session() -> Any:
    """Return the session that all tests share."""
    return boto3._get_default_session()


def _register(event: str, handler: Callable[..., Any]) -> None:
    _session().events.register(event, handler)  # first: this may make it
    BUILTIN_HANDLERS.append((event, handler))  # for sessions that are made later


def _unregister(event: str, handler: Callable[..., Any]) -> None:
    BUILTIN_HANDLERS.remove((event, handler))
    _session().events.unregister(event, handler)


@contextmanager
def hooked(event: str, handler: Callable[..., Any]) -> Iterator[None]:
    """Let botocore call a handler at an event of its own, such as `before-call.s3.GetObject`."""
    _register(event, handler)
    try:
        yield
    finally:
        _unregister(event, handler)


@contextmanager
def refusing(code: str, status: int) -> Iterator[list[str]]:
    """Let AWS refuse whatever nothing else answers, as `Deployed` does; yields what was asked."""
    asked: list[str] = []

    def refuse(model: Any, **_: Any) -> Any:
        asked.append(f"{model.service_model.service_name}.{model.name}")
        said = {"Code": code, "Message": f"{model.name}: as the test wants"}
        return SimpleNamespace(status_code=status), {
            "Error": said,
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

    with hooked("before-call", refuse):
        yield asked


@contextmanager
def submitter(world: World, crash: str | None = None) -> Iterator[list[dict[str, Any]]]:
    """Stand in for Lambda with one function, Submitter; yields what it was asked.

    `crash`: what the function fails with, if it is to.
    """
    asked: list[dict[str, Any]] = []

    def invoke(params: dict[str, Any], **_: Any) -> Any:
        asked.append(json.loads(params["body"]))
        said = {"errorMessage": crash} if crash else world.runtime.by_hand.answer(asked[-1])
        failed = {"FunctionError": "Unhandled"} if crash else {}
        payload = io.BytesIO(json.dumps(said).encode())
        return SimpleNamespace(status_code=200), {"StatusCode": 200, "Payload": payload, **failed}

    with hooked("before-call.lambda.Invoke", invoke):
        yield asked


class Deployed:
    """Stands in for CloudFormation, of which the world in memory has none: one stack."""

    def __init__(self, name: str, outputs: Mapping[str, str]) -> None:
        self.name, self.outputs = name, dict(outputs)
        self.parameters: dict[str, str] = {}

    def __enter__(self) -> Self:
        _register(_ASKED, self._describe)
        return self

    def __exit__(self, *_: object) -> None:
        _unregister(_ASKED, self._describe)

    def _describe(self, params: dict[str, Any], **_: Any) -> Any:
        wanted = params["body"]["StackName"]
        if wanted == self.name:
            return SimpleNamespace(status_code=200), {"Stacks": [self._stack()]}
        said = {"Code": "ValidationError", "Message": f"Stack with id {wanted} does not exist"}
        return SimpleNamespace(status_code=400), {"Error": said}

    def _stack(self) -> dict[str, Any]:
        return {
            "StackName": self.name,
            "Outputs": _members("Output", self.outputs),
            "Parameters": _members("Parameter", self.parameters),
        }


def _members(kind: str, said: Mapping[str, str]) -> list[dict[str, str]]:
    return [{f"{kind}Key": name, f"{kind}Value": value} for name, value in said.items()]
