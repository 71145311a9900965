"""One past-tense line of log a fact, with ids as keys; and five metrics, as each costs.

`OpenBatches` is told at every poll, which says that polls happen at all; the others only where an
alarm has something to ring about, as a metric costs for the hours in which it is told. All else
that can be counted is in the log, where Logs Insights counts it.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from batchwatch.batch import safe_id
from batchwatch.errors import (
    AccessError,
    BatchwatchError,
    SecretError,
    UnsafeIdError,
    without_keys,
)
from batchwatch.prices import prices_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.notify.notifier import Notified
    from batchwatch.prices import Prices
    from batchwatch.report import End, Problem, Report, Told
    from batchwatch.webhook import Heard

logger = Logger()
metrics = Metrics(namespace="batchwatch")
warnings.filterwarnings("ignore", "No application metrics")  # no metric is good news here

_LONGEST_NAME = 80
LONG = 900
"""Seconds that files may be waiting to be archived before it is worth a metric."""


def tell(
    report: Report, did: str, about: Mapping[str, object] | None = None, **more: int
) -> dict[str, int]:
    """Log what an invocation did (and `about` what), count it, and return the counts."""
    for event in report.events:
        _tell_event(event)
    for problem in report.problems:
        _tell_problem(problem)
    counts = {
        **more,
        "events": len(report.events),
        "problems": len(report.problems),
        "bytes": report.bytes_archived,
        **{kind.lower() + "_repairs": count for kind, count in report.repairs.items()},
        **({"left": report.left} if report.left else {}),
    }
    logger.info(did, extra={**(about or {}), **counts})
    if refused := _refused(report):
        metrics.add_metadata("accounts_refused", refused)
        metrics.add_metric("AccountsRefused", MetricUnit.Count, len(refused))
    if reduced := sum(event.reduced for event in report.events):
        metrics.add_metric("ReducedEvents", MetricUnit.Count, reduced)
    if report.oldest_pending > LONG:
        metrics.add_metric("OldestPending", MetricUnit.Seconds, report.oldest_pending)
    return counts


def tell_heard(heard: Heard) -> None:
    """Tell what became of a webhook, and nothing of one that is not to be trusted."""
    if heard.refused:
        metrics.add_metric("WebhooksRefused", MetricUnit.Count, 1)
        logger.warning("refused", reason=heard.refused)
    else:
        tell(heard.report, "heard", _about(heard), answer=heard.answer.value)


def tell_notified(notified: Notified) -> None:
    """Tell of how many events people were told, and how many have their mail."""
    for problem in notified.problems:
        _tell_problem(problem)
    counts = {"told": notified.told, "repeated": notified.repeated, "again": len(notified.again)}
    logger.info("notified", extra={**counts, **notified.audience})


def _about(heard: Heard) -> dict[str, object]:
    """What a webhook was about; its type and id are signed, and of a form that is harmless."""
    if heard.hint is None:
        return {}
    if not heard.hint.batch_id:
        return {"account": heard.hint.account}
    return {
        "account": heard.hint.account,
        "batch_id": heard.hint.batch_id,
        "type": heard.hint.type,
        "known": heard.known,
    }


def _shown(name: str | None, instead: str = "…") -> str | None:
    """Show an id or a name, unless it is something else that came into its place."""
    try:
        return name and without_keys(safe_id(name))
    except UnsafeIdError:
        return instead


def _refused(report: Report) -> list[str]:
    """The accounts that cannot be used as a whole; "(secret)" for one that has no name."""
    nameless = "(secret)"  # plain, as metrics are written in ASCII
    problems = (problem for problem in report.problems if _of_account(problem))
    return sorted({_shown(p.account, nameless) or nameless for p in problems})


def _of_account(problem: Problem) -> bool:
    error = problem.error
    refused = isinstance(error, AccessError) and error.concerns_all
    return problem.whole or refused or isinstance(error, SecretError)


def _tell_event(event: Told) -> None:
    of_what = "job_id" if event.type.startswith("job.") else "batch_id"
    said: dict[str, object] = {
        "type": event.type,
        "account": event.account,
        of_what: event.subject,
        "sequence": event.sequence,
        "event_id": event.id,
    }
    if event.delay is not None:
        said["delay"] = round(event.delay, 3)
    if event.end:
        said |= _came_to(event.end)
    logger.info("published", extra=said)
    if event.reduced:
        logger.warning("reduced", extra={of_what: event.subject, "event_id": event.id})


def _came_to(end: End) -> dict[str, object]:
    """Requests, tokens, and dollars at list prices, as far as they are known."""
    usage, cost = end.usage, _prices().cost_of(end.model, end.usage)
    said = {
        "model": end.model and without_keys(end.model[:_LONGEST_NAME]),
        "requests": end.requests,
        "requests_failed": end.failed,
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "dollars": cost and float(round(cost.dollars, 6)),
    }
    return {name: value for name, value in said.items() if value is not None}


@cache
def _prices() -> Prices:
    """Read the prices once a process; Notifier tells of a parameter that cannot be read."""
    return prices_of(os.environ.get("BATCHWATCH_PRICES", ""))[0]


def _tell_problem(problem: Problem) -> None:
    error = problem.error
    logger.warning(
        "set aside",
        account=_shown(problem.account),
        batch_id=_shown(problem.batch_id),
        error=type(error).__name__,
        reason=str(error),
        # What we did not foresee is shown with where it came from.
        exc_info=None if isinstance(error, BatchwatchError) else error,
    )
