"""A digest as an email: a subject, and plain text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from batchwatch.notify.digest import Digest


class Email(NamedTuple):
    """What SNS sends. `subject`: under 100 characters of ASCII; `text`: under 240,000 bytes."""

    subject: str
    text: str


def email(digest: Digest, *, prices_as_of: str) -> Email:
    """Put a digest into words; `prices_as_of` is the day of `Prices`."""
    return Email(digest.heading, f"{digest.heading}\n{prices_as_of}")
