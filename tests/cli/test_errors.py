"""What each command says where AWS refuses: an exit code, a cause, a way out; never a traceback.

A new command needs a line in uses.py, no more.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from batchwatch.cli.app import app
from local.simulator import SimulatedOpenAI
from tests.cli.uses import BATCH, TELLS_ITSELF, USES
from tests.command_line import Deployed, batchwatch, hooked, refusing, submitter
from tests.dropped import asked
from tests.world import KEY, Clock, aws_in_memory, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.command_line import Said

COMMANDS = [str(each.name) for each in app.registered_commands]
TRIED = [name for name in COMMANDS if name in USES]
NAMING = [name for name in TRIED if USES[name].names_one]
_NOBODY = {
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_ATTEMPTS = 4
_NAMES = (
    "LedgerTable",
    "JobsTable",
    "BucketName",
    "KeysSecret",
    "SubmitterFunction",
    "PollerFunction",
    "LogGroup",
)
_QUEUES = ("Archive", "Inbox", "Notify")
OUTPUTS = (
    dict.fromkeys(_NAMES, "any")
    | {f"{queue}QueueUrl": "http://127.0.0.1/any" for queue in _QUEUES}
    | {f"{queue}DeadLettersUrl": "http://127.0.0.1/any" for queue in _QUEUES}
    | {"EventsTopic": "arn:aws:sns:us-east-1:123456789012:any"}
)


@contextmanager
def unreachable() -> Iterator[None]:
    """Try as often as ever, but without the pauses."""

    def at_once(attempts: int, caught_exception: Exception | None, **_: Any) -> float | None:
        return 0 if caught_exception and attempts < _ATTEMPTS else None

    with hooked("needs-retry.cloudformation.DescribeStacks", at_once):
        yield


@dataclass(frozen=True)
class Case:
    """Something that is wrong.

    way_out      a part of what is to be done about it
    environment  in which the command runs
    there        whether the stack is found, so that it comes later
    how          what AWS does
    """

    code: int
    cause: str
    way_out: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    stack: str = "batchwatch"
    there: bool = False
    how: Callable[[], AbstractContextManager[Any]] = nullcontext


CASES = {
    "no credentials": Case(4, "no AWS credentials", "sign in", _NOBODY),
    "no region": Case(2, "no AWS region", "--region", _NOBODY | {"AWS_DEFAULT_REGION": None}),
    "expired": Case(
        4,
        "does not accept these credentials (ExpiredToken)",
        "sign in",
        how=lambda: refusing("ExpiredToken", 403),
    ),
    "wrong stack": Case(3, "no stack 'other' in us-east-1", "--stack", stack="other", there=True),
    "stack denied": Case(
        4,
        "does not allow you DescribeStacks",
        "docs/cli.md",
        how=lambda: refusing("AccessDenied", 403),
    ),
    "denied": Case(
        4,
        "does not allow you ",
        "docs/cli.md",
        there=True,
        how=lambda: refusing("AccessDeniedException", 400),
    ),
    "throttled": Case(
        5,
        "has too much to do for ",
        "try again",
        there=True,
        how=lambda: refusing("ThrottlingException", 400),
    ),
    "unavailable": Case(
        5,
        "has too much to do for ",
        "try again",
        there=True,
        how=lambda: refusing("503", 503),
    ),
    "unreachable": Case(5, "AWS cannot be reached", "network", how=unreachable),
}


FOR_EACH = {"no credentials", "wrong stack", "denied", "throttled"}
"""What is tried with every command; the others concern what they have in common."""
CELLS = [
    pytest.param(
        name,
        case,
        id=f"{name}-{wrong}",
        marks=() if wrong in FOR_EACH or name == TRIED[0] else pytest.mark.full,
    )
    for name in TRIED
    for wrong, case in CASES.items()
]


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """Where nobody listens; it stays taken, so that nobody comes to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@cache
def stranger() -> Any:
    """A session that has no credentials; one for all, as to make one takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _NOBODY.items():
            patch.delenv(name) if value is None else patch.setenv(name, value)
        session = boto3.Session()
        session.client("cloudformation", "us-east-1")
        return session


@pytest.fixture
def empty() -> Iterator[None]:
    """A deployed stack that has not seen a batch yet."""
    with ExitStack() as stack:
        stack.enter_context(aws_in_memory())
        openai = stack.enter_context(SimulatedOpenAI(key=KEY))
        world = build(openai, Clock())
        environment = world.environment
        outputs = OUTPUTS | {
            "LedgerTable": environment["BATCHWATCH_TABLE"],
            "JobsTable": environment["BATCHWATCH_JOBS"],
            "BucketName": environment["BATCHWATCH_BUCKET"],
        }
        stack.enter_context(submitter(world))
        stack.enter_context(Deployed("batchwatch", outputs))
        yield
        world.stop()


def call(name: str, folder: Path, *more: str, **environment: str | None) -> Said:
    file = folder / "questions.jsonl"
    file.write_bytes(asked(1))
    own = [each.format(folder=folder, file=file) for each in USES[name].arguments]
    return batchwatch(name, *own, *more, **environment)


def test_every_command_is_tried() -> None:
    missing = set(COMMANDS) - set(USES) - TELLS_ITSELF
    assert not missing, f"they need a line in tests/cli/uses.py: {missing}"


@pytest.mark.parametrize(("name", "case"), CELLS)
def test_a_command_that_cannot_be_done_says_why_and_what_to_do(
    name: str, case: Case, tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.environment:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", stranger())
    with case.how(), Deployed("batchwatch", OUTPUTS) if case.there else nullcontext():
        for more in ((), ("--json",)) if case.there else (("--json",),):
            environment = {"AWS_ENDPOINT_URL": nowhere, **case.environment}

            said = call(name, tmp_path, "--stack", case.stack, *more, **environment)

            assert (said.code, said.out) == (case.code, "")
            assert any(line.startswith("error: ") for line in said.err.splitlines())
            assert case.cause in said.err
            assert case.way_out in said.err
            assert "Traceback" not in said.err


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.usefixtures("empty")
def test_what_nobody_knows_is_not_found(name: str, tmp_path: Path) -> None:
    for more in ((), ("--json",)):
        said = call(name, tmp_path, *more)

        assert (said.code, said.out) == (3, "")
        assert BATCH in said.err
