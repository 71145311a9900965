"""Files that the run sends: put into the inbox, followed as jobs, and their merged results read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchwatch.job_events import JobEvent
from batchwatch.submit.job import UNSENT, Outcome, PartState, Stage
from batchwatch.submit.jobs import Jobs
from batchwatch.submit.unrun import Why
from local.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from batchwatch.submit.job import Job, Part
    from local.emulator import Emulator

_MARK = b"\xef\xbb\xbf"
_PIECE = 1024 * 1024
SUFFIX = ".jsonl"
_OUTCOMES = {f"job.{outcome}" for outcome in Outcome}


@dataclass
class Sent:
    """A file on its way, as seen from outside; `put`: how many bytes of it are in the inbox.

    `events`: those of its job, each once, in sequence. `job`: what is known of it, if anything.
    """

    path: Path
    size: int
    put: int = 0
    events: list[JobEvent] = field(default_factory=list)
    job: Job | None = None

    @property
    def name(self) -> str:
        """By which people know it."""
        return self.path.name

    def take(self, message: str) -> JobEvent:
        """Take in a message of the topic."""
        event = JobEvent.model_validate_json(message)
        by_id = {e.id: e for e in (*self.events, event)}
        self.events = sorted(by_id.values(), key=lambda e: e.data.sequence)
        return event

    @property
    def done(self) -> bool:
        """Whether its job has ended, and has said so."""
        ended = any(event.type in _OUTCOMES for event in self.events)
        return ended and self.job is not None and self.job.settled

    @property
    def refused_account(self) -> bool:
        """Whether it waits for what nobody can mend while a run lasts."""
        denied = {Why.ACCOUNT_REFUSED, Why.FORBIDDEN}
        return any(part.held and part.held.why in denied for part in self._parts)

    @property
    def batch_names(self) -> dict[str, str]:
        """What to call its batches, by their ids."""
        of = f"/{len(self._parts)}" if len(self._parts) > 1 else ""
        return {p.batch_id: f"{self.name} {p.number}{of}" for p in self._parts if p.batch_id}

    @property
    def status(self) -> str:
        """How far it is, in words."""
        if self.put < self.size:
            return f"{show_size(self.put)} of {show_size(self.size)} put into the inbox"
        if self.job is None or self.job.stage is Stage.READING:
            return "being read"
        if self.job.stage is Stage.DONE:
            return str(self.job.outcome)
        return "being merged" if self.job.stage is Stage.MERGING else self._sending()

    @property
    def _parts(self) -> tuple[Part, ...]:
        return self.job.parts if self.job else ()

    def _sending(self) -> str:
        unsent = [part for part in self._parts if part.state in UNSENT]
        ended = sum(part.state is PartState.ENDED for part in self._parts)
        why = next((part.held.why for part in unsent if part.held), self.job and self.job.waiting)
        sent = f"{len(self._parts) - len(unsent)} of {len(self._parts)} parts sent, {ended} ended"
        return (
            sent
            + (f", {len(unsent)} waiting" if unsent else "")
            + (f" ({why})" if unsent and why else "")
        )

    def faults(self, inbox: Inbox) -> Iterator[str]:
        """Tell what is not as promised; each request must be answered once in the merged files."""
        sequences = [event.data.sequence for event in self.events]
        if sequences != [*range(1, len(sequences) + 1)]:
            yield f"its events are numbered {sequences}"
        if self.job is None or self.job.stage is not Stage.DONE:
            yield f"it did not come to its end: {self.status}"
        elif self.job.outcome is not Outcome.COMPLETED:
            reason = f": {self.job.reason}" if self.job.reason else ""
            yield f"the job was {self.job.outcome}{reason}"
        else:
            yield from answer_faults(self._asked(inbox), inbox.answered(self.job))

    @property
    def set_aside(self) -> list[str]:
        """Tell of lines that were not sent."""
        job = self.job
        if job is None or not job.rejected or job.outcome is not Outcome.COMPLETED:
            return []
        lines = "line was" if job.rejected == 1 else "lines were"
        return [f"{job.rejected} {lines} not sent; {job.report} tells why"]

    def _asked(self, inbox: Inbox) -> set[str]:
        """Return the custom_id of each line but those that were set aside."""
        aside = inbox.set_aside(self.job) if self.job else set()
        asked = set()
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if number not in aside and line.strip():
                    asked.add(str(json.loads(line.removeprefix(_MARK))["custom_id"]))
        return asked


def answer_faults(asked: set[str], answered: Iterable[str]) -> list[str]:
    """Compare the custom_ids of requests with those of answers; each must be there once."""
    counted = Counter(answered)
    wrong = {
        "missing": asked - counted.keys(),
        "there more than once": {name for name, count in counted.items() if count > 1},
        "of no request": counted.keys() - asked,
    }
    return [
        f"of the custom_ids in its merged files, {len(ids)} are {how}, such as {min(ids)!r}"
        for how, ids in wrong.items()
        if ids
    ]


class Inbox:
    """The bucket, as whoever drops files into it sees it; and the table of jobs."""

    def __init__(self, emulator: Emulator, outputs: dict[str, str]) -> None:
        self._s3 = emulator.client("s3")
        self._bucket = outputs["BucketName"]
        self._table, self._dynamodb = outputs["JobsTable"], emulator.client("dynamodb")
        self._jobs = Jobs(self._dynamodb, self._table)

    def drop(self, path: Path, progress: Callable[[int], None]) -> None:
        """Put a file there, its options first; `progress` is told of further bytes."""
        options = options_of(path)
        for file in (options, path) if options.exists() else (path,):
            key = f"inbox/{file.name}"
            report = progress if file == path else None
            self._s3.upload_file(str(file), self._bucket, key, Callback=report)

    def jobs(self) -> dict[str, Job]:
        """Every job by the name of its file. All are asked: the local AWS tells no versions."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ProjectionExpression="job_id"
        )
        ids = [item["job_id"]["S"] for page in pages for item in page["Items"]]
        jobs = [job for job_id in ids if (job := self._jobs.get(job_id))]
        return {job.key.rpartition("/")[2]: job for job in jobs}

    def answered(self, job: Job) -> Iterator[str]:
        """Give the custom_id of each line of the merged files."""
        for file in job.merged.values():
            for line in self._lines(str(file.s3_uri)):
                yield str(json.loads(line)["custom_id"])

    def set_aside(self, job: Job) -> set[int]:
        """Return the numbers of the lines that were not taken."""
        if not job.rejected or not job.report:
            return set()
        report = json.loads(b"\n".join(self._lines(job.report)))
        return {json.loads(line)["line"] for line in self._lines(report["lines"])}

    def _lines(self, uri: str) -> Iterator[bytes]:
        key = uri.removeprefix(f"s3://{self._bucket}/")
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        yield from (line for line in body.iter_lines(_PIECE) if line)


def options_of(path: Path) -> Path:
    """Where the options of a file lie."""
    return path.with_name(path.name[: -len(SUFFIX)] + ".options.json")
