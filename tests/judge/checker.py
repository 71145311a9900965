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
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.judge.checked_files import FINAL, Case, Truth, file_faults, object_faults
from tests.judge.history import TERMINAL, chain_faults, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from local.simulator import SimulatedOpenAI

__all__ = ["Outside", "Truth", "faults", "faults_so_far", "truths"]


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
    openai: SimulatedOpenAI,
    batch_ids: Iterable[str],
    lost: Mapping[str, Iterable[str]] = {},
    roles: Iterable[str] = ("output", "error"),
) -> dict[str, Truth]:
    """What a simulated OpenAI has now of the files to be kept, which are those of `roles`.

    `lost`: roles by batch id that cannot be had whole.
    """
    found = {}
    for batch_id in batch_ids:
        batch, gone = openai.batch(batch_id), frozenset(lost.get(batch_id, ()))
        ids = {role: batch.get(f"{role}_file_id") for role in roles}
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
    secrets = tuple(secrets)
    found = faults_so_far(outside, secrets=secrets)
    history, items = read(outside.messages), _by_batch(outside.items)
    for batch_id, truth in outside.truth.items():
        case = Case(batch_id, truth, items.get(batch_id, {}), history.events.get(batch_id, []))
        found += (f"{code} {batch_id}: {words}" for code, words in _end_faults(case))
        found += (f"I5 {batch_id}: {words}" for words in file_faults(case, outside.objects, bucket))
        found += (
            f"I2 {batch_id}: event {event.sequence} is not kept"
            for event in case.events
            if event.key not in outside.objects
        )
    if outside.dead_letters:
        found.append(f"I1 dead letters: {len(outside.dead_letters)}")
    if outside.uploads > orphans:
        found.append(f"I5 uploads: {outside.uploads} unfinished, {orphans} tolerated")
    return _without(secrets, found)


def faults_so_far(outside: Outside, *, secrets: Iterable[str] = ()) -> list[str]:
    """Those of the faults that are faults at any moment, also while batches run."""
    history = read(outside.messages)
    found = list(history.faults)
    for batch_id, events in history.events.items():
        truth = outside.truth.get(batch_id)
        if truth is None:
            found.append(f"I1 {batch_id}: {len(events)} events of a batch nobody watches")
        else:
            found += (f"I3 {batch_id}: {words}" for words in chain_faults(events, truth.batch))
    items = _by_batch(outside.items)
    found += (f"I7 {batch_id}: {words}" for batch_id, i in items.items() for words in _adrift(i))
    kept = {event.key: event for events in history.events.values() for event in events}
    for key, versions in outside.objects.items():
        if len(versions) != 1:
            found.append(f"I4 {key}: written {len(versions)} times")
        if key.startswith("events/"):
            if key not in kept:
                found.append(f"I2 {key}: kept, but nobody received it")
            elif any(version != kept[key].text.encode() for version in versions):
                found.append(f"I2 {key}: not what was received")
        else:
            found += object_faults(key, versions, outside.truth, items)
    secrets = tuple(secrets)
    return _without(secrets, [*found, *_told_secrets(outside, secrets)])


def _by_batch(items: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Items of batches, without the accounts' own."""
    named = {str(item.get("batch_id")): item for item in items}
    return {batch_id: item for batch_id, item in named.items() if not batch_id.startswith("#")}


def _adrift(item: Mapping[str, Any]) -> Iterator[str]:
    """Work is left, but no poll will see it."""
    if "open" in item:
        if item["open"] != item.get("account"):
            yield "it is open under another account"
    elif pending := list(_pending(item)):
        yield f"out of the open index with {', '.join(pending)}"


def _pending(item: Mapping[str, Any]) -> Iterator[str]:
    if item.get("status") not in TERMINAL:
        yield "its end not announced"
    if outbox := item.get("outbox"):
        yield f"events {list(outbox)} in the outbox"
    files = item.get("files") or {}
    states = {role: file.get("state") for role, file in files.items()}
    for role, state in {"record": None, **states}.items():
        if state not in FINAL:
            yield f"its {role} {state}"


def _end_faults(case: Case) -> Iterator[tuple[str, str]]:
    item, events, ended = case.item, case.events, case.truth.batch.get("status")
    if ended not in TERMINAL:
        yield "I9", f"it is {ended} at OpenAI, the run is not over"
    if item.get("status") != ended:
        yield "I1", f"it is {item.get('status')} in the ledger, {ended} at OpenAI"
    if "open" in item:
        yield "I7", f"still in the open index, with {', '.join(_pending(item)) or 'nothing'} left"
    if outbox := item.get("outbox"):
        yield "I1", f"events {list(outbox)} are still in the outbox"
    received, told = {event.sequence for event in events}, range(1, int(item.get("seq", 0)) + 1)
    if lost := sorted(set(told) - received):
        yield "I1", f"events {lost} were never received"
    if beyond := sorted(received - set(told)):
        yield "I1", f"events {beyond} are not in the ledger's count of {len(told)}"
    types = [event.type for event in events]
    if f"batch.{ended}" not in types:
        yield "I1", f"batch.{ended} was never received"
    if types.count("batch.archived") != 1 or types[-1] != "batch.archived":
        yield "I1", f"batch.archived did not come once, at the end: {types}"


def _told_secrets(outside: Outside, secrets: Sequence[str]) -> Iterator[str]:
    """Where a secret got out."""
    places = {
        "messages": outside.messages,
        "items": [text for item in outside.items for text in _texts(item)],
        "keys": [*outside.objects],
        "kept events": [
            version.decode(errors="replace")
            for key, versions in outside.objects.items()
            if key.startswith("events/")
            for version in versions
        ],
        "dead letters": outside.dead_letters,
        "text": outside.text,
    }
    for place, texts in places.items():
        for number, text in enumerate(texts):
            if any(form in text for secret in secrets for form in _spellings(secret)):
                yield f"I8 {place}: a secret in number {number}"


def _without(secrets: Iterable[str], found: list[str]) -> list[str]:
    """Leave secrets out of what is told of them."""
    for form in (form for secret in secrets for form in _spellings(secret)):
        found = [fault.replace(form, "…") for fault in found]
    return found


def _spellings(secret: str) -> set[str]:
    """A text as it is, and as JSON spells it."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def _texts(value: object) -> Iterator[str]:
    """Every text inside a value, names of attributes included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple | AbstractSet):
        for inner in value:
            yield from _texts(inner)
    else:
        plain = getattr(value, "value", value)  # boto3 wraps bytes
        yield plain.decode(errors="replace") if isinstance(plain, bytes) else str(plain)
