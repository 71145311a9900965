"""What is the matter with an account as a whole: told once, and not for each of its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.errors import AccessError, NotFoundError, OpenAIError
from batchwatch.report import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.crew import Patience
    from batchwatch.discovery import Memory

_NO_LIST = {405, 501}


def summed_up(  # noqa: PLR0913 - all that was heard of an account in a poll
    problems: list[Problem],
    name: str,
    memory: Memory,
    patience: Patience,
    *,
    list_error: OpenAIError | None,
    oddities: Iterable[OpenAIError],
    now: float,
) -> list[Problem]:
    """Return what is to be told of a poll; remember since when an account has been silent."""
    answered, over = patience.answered, patience.over
    if list_error and _has_no_list(list_error, answered=answered):
        list_error, answered = None, True
    if answered:
        memory.silent_since = None
    memory.unlisted_since = (memory.unlisted_since or now) if list_error else None
    silent = memory.silent(now)
    if not answered:
        problems = [p for p in problems if not isinstance(p.error, OpenAIError)]
    elif over:
        problems = [p for p in problems if not _of_all(p.error)]
    whole = over or list_error
    return problems + [
        Problem(error, name, whole=silent or isinstance(error, AccessError))
        for error in ([whole] if whole else []) + [*oddities]
    ]


def _has_no_list(error: OpenAIError, *, answered: bool) -> bool:
    """Whether a provider has no list, so that its batches are asked for one by one.

    A 404 says so only where something else was answered: else the address may be wrong.
    """
    return error.status in _NO_LIST or (answered and isinstance(error, NotFoundError))


def _of_all(error: BaseException) -> bool:
    """Whether an error says more of the account than of one batch."""
    return isinstance(error, OpenAIError) and error.passing
