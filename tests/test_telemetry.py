"""What an operator is told, and when an alarm has something to ring about."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batchwatch.errors import AccessError, RateLimitedError, SecretError
from batchwatch.events import make_event
from batchwatch.report import Problem, Report
from batchwatch.telemetry import metrics, tell
from tests.builders import read
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.handlers import Handlers
    from tests.world import World

ALWAYS = {"OpenBatches", "Events", "Problems"}


def test_a_calm_poll_tells_only_what_is_told_always(world: World, invoke: Handlers) -> None:
    world.runtime.ledger.register(ACCOUNT, "batch_1")
    world.openai.fault("batch_1", status=503, times=-1)

    assert set(invoke("poller").metrics) == ALWAYS


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
    assert told.metrics["Problems"] == 2
    assert told.result["problems"] == 2


def test_a_secret_that_cannot_be_read_is_told(world: World, invoke: Handlers) -> None:
    world.put_secret("sk-pasted-as-it-is")

    assert invoke("poller").metrics["AccountsRefused"] == 1


def test_an_account_whose_batches_cannot_be_listed_is_told(
    world: World, invoke: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(world.environment, "BATCHWATCH_TABLE", "not-there")

    assert invoke("poller").metrics["AccountsRefused"] == 1


def test_what_is_out_of_the_ordinary_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    how: dict[str, Any] = {"source": "s", "account": "a", "by": "poller", "now": 0.0}
    where: dict[str, Any] = {"status": "completed", "previous_status": None, "sequence": 1}
    gone = make_event("batch.file_gone", read("completed"), **how, **where)
    report = Report.of([gone, gone.reduced()]) + Report(left=3, oldest_pending=901)
    report.repairs["Order"] += 2

    with metrics_told(capsys) as told:
        tell(report, "polled")

    assert told == {
        "Events": 2,
        "Problems": 0,
        "FilesGone": 2,
        "ReducedEvents": 1,
        "BatchesLeft": 3,
        "OrderRepairs": 2,
        "OldestPending": 901,
    }


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
    assert embedded["accounts_refused"] == ["a", "b", "gone", "…"]
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
    (line,) = capsys.readouterr().out.splitlines()
    return dict(json.loads(line))


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
