"""What checks of `doctor` make of an answer, each by itself."""

from __future__ import annotations

import re
from threading import Event

import pytest

from batchwatch.account import Account
from batchwatch.cli.checks import deployment, secret, webhook
from batchwatch.cli.checks.finding import Check, Finding, State, examined
from batchwatch.cli.checks.runbook import ALARM_OF, LINES
from batchwatch.cli.checks.visit import Visit
from batchwatch.cli.stack import Stack
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
)
from local.simulator.wire import json_answer, serving
from tests.documents import TEXT
from tests.test_template import ALARMS
from tests.world import KEY


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "not believed"),
        (403, "nobody comes through"),
        (502, "the function fails"),
        (503, "too busy"),
    ],
)
def test_a_webhook_that_is_not_taken_is_told_by_its_answer(status: int, words: str) -> None:
    with serving(lambda *_: json_answer(status, {}), [], Event()) as url:
        finding = webhook._sent("webhook's answer", url, "default", b"k" * 24)

    assert (finding.state, bool(finding.way_out)) == (State.PROBLEM, True)
    assert words in finding.found


def test_an_address_that_nobody_listens_at_cannot_be_reached() -> None:
    finding = webhook._sent("webhook's answer", "http://127.0.0.1:1/", "default", b"k" * 24)

    assert finding.found.startswith("cannot be reached: ConnectError")


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (AccessError("no", status=401), State.PROBLEM, "refused"),
        (AccessError("no", status=403), State.PROBLEM, "may not list batches"),
        (NotFoundError("no", status=404), State.PROBLEM, "no batches at https://api.openai.com/v1"),
        (BadAnswerError("HTML"), State.PROBLEM, "answered by something else"),
        (OpenAIError("no", status=400), State.PROBLEM, "the list is refused"),
        (RateLimitedError("no", status=429), State.WARNING, "asked too often"),
        (OpenAIError("no", status=500), State.WARNING, "the API is in trouble"),
        (OpenAIError("timeout"), State.WARNING, "cannot be reached from this machine"),
    ],
)
def test_what_keeps_a_key_from_its_list_is_told_apart(
    error: OpenAIError, state: State, words: str
) -> None:
    assert secret._meant(error, Account("default", KEY))[:2] == (state, words)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("UPDATE_COMPLETE", State.OK),
        ("UPDATE_IN_PROGRESS", State.WARNING),
        ("UPDATE_ROLLBACK_COMPLETE", State.WARNING),
        ("ROLLBACK_COMPLETE", State.PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", State.PROBLEM),
        ("DELETE_IN_PROGRESS", State.PROBLEM),
    ],
)
def test_the_status_of_the_stack_is_judged(status: str, state: State) -> None:
    visit = Visit(Stack("batchwatch"), status, 0, None)

    assert [found.state for found in deployment.deployed(visit)] == [state]
    assert [found.state for found in deployment.clock(visit)] == [State.NOT_CHECKED]


def test_what_tells_why_an_alarm_rings_is_what_its_runbook_asks() -> None:
    told = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL))

    assert {*LINES} == {*ALARMS}
    assert {*ALARM_OF.values()} <= {*ALARMS}
    for alarm, lines in LINES.items():
        assert f"`aws logs tail LOG_GROUP {lines}`" in " ".join(told[alarm].split())
    for queue, alarm in ALARM_OF.items():
        assert f"`batchwatch redrive {queue} --drop-unreadable`" in told[alarm]


def test_a_check_that_breaks_is_a_problem_of_its_own() -> None:
    def broken(_: Visit) -> list[Finding]:
        raise KeyError("Datapoints")

    found = examined(Check("any", broken), Visit(Stack("batchwatch"), "", 0, None))

    assert [each.state for each in found] == [State.PROBLEM]
    assert found[0].found == "this check is broken: KeyError: 'Datapoints'"
