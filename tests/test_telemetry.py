"""What an operator is told, and when an alarm has something to ring about."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.errors import AccessError, RateLimitedError, SecretError
from batchwatch.events import BatchEvent, make_event
from batchwatch.prices import Prices
from batchwatch.report import Problem, Report
from batchwatch.telemetry import logger, metrics, tell
from tests.builders import CREATED, REACHED, read
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.batch import Batch
    from tests.handlers import Handlers
    from tests.world import World


def test_a_calm_poll_measures_only_that_it_happened(world: World, invoke: Handlers) -> None:
    world.runtime.ledger.register(ACCOUNT, "batch_1")
    world.openai.fault("batch_1", status=503, times=-1)

    assert invoke("poller").metrics == {"OpenBatches": 1}


def test_a_refused_key_is_one_account_and_not_one_for_each_batch(
    world: World, invoke: Handlers
) -> None:
    for number in range(5):
        world.runtime.ledger.register(ACCOUNT, f"batch_{number}")
    key = {"api_key": "sk-wrong", "base_url": world.openai.base_url}
    unusable = {"api_key": 7}
    accounts = {"accounts": {ACCOUNT: key, "good": key | {"api_key": KEY}, "odd": unusable}}
    world.put_secret(json.dumps(accounts))

    told = invoke("poller")

    assert told.metrics["AccountsRefused"] == 2
    assert told.result["problems"] == 2


def test_a_secret_that_cannot_be_read_is_told(world: World, invoke: Handlers) -> None:
    world.put_secret("sk-pasted-as-it-is")

    assert invoke("poller").metrics["AccountsRefused"] == 1


def test_an_account_whose_batches_cannot_be_listed_is_told(
    world: World, invoke: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(world.environment, "BATCHWATCH_TABLE", "not-there")

    assert invoke("poller").metrics["AccountsRefused"] == 1


def test_what_an_alarm_rings_about_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    how: dict[str, Any] = {"source": "s", "account": "a", "by": "poller", "now": 0.0}
    where: dict[str, Any] = {"status": "completed", "previous_status": None, "sequence": 1}
    gone = make_event("batch.file_gone", read("completed"), **how, **where)
    report = Report.of([gone, gone.reduced()]) + Report(oldest_pending=901)

    with metrics_told(capsys) as told:
        tell(report, "polled")

    assert told == {"ReducedEvents": 1, "OldestPending": 901}


def test_the_accounts_that_cannot_be_used_are_named_beside_the_metric(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = AccessError("GET batches: 401", status=401)
    forbidden = AccessError("GET files/f: 403", status=403)  # of that file only
    passing = RateLimitedError("GET batches: 429", status=429)
    problems = [
        Problem(refused, "b"),
        Problem(refused, "b", "batch_1"),
        Problem(SecretError("account 'a' has no usable api_key in the secret"), "a", whole=True),
        Problem(passing, "gone", whole=True),
        Problem(forbidden, "one-file", "batch_1"),
        Problem(passing, "slow"),
        Problem(OSError(), "slow"),
        Problem(SecretError("the secret must be JSON")),
        Problem(refused, "sk-in-a-wrong-place"),
    ]

    embedded = embedded_in(capsys, Report(problems=problems))

    assert embedded["AccountsRefused"] == [4]
    assert embedded["accounts_refused"] == ["(secret)", "a", "b", "gone"]
    assert "sk-in" not in json.dumps(embedded)


def test_where_no_account_is_refused_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    slow = Problem(RateLimitedError("GET batches: 429", status=429), "slow")
    embedded_in(capsys, Report(problems=[Problem(slow.error, "slow", whole=True)]))

    embedded = embedded_in(capsys, Report(problems=[slow]))

    assert not {"accounts_refused", "AccountsRefused"} & embedded.keys()


def embedded_in(capsys: pytest.CaptureFixture[str], report: Report) -> dict[str, Any]:
    """Tell a report; return the line that CloudWatch reads metrics from."""
    capsys.readouterr()
    tell(report, "polled")
    metrics.flush_metrics()
    return dict(json.loads(capsys.readouterr().out or "{}"))


def test_the_log_tells_what_a_batch_came_to_and_how_late_that_was_known() -> None:
    ended = CREATED + REACHED["completed"]
    batch = read("completed")
    usage, cost = batch.usage, Prices.read().cost(batch)
    assert usage
    assert cost

    end = line_of(told_of("batch.completed", batch, ended + 42.5))
    archived = line_of(told_of("batch.archived", batch, ended + 61))
    progress = line_of(told_of("batch.in_progress", read("in_progress"), ended))

    assert {name: end[name] for name in CAME_TO} == {
        "delay": 42.5,
        "model": "gpt-5-mini-2025-08-07",
        "requests": 1000,
        "requests_failed": 20,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "dollars": pytest.approx(float(cost.dollars), abs=1e-6),
    }
    assert archived["delay"] == 61
    assert not CAME_TO - {"delay"} & archived.keys()
    assert not CAME_TO & progress.keys()


def test_what_is_not_known_of_a_batch_is_left_out_of_the_log() -> None:
    unpriced = line_of(told_of("batch.completed", read("completed", model="sk-" + "x" * 99), 2e9))
    reduced = line_of(told_of("batch.completed", read("completed"), 2e9).reduced())

    assert "dollars" not in unpriced
    assert "sk-x" not in unpriced["model"]
    assert not CAME_TO & reduced.keys()


CAME_TO = {
    "delay",
    "model",
    "requests",
    "requests_failed",
    "input_tokens",
    "output_tokens",
    "dollars",
}


def told_of(kind: str, batch: Batch, now: float) -> BatchEvent:
    how: dict[str, Any] = {"source": "s", "account": "a", "by": "poller", "sequence": 1}
    return make_event(kind, batch, status=batch.status, previous_status=None, now=now, **how)


def line_of(event: BatchEvent) -> dict[str, Any]:
    """Tell of an event; return its line of log."""
    lines = io.StringIO()
    logger.registered_handler.setStream(lines)  # type: ignore[attr-defined]
    tell(Report.of([event]), "polled")
    metrics.clear_metrics()
    return dict(json.loads(lines.getvalue().splitlines()[0]))


@contextmanager
def metrics_told(capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, float]]:
    """Collect what is told in here."""
    told: dict[str, float] = {}
    capsys.readouterr()
    yield told
    metrics.flush_metrics()
    said = json.loads(capsys.readouterr().out)
    names = [metric["Name"] for metric in said["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    told |= {name: sum(said[name]) for name in names}
