"""What to do about an id that nothing is known of. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchwatch.submit.job import is_job_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BATCH_ID = re.compile(r"batch_[A-Za-z0-9_-]{16,}")  # OpenAI's have 24 or 32 letters and digits
_NAMED = 5


def way_out(unknown: Sequence[str], account: str | None, command: Callable[..., str]) -> str:
    """Advise to track what has the form of a batch's id; else say what an id looks like.

    Whatever is tracked is looked for at OpenAI, and told to be lost. `command`: writes one to type.
    """
    odd = next((each for each in unknown if not _BATCH_ID.fullmatch(each)), None)
    if odd and is_job_id(odd):
        return f"{odd} is a job, of which show, watch, fetch and cancel know"
    if odd:
        return (
            "an id is batch_ with some 32 letters and digits, or job_ with 24, in full;"
            " batchwatch list and batchwatch jobs show them"
        )
    of = ("--account", account) if account else ()
    track = command("track", *of, *unknown[:_NAMED])
    advice = f"if OpenAI has it, put it under watch: {track}"
    if account:
        return advice
    return f"if it is of an account of which nothing was ever told, give --account; {advice}"
