"""A run that went well, made by hand: what a checker is tested on."""

from __future__ import annotations

import json
import uuid
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.judge.checker import Outside, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

Edit: TypeAlias = "Callable[[dict[str, Any]], object]"
"""What changes the body of an event."""

BUCKET = "results"
CREATED = 1_800_000_000  # 2027-01-15T08:00:00Z
WHOLE, LOST = "batch_whole", "batch_lost"
OUTPUT, ERROR = b'{"id": 1}\n{"id": 2}\n', b'{"id": 3}\n'


@dataclass
class Run:
    """What a test spoils: as `Outside`, but it can be changed."""

    truth: dict[str, Truth] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, list[bytes]] = field(default_factory=dict)
    dead_letters: list[str] = field(default_factory=list)
    uploads: int = 0
    text: list[str] = field(default_factory=list)

    def outside(self) -> Outside:
        """Look at it."""
        return Outside(
            self.truth,
            self.messages,
            [*self.items.values()],
            self.objects,
            self.dead_letters,
            self.uploads,
            self.text,
        )

    def tell(self, batch_id: str, kind: str, **changes: Any) -> None:
        """Announce the next event of a batch, and keep it."""
        item = self.items[batch_id]
        status = kind if kind in {*_TIMES, "unknown"} else item["last_status"]
        item["seq"] += 1
        body = event(batch_id, kind, status, item["last_status"], int(item["seq"]))
        item["last_status"] = status
        body["data"] |= changes
        self._put(len(self.messages), body)

    def rewrite(
        self, batch_id: str, sequence: int, edit: Callable[[dict[str, Any]], object]
    ) -> None:
        """Let an event have been another one from the beginning."""
        place = self.place(batch_id, sequence)
        body = json.loads(self.messages.pop(place))
        del self.objects[key_of(body)]
        edit(body)
        self._put(place, body)

    def lose(self, batch_id: str, sequence: int) -> None:
        """Let an event never have been."""
        del self.objects[key_of(json.loads(self.messages.pop(self.place(batch_id, sequence))))]

    def place(self, batch_id: str, sequence: int) -> int:
        """Where among the messages an event is."""
        bodies = [json.loads(message) for message in self.messages]
        return [(b["subject"], b["data"]["sequence"]) for b in bodies].index((batch_id, sequence))

    def _put(self, place: int, body: dict[str, Any]) -> None:
        self.messages.insert(place, json.dumps(body))
        self.objects[key_of(body)] = [json.dumps(body).encode()]


_TIMES = {"validating": 0, "in_progress": 10, "cancelling": 20, "completed": 60, "cancelled": 60}


def good_run() -> Run:
    """One batch of which all was had; one cancelled, whose output file was cut each time."""
    run = Run()
    _begin(run, WHOLE, Truth(_batch(WHOLE, "completed"), {"output": OUTPUT, "error": ERROR}))
    _begin(run, LOST, Truth(_batch(LOST, "cancelled"), {"error": ERROR}, frozenset({"output"})))
    for batch_id, kinds in {
        WHOLE: ("validating", "in_progress", "completed"),
        LOST: ("in_progress", "unknown", "cancelling", "cancelled"),
    }.items():
        for kind in kinds:
            run.tell(batch_id, kind)
    run.tell(LOST, "file_failed", files={"output": _lost()})
    for batch_id in (LOST, WHOLE):
        files = run.items[batch_id]["files"]
        shown = {r: {k: v for k, v in f.items() if k != "file_id"} for r, f in files.items()}
        run.tell(batch_id, "archived", files=json.loads(json.dumps(shown, default=int)))
    return run


def event(
    batch_id: str, kind: str, status: str, previous: str | None, sequence: int
) -> dict[str, Any]:
    """Spell an event."""
    seen = _date(CREATED + 100)
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{batch_id}/{kind}")),
        "source": "urn:batchwatch:test:default",
        "type": f"batch.{kind}",
        "subject": batch_id,
        "time": _date(CREATED + _TIMES[kind]) if kind in _TIMES else seen,
        "datacontenttype": "application/json",
        "dataschema": "urn:batchwatch:schema:batch-event:1",
        "data": {
            "account": "default",
            "status": status,
            "previous_status": previous,
            "sequence": sequence,
            "observed_at": seen,
            "observed_by": "poller",
            "batch": _batch(batch_id, "paused" if status == "unknown" else status),
        },
    }


def key_of(body: dict[str, Any]) -> str:
    """Where an event is kept."""
    return f"events/default/{body['subject']}/{body['data']['sequence']:04d}-{body['type']}.json"


def folder(batch_id: str) -> str:
    """Where the files of a batch are."""
    return f"batches/account=default/created=2027-01-15/{batch_id}"


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def _batch(batch_id: str, status: str) -> dict[str, Any]:
    ended = status in {"completed", "cancelled"}
    return {
        "id": batch_id,
        "status": status,
        "created_at": CREATED,
        "in_progress_at": CREATED + 10,
        "cancelling_at": CREATED + 20,
        f"{status}_at": CREATED + _TIMES.get(status, 0),
        "output_file_id": f"file-{batch_id}-output" if ended else None,
        "error_file_id": f"file-{batch_id}-error" if ended else None,
    }


def _begin(run: Run, batch_id: str, truth: Truth) -> None:
    run.truth[batch_id] = truth
    record = json.dumps(truth.batch).encode()
    names = {"output": "output.jsonl", "error": "error.jsonl", "record": "batch.json"}
    files = {}
    for role, content in {**truth.files, "record": record}.items():
        key = f"{folder(batch_id)}/{names[role]}"
        run.objects[key] = [content]
        files[role] = {
            "state": "archived",
            "s3_uri": f"s3://{BUCKET}/{key}",
            "bytes": Decimal(len(content)),
            "lines": Decimal(content.count(b"\n")),
            "crc32": f"{zlib.crc32(content):08x}",
        }
    files |= {role: _lost() for role in truth.lost}
    for role in {*files} - {"record"}:
        files[role]["file_id"] = truth.batch[f"{role}_file_id"]
    run.items[batch_id] = {
        "account": "default",
        "batch_id": batch_id,
        "tracked": True,
        "v": Decimal(9),
        "seq": Decimal(0),
        "status": truth.batch["status"],
        "last_status": None,
        "batch": json.dumps(truth.batch),
        "unknown": {"paused"},
        "outbox": {},
        "files": files,
    }


def _lost() -> dict[str, Any]:
    return {"state": "failed", "reason": "cut off at 10 bytes"}
