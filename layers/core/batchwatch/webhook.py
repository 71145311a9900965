"""What OpenAI says by itself: that a batch has ended. Believed when signed, and then only a hint.

The batch is retrieved and observed as in a poll, so it makes no difference who comes first, how
often, or in what order. OpenAI repeats, for three days, what is not answered by a 2xx in a few
seconds; what it never tells, a poll finds.
"""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from batchwatch.batch import safe_id
from batchwatch.errors import (
    NotFoundError,
    OpenAIError,
    Refusal,
    RefusedWebhookError,
    SecretError,
    UnsafeIdError,
)
from batchwatch.events import ENDS
from batchwatch.report import Problem, Report
from batchwatch.signature import LONGEST_BODY, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchwatch.accounts import Accounts
    from batchwatch.observe import Observer
    from batchwatch.openai import Account, OpenAI

_What = TypeVar("_What")
_Then = TypeVar("_Then")

BY = "webhook"
PATIENCE = 3.5
"""Seconds until the answer; OpenAI gives up after "a few"."""
_LOOKS = 4
_BETWEEN_LOOKS = 0.5
"""How often OpenAI is asked for a batch that does not show yet what was told of it; seconds."""
_MAY_BE_NEW = {Refusal.SIGNATURE, Refusal.SECRET}
_AT_ONCE = 16
"""Threads; one at work, as a rule, and those to which OpenAI has not answered in time."""


class Answer(IntEnum):
    """What OpenAI is told; not 410, by which it would never tell anything again."""

    TAKEN = 200
    REFUSED = 400
    LATER = 503


class Seen(Enum):
    """What a look at a batch showed: its end (or that it is of no concern), none, or no batch."""

    END = auto()
    NO_END = auto()
    NOTHING = auto()


class Hint(NamedTuple):
    """What a webhook says. Without type and id it is of no concern: no batch that has ended."""

    account: str
    type: str = ""
    batch_id: str = ""


class Heard(NamedTuple):
    """What became of a request.

    refused  why it was not believed
    hint     what it said, if it was believed
    known    whether OpenAI knows the batch
    """

    answer: Answer
    report: Report
    refused: Refusal | None = None
    hint: Hint | None = None
    known: bool = True


class Webhook:
    """What Webhook does. `discovery`: whether batches that nobody registered are watched."""

    def __init__(  # noqa: PLR0913 - what a poll has, in one
        self,
        accounts: Accounts,
        openai: Callable[[Account], OpenAI],
        observer: Observer,
        *,
        discovery: bool,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.accounts, self.openai, self.observer = accounts, openai, observer
        self.discovery = discovery
        self.clock, self.sleep = clock, sleep
        self.pool = ThreadPoolExecutor(_AT_ONCE, "webhook")

    def hear(self, event: object, patience: float = PATIENCE) -> Heard:
        """Take in a request as a Function URL hands it over; answer within `patience` seconds.

        Nothing is asked, read or changed of a batch before the signature is verified.
        """
        stop_at, hint = self.clock() + patience, None
        try:
            hint = self._in_time(stop_at, self._believed, event)
            if not hint.batch_id:
                return Heard(Answer.TAKEN, Report(), hint=hint)
            return self._in_time(stop_at, self._follow, hint)
        except RefusedWebhookError as error:
            return Heard(Answer.REFUSED, Report(), error.reason)
        except TimeoutError:
            return _later(hint, Report(), OpenAIError("no time was left to follow a webhook"))

    def _in_time(self, stop_at: float, do: Callable[[_What], _Then], what: _What) -> _Then:
        """Do it in another thread; TimeoutError if that takes too long."""
        job = self.pool.submit(do, what)
        try:
            return job.result(max(0, stop_at - self.clock()))
        finally:
            job.cancel()  # what has begun may yet arrive: that does no harm

    def _believed(self, event: object) -> Hint:
        headers, body = _request(event)
        return _hint(self._signer(headers, body), body)

    def _signer(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the account whose webhook it is, by its secret; which may be a new one."""
        try:
            signers = self.accounts.all().signers
            try:
                return verify(headers, body, signers, self.clock())
            except RefusedWebhookError as error:
                again = self.accounts.afresh() if error.reason in _MAY_BE_NEW else None
                if again is None:
                    raise
                return verify(headers, body, again.signers, self.clock())
        except SecretError as error:  # a poll tells of it
            raise RefusedWebhookError(Refusal.SECRET) from error

    def _follow(self, hint: Hint) -> Heard:
        """Look until the end that was told of is in the ledger, and out of its outbox."""
        report = Report()
        try:
            for look in range(_LOOKS):
                if look:
                    self.sleep(_BETWEEN_LOOKS)
                seen = self._look(hint, report)
                if seen is Seen.END:
                    break
        except Exception as error:  # noqa: BLE001 - told; OpenAI repeats it, and a poll comes by
            return _later(hint, report, error)
        if seen is Seen.NO_END:
            early = OpenAIError(f"{hint.type} was told of a batch that shows no such end")
            return _later(hint, report, early)
        return Heard(Answer.TAKEN, report, hint=hint, known=seen is Seen.END)

    def _look(self, hint: Hint, report: Report) -> Seen:
        """Observe the batch as it is now, or publish what somebody was interrupted in."""
        known = self.observer.ledger.get(hint.account, hint.batch_id)
        watched = known.v or known.open
        if known.terminal or not (watched or self.discovery):
            report += Report.of(self.observer.outbox.deliver(known))
            return Seen.END
        openai = self.openai(self.accounts.get(hint.account))
        try:
            said = openai.retrieve(hint.batch_id)
        except NotFoundError:
            if watched:
                raise
            return Seen.NOTHING
        known, told = self.observer.take_in(known, said)
        report += told
        return Seen.END if known.terminal else Seen.NO_END


def _later(hint: Hint | None, report: Report, error: BaseException) -> Heard:
    about = (hint.account, hint.batch_id) if hint else ()
    report.problems.append(Problem(error, *about))
    return Heard(Answer.LATER, report, hint=hint)


def _request(event: object) -> tuple[dict[str, str], bytes]:
    """Return the headers, with names in lower case, and the body, as the bytes that were sent."""
    try:
        headers = {name.lower(): str(value) for name, value in event["headers"].items()}  # type: ignore[index]
        text: str = event.get("body") or ""  # type: ignore[attr-defined]
        if len(text) > 2 * LONGEST_BODY:
            raise RefusedWebhookError(Refusal.SIZE)
        encoded = event.get("isBase64Encoded")  # type: ignore[attr-defined]
        return headers, base64.b64decode(text, validate=True) if encoded else text.encode()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RefusedWebhookError(Refusal.HEADERS) from error


def _hint(account: str, body: bytes) -> Hint:
    """Read what happened."""
    try:
        said = json.loads(body)
        if said["type"] not in ENDS:
            return Hint(account)
        return Hint(account, said["type"], safe_id(said["data"]["id"]))
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        UnsafeIdError,
    ) as error:
        raise RefusedWebhookError(Refusal.BODY) from error
