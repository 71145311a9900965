"""How soon a subscriber hears of an end: with OpenAI's webhooks, and by polls alone.

`python -m benchmarks latency`: twice the same batches, which end one after another; both
times the deployed service in a local AWS of its own, polled every minute. The seconds are those
from the moment in which the simulated OpenAI first shows the end to that in which a queue on the
topic has handed out the event: what the local AWS takes itself is in them, what a network takes
is not.
"""

from __future__ import annotations

import math
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.events import BatchEvent
from benchmarks.server import KEY, LATENCY
from benchmarks.tables import print_table
from local.deploy import build_layer, deploy
from local.emulator import MINISTACK, Emulator, EmulatorError
from local.run import PARAMETERS
from local.service import Batch, Service
from local.simulator import Script, SimulatedOpenAI, Webhooks
from local.simulator.webhooks import fresh_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERY = 60
"""Seconds between two polls."""
BEGIN = 15
"""Seconds until the first batch ends: by then the first poll has seen them all."""
PATIENCE = 180
"""Seconds after the last end until all must be heard of."""
_WARM = 3  # batches that end beforehand, so that every function has been called


class Waits(NamedTuple):
    """How long the news took, in seconds; `by_webhook`: how many ends a webhook brought."""

    ends: int
    by_webhook: int
    shortest: float
    median: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, waits: Sequence[float], by_webhook: int) -> Waits:
        """Sum up the waits for each end."""
        ordered = sorted(waits)
        p90, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.9, 0.99))
        figures = (ordered[0], median(ordered), p90, p99, ordered[-1])
        return cls(len(ordered), by_webhook, *(round(figure, 3) for figure in figures))


def measure(batches: int, over: float) -> dict[str, Any]:
    """Measure both; `batches` end within `over` seconds, evenly."""
    webhooks = _measure(batches, over, webhooks=True)
    polls = _measure(batches, over, webhooks=False)
    return {
        "emulator": MINISTACK,
        "latency": LATENCY,
        "every": EVERY,
        "over": over,
        "webhooks": webhooks._asdict(),
        "polls": polls._asdict(),
        "ratio": round(polls.median / webhooks.median, 1),
    }


def show(figures: dict[str, Any]) -> None:
    """Print a table of what was measured."""
    rows = [
        [who, *(str(figures[name][each]) for each in Waits._fields)]
        for who, name in (("webhooks, and polls", "webhooks"), ("polls alone", "polls"))
    ]
    spread = (name.replace("_", " ") for name in Waits._fields)
    names = ("seconds until an end is heard of", *spread)
    print_table(names, [rows], words=names[:1])
    print(f"the median of polls alone is {figures['ratio']} times that with webhooks")


def _measure(batches: int, over: float, *, webhooks: bool) -> Waits:
    _say(f"{batches} batches that end within {over:.0f} s, webhooks {'on' if webhooks else 'off'}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        emulator = stack.enter_context(Emulator(folder))
        openai = stack.enter_context(SimulatedOpenAI(key=KEY, directory=folder / "openai"))
        openai.fault("", times=-1, delay=LATENCY)
        wanted = {"Schedule": "rate(1 day)", "Webhooks": "on" if webhooks else "off"}
        outputs = deploy(emulator, build_layer(folder), parameters=PARAMETERS | wanted)
        service, secret = Service(emulator, outputs), fresh_secret()
        service.put_key(KEY, openai.base_url, [secret] if webhooks else [])
        service.tick()  # only what ends after a poll is announced
        hearing = _Hearing(stack.enter_context(service.subscribe()), openai)
        if webhooks:
            sender = Webhooks(openai, service.endpoint(secret))
            sender.try_out()
            stack.enter_context(sender)
        hearing.until_all(_add(openai, _WARM, 1, 1), service.tick)
        ids = _add(openai, batches, BEGIN, over)
        with _polled(service):
            hearing.until_all(ids, lambda: None, over + BEGIN)
        return hearing.waits(ids)


def _add(openai: SimulatedOpenAI, count: int, first: float, over: float) -> list[str]:
    """Let batches begin; the first ends after `first` seconds, the others within `over` more."""
    return [
        openai.add(
            Script(
                name=str(number),
                endpoint="/v1/responses",
                requests=10,
                ends="completed",
                validating=0.5,
                running=first - 0.5 + over * number / count,
                finalizing=0,
            )
        )
        for number in range(count)
    ]


class _Hearing:
    """A subscriber, and what it has heard of the batches of a simulated OpenAI."""

    def __init__(self, listener: Any, openai: SimulatedOpenAI) -> None:
        self._listener, self._openai = listener, openai
        self._batches: dict[str, Batch] = {}

    def until_all(self, ids: Sequence[str], meanwhile: Any, over: float = 0) -> None:
        """Listen until the files of all are archived, too."""
        deadline = time.monotonic() + over + PATIENCE
        while not all(self._batch(batch_id).archived for batch_id in ids):
            if time.monotonic() > deadline:
                raise EmulatorError("not every end was heard of in time")
            meanwhile()
            for message in self._listener.news():
                subject = BatchEvent.model_validate_json(message).subject
                self._batch(subject).take(message, self._listener.heard_at[message])
            time.sleep(0.2)

    def waits(self, ids: Sequence[str]) -> Waits:
        """Sum up how long the news of these took."""
        waits, by_webhook = [], 0
        for batch in map(self._batch, ids):
            batch.ended = "completed"
            if end := batch.end:
                waits.append(batch.heard_at[end.id] - self._openai.ends_at(batch.id))
                by_webhook += end.data.observed_by == "webhook"
        return Waits.of(waits, by_webhook)

    def _batch(self, batch_id: str) -> Batch:
        return self._batches.setdefault(batch_id, Batch(batch_id, batch_id))


@contextmanager
def _polled(service: Service) -> Iterator[None]:
    """Poll now, and then every minute, however long a poll takes."""
    stop = threading.Event()

    def poll() -> None:
        began = time.monotonic()
        for number in count(1):
            service.tick()
            if stop.wait(max(0, began + number * EVERY - time.monotonic())):
                return

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
