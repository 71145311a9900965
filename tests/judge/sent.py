"""Judges what became of dropped files: by the batches that OpenAI has, and by what came out.

As in checker.py, nothing of the service is used. Each fault begins with what kind it is:

lost       a line of a file is in no batch            doubled   it is in two that were to be run
orphaned   a batch that its job does not know         told      the events of a job contradict
merged     its results are not those of its parts     left      something is still to be done
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Object = tuple[str, str]
"""Where a file was dropped, and which version of the object it is."""
ENDS = ("job.completed", "job.cancelled", "job.refused")


@dataclass(frozen=True)
class Made:
    """A batch that was created: as OpenAI shows it, what it read, what it wrote, by role."""

    batch: Mapping[str, Any]
    content: bytes
    files: Mapping[str, bytes]

    @property
    def refused(self) -> bool:
        """Whether it failed by a limit: nothing of it was run, and it is to be made again."""
        errors = (self.batch.get("errors") or {}).get("data") or []
        return any(error.get("code") == "token_limit_exceeded" for error in errors)

    @property
    def recalled(self) -> bool:
        """Whether it was cancelled before anything of it was run."""
        return self.batch["status"] == "cancelled" and self.batch["in_progress_at"] is None


@dataclass(frozen=True)
class Sent:
    """What is left of a run.

    dropped       by its address and version: what a file held
    made          every batch, in the order of creation
    messages      every message about a job, as it came
    jobs          every item of the table of jobs, as plain values
    objects       every object of the bucket by key: the content of each of its versions
    dead_letters  bodies in the dead-letter queue of the inbox
    """

    dropped: Mapping[Object, bytes]
    made: Sequence[Made]
    messages: Sequence[str]
    jobs: Sequence[Mapping[str, Any]]
    objects: Mapping[str, Sequence[bytes]]
    dead_letters: Sequence[str] = ()


def sent_faults(sent: Sent, ends: Sequence[str], *, recalled: bool = False) -> list[str]:
    """Everything that is not as it must be once every job has ended; [] if all is well.

    ends      types of events that a job may end with here
    recalled  whether a second batch of a part is tolerated if it was cancelled before it ran
    """
    found = list(_told_twice(sent.messages))
    events = _events(sent.messages)
    items = {str(item["job_id"]): item for item in sent.jobs}
    if len(items) != len(sent.dropped):
        found.append(f"told: {len(sent.dropped)} files were dropped, there are {len(items)} jobs")
    made = [one for one in sent.made if not one.refused]
    for where, content in sent.dropped.items():
        jobs = [job_id for job_id, told in events.items() if _object_of(told[0]) == where]
        known = {batch_id for job_id in jobs for batch_id in _known(events[job_id])}
        ours = [one for one in made if not (recalled and _extra(one, known))]
        types = [event["type"] for job_id in jobs for event in events[job_id]]
        whole = not jobs or "job.completed" in types
        found += _line_faults(where[0], content, ours, whole=whole)
        if len(jobs) != 1:
            found.append(f"told: {where[0]} has {len(jobs)} jobs that tell of themselves")
    for job_id, told in events.items():
        found += _order_faults(job_id, told, items.get(job_id, {}), ends)
        found += _kept_faults(job_id, told, sent)
        if told[-1]["type"] in ENDS:
            found += _merge_faults(job_id, told[-1], {o.batch["id"]: o for o in made}, sent.objects)
    known = {batch_id for told in events.values() for batch_id in _known(told)}
    found += [
        f"orphaned: {one.batch['id']} ({one.batch['status']}) is known to no job"
        for one in made
        if one.batch["id"] not in known and not (recalled and one.recalled)
    ]
    if sent.dead_letters:
        found.append(f"left: {len(sent.dead_letters)} dead letters")
    return found


def _object_of(event: Mapping[str, Any]) -> Object:
    return event["data"]["object"], event["data"]["version"]


def _extra(one: Made, known: set[str]) -> bool:
    return one.recalled and one.batch["id"] not in known


def _known(told: Sequence[Mapping[str, Any]]) -> set[str]:
    """The batches that the end of a job names."""
    parts = told[-1]["data"].get("parts", []) if told else []
    return {str(part["batch_id"]) for part in parts if part.get("batch_id")}


def _told_twice(messages: Sequence[str]) -> Iterator[str]:
    texts: dict[str, str] = {}
    for text in messages:
        event = json.loads(text)
        if texts.setdefault(event["id"], text) != text:
            yield f"told: {event['subject']}: the id of {event['type']} came with two texts"


def _events(messages: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Each event once, by job, in sequence."""
    events = defaultdict(list)
    for text in dict.fromkeys(messages):
        event = json.loads(text)
        events[event["subject"]].append({**event, "text": text})
    return {job: sorted(of, key=lambda e: int(e["data"]["sequence"])) for job, of in events.items()}


def _order_faults(
    job_id: str, told: Sequence[Mapping[str, Any]], item: Mapping[str, Any], ends: Sequence[str]
) -> Iterator[str]:
    numbers = [event["data"]["sequence"] for event in told]
    types = [event["type"] for event in told]
    if numbers != [*range(1, len(told) + 1)]:
        yield f"told: {job_id}: its events are numbered {numbers}"
    if types.count("job.submitted") > 1:
        yield f"told: {job_id} was submitted more than once: {types}"
    if types[-1:] == ["job.completed"] and "job.submitted" not in types:
        yield f"told: {job_id} was never submitted: {types}"
    if sum(kind in ENDS for kind in types) != 1 or types[-1] not in ends:
        yield f"told: {job_id} did not end once, at last, as it should: {types}"
    if "open" in item or item.get("outbox") or item.get("stage") != "done":
        yield f"left: {job_id} is {item.get('stage')}, its outbox {list(item.get('outbox', ()))}"
    if json.loads(item.get("job", "{}")).get("seq", 0) != len(told):
        yield f"told: {job_id}: {len(told)} events came, the table counts others"


def _kept_faults(job_id: str, told: Sequence[Mapping[str, Any]], sent: Sent) -> Iterator[str]:
    for event in told:
        name = f"{event['data']['sequence']:04d}-{event['type']}.json"
        key = f"events/{event['data']['account']}/{job_id}/{name}"
        if sent.objects.get(key) != [event["text"].encode()]:
            yield f"told: {key} is not what was received"
    for key, versions in sent.objects.items():
        if job_id in key and key.startswith(("jobs/", "events/")) and len(versions) != 1:
            yield f"merged: {key} was written {len(versions)} times"


def _line_faults(where: str, content: bytes, made: Sequence[Made], *, whole: bool) -> Iterator[str]:
    """Count in how many batches each line is; `whole`: none may be missing, or cancelled."""
    count = Counter(line for one in made for line in one.content.splitlines())
    run = {
        line
        for one in made
        if one.batch["status"] != "cancelled"
        for line in one.content.splitlines()
    }
    lines = content.splitlines()
    if twice := [number for number, line in enumerate(lines, 1) if count[line] > 1]:
        yield f"doubled: {where}: lines {twice} are in several batches"
    if whole and (never := [number for number, line in enumerate(lines, 1) if line not in run]):
        yield f"lost: {where}: lines {never} are in no batch, or one that was cancelled"


def _merge_faults(
    job_id: str,
    end: Mapping[str, Any],
    made: Mapping[str, Made],
    objects: Mapping[str, Sequence[bytes]],
) -> Iterator[str]:
    """Hold the merged files against what OpenAI has of the parts, in their order."""
    parts = [part for part in end["data"]["parts"] if part.get("batch_id")]
    if strange := [part["batch_id"] for part in parts if part["batch_id"] not in made]:
        yield f"told: {job_id} ends with the batches {strange}, which nobody made"
        return
    if open_ := [part["number"] for part in parts if part["state"] != "ended"]:
        yield f"told: {job_id} ends before its parts {open_}"
    files = end["data"].get("files") or {}
    for role in ("output", "error"):
        pieces = [made[part["batch_id"]].files.get(role, b"") for part in parts]
        content = b"".join(pieces)
        uri = files.get(role, {}).get("s3_uri", "")
        merged = objects.get(uri.partition("://")[2].partition("/")[2], [b""])[0]
        if merged != content:
            yield f"merged: {job_id}: {role} has {len(merged)} bytes, its parts {len(content)}"
        ids = [json.loads(line)["custom_id"] for line in merged.split(b"\n") if line]
        if len(ids) != len(set(ids)):
            yield f"merged: {job_id}: a custom_id comes twice in {role}"
