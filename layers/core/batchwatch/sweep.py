"""A second way to the batches with work left, should the index ever lose one.

The index is kept by DynamoDB, and may lag or be tampered with; the table is the truth.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from batchwatch.errors import SecretError
from batchwatch.report import Problem, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from batchwatch.ledger import Found, Ledger

SEGMENTS = 23
"""Parts of the table. A prime: polls at any distance of whole hours come by all of them."""
LONGEST = 10
"""Seconds of a poll that it may take; the next poll goes on."""
_HOUR = 3600


class Sweep:
    """Looks through one part of the table an hour, so that a day covers it.

    The hour, and how far it has come, is remembered by the process only; a new one looks again,
    which does no harm.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._hour = -1
        self._pages: Iterator[list[Found]] | None = None  # of a part that was begun

    def run(self, accounts: Collection[str] | None) -> Report:
        """Put back into the index what is missing there, if this hour's part is not done.

        Where the `accounts` of the secret are known, tell of open batches of any other: nobody
        polls them.
        """
        now = self._clock()
        hour = int(now // _HOUR)
        report = Report()
        if self._pages is None and hour == self._hour:
            return report
        if self._pages is None:
            self._hour, self._pages = hour, self._ledger.scan(hour % SEGMENTS, SEGMENTS)
        others: Counter[str] = Counter()
        try:
            for page in self._pages:
                for found in page:
                    if not found.open:
                        self._ledger.reopen(found.account, found.batch_id)
                        report.repairs["Index"] += 1
                    others[found.account] += accounts is not None and found.account not in accounts
                if self._clock() >= now + LONGEST:
                    break
            else:
                self._pages = None
        except Exception as error:  # noqa: BLE001 - told; a poll is more than its backstop
            report.problems.append(Problem(error))
            self._hour, self._pages = -1, None
        for account, count in (+others).items():
            unpolled = f"the secret has no account of that name, but {count} open batches have it"
            report.problems.append(Problem(SecretError(unpolled), account, whole=True))
        return report
