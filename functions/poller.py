"""Called by the schedule: asks OpenAI about every open batch and announces what changed."""

import time
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, metrics, tell


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - a tick says nothing
    """Poll every account of the secret, and stop in time to tell of it."""
    seconds = context.get_remaining_time_in_millis() / 1e3
    report = runtime().poller.poll(time.time() + seconds - min(10, seconds / 5))
    metrics.add_metric("OpenBatches", MetricUnit.Count, report.open)
    return tell(report, "polled", open=report.open)
