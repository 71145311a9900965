"""One past-tense line of log a fact, with ids as keys; few metrics, as each costs.

`OpenBatches` also says that polls happen at all. `Problems` counts what was set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from batchwatch.errors import BatchwatchError

if TYPE_CHECKING:
    from batchwatch.report import Problem, Report

logger = Logger()
metrics = Metrics(namespace="batchwatch")


def tell(report: Report, did: str, **more: int) -> dict[str, int]:
    """Log what an invocation did, count it, and return the counts."""
    for event in report.events:
        logger.info(
            "published",
            type=event.type,
            account=event.data.account,
            batch_id=event.subject,
            sequence=event.data.sequence,
            event_id=event.id,
        )
    for problem in report.problems:
        _tell_problem(problem)
    counts = {
        **more,
        "events": len(report.events),
        "problems": len(report.problems),
        "bytes": report.bytes_archived,
    }
    logger.info(did, extra=counts)
    metrics.add_metric("Events", MetricUnit.Count, len(report.events))
    metrics.add_metric("Problems", MetricUnit.Count, len(report.problems))
    return counts


def _tell_problem(problem: Problem) -> None:
    error = problem.error
    logger.warning(
        "set aside",
        account=problem.account,
        batch_id=problem.batch_id,
        error=type(error).__name__,
        reason=str(error),
        # What we did not foresee is shown with where it came from.
        exc_info=None if isinstance(error, BatchwatchError) else error,
    )
