"""A run: deploy, register, tick, listen, until every batch is announced and archived."""

from __future__ import annotations

import hashlib
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchwatch.batch import Role
from batchwatch.errors import BatchwatchError
from batchwatch.events import BatchEvent
from batchwatch.openai import Account, OpenAI
from local.deploy import build_layer, deploy
from local.emulator import Emulator
from local.scenario import scenario
from local.service import ACCOUNT, Batch, Service, Subscriber
from local.simulator import SimulatedOpenAI
from local.sizes import show_size
from local.verdict import chain_faults

if TYPE_CHECKING:
    from local.screen import Lines

PARAMETERS = {  # seconds where AWS would take minutes
    "Grace": "8",
    "ProgressSteps": "1000",
    "ArchiveTimeout": "300",
    "ArchiveVisibility": "310",
    "LongestRetry": "4",
}
PATIENCE = 120
"""Seconds that the built-in scenario may take; a large file gets more."""
LAST_CALL = 45
"""Seconds after `--for` in which batches that have ended may still be archived."""
_TROUBLE = ('"WARNING"', '"ERROR"', "Traceback", "Exception")
_SLOWEST = 5_000_000  # bytes a second of the whole transfer


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line. Times in seconds, size in bytes."""

    base_url: str | None = None
    api_key: str | None = None
    track: tuple[str, ...] = ()
    every: float = 2
    run_for: float | None = None
    events: Path | None = None
    archive: Path | None = None
    size: int = 0


@dataclass
class Run:
    """What a run knows and has: everything started here is stopped by `stack`."""

    options: Options
    screen: Lines
    batches: dict[str, Batch] = field(default_factory=dict)
    messages: dict[str, list[str]] = field(default_factory=dict)
    simulator: SimulatedOpenAI | None = None

    def go(self) -> list[str]:
        """Do it all; return what went wrong, in words."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="batchwatch-")))
            self.screen.note("Building the layer and starting a local AWS …")
            service = self._deploy(stack, folder)
            openai = self._connect(stack, folder, service)
            ticks = stack.enter_context(ThreadPoolExecutor(1))
            listener = stack.enter_context(service.subscribe())
            for batch_id in self.batches:
                service.track(batch_id)
            self.screen.note(f"Watching {len(self.batches)} batches. Ctrl-C stops everything.")
            self._watch(service, listener, ticks, openai)
            return self._conclude(service, openai)

    def _deploy(self, stack: ExitStack, folder: Path) -> Service:
        with ThreadPoolExecutor(1) as pool:
            layer = pool.submit(build_layer, folder)
            emulator = stack.enter_context(Emulator(folder))
            outputs = deploy(emulator, layer.result(), parameters=PARAMETERS)
        return Service(emulator, outputs)

    def _connect(self, stack: ExitStack, folder: Path, service: Service) -> OpenAI:
        """Point the service at the API asked for, or at one simulated here."""
        key, base_url = self.options.api_key, self.options.base_url
        if base_url is None or key is None:
            key = "sk-simulated"
            simulator = SimulatedOpenAI(key=key, directory=folder / "openai")
            self.simulator = stack.enter_context(simulator)
            for script in scenario(self.options.size):
                batch_id = simulator.add(script)
                self.batches[batch_id] = Batch(batch_id, script.name)
            base_url = simulator.base_url
        for batch_id in self.options.track:
            self.batches.setdefault(batch_id, Batch(batch_id, batch_id[:18]))
        service.put_key(key, base_url)
        openai = OpenAI(Account(ACCOUNT, key, base_url))
        stack.callback(openai.close)
        return openai

    def _watch(
        self, service: Service, listener: Subscriber, ticks: ThreadPoolExecutor, openai: OpenAI
    ) -> None:
        """Tick and listen until all is done, or the time is over."""
        started = time.monotonic()
        patience = PATIENCE + self.options.size / _SLOWEST
        simulated = self.simulator is not None
        asked_for = self.options.run_for
        end = asked_for if asked_for is not None else (patience if simulated else float("inf"))
        last_call = False
        tick: Future[dict[str, Any]] | None = None
        next_tick = started
        while True:
            now = time.monotonic()
            if now >= next_tick and (tick is None or tick.done()):
                if tick is not None:
                    tick.result()  # a poller that crashes is no run
                tick, next_tick = ticks.submit(service.tick), now + self.options.every
            self._listen(listener)
            for batch in self.batches.values():
                if not batch.closed:
                    batch.record = service.record(batch.id)
            self.screen.batches(list(self.batches.values()))
            if all(batch.archived and batch.closed for batch in self.batches.values()):
                break
            if now - started >= end:
                if last_call or not self._ended_unarchived(openai):
                    break
                last_call, end = True, end + LAST_CALL
            time.sleep(0.2)
        ticks.shutdown(wait=True)
        self._listen(listener)

    def _listen(self, listener: Subscriber) -> None:
        for message in listener.news():
            event = BatchEvent.model_validate_json(message)
            if self.options.events:
                with self.options.events.open("a") as events:
                    events.write(message + "\n")
            self.messages.setdefault(event.subject, []).append(message)
            batch = self.batches.setdefault(event.subject, Batch(event.subject, event.subject[:18]))
            batch.events.append(event)
            self.screen.event(batch, event)

    def _ended_unarchived(self, openai: OpenAI) -> bool:
        return any(_ended(openai, b.id) for b in self.batches.values() if not b.archived)

    def _conclude(self, service: Service, openai: OpenAI) -> list[str]:
        """Tell how each batch ended, and what of it is not as promised."""
        self.screen.batches(list(self.batches.values()))
        faults = []
        for batch in self.batches.values():
            found, lines = self._judge(service, openai, batch)
            faults += [f"{batch.name} ({batch.id}): {fault}" for fault in found]
            self.screen.result("\n".join(lines), _facts(batch, found))
        if self.options.archive:
            for key in service.stored():
                service.fetch(key, self.options.archive / key)
        self._sum_up(service, faults)
        return faults

    def _judge(self, service: Service, openai: OpenAI, batch: Batch) -> tuple[list[str], list[str]]:
        ended = _ended(openai, batch.id)
        faults = chain_faults(self.messages.get(batch.id, []), ended)
        if ended and not batch.closed:
            faults.append("it is still in the open index")
        last = batch.events[-1].data if batch.events else None
        lines = [f"{batch.name:<18} {last.status if last else 'no event':<11} {_requests(last)}"]
        told = sorted(batch.events, key=lambda event: event.data.sequence)
        lines.append("    events  " + " → ".join(e.type.removeprefix("batch.") for e in told))
        archived = next((e for e in told if e.type == "batch.archived"), None)
        for role, file in ((archived.data.files if archived else None) or {}).items():
            if file.state != "archived" or file.s3_uri is None:
                faults.append(f"{role} is {file.state}: {file.reason}")
                continue
            lines.append(f"    {role:<7} {show_size(file.bytes or 0):>9}  {file.s3_uri}")
            found = service.fetch(file.s3_uri.split("/", 3)[3])
            if (found.size, found.crc32) != (file.bytes, file.crc32):
                faults.append(f"{file.s3_uri} is not what batch.archived says of it")
            if role is not Role.RECORD and not self._as_simulated(batch, role, found.sha256):
                faults.append(f"{file.s3_uri} is not the file that OpenAI has")
        return faults, lines

    def _as_simulated(self, batch: Batch, role: Role, sha256: str) -> bool:
        if self.simulator is None or batch.id not in self.simulator.scripts:
            return True
        file_id = self.simulator.batch(batch.id)[f"{role}_file_id"]
        return isinstance(file_id, str) and _sha256(self.simulator.file(file_id)) == sha256

    def _sum_up(self, service: Service, faults: list[str]) -> None:
        events = sum(len(batch.events) for batch in self.batches.values())
        archived = sum(batch.archived for batch in self.batches.values())
        keys = service.stored()
        files = [key for key in keys if key.startswith("batches/")]
        self.screen.result(
            f"\n{events} events of {len(self.batches)} batches received; {archived} batches "
            f"archived in {len(files)} files; {len(keys) - len(files)} events kept beside them.",
            {
                "kind": "result",
                "ok": not faults,
                "events": events,
                "archived": archived,
                "faults": faults,
            },
        )
        for line in list(service.log(*_TROUBLE))[:10] if faults else []:
            self.screen.result(f"  log: {line.strip()[:600]}", {})
        if not faults:
            self.screen.result(
                "Where to look next: README.md (deploy it, subscribe to the topic), template.yaml"
                " (what was just deployed), docs/decisions.md (why so).",
                {},
            )


def _ended(openai: OpenAI, batch_id: str) -> str | None:
    """The terminal status that the API shows; None while it is open or cannot be asked."""
    try:
        batch = openai.retrieve(batch_id)
    except BatchwatchError:
        return None
    return str(batch.status) if batch.status.terminal else None


def _facts(batch: Batch, faults: list[str]) -> dict[str, Any]:
    last = batch.events[-1].data if batch.events else None
    files = last.files if last and last.files else {}
    return {
        "kind": "batch",
        "id": batch.id,
        "name": batch.name,
        "status": last.status if last else None,
        "events": [event.type for event in batch.events],
        "files": {str(role): file.model_dump(mode="json") for role, file in files.items()},
        "faults": faults,
    }


def _requests(last: Any) -> str:
    counts = last.batch.counts if last else None
    if not counts:
        return ""
    parts = [f"{counts.completed or 0} of {counts.total} requests succeeded"]
    parts += [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.unfinished} unfinished"] if counts.unfinished else []
    return ", ".join(parts)


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
