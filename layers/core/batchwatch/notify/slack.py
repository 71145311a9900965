"""Slack's incoming webhook, over httpx: one message, sent with patience but not for ever.

A message may arrive twice: where an answer got lost, nobody can tell whether Slack has it.
"""

from __future__ import annotations

import re
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from batchwatch.account import trust
from batchwatch.errors import SecretError, SlackError
from batchwatch.openai import safe_base_url
from batchwatch.retry import asked_for, backoff, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE = 20
"""Seconds for one message, with all that is waited and tried again."""
RETRIES = 3
_TOO_MANY = 429
_LONGEST_REST = 3600
_MISLIKED = {400, 413}  # the message, by whatever name: invalid_blocks, invalid_attachments, …
_BLOCKS = {"blocks", "attachments"}
_MOST_READ = 1024  # bytes of an answer
_REASON = re.compile(r"[a-z_]{2,60}")  # a word of Slack's; anything else could repeat the address


class _Answer(NamedTuple):
    """`status`: 0 where there was no answer; `reason`: in a word or two."""

    status: int
    reason: str
    headers: Mapping[str, str]

    @property
    def good(self) -> bool:
        return httpx.codes.is_success(self.status)


class Slack:
    """One incoming webhook. Its address is a secret: no error and no log line holds it.

    Seconds: `timeout` to wait for Slack, each time; `patience` for a message, with all of that.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        timeout: float = 5,
        patience: float = PATIENCE,
    ) -> None:
        address = httpx.URL(safe_slack_url(url))
        # The path is the secret: httpx logs and repeats the address it is given, so it gets none.
        self._origin, self._target = address.copy_with(raw_path=b"/"), address.raw_path
        self._http = httpx.Client(
            headers={"User-Agent": "batchwatch", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_keepalive_connections=0),  # cut while the function is frozen
            follow_redirects=False,
            trust_env=False,
            verify=trust(),
        )
        self._clock, self._sleep = clock, sleep
        self._timeout, self._patience = timeout, patience

    def send(self, message: dict[str, Any]) -> None:
        """Post a message within some twenty seconds; SlackError where Slack does not take it.

        One whose blocks Slack refuses is sent once more as text only.
        """
        until = self._clock() + self._patience
        answer = self._answer(message, until)
        plain = {name: said for name, said in message.items() if name not in _BLOCKS}
        if answer.status in _MISLIKED and plain != message:
            answer = self._answer(plain, until)
        if not answer.good:
            raise self._error(answer)

    def _answer(self, message: dict[str, Any], until: float) -> _Answer:
        """Post until Slack answers for good, or patience ends."""
        for attempt in range(RETRIES + 1):
            answer = self._post(message, until)
            wait = self._wait(answer, attempt)
            if wait is None or attempt == RETRIES or self._clock() + wait >= until:
                break
            self._sleep(wait)
        return answer

    def _wait(self, answer: _Answer, attempt: int) -> float | None:
        if answer.good:
            return None
        if not answer.status:
            return backoff(attempt)
        return pause(answer.status, answer.headers, attempt, self._clock())

    def _post(self, message: dict[str, Any], until: float) -> _Answer:
        """Post once. The timeouts of httpx begin anew with each byte, and know nothing of DNS."""
        left = max(until - self._clock(), 0.1)
        answer: Future[_Answer] = Future()

        def exchange() -> None:
            try:
                answer.set_result(self._exchange(message, min(self._timeout, left)))
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)

        Thread(target=exchange, daemon=True).start()
        try:
            return answer.result(left)
        except TooLateError:
            return _Answer(0, "no answer in time", {})

    def _exchange(self, message: dict[str, Any], timeout: float) -> _Answer:
        request = self._http.build_request(
            "POST",
            self._origin,
            json=message,
            timeout=timeout,
            extensions={"target": self._target},
        )
        try:
            answer = self._http.send(request, stream=True)
        except httpx.RequestError as error:
            return _Answer(0, type(error).__name__, {})
        try:
            return _Answer(answer.status_code, _reason(answer), answer.headers)
        finally:
            answer.close()

    def _error(self, answer: _Answer) -> SlackError:
        if not answer.status:
            return SlackError(f"Slack: {answer.reason}")
        text = f"Slack: {answer.status} {answer.reason}"
        if answer.status == _TOO_MANY:
            rest = min(asked_for(answer.headers, self._clock()) or 0, _LONGEST_REST) or None
            when = f"in {rest:.0f} s" if rest else "later"
            return SlackError(f"{text}; it may be tried again {when}", again_in=rest)
        return SlackError(text, passing=answer.status >= httpx.codes.INTERNAL_SERVER_ERROR)


def _reason(answer: httpx.Response) -> str:
    """Say why, in Slack's word or that of HTTP; the body is read only as far as words go."""
    body = b""
    if not answer.is_success:
        with suppress(httpx.HTTPError):  # one piece, as a next one may be long in coming
            body = next(answer.iter_raw(), b"")
    word = body[:_MOST_READ].decode(errors="replace").strip()
    return word if _REASON.fullmatch(word) else httpx.codes.get_reason_phrase(answer.status_code)


def safe_slack_url(url: object) -> str:
    """Return an address that messages may be sent to: https, or http on this machine."""
    with suppress(SecretError):
        safe = safe_base_url(url.strip() if isinstance(url, str) else "")
        if httpx.URL(safe).path != "/":
            return safe
    # What is wrong with it would quote it.
    raise SecretError("slack_webhook_url must be https, a host and a path")
