"""The alarms of a stack that ring."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchwatch.cli.trouble import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.cli.stack import Stack


def ringing(stack: Stack) -> list[str]:
    """Return the names that they have in the template; none where nobody may read them."""
    try:
        return sorted(_ringing(stack))
    except Exception as error:
        if trouble_of(error) is None:
            raise
        return []  # that is not to keep the page from being written


def _ringing(stack: Stack) -> Iterator[str]:
    # CloudFormation names a part of a stack STACK-PART-CHANCE; STACK-a is another stack.
    named = re.compile(re.escape(stack.name) + r"-([A-Za-z0-9]+)-[A-Za-z0-9]{8,}")
    pages = stack.client("cloudwatch").get_paginator("describe_alarms")
    for page in pages.paginate(AlarmNamePrefix=f"{stack.name}-"):
        for alarm in page["MetricAlarms"]:
            found = named.fullmatch(alarm["AlarmName"])
            if found and alarm["StateValue"] == "ALARM":
                yield found[1]
