"""The ways this service fails.

BatchwatchError
├── OpenAIError              the API refused, or could not be reached
│   ├── NotFoundError        404
│   ├── AccessError          401, 403: the key, not the batch, is the matter
│   ├── RateLimitedError     429, or the rest that one of them asked for
│   ├── EndedError           409 to a cancellation: nothing is left to be cancelled
│   └── BadAnswerError       an answer that is not what the API promises
├── CopyError                a file could not be copied this time
│   ├── CutOffError          the connection broke
│   ├── OutOfTimeError       the invocation was about to end
│   ├── SpentError           it has had all its tries
│   ├── ShortDownloadError   fewer or more bytes than the file has
│   ├── NoResumeError        the rest of it is not to be had
│   ├── BadUploadError       what S3 has of it is of no use
│   └── LostObjectError      an object of the bucket is gone that was to be read
├── LostLeaseError           somebody else works on the file now
├── RefusedEventError        an event that SNS will never take
├── BusError                 the bus does not take an event this time
├── CrowdedError             too many mails at once
├── UnsafeIdError            an id that could lead somewhere else than it says
├── SecretError              the secret does not say which accounts to watch
├── SlackError               Slack did not take a message
├── WeakSecretError          a part of the secret that is no use, and harms no account
├── RefusedWebhookError      a request that is not OpenAI's, as far as can be seen
├── PricesError              prices of your own that cannot be read
├── ParameterError           a request that OpenAI would refuse, found out before it is sent
├── RefusedJobError          a file of which no batch is made
├── OrphanError              a batch of ours that is one too many
├── LedgerRowError           a row of the table that cannot be read
├── BadMessageError          a queue message of the wrong shape
└── CommandError             a command that cannot be done (cli/trouble.py)
"""

import re
from enum import StrEnum

_ABOUT_WHAT_WAS_ASKED = {400, 404, 405, 410, 416, 422}
_KEY = re.compile(r"sk-[A-Za-z0-9_*-]+")


def without_keys(text: str) -> str:
    """Take out what looks like a key of OpenAI."""
    return _KEY.sub("sk-…", text)


class BatchwatchError(Exception):
    """Root of everything raised on purpose; its text never holds a key."""

    def __init__(self, message: str) -> None:
        super().__init__(without_keys(message))


class OpenAIError(BatchwatchError):
    """Raised when the API refuses a request or cannot be reached.

    code:      what OpenAI calls the reason, such as invalid_value; None: not said
    uncertain: what was to be changed may have been changed all the same; only to be asked of a
               request that changes something
    limited:   refused for what the account has in line already; never uncertain
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        uncertain: bool = False,
        limited: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.uncertain = uncertain
        self.limited = limited and not uncertain

    @property
    def passing(self) -> bool:
        """Whether the matter is the API or the key at this time, rather than what was asked."""
        return self.status not in _ABOUT_WHAT_WAS_ASKED


class NotFoundError(OpenAIError):
    """Raised when the API does not know the batch or file."""


class AccessError(OpenAIError):
    """Raised when the API refuses the key."""

    @property
    def concerns_all(self) -> bool:
        """Whether no other request with that key can succeed either."""
        return self.status == 401  # noqa: PLR2004 - HTTP


class RateLimitedError(OpenAIError):
    """Raised when the API has had enough requests of the account: all its requests rest."""


class EndedError(OpenAIError):
    """Raised when a batch cannot be cancelled as it has ended, though not as cancelled."""

    passing = False


class BadAnswerError(OpenAIError):
    """Raised when a success answer is not JSON, or not about what was asked."""

    passing = False

    def __init__(self, message: str) -> None:
        super().__init__(message, uncertain=True)


class CopyError(BatchwatchError):
    """Raised when a file could not be copied this time."""


class CutOffError(CopyError):
    """Raised when the connection breaks."""


class OutOfTimeError(CopyError):
    """Raised when the invocation is about to end."""


class SpentError(CopyError):
    """Raised when a file has had all its tries, the last of which told nothing."""


class ShortDownloadError(CopyError):
    """Raised when a download does not have the size of its file."""


class NoResumeError(CopyError):
    """Raised when OpenAI does not give the rest of a file, but the whole, another or nothing."""


class BadUploadError(CopyError):
    """Raised when a file must be sent to S3 anew from its first byte."""


class LostObjectError(CopyError):
    """Raised when an object of the bucket is gone that was to be read."""


class LostLeaseError(BatchwatchError):
    """Raised when a worker finds that its lease has passed to another."""


class RefusedEventError(BatchwatchError):
    """Raised when SNS calls an event invalid."""


class BusError(BatchwatchError):
    """Raised when the bus of EventBridge does not take an event this time."""


class CrowdedError(BatchwatchError):
    """Raised when a mail cannot have its turn, as others are sent at the same time."""


class UnsafeIdError(BatchwatchError):
    """Raised when an id is empty or could change the meaning of a URL or S3 key."""


class SecretError(BatchwatchError):
    """Raised when the secret is unset, unreadable, or names an account in a wrong way."""


class SlackError(BatchwatchError):
    """Raised when Slack does not take a message this time.

    `passing`: another try may succeed, after `again_in` seconds where Slack said so.
    """

    def __init__(
        self, message: str, *, passing: bool = True, again_in: float | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.again_in = again_in


class WeakSecretError(BatchwatchError):
    """Raised when a part of the secret is no use: a webhook secret, a field; polls go on."""


class Refusal(StrEnum):
    """Why a request is no webhook of OpenAI's: for those who run the service, not for who sent it.

    HEADERS    one of the three is missing, or of a wrong form
    SIZE       more than any webhook has
    CLOCK      signed too long ago, or in the future
    SECRET     no secret to know it by
    SIGNATURE  signed with none of the secrets
    BODY       signed, but it does not say what happened
    """

    HEADERS = "Headers"
    SIZE = "Size"
    CLOCK = "Clock"
    SECRET = "Secret"  # noqa: S105 - a reason
    SIGNATURE = "Signature"
    BODY = "Body"


class RefusedWebhookError(BatchwatchError):
    """Raised when a request is not to be trusted; its text is the reason, and nothing of it."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason


class PricesError(BatchwatchError):
    """Raised when the parameter Prices is not what it should be; its text names the entry."""


class ParameterError(BatchwatchError):
    """Raised when a batch is asked for as OpenAI would refuse it; its text names the parameter."""


class RefusedJobError(BatchwatchError):
    """Raised when no batch is made of a file; its text tells its owner why, and what to do."""


class OrphanError(BatchwatchError):
    """Raised when a batch turns up that nobody needs."""


class LedgerRowError(BatchwatchError):
    """Raised when a row of the table has missing or wrong attributes."""


class BadMessageError(BatchwatchError):
    """Raised when a queue message is not an event of ours."""
