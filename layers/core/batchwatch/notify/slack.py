"""Slack's incoming webhook, over httpx: one message, sent with patience but not for ever.

A message may arrive twice: where an answer got lost, nobody can tell whether Slack has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Slack:
    """One incoming webhook. Its address is a secret: no error and no log line holds it."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        timeout: float = 5,
    ) -> None:
        self._url, self._clock, self._sleep, self._timeout = url, clock, sleep, timeout

    def send(self, message: dict[str, Any]) -> None:
        """Post a message within some twenty seconds; SlackError where Slack does not take it."""
        raise NotImplementedError
