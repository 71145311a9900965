"""One past-tense line of log a fact, with ids as keys; few metrics, as each costs.

Told at every invocation: `OpenBatches` (which also says that polls happen at all), `Events`,
`Problems` (what was set aside), `BytesArchived`. Only where there is something to tell, as a metric
costs for the hours in which it is told: the rest.
"""

from __future__ import annotations

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
from batchwatch.webhook import ENDS, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.notify.notifier import Notified
    from batchwatch.report import Problem, Report, Told
    from batchwatch.webhook import Heard

logger = Logger()
metrics = Metrics(namespace="batchwatch")

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
    metrics.add_metric("Events", MetricUnit.Count, len(report.events))
    metrics.add_metric("Problems", MetricUnit.Count, len(report.problems))
    if refused := _refused(report):
        metrics.add_metadata("accounts_refused", refused)
    for name, count in _exceptional(report).items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)
    if report.oldest_pending > LONG:
        metrics.add_metric("OldestPending", MetricUnit.Seconds, report.oldest_pending)
    return counts


def tell_heard(heard: Heard, now: float) -> None:
    """Tell what became of a webhook, and nothing of one that is not to be trusted."""
    counts = {
        "WebhooksReceived": 1,
        "WebhooksAccepted": heard.answer is Answer.TAKEN,
        "WebhooksDeferred": heard.answer is Answer.LATER,
        "WebhooksUnknown": not heard.known,
        "WebhooksRefused": heard.answer is Answer.REFUSED,
    }
    if heard.refused:
        counts[f"WebhooksRefused{heard.refused}"] = True
    for name, count in counts.items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)
    ends = any(event.type in ENDS for event in heard.report.events)
    if ends and heard.hint and heard.hint.at:
        metrics.add_metric("WebhookDelay", MetricUnit.Seconds, max(0, now - heard.hint.at))
    if heard.refused:
        logger.warning("refused", reason=heard.refused)
    else:
        tell(heard.report, "heard", _about(heard), answer=heard.answer.value)


def tell_notified(notified: Notified) -> None:
    """Tell of how many events people were told, and how many have their mail."""
    for problem in notified.problems:
        _tell_problem(problem)
    metrics.add_metric("Problems", MetricUnit.Count, len(notified.problems))
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


def _exceptional(report: Report) -> dict[str, int]:
    types = [event.type for event in report.events]
    return {
        "FilesGone": types.count("batch.file_gone"),
        "FilesFailed": types.count("batch.file_failed"),
        "ReducedEvents": sum(event.reduced for event in report.events),
        "AccountsRefused": len(_refused(report)),
        "BatchesLeft": report.left,
        **{f"{kind}Repairs": count for kind, count in report.repairs.items()},
    }


def _shown(name: str | None) -> str | None:
    """Show an id or a name, unless it is something else that came into its place."""
    try:
        return name and without_keys(safe_id(name))
    except UnsafeIdError:
        return "…"


def _refused(report: Report) -> list[str]:
    """The accounts that cannot be used as a whole; "…" for one that has no name."""
    return sorted({_shown(p.account) or "…" for p in report.problems if _of_account(p)})


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
    logger.info("published", extra=said)
    if event.reduced:
        logger.warning("reduced", extra={of_what: event.subject, "event_id": event.id})


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
