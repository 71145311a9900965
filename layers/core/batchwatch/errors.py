"""The ways this service fails.

BatchwatchError
├── OpenAIError              the API refused, or could not be reached
│   ├── NotFoundError        404
│   ├── AccessError          401, 403: the key, not the batch, is the matter
│   ├── BadAnswerError       an answer that is not what the API promises
│   └── ShortDownloadError   fewer or more bytes than the file has
├── UnsafeIdError            an id that could lead somewhere else than it says
├── SecretError              the secret does not say which accounts to watch
├── LedgerRowError           a row of the table that cannot be read
└── BadMessageError          a queue message of the wrong shape
"""

import re

_KEY = re.compile(r"sk-[A-Za-z0-9_*-]+")


class BatchwatchError(Exception):
    """Root of everything raised on purpose; its text never holds a key."""

    def __init__(self, message: str) -> None:
        super().__init__(_KEY.sub("sk-…", message))


class OpenAIError(BatchwatchError):
    """Raised when the API refuses a request or cannot be reached."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the matter is the API or the key at this time, rather than what was asked."""
        return self.status is None or self.status in {401, 403, 408, 409, 429} or self.status >= 500  # noqa: PLR2004 - HTTP


class NotFoundError(OpenAIError):
    """Raised when the API does not know the batch or file."""


class AccessError(OpenAIError):
    """Raised when the API refuses the key."""

    @property
    def concerns_all(self) -> bool:
        """Whether no other request with that key can succeed either."""
        return self.status == 401  # noqa: PLR2004 - HTTP


class BadAnswerError(OpenAIError):
    """Raised when a success answer is not JSON, or not about what was asked."""

    passing = False


class ShortDownloadError(OpenAIError):
    """Raised when a download does not have the size of its file."""

    passing = False


class UnsafeIdError(BatchwatchError):
    """Raised when an id is empty or could change the meaning of a URL or S3 key."""


class SecretError(BatchwatchError):
    """Raised when the secret is unset, unreadable, or names an account in a wrong way."""


class LedgerRowError(BatchwatchError):
    """Raised when a row of the table has missing or wrong attributes."""


class BadMessageError(BatchwatchError):
    """Raised when a queue message is not an event of ours."""
