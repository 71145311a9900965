"""Batches of ours that failed without a fault of what was asked: they are sent again. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchwatch.reading import Growing

if TYPE_CHECKING:
    from batchwatch.batch import Batch

MARK = "batchwatch_submit"
"""Key of the metadata by which a batch is known to be that of a part: JOB/PART/ROUND."""
_LIMIT = re.compile(r"enqueued (token|request) limit", re.IGNORECASE)
_LOST_FILE = re.compile(r"cannot find file|no such file", re.IGNORECASE)


class Why(Growing):
    """Why a part waits."""

    TOKEN_LIMIT = "token_limit"  # noqa: S105 - a reason
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    ACCOUNT_REFUSED = "account_refused"
    FORBIDDEN = "forbidden"
    FILE_NOT_READY = "file_not_ready"
    UNCERTAIN = "uncertain"

    @property
    def of_account(self) -> bool:
        """Whether no other part of the account can be sent either."""
        return self in {Why.RATE_LIMITED, Why.UNREACHABLE, Why.ACCOUNT_REFUSED}


def refused_unrun(batch: Batch) -> Why | None:
    """Tell why a batch failed, if that says nothing against what was asked."""
    for error in batch.errors.data if batch.errors else []:
        if error.code == "token_limit_exceeded" or _LIMIT.search(error.message or ""):
            return Why.TOKEN_LIMIT
        if error.line is None and _LOST_FILE.search(error.message or ""):
            return Why.FILE_NOT_READY
    return None


def sent_again(batch: Batch) -> bool:
    """Whether a failed batch is that of a part, which is sent again by itself."""
    return refused_unrun(batch) is not None and bool((batch.metadata or {}).get(MARK))
