"""The least that each command is called with; a new command needs a line here."""

from __future__ import annotations

from typing import NamedTuple

BATCH = "batch_1"


class Use(NamedTuple):
    """Arguments of a command; `{folder}` is an empty folder, `{file}` a file of one request.

    names_one: whether it fails where the service knows nothing of BATCH.
    """

    arguments: tuple[str, ...] = ()
    names_one: bool = False


USES = {
    "list": Use(),
    "show": Use((BATCH,), names_one=True),
    "watch": Use((BATCH,), names_one=True),
    "events": Use((BATCH,), names_one=True),
    "submit": Use(("{file}",)),
    "jobs": Use(),
    "page": Use(("-o", "{folder}/page.html")),
    "track": Use((BATCH,)),
    "cancel": Use((BATCH, "--yes"), names_one=True),
    "fetch": Use((BATCH, "-o", "{folder}"), names_one=True),
    "archive": Use((BATCH,), names_one=True),
    "replay": Use((BATCH,), names_one=True),
    "redrive": Use(),
}
TELLS_ITSELF = {"doctor"}
"""Commands that report what is wrong instead of failing."""
