"""Called by the inbox queue, by the schedule, and by hand."""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.report import Report
from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, metrics, tell
from batchwatch.transfer import Shift

TICK = 50
"""Seconds that a tick may take; the next comes after a minute."""


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Send what was dropped; look after open jobs; or do what is asked: `{"cancel": ID}`."""
    seconds = context.get_remaining_time_in_millis() / 1e3
    if event and not event.keys() & {"Records", "source"}:
        tell(Report(), "was asked")
        return runtime().by_hand.answer(event)
    if "Records" not in event:
        return tell(runtime().desk.tick(time.time() + min(TICK, seconds / 2)), "looked after jobs")
    shift = Shift.of(context.aws_request_id, time.time(), seconds)
    report, unfinished = Report(), []
    for message in event["Records"]:
        done = runtime().submitter.work(message, shift)
        if done.again is not None:
            unfinished.append({"itemIdentifier": message["messageId"]})
        report += done
    tell(report, "submitted")
    return {"batchItemFailures": unfinished}
