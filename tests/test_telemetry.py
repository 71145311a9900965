"""What an operator is told, and when an alarm has something to ring about."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batchwatch.events import make_event
from batchwatch.report import Report
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
