"""Called by the notify queue: tells people what happened, as one digest on each channel."""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, tell_notified


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Tell of all messages at once; those of which somebody could not be told come again."""
    until = time.time() + context.get_remaining_time_in_millis() / 1e3
    notified = runtime().notifier.tell(event["Records"], context.aws_request_id, until)
    tell_notified(notified)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in notified.again]}
