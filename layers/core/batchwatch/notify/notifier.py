"""Telling people: the messages of the notify queue, as one digest on each channel.

An event may come twice, in one invocation or in two at once, and one channel may fail while others
do not. So each event is claimed in the table `Told` first, and what was told is noted there after.
Whoever dies in between has told and not noted: then the digest comes once more, rather than never.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from batchwatch.errors import BadMessageError
from batchwatch.job_events import read_event
from batchwatch.notify.digest import digest_of
from batchwatch.report import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchwatch.batch import Batch
    from batchwatch.job_events import Event
    from batchwatch.notify.channels import Channel
    from batchwatch.notify.digest import Digest
    from batchwatch.notify.told import Told
    from batchwatch.prices import Cost


class Notified(NamedTuple):
    """What became of an invocation's messages.

    again     ids of the messages that come again
    told      events that were told now, on one channel at least
    repeated  events that had been told on every channel before
    problems  what went wrong, one a channel or message
    audience  of the mail, how many addresses have confirmed, and how many have not
    """

    again: list[str]
    told: int
    repeated: int
    problems: list[Problem]
    audience: Mapping[str, int]


class Notifier(NamedTuple):
    """The collaborators: everything that a digest is made of, and where it goes.

    `trouble`: what is wrong all the time with how this is set up, and is told each time.
    """

    stack: str
    bucket: str
    price: Callable[[Batch], Cost | None]
    channels: Sequence[Channel]
    told: Told
    audience: Callable[[], Mapping[str, int]]
    clock: Callable[[], float]
    trouble: Exception | None = None

    def tell(self, messages: Sequence[dict[str, Any]], owner: str, until: float) -> Notified:
        """Tell of all messages at once. `until`: when this invocation has ended for sure."""
        senders, events, bad = _read(messages)
        problems = [Problem(self.trouble)] if self.trouble else []
        problems += [Problem(BadMessageError("not an event")) for _ in bad]
        claimed = self.told.claim(events, owner=owner, now=self.clock(), until=until)
        before = {event: told for event, told in claimed.items() if told is not None}
        now: dict[str, set[str]] = {event: set() for event in before}

        @cache
        def digest(*news: str) -> Digest:  # as a rule, every channel has the same
            told = [events[event] for event in news]
            return digest_of(told, stack=self.stack, bucket=self.bucket, price=self.price)

        for channel in self.channels:
            news = [event for event, told in before.items() if channel.name not in told]
            try:
                if news:
                    channel.send(digest(*news))
            except Exception as error:  # noqa: BLE001 - the other channels are told all the same
                problems.append(Problem(error))
            else:
                for event in news:
                    now[event].add(channel.name)
        self.told.note(now)
        everywhere = {channel.name for channel in self.channels}
        done = {event for event in before if before[event] | now[event] == everywhere}
        left = [message for event in senders.keys() - done for message in senders[event]]
        return Notified(
            again=bad + left,
            told=sum(bool(channels) for channels in now.values()),
            repeated=sum(told == everywhere for told in before.values()),
            problems=problems,
            audience=self._audience(problems) if any(now.values()) else {},
        )

    def _audience(self, problems: list[Problem]) -> Mapping[str, int]:
        try:
            return self.audience()
        except Exception as error:  # noqa: BLE001 - worth a line, and no more
            problems.append(Problem(error))
            return {}


def _read(
    messages: Sequence[dict[str, Any]],
) -> tuple[dict[str, list[str]], dict[str, Event], list[str]]:
    """Who sent which event, by its id; and the messages that are none.

    Those come again like all that could not be told, until they are among the dead letters.
    """
    senders: dict[str, list[str]] = {}
    events: dict[str, Event] = {}
    bad = []
    for message in messages:
        try:
            event = read_event(message["body"])
        except ValidationError:
            bad.append(message["messageId"])
        else:
            senders.setdefault(event.id, []).append(message["messageId"])
            events[event.id] = event
    return senders, events, bad
