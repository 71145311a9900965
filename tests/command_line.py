"""The command line as a person or a script uses it, without a process of its own."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import boto3
from botocore.handlers import BUILTIN_HANDLERS
from typer.testing import CliRunner

from batchwatch.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASKED = "before-call.cloudformation.DescribeStacks"
WIDE = {"COLUMNS": "220", "NO_COLOR": "1"}


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What `--json` printed, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def batchwatch(*arguments: str, stdin: str | None = None, **environment: str) -> Said:
    """Run a command; an error that it does not expect is the test's own."""
    runner = CliRunner()
    result = runner.invoke(app, arguments, input=stdin, env=WIDE | environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def _session() -> Any:
    """Return the session that all tests share."""
    return boto3._get_default_session()


class Deployed:
    """Stands in for CloudFormation, of which the world in memory has none: one stack."""

    def __init__(self, name: str, outputs: Mapping[str, str]) -> None:
        self.name, self.outputs = name, dict(outputs)
        self.parameters: dict[str, str] = {}

    def __enter__(self) -> Self:
        BUILTIN_HANDLERS.append((_ASKED, self._describe))  # for sessions that are made later
        _session().events.register(_ASKED, self._describe)
        return self

    def __exit__(self, *_: object) -> None:
        BUILTIN_HANDLERS.remove((_ASKED, self._describe))
        _session().events.unregister(_ASKED, self._describe)

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
