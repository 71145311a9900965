"""Whether the service has taken in what was put into the inbox, and as which jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from batchwatch.cli.follow.watched import Submitted
from batchwatch.cli.trouble import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.cli.follow.progress import Seen
    from batchwatch.cli.follow.watched import Put
    from batchwatch.cli.output import Output
    from batchwatch.cli.stack import Stack

PATIENCE = 15.0
_LOOK_EVERY = 0.5
"""Seconds."""
_UPLOADED = "uploaded"  # the status of what is not taken in yet


def taken_in(stack: Stack, out: Output, sent: Iterable[Put]) -> dict[str, Seen]:
    """Wait, 15 seconds at most, until files are jobs; return those that are, by their keys.

    Nothing that keeps the tables from being read is an error here: the files are sent, and a
    script that is told of one would send them again.
    """
    source, ends = Submitted(stack, wanted := [*sent]), time.monotonic() + PATIENCE
    found: dict[str, Seen] = {}
    while True:
        try:
            seen = source.look()
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            out.note(f"sent, but whether it is taken in cannot be looked at: {trouble}")
            return found
        found |= {str(each.said["key"]): each for each in seen if each.status != _UPLOADED}
        if len(found) == len(wanted) or time.monotonic() >= ends:
            return found
        time.sleep(_LOOK_EVERY)
