"""The one simulated OpenAI that everybody is measured against: a process, asked by its parent.

It may have many accounts, each with as many batches.

Its clock stands still, so that batches change only when `move` says so.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING

from benchmarks.child import answer
from local.simulator import Script, SimulatedOpenAI
from local.simulator.wire import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.simulator.wire import Answer, Request

LATENCY = 0.05
"""Seconds before each answer."""
KEY = "sk-simulated"
_ENDED_EVERY = 6  # of so many batches one has ended: 20 % more than are open
_FEW_EVERY = 100  # of so many open batches one belongs to the 1 % that moves first
_SPAN = 23 * 3600  # seconds over which batches were created
_YOUNGEST = 600  # seconds
_STEP = 10  # seconds of the server's time between two moves
_KEY_LENGTH = 164
_LONG = 30 * 86_400  # seconds; later than any move


class Batches:
    """Open batches among 20 % more that have ended, created one after another over a day.

    At first all are in progress, but one of a hundred, which is still validating. The first move
    lets these few begin; the second moves all: the few to finalizing, as well as the others.
    """

    def __init__(self, openai: SimulatedOpenAI, count: int, now: float) -> None:
        total = count + -(-count // (_ENDED_EVERY - 1))
        self.open: list[str] = []
        for number in range(total):
            age = _SPAN - (_SPAN - _YOUNGEST) * number / total
            if number % _ENDED_EVERY == _ENDED_EVERY - 1 or len(self.open) == count:
                openai.add(_ended(age), created_at=now - age)
            else:
                few = len(self.open) % _FEW_EVERY == 0
                self.open.append(openai.add(_open(age, few=few), created_at=now - age))


def _ended(age: float) -> Script:
    return Script(
        name="ended", endpoint="/v1/embeddings", requests=10, ends="completed", running=age / 2
    )


def _open(age: float, *, few: bool) -> Script:
    """Ten requests: no share of them is done between two moves, so that the counts stand still."""
    starts = age + _STEP / 2 if few else 60
    finalizes = age + _STEP * 3 / 2
    return Script(
        name="few" if few else "many",
        endpoint="/v1/responses",
        requests=10,
        ends="completed",
        validating=starts,
        running=finalizes - starts,
        finalizing=_LONG,
    )


class Company:
    """Accounts at one address, each with batches of its own; told apart by their keys."""

    def __init__(self, folder: Path, accounts: int, count: int, clock: Callable[[], float]) -> None:
        self.keys = [key_of(number) for number in range(accounts)]
        self._openai = {
            key: SimulatedOpenAI(key=key, clock=clock, directory=folder) for key in self.keys
        }
        self.open = [
            batch_id
            for openai in self._openai.values()
            for batch_id in Batches(openai, count, clock()).open
        ]
        for openai in self._openai.values():
            openai.fault("", times=-1, delay=LATENCY)

    def answer(self, request: Request, body: bytes) -> Answer:
        """Answer as the account whose key it is."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._openai[key].answer(request, body)

    def take_requests(self) -> list[Request]:
        """Return the requests since the last time."""
        came: list[Request] = []
        for openai in self._openai.values():
            some, openai.requests = openai.requests, []
            came += some
        return came


def key_of(number: int) -> str:
    """Make a key as long as those of projects are."""
    return f"{KEY}-{number:04}-".ljust(_KEY_LENGTH, "x")


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--open", type=int, required=True, help="by account")
    parser.add_argument("--accounts", type=int, default=1)
    asked = parser.parse_args()
    now = [time.time()]
    errors: list[BaseException] = []
    with TemporaryDirectory() as folder:
        company = Company(Path(folder), asked.accounts, asked.open, lambda: now[0])
        with serving(company.answer, errors, Event()) as origin:

            def begin() -> dict[str, object]:
                return {"base_url": f"{origin}/v1", "open": company.open, "keys": company.keys}

            def move() -> None:
                now[0] += _STEP

            def requests() -> dict[str, object]:
                """Tell the requests since the last time, by kind, and what went wrong."""
                kinds = Counter(_kinds(request.path for request in company.take_requests()))
                return {"kinds": kinds, "errors": [repr(error) for error in errors]}

            answer(begin=begin, move=move, requests=requests)


def _kinds(paths: Iterator[str]) -> Iterator[str]:
    for path in paths:
        route = path.partition("?")[0].removeprefix("/v1/")
        yield {"batches": "list"}.get(
            route, "retrieve" if route.startswith("batches/") else "other"
        )


if __name__ == "__main__":
    main()
