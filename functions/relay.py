"""Called by the relay queue: puts each event on the bus of EventBridge that was asked for."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, metrics, tell


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - short, whatever happens
    """Pass on the event of each message; those that the bus did not take come again."""
    done = runtime().relay.pass_on(event["Records"])
    tell(done.report, "relayed", relayed=done.relayed, again=len(done.again))
    return {"batchItemFailures": [{"itemIdentifier": each} for each in done.again]}
