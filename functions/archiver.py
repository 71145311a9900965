"""Called by the archive queue: brings the files of an ended batch into the bucket."""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.report import Report
from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, metrics, tell
from batchwatch.transfer import Shift


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Archive the batch of each message; those not done come again."""
    seconds = context.get_remaining_time_in_millis() / 1e3
    shift = Shift.of(context.aws_request_id, time.time(), seconds)
    report, unfinished = Report(), []
    for message in event["Records"]:
        done = runtime().archiver.work(message, shift)
        if done.again is not None:
            unfinished.append({"itemIdentifier": message["messageId"]})
        report += done
    tell(report, "archived")
    return {"batchItemFailures": unfinished}
