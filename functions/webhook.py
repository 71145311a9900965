"""Called by OpenAI, at the address of its own: takes in the word that a batch has ended."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchwatch.runtime import runtime
from batchwatch.telemetry import logger, metrics, tell_heard


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - OpenAI's patience is the limit
    """Answer 200, 400 or 503, soon."""
    heard = runtime().webhook.hear(event)
    tell_heard(heard)
    return {"statusCode": heard.answer.value}
