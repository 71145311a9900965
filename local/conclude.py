"""How a run ended: for each batch what came of it, and what of it is not as promised."""

from __future__ import annotations

import hashlib
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.batch import Role
from batchwatch.webhook import BY as BY_WEBHOOK
from local.sizes import show_size
from local.verdict import chain_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchwatch.events import ArchivedFile, BatchEventData
    from local.screen import Lines
    from local.service import Batch, Service
    from local.simulator import SimulatedOpenAI, Webhooks

_TROUBLE = ('"WARNING"', '"ERROR"', "Traceback", "Exception")
_NEXT = (
    "Where to look next: README.md (deploy it, subscribe to the topic), template.yaml (what was"
    " just deployed), docs/decisions.md (why so)."
)


class Simulated(NamedTuple):
    """The other side, where it is simulated here."""

    openai: SimulatedOpenAI
    webhooks: Webhooks | None = None

    @property
    def secrets(self) -> list[str]:
        """What its webhooks are signed with."""
        return [self.webhooks.endpoint.secret] if self.webhooks else []


def conclude(
    batches: Sequence[Batch],
    service: Service,
    screen: Lines,
    simulated: Simulated | None,
    faults: Sequence[str] = (),
) -> list[str]:
    """Tell of each batch and of all; return what went wrong, in words, after what had already."""
    faults = [*faults]
    for batch in batches:
        wrong = list(_faults(batch, service, simulated))
        faults += [f"{batch.name} ({batch.id}): {fault}" for fault in wrong]
        screen.result("\n".join(_lines(batch, wrong)), _facts(batch, wrong))
    events = sum(len(batch.events) for batch in batches)
    archived = sum(batch.archived for batch in batches)
    found = sum(batch.found for batch in batches)
    keys = service.stored()
    files = [key for key in keys if key.startswith("batches/")]
    kept = [key for key in keys if key.startswith("events/")]
    if simulated and simulated.webhooks:
        screen.result(*_heard(batches, simulated.openai, simulated.webhooks))
    counts = {"events": events, "found": found, "archived": archived, "faults": faults}
    by_themselves = f", {found} of them found by themselves" if found else ""
    screen.result(
        f"\n{events} events of {len(batches)} batches received{by_themselves}; {archived} batches"
        f" archived in {len(files)} files; {len(kept)} events kept beside them.",
        {"kind": "result", "ok": not faults, **counts},
    )
    for line in list(service.log(*_TROUBLE))[:10] if faults else []:
        screen.result(f"  log: {line.strip()[:600]}", {})
    if not faults:
        screen.result(_NEXT, {})
    return faults


def _faults(batch: Batch, service: Service, simulated: Simulated | None) -> Iterator[str]:
    if batch.unasked:
        yield f"cannot be asked for: {batch.unasked}"
    yield from chain_faults(batch.messages, batch.ended)
    if batch.ended and not batch.closed:
        yield "it is still in the open index"
    for role, file in batch.files.items():
        if file.state != "archived" or file.s3_uri is None:
            yield f"{role} is {file.state}: {file.reason}"
        else:
            yield from _file_faults(batch, role, file, service, simulated)


def _file_faults(
    batch: Batch,
    role: str,
    file: ArchivedFile,
    service: Service,
    simulated: Simulated | None,
) -> Iterator[str]:
    """Compare an object with what was announced of it, and with the file itself."""
    found = service.fetch(str(file.s3_uri).split("/", 3)[3])
    if (found.size, found.crc32) != (file.bytes, file.crc32):
        yield f"{file.s3_uri} is not what batch.archived says of it"
    if simulated and role != Role.RECORD:
        openai = simulated.openai
        file_id = openai.batch(batch.id)[f"{role}_file_id"]
        if not file_id or _sha256(openai.file(str(file_id))) != found.sha256:
            yield f"{file.s3_uri} is not the file that OpenAI has"


def _heard(
    batches: Sequence[Batch], openai: SimulatedOpenAI, sender: Webhooks
) -> tuple[str, dict[str, Any]]:
    """Tell what became of the webhooks, and how soon a subscriber had word of the ends."""
    attempts = [*sender.attempts]
    ends = [(batch, batch.end) for batch in batches if batch.end]
    waits = [batch.heard_at[end.id] - openai.ends_at(batch.id) for batch, end in ends]
    facts = {
        "sent": len({attempt.webhook_id for attempt in attempts}),
        "attempts": len(attempts),
        "taken": sum(attempt.taken for attempt in attempts),
        "twice": len({attempt.webhook_id for attempt in attempts if attempt.second}),
        "lost": sum(attempt.lost for attempt in attempts),
        "unanswered": sum(a.status is None and not a.lost for a in attempts),
        "refused": sum(a.status is not None and not a.taken for a in attempts),
        "ends": len(ends),
        "observed": sum(end.data.observed_by == BY_WEBHOOK for _, end in ends),
        "median_seconds": round(median(waits), 3) if waits else None,
    }
    told = (
        "\n{sent} webhooks, {twice} of them sent twice, {lost} lost at first, on purpose:"
        " {attempts} attempts, {taken} taken, {unanswered} not answered in time, {refused} refused."
        "\n{observed} of {ends} ends were heard of by webhook, the others by a poll;"
        " {median_seconds} s from an end to its event at a subscriber (median)."
    )
    return told.format(**facts), {"kind": "webhooks", **facts}


def _lines(batch: Batch, faults: list[str]) -> Iterator[str]:
    last = batch.events[-1].data if batch.events else None
    still_open = "" if batch.ended or faults else "  (still open)"
    status = last.status if last else "no event"
    yield f"{batch.name:<18} {status:<11} {_requests(last)}{still_open}".rstrip()
    yield "    events  " + " → ".join(e.type.removeprefix("batch.") for e in batch.events)
    for role, file in batch.files.items():
        yield f"    {role:<7} {show_size(file.bytes or 0):>9}  {file.s3_uri or file.state}"


def _facts(batch: Batch, faults: list[str]) -> dict[str, Any]:
    last = batch.events[-1].data if batch.events else None
    return {
        "kind": "batch",
        "id": batch.id,
        "name": batch.name,
        "status": last.status if last else None,
        "events": [event.type for event in batch.events],
        "files": {str(role): file.model_dump(mode="json") for role, file in batch.files.items()},
        "faults": faults,
    }


def _requests(last: BatchEventData | None) -> str:
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
