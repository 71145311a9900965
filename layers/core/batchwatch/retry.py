"""When to ask again: by the rules of the official SDK, and not before the account has rested."""

import random
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from threading import Lock

LONGEST_WAIT = 10
"""Seconds; a server that asks for more is not asked again now: the next poll or try is soon."""
_LONGEST_REST = 3600
_FIRST_REST, _LONGEST_GUESS = 8.0, 300.0
_TRY_AGAIN = {408, 409, 429}


class Rest:
    """How long an account is left alone after a 429, by all threads. Times are in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._until = 0.0
        self.given_up = 0
        """Requests given up in a row; those that were under way at once count as one."""

    def left(self) -> float:
        """For how long still nothing may be asked."""
        with self._lock:
            return max(0.0, self._until - self._clock())

    def take(self, seconds: float) -> None:
        """Rest for that long from now, if not longer anyway."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    def give_up(self, asked: float | None, given_up: int) -> None:
        """Rest as long as was asked; else longer each time. `given_up`: as it was at sending."""
        with self._lock:
            if given_up == self.given_up:
                self.given_up += 1
        self.take(min(asked, _LONGEST_REST) if asked else self._guess(given_up))

    def end_row(self) -> None:
        """Begin again with short rests: a request has succeeded."""
        with self._lock:
            self.given_up = 0

    @staticmethod
    def _guess(given_up: int) -> float:
        return min(_FIRST_REST * 2.0 ** min(given_up, 9), _LONGEST_GUESS)


def pause(status: int, headers: Mapping[str, str], attempt: int, now: float) -> float | None:
    """Seconds until the next attempt; None where another would not help."""
    told = headers.get("x-should-retry")
    if told == "false" or (told != "true" and status not in _TRY_AGAIN and status < 500):  # noqa: PLR2004 - HTTP
        return None
    asked = asked_for(headers, now)
    if asked is not None and asked > LONGEST_WAIT:
        return None
    return backoff(attempt) if asked is None else asked


def asked_for(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the server asks for, by `retry-after-ms` or `retry-after` in both forms, if any."""
    seconds = _said(headers, now)
    return seconds if seconds is not None and seconds > 0 else None


def _said(headers: Mapping[str, str], now: float) -> float | None:
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
        return parsedate_to_datetime(after).timestamp() - now
    except ValueError:
        return None


def backoff(attempt: int) -> float:
    """Seconds before attempt number `attempt` + 2, where the server asks for nothing."""
    return float(min(0.5 * 2**attempt, 8.0) * (1 - random.random() / 4))  # noqa: S311 - jitter
