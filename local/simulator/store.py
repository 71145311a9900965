"""The batches of a simulated OpenAI, and the files they read and write."""

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from local.simulator import lifecycle
from local.simulator.content import lines
from local.simulator.lifecycle import Script

_BUFFER = 1 << 20  # bytes written at once


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
    version: int = 0  # how often its content was replaced
    gone: bool = False


class Store:
    """All batches and files, seen at the time that the clock tells."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
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
            return {batch.id: batch.outcome for batch in self._batches.values()}

    def add(self, script: Script, *, created_at: float | None = None) -> str:
        """Create a batch and return its id."""
        with self._lock:
            created = self.now() if created_at is None else created_at
            number = len(self._batches)
            batch = Batch(lifecycle.batch_id(created, number), script, created, number)
            self._batches[batch.id] = batch
            insort(self.oldest_first, batch, key=lambda batch: batch.place)
            for role in ("input", "output", "error"):
                file = File(f"{batch.id}_{role}.jsonl", created, role, batch)
                self._files[lifecycle.file_id(batch.id, role)] = file
            return batch.id

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch, if there is one of that id."""
        return self._batches.get(batch_id)

    def ends_at(self, batch_id: str) -> float:
        """Return when a batch comes to its end."""
        return self._batches[batch_id].ends_at

    def added_after(self, count: int) -> list[Batch]:
        """Return the batches but the first so many, in the order in which they were added."""
        with self._lock:
            return list(islice(self._batches.values(), count, None))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return the batch object as the API shows it now."""
        with self._lock:
            return self._batches[batch_id].shown(self.now())

    def upload(self, filename: str, content: bytes) -> str:
        """Keep an input file and return its id."""
        with self._lock:
            file_id = lifecycle.file_id(str(len(self._files)), "upload")
            self._path(file_id).write_bytes(content)
            self._files[file_id] = File(filename, self.now())
            return file_id

    def file(self, file_id: str) -> Path:
        """Return the file's content on disk, whether or not the API shows it yet."""
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

    def delete_file(self, file_id: str) -> None:
        """Lose the file, as if it had expired."""
        self._files[file_id].gone = True

    def _path(self, file_id: str) -> Path:
        return self._directory / f"{file_id}.jsonl"


def _write(path: Path, content: Iterable[bytes]) -> None:
    part = path.with_suffix(".part")  # whoever reads an earlier version keeps it
    with part.open("wb", buffering=_BUFFER) as written:
        written.writelines(content)
    part.replace(path)
