"""What OpenAI says of a batch, read with tolerance and given on unchanged.

Source: the Batch object of the API reference, and what real answers of 2024 to 2026 look like, of
compatible providers too: without `usage` and `model`, with nulls, absent keys, empty-string file
ids, statuses by other names, dates as text.
"""

import re
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from batchwatch.errors import BadAnswerError, UnsafeIdError
from batchwatch.reading import (
    Count,
    Growing,
    Seconds,
    Text,
    error_entries,
    errors_object,
    mapping,
    or_nothing,
    status_name,
    whole_characters,
)

_SAFE_ID = re.compile(r"(?!sk-)[A-Za-z0-9][A-Za-z0-9._=:-]{0,511}")  # sk-: a key, misplaced


def safe_id(value: str) -> str:
    """Return an id that is harmless in a URL, a key of S3 and a log line, or refuse it."""
    if not _SAFE_ID.fullmatch(value):
        raise UnsafeIdError("not a usable id: up to 512 of A-Z a-z 0-9 . _ = : -")
    return value


class Status(Growing):
    """The eight statuses of the API, and one for all it may yet invent.

    What OpenAI says is read by its name (`_status`); the table may hold one of a later version.
    """

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """True when no other status can follow."""
        return self in TERMINAL

    @property
    def rank(self) -> int:
        """Place in the order of a life; a batch only ever moves to a higher one.

        Of a status of a later version it is known only that the end comes after it.
        """
        return _RANK.get(self, _LATER)


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})
_RANK = {
    Status.UNKNOWN: -1,
    Status.VALIDATING: 0,
    Status.IN_PROGRESS: 1,
    Status.FINALIZING: 2,
    Status.CANCELLING: 3,
    **dict.fromkeys(TERMINAL, 5),
}
_LATER = 4


class Role(Growing):
    """The files of a batch that are archived; `record` is the batch object itself.

    `input` is what was asked, kept only where that is wanted.
    """

    OUTPUT = "output"
    ERROR = "error"
    RECORD = "record"
    INPUT = "input"


_KNOWN = frozenset(map(str, Status))


def _status(said: object) -> Status:
    name = status_name(said)
    return Status(name) if name in _KNOWN else Status.UNKNOWN


class _Part(BaseModel):
    # Errors never repeat what a batch holds: they are logged.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class RequestCounts(_Part):
    """How many requests; `failed` leaves out those never run. None: not said."""

    total: Count = None
    completed: Count = None
    failed: Count = None

    @property
    def done(self) -> int:
        """Requests that have an answer, good or bad."""
        return (self.completed or 0) + (self.failed or 0)

    @property
    def unfinished(self) -> int:
        """Requests that were never answered."""
        return max(0, (self.total or 0) - self.done)


class BatchError(_Part):
    """One reason why validation failed; `line` counts from 1."""

    code: Text = None
    line: Count = None
    message: Text = None
    param: Text = None


class BatchErrors(_Part):
    """Why validation failed. `truncated`: cut by us; `total` entries were there."""

    data: Annotated[list[BatchError], BeforeValidator(error_entries)] = []
    truncated: bool = False
    total: Count = None


class InputTokensDetails(_Part):
    """Of the input tokens, those read from the cache."""

    cached_tokens: Count = None


class OutputTokensDetails(_Part):
    """Of the output tokens, those spent on reasoning."""

    reasoning_tokens: Count = None


class Usage(_Part):
    """Tokens of the whole batch; only a terminal status makes it final."""

    input_tokens: Count = None
    input_tokens_details: Annotated[InputTokensDetails | None, WrapValidator(or_nothing)] = None
    output_tokens: Count = None
    output_tokens_details: Annotated[OutputTokensDetails | None, WrapValidator(or_nothing)] = None
    total_tokens: Count = None


class Batch(_Part):
    """A batch as OpenAI showed it. Dumps to exactly what was said, unknown fields included."""

    id: str
    object: Text = None
    status: Annotated[Status, BeforeValidator(_status)]
    endpoint: Text = None
    model: Text = None
    errors: Annotated[
        BatchErrors | None, WrapValidator(or_nothing), BeforeValidator(errors_object)
    ] = None
    input_file_id: Text = None
    completion_window: Text = None
    output_file_id: Text = None
    error_file_id: Text = None
    output_blob: Text = None
    error_blob: Text = None
    created_at: Seconds = None
    in_progress_at: Seconds = None
    expires_at: Seconds = None
    finalizing_at: Seconds = None
    completed_at: Seconds = None
    failed_at: Seconds = None
    expired_at: Seconds = None
    cancelling_at: Seconds = None
    cancelled_at: Seconds = None
    request_counts: Annotated[RequestCounts | None, WrapValidator(or_nothing)] = None
    usage: Annotated[Usage | None, WrapValidator(or_nothing)] = None
    metadata: Annotated[dict[str, Any] | None, BeforeValidator(mapping)] = None

    _said: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, said: Any, read: ValidatorFunctionWrapHandler) -> Self:
        batch: Self = read(said)
        if isinstance(said, dict):
            batch._said = said
        return batch

    @model_serializer
    def _as_said(self) -> dict[str, Any]:
        return self._said

    @classmethod
    def read(cls, said: Any) -> Self:
        """Read an answer of the API; raise BadAnswerError where it is no batch."""
        try:
            batch = cls.model_validate(whole_characters(said))
            safe_id(batch.id)
        except (ValidationError, UnsafeIdError) as error:
            raise BadAnswerError(f"not a batch object: {_shape(said)}") from error
        return batch

    @property
    def said(self) -> dict[str, Any]:
        """The object as received."""
        return self._said

    @property
    def named_status(self) -> str:
        """One of the eight; or one that is unknown, in lower case."""
        unknown = self.status is Status.UNKNOWN
        return status_name(self.raw_status) if unknown else self.status.value

    @property
    def raw_status(self) -> str:
        """The status as it was spelled."""
        return str(self._said.get("status", self.status))

    @property
    def counts(self) -> RequestCounts | None:
        """Counts that mean something: none of zero or null requests."""
        counts = self.request_counts
        told = counts and counts.total and (counts.completed, counts.failed) != (None, None)
        return counts if told else None

    @property
    def status_at(self) -> int | None:
        """OpenAI's own timestamp of the present status."""
        if self.status is Status.VALIDATING:
            return self.created_at
        return None if self.status is Status.UNKNOWN else getattr(self, f"{self.status}_at")

    @property
    def _never_began(self) -> bool:
        done = self.counts.done if self.counts else 0
        return self.status is Status.CANCELLED and self.in_progress_at is None and not done

    def file_id(self, role: Role) -> str | None:
        """The id of a file, once there is one."""
        return {
            Role.OUTPUT: self.output_file_id,
            Role.ERROR: self.error_file_id,
            Role.INPUT: self.input_file_id,
        }.get(role)

    def blob(self, role: Role) -> str | None:
        """Where Azure writes that file instead, in storage of the customer's own, once it is said.

        Such a file has no id: it is not ours to fetch, and it may not exist.
        """
        return {Role.OUTPUT: self.output_blob, Role.ERROR: self.error_blob}.get(role)

    def _named(self, role: Role) -> bool:
        return bool(self.file_id(role) or self.blob(role))

    @property
    def missing(self) -> frozenset[Role]:
        """Files that must exist by what the counts say, but have neither id nor blob (yet).

        Ids may follow the terminal status by seconds. Nothing is expected of a batch that
        failed validation or was cancelled before it began. With counts unknown, any file will do.
        """
        if not self.status.terminal or self.status is Status.FAILED or self._never_began:
            return frozenset()
        if not self.counts or (self.status is Status.COMPLETED and not self.counts.done):
            any_file = self._named(Role.OUTPUT) or self._named(Role.ERROR)
            return frozenset() if any_file else frozenset({Role.OUTPUT})
        cut_short = self.status in {Status.EXPIRED, Status.CANCELLED}
        expected = {
            Role.OUTPUT: bool(self.counts.completed),
            Role.ERROR: bool(self.counts.failed) or (cut_short and self.counts.unfinished > 0),
        }
        return frozenset(r for r, yes in expected.items() if yes and not self._named(r))


def _shape(said: object) -> str:
    """Describe an unusable answer without repeating its content."""
    known = sorted(set(said) & set(Batch.model_fields)) if isinstance(said, dict) else []
    return f"with {', '.join(known)}" if known else type(said).__name__
