"""All files that a run sends: dropped, followed to their ends, and told of."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from batchwatch.submit.sending import SKEW, listed_since
from batchwatch.submit.unrun import MARK
from local.sending import Sent
from local.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchwatch.openai import OpenAI
    from local.screen import Lines
    from local.sending import Inbox


class Submissions:
    """The files of a run, and the inbox that they go through."""

    def __init__(self, inbox: Inbox, paths: Sequence[Path]) -> None:
        self._inbox, self._began = inbox, time.time()
        self.files = [Sent(path, path.stat().st_size) for path in paths]

    def put(self, screen: Lines) -> None:
        """Put every file into the inbox."""
        for sent in self.files:
            screen.note(f"Putting {sent.name} ({show_size(sent.size)}) into the inbox …")

            def shown(more: int, sent: Sent = sent) -> None:
                sent.put += more
                screen.sending(self.files)

            self._inbox.drop(sent.path, shown)

    def look(self) -> dict[str, str]:
        """See how far the jobs are; return the names of all their batches, by id."""
        jobs = self._inbox.jobs() if not self.done else {}
        for sent in self.files:
            sent.job = jobs.get(sent.name, sent.job)
        return {batch: name for sent in self.files for batch, name in sent.batch_names.items()}

    def take(self, message: str, screen: Lines) -> None:
        """Take in an event of a job."""
        name = json.loads(message)["data"]["object"].rpartition("/")[2]
        for sent in self.files:
            if sent.name == name:
                screen.job_event(sent, sent.take(message))

    @property
    def done(self) -> bool:
        """Whether every job has ended."""
        return all(sent.done for sent in self.files)

    @property
    def hopeless(self) -> bool:
        """Whether one waits for a key that may do more, which no run can give it."""
        return any(sent.refused_account for sent in self.files)

    def left_running(self, openai: OpenAI) -> list[str]:
        """Ask an API which batches of these files have not ended."""
        ids = tuple(f"{sent.job.job_id}/" for sent in self.files if sent.job)
        return [
            batch.id
            for batch in listed_since(self._began - SKEW, openai)
            if str((batch.metadata or {}).get(MARK, "")).startswith(ids)
            and not batch.status.terminal
        ]

    def conclude(self, screen: Lines) -> list[str]:
        """Tell how each file ended; return what went wrong."""
        faults = []
        for sent in self.files:
            wrong = [*sent.faults(self._inbox), *sent.set_aside]
            faults += [f"{sent.name}: {fault}" for fault in wrong]
            screen.result("\n".join(_lines(sent)), _facts(sent, wrong))
        return faults


def _lines(sent: Sent) -> Iterator[str]:
    data = sent.events[-1].data if sent.events else None
    yield f"{sent.name:<18} {sent.status:<11} {_requests(sent)}".rstrip()
    yield "    events  " + " → ".join(e.type.removeprefix("job.") for e in sent.events)
    for role, file in ((data and data.files) or {}).items():
        yield f"    {role:<7} {show_size(file.bytes or 0):>9}  {file.s3_uri}"
    if data and data.report:
        yield f"    what is wrong with it: {data.report}"


def _requests(sent: Sent) -> str:
    data = sent.events[-1].data if sent.events else None
    if data is None or data.totals is None:
        return ""
    parts = "part" if len(data.parts) == 1 else "parts"
    said = f"{data.totals.completed} of {data.requests} requests in {len(data.parts)} {parts}"
    said += " succeeded"
    said += f", {data.totals.failed} failed" if data.totals.failed else ""
    return said + (f", {data.totals.unfinished} unfinished" if data.totals.unfinished else "")


def _facts(sent: Sent, faults: list[str]) -> dict[str, Any]:
    last = sent.events[-1] if sent.events else None
    return {
        "kind": "job",
        "id": sent.job.job_id if sent.job else None,
        "name": sent.name,
        "status": sent.status,
        "events": [event.type for event in sent.events],
        "data": last.data.model_dump(mode="json") if last else None,
        "faults": faults,
    }
