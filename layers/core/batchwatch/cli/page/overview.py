"""What the status page shows, as read from a stack at one moment. No prompt, answer or secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchwatch.cli.look.detail import Stage


class Stored(NamedTuple):
    """A file of a batch: its role and state; bytes, lines and its place (`s3://…`) where known."""

    role: str
    state: str
    bytes: int | None
    lines: int | None
    place: str | None = None


class Card(NamedTuple):
    """A batch. Times are seconds since 1970, `cost` dollars at list prices.

    name       what its metadata call it, else its id
    status     as `batchwatch list` says: OpenAI's, or new, lost, unreadable
    standing   what matters most, in a word or two: `completed with errors`, `files lost`, `stalled`
    good       None while it is under way, else whether it ended as hoped for
    stages     where it has been, by OpenAI's clock
    archived   when the last file came into the bucket, None where that is not known
    problems   what is wrong, a line each, the worst first; empty if nothing is
    priced     by which name its model has the price that `cost` rests on
    left       seconds that its requests will still take, by its pace until `seen`
    total, completed, failed   requests
    """

    id: str
    account: str
    name: str
    status: str
    standing: str
    good: bool | None
    created: float | None
    ended: float | None
    expires: float | None
    seen: float | None
    stages: Sequence[Stage]
    archived: float | None
    total: int
    completed: int
    failed: int
    left: float | None
    endpoint: str | None
    model: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    files: Sequence[Stored]
    problems: Sequence[str]
    what_next: Sequence[str]
    metadata: Mapping[str, str]
    job: str | None
    priced: str | None = None


class Sending(NamedTuple):
    """A dropped file: how many of its parts are done, and why it waits or was refused.

    `what_next` is empty while it goes on by itself.
    """

    id: str
    name: str
    status: str
    good: bool | None
    created: float | None
    parts: int
    done: int
    problems: Sequence[str]
    what_next: Sequence[str] = ()


class Overview(NamedTuple):
    """All of it: batches and jobs, the newest first. `older`: whether older batches are left out.

    `since`: when the oldest batch asked for was made; open ones may be older. `prices`: which
    prices the costs rest on, for people. `account`: the one asked for, None: all. `earlier`: those
    that need somebody and are not among `batches`; `looked`: since when all that were made were
    looked through for such, None: for a week. `alarms`: those that ring, by name.
    """

    stack: str
    region: str
    at: float
    since: float
    older: bool
    prices: str
    batches: Sequence[Card]
    jobs: Sequence[Sending]
    account: str | None = None
    earlier: Sequence[Card] = ()
    looked: float | None = None
    alarms: Sequence[str] = ()
