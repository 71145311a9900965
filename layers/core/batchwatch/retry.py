"""When to ask again: by the rules of the official SDK."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 10
"""Seconds; a server that asks for more is not asked again now: the next poll or try is soon."""
_TRY_AGAIN = {408, 409, 429}


def pause(status: int, headers: Mapping[str, str], attempt: int) -> float | None:
    """Seconds until the next attempt; None where another would not help."""
    told = headers.get("x-should-retry")
    if told == "false" or (told != "true" and status not in _TRY_AGAIN and status < 500):  # noqa: PLR2004 - HTTP
        return None
    asked = _asked_for(headers)
    if asked is not None and asked > LONGEST_WAIT:
        return None
    return asked if asked is not None and asked > 0 else backoff(attempt)


def _asked_for(headers: Mapping[str, str]) -> float | None:
    """What the server asks for, in seconds: `retry-after-ms`, or `retry-after` in both forms."""
    try:
        return float(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        pass
    after = headers.get("retry-after", "")
    try:
        return float(after)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(after).timestamp() - time.time()
    except ValueError:
        return None


def backoff(attempt: int) -> float:
    """Seconds before attempt number `attempt` + 2, where the server asks for nothing."""
    return float(min(0.5 * 2**attempt, 8.0) * (1 - random.random() / 4))  # noqa: S311 - jitter
