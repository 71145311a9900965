"""The batches of a simulated OpenAI, and the files they read and write."""

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock, RLock
from typing import Any, NamedTuple

from local.simulator import lifecycle
from local.simulator.content import lines
from local.simulator.lifecycle import Script, Sent
from local.simulator.quota import Queue
from local.simulator.validation import Rules, examine

_BUFFER = 1 << 20  # bytes written at once


class Upload(NamedTuple):
    """An input file that was taken."""

    id: str
    at: float
    filename: str
    bytes: int


class Created(NamedTuple):
    """A batch that was created by a request, whatever became of it or of the answer."""

    id: str
    at: float
    input_file_id: str
    endpoint: str
    model: str  # "" if the file names none
    requests: int  # that are as they should be
    metadata: dict[str, str] | None


@dataclass(slots=True)
class Batch:
    """One batch."""

    id: str
    script: Script
    created_at: float
    number: int  # how many there were before it
    cancelled_at: float | None = None
    asked_at: float | None = None  # when it was last retrieved
    given: dict[str, object] = field(default_factory=dict)  # fields as its creator wants them

    @property
    def outcome(self) -> Script:
        """The script that the batch follows in the end."""
        if self.cancelled_at is None:
            return self.script
        return lifecycle.cancelled(self.script, self.created_at, self.cancelled_at)

    @property
    def validated_at(self) -> float:
        """When its validation ends, if nobody cancels it before."""
        return self.created_at + self.script.validating

    @property
    def ends_at(self) -> float:
        """When it comes to its end, as far as is known by now."""
        script = self.outcome
        rest = 0 if script.ends == "failed" else script.running + script.finalizing
        return self.created_at + script.validating + rest

    @property
    def place(self) -> tuple[float, int]:
        """Where it is among the others, by age."""
        return self.created_at, self.number

    def shown(self, now: float) -> dict[str, Any]:
        """Return the batch object as the API shows it at a moment."""
        seen = lifecycle.snapshot(self.script, self.id, self.created_at, now, self.cancelled_at)
        return seen | self.given


@dataclass(slots=True)
class File:
    """One file; its content is written when somebody first wants it."""

    filename: str
    created_at: float  # of an output or error file: that of its batch
    role: str = "input"
    batch: Batch | None = None  # None: uploaded
    written: Script | None = None  # that its content on disk follows
    examined: dict[Rules, Sent] = field(default_factory=dict)  # what its content was found to be
    version: int = 0  # how often its content was replaced
    expires_after: int | None = None  # seconds after it is made; None: this is not simulated
    gone: bool = False


class Store(Queue):
    """All batches and files, seen at the time that the clock tells."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        super().__init__()
        self.uploads: list[Upload] = []
        self.created: list[Created] = []
        self._begun = 0  # uploads
        self._directory = directory
        self.now = clock
        self.oldest_first: list[Batch] = []
        self._batches: dict[str, Batch] = {}
        self._files: dict[str, File] = {}
        self._lock = RLock()
        self._writing = Lock()  # apart: a large file is written while polls are answered

    @property
    def scripts(self) -> dict[str, Script]:
        """Each batch's script; of one cancelled by request, the script that it then followed."""
        with self._lock:
            self._settled()
            return {batch.id: batch.outcome for batch in self._batches.values()}

    def add(self, script: Script, *, created_at: float | None = None) -> str:
        """Create a batch and return its id."""
        with self._lock:
            created = self.now() if created_at is None else created_at
            return self._add(script, created, ("input", "output", "error")).id

    def create(self, script: Script, given: dict[str, Any]) -> str:
        """Create a batch as a request wants it, of an uploaded file; return its id."""
        with self._lock:
            batch = self._add(script, self.now(), ("output", "error"))
            batch.given = {name: given.get(name) for name in ("input_file_id", "metadata")}
            for role in ("output", "error"):
                expiry = given.get("output_expires_after") or {}
                file = self._files[lifecycle.file_id(batch.id, role)]
                file.expires_after = expiry.get("seconds")
            if script.ends != "failed":
                (self._enqueued if self.fail_fast else self._validating).append(batch)
            created = Created(
                id=batch.id,
                at=batch.created_at,
                input_file_id=given["input_file_id"],
                endpoint=script.endpoint,
                model=script.model,
                requests=script.requests,
                metadata=given.get("metadata"),
            )
            self.created.append(created)
            return batch.id

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch, if there is one of that id."""
        return self._batches.get(batch_id)

    def ends_at(self, batch_id: str) -> float:
        """Return when a batch comes to its end."""
        with self._lock:
            self._settled()
            return self._batches[batch_id].ends_at

    def added_after(self, count: int) -> list[Batch]:
        """Return the batches but the first so many, in the order in which they were added."""
        with self._lock:
            self._settled()
            return list(islice(self._batches.values(), count, None))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return the batch object as the API shows it now."""
        with self._lock:
            return self._batches[batch_id].shown(self._settled())

    def upload(
        self, filename: str, content: Iterable[bytes], expires_after: int | None = None
    ) -> str:
        """Keep an input file, given piece by piece, and return its id."""
        with self._lock:
            self._begun += 1
            file_id = lifecycle.file_id(str(self._begun), "upload")
        path = self._path(file_id)
        _write(path, content)
        with self._lock:
            at = self.now()
            self._files[file_id] = File(filename, at, expires_after=expires_after)
            self.uploads.append(Upload(file_id, at, filename, path.stat().st_size))
        return file_id

    def examined(self, file_id: str, rules: Rules) -> Sent:
        """Tell what an input file asks for, or what is wrong with it."""
        file = self._files[file_id]
        if rules not in file.examined:
            file.examined[rules] = examine(self.file(file_id), rules)
        return file.examined[rules]

    def file(self, file_id: str) -> Path:
        """Return the file's content on disk, whether or not the API shows it yet."""
        with self._lock:
            self._settled()
        file, path = self._files[file_id], self._path(file_id)
        with self._writing:
            replaced = file.version > 0
            if file.batch and not replaced and file.written != (script := file.batch.outcome):
                _write(path, lines(script, file.batch.id, file.role))
                file.written = script
        return path

    def replace_file(self, file_id: str, content: bytes) -> None:
        """Put other content in a file's place: another length, another ETag."""
        with self._writing:
            _write(self._path(file_id), [content])
            self._files[file_id].version += 1
            self._files[file_id].examined.clear()

    def delete_file(self, file_id: str) -> None:
        """Lose the file, as if it had expired."""
        self._files[file_id].gone = True

    def _add(self, script: Script, created_at: float, roles: tuple[str, ...]) -> Batch:
        number = len(self._batches)
        batch = Batch(lifecycle.batch_id(created_at, number), script, created_at, number)
        self._batches[batch.id] = batch
        insort(self.oldest_first, batch, key=lambda batch: batch.place)
        for role in roles:
            file = File(f"{batch.id}_{role}.jsonl", created_at, role, batch)
            self._files[lifecycle.file_id(batch.id, role)] = file
        return batch

    def _settled(self) -> float:
        """Tell the time, after deciding all that is due by then."""
        now = self.now()
        self._decide(now)
        return now

    def _path(self, file_id: str) -> Path:
        return self._directory / f"{file_id}.jsonl"


def _write(path: Path, content: Iterable[bytes]) -> None:
    part = path.with_suffix(".part")  # whoever reads an earlier version keeps it
    with part.open("wb", buffering=_BUFFER) as written:
        written.writelines(content)
    part.replace(path)
