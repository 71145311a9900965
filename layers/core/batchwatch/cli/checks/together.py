"""Many questions at once, of which none keeps the program from ending."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Answer = TypeVar("_Answer")


def together(jobs: Iterable[Callable[[], _Answer]]) -> Iterator[_Answer]:
    """Do each job in a thread of its own; return what comes of them in order, as it comes.

    The threads of an executor would be waited for at Ctrl-C, however long an answer takes.
    """
    futures = [_begun(job) for job in jobs]
    for future in futures:
        yield future.result()


def _begun(job: Callable[[], _Answer]) -> Future[_Answer]:
    future: Future[_Answer] = Future()

    def run() -> None:
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
