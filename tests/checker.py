"""Judges a finished run by what is left of it outside: messages, table, bucket, queue, log.

An independent reading of the design's invariants: nothing of `batchwatch` is used here, so that no
mistake is made on both sides. Each fault begins with the invariant that it breaks:

I1  every transition was received          I2  one event id, one text
I3  contiguous, linked, never backwards    I4  an object is whole and written once
I5  every file archived, gone or failed    I7  nothing pending outside the open index
I8  no secret anywhere                     I9  (one never blocks another: every batch has ended)
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.history import TERMINAL, Event, chain_faults, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from local.simulator import SimulatedOpenAI

_NAMES = {"output": "output.jsonl", "error": "error.jsonl", "record": "batch.json"}
_FINAL = ("archived", "gone", "failed")
_SHOWN = ("state", "s3_uri", "bytes", "lines", "crc32", "reason")
_KEY = re.compile(
    r"batches/account=(?P<account>[^/]+)/created=(?P<day>[^/]+)/(?P<batch>[^/]+)/(?P<name>[^/]+)"
)


@dataclass(frozen=True)
class Truth:
    """What OpenAI itself has of a batch.

    batch  the object as OpenAI shows it at the end
    files  "output", "error": content, for the ids it has
    lost   roles that cannot be had whole, and so must end as gone or failed
    """

    batch: Mapping[str, Any]
    files: Mapping[str, bytes]
    lost: frozenset[str] = frozenset()

    @property
    def roles(self) -> frozenset[str]:
        """Files that must come to an end."""
        return frozenset({"record", *self.files}) | self.lost


@dataclass(frozen=True)
class Outside:
    """What is left of a run, as anybody could see it.

    truth         by batch id: what OpenAI has
    messages      every message that a subscriber received, as it came, repeated ones too
    items         every item of the table, as plain values
    objects       every object of the bucket by key: the content of each of its versions
    dead_letters  bodies in the dead-letter queue
    uploads       unfinished multipart uploads
    text          log lines and whatever else was put out
    """

    truth: Mapping[str, Truth]
    messages: Sequence[str]
    items: Sequence[Mapping[str, Any]]
    objects: Mapping[str, Sequence[bytes]]
    dead_letters: Sequence[str] = ()
    uploads: int = 0
    text: Sequence[str] = ()


def truths(
    openai: SimulatedOpenAI, batch_ids: Iterable[str], lost: Mapping[str, Iterable[str]] = {}
) -> dict[str, Truth]:
    """What a simulated OpenAI has now; `lost`: roles by batch id that cannot be had whole."""
    found = {}
    for batch_id in batch_ids:
        batch, gone = openai.batch(batch_id), frozenset(lost.get(batch_id, ()))
        ids = {role: batch.get(f"{role}_file_id") for role in ("output", "error")}
        files = {r: openai.file(i).read_bytes() for r, i in ids.items() if i and r not in gone}
        found[batch_id] = Truth(batch, files, gone)
    return found


def faults(
    outside: Outside,
    *,
    bucket: str | None = None,
    secrets: Iterable[str] = (),
    orphans: int = 0,
) -> list[str]:
    """Everything that is not as it must be once every batch has ended; [] if all is well.

    secrets  strings that may be in no message, item, key, kept event, dead letter or text
    orphans  unfinished uploads that are tolerated: a worker killed between creating one and noting
             it leaves it to the bucket's lifecycle
    """
    return []
