"""One whole example of each type of event: of batches that nobody has, in a bucket of nobody."""

from typing import Any, NamedTuple

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, make_event
from batchwatch.stall import USUAL
from local.simulator.lifecycle import Script, snapshot

ID = "batch_00000000000000000000000000000001"
CREATED = 1_795_219_200  # 2026-11-21T00:00:00Z
_FILES = {
    "input_file_id": "file-ExampleInput0000000001",
    "output_file_id": "file-ExampleOutput000000001",
    "error_file_id": "file-ExampleError0000000001",
}
_BUCKET = "s3://amzn-s3-demo-bucket/batches/account=default/created=2026-11-21"
_DAY = 86_400  # seconds


def _script(ends: str, **changes: Any) -> Script:
    usual: dict[str, Any] = {
        "requests": 200,
        "validating": 30,
        "running": 21_000,
        "finalizing": 120,
    }
    return Script(name="nightly", endpoint="/v1/responses", ends=ends, **usual | changes)


_COMPLETED = _script("completed", failed=12)
_EXPIRED = _script("expired", unfinished=80, running=_DAY - 150)
_CANCELLED = _script("cancelled", unfinished=80, running=9_000)


class Seen(NamedTuple):
    """A batch as it was seen so many seconds after it was made, and what had been told by then."""

    script: Script
    after: int
    sequence: int
    before: Status | None
    by: str = "poller"
    status: Status | None = None
    spelled: str | None = None
    files: dict[Role, ArchivedFile] | None = None
    stalled: Stalled | None = None

    def batch(self) -> dict[str, Any]:
        """Return the object as the API shows it then."""
        said = dict(snapshot(self.script, ID, CREATED, CREATED + self.after))
        said |= {name: named for name, named in _FILES.items() if said[name]}
        said |= {"metadata": {"name": "nightly", "team": "search"}}
        return said | ({"status": self.spelled} if self.spelled else {})


def _archived(role: Role, size: int, lines: int, crc32: str) -> ArchivedFile:
    name = "batch.json" if role is Role.RECORD else f"{role}.jsonl"
    uri = f"{_BUCKET}/{ID}/{name}"
    return ArchivedFile(state="archived", s3_uri=uri, bytes=size, lines=lines, crc32=crc32)


_ALL = {
    Role.OUTPUT: _archived(Role.OUTPUT, 145_911, 188, "7c1d09f2"),
    Role.ERROR: _archived(Role.ERROR, 3725, 12, "e1a40b37"),
    Role.RECORD: _archived(Role.RECORD, 851, 0, "09b1c2aa"),
}
_GONE = {Role.ERROR: ArchivedFile(state="gone", reason="its id never came")}
_FAILED = {Role.OUTPUT: ArchivedFile(state="failed", reason="65536 of 145911 bytes came")}
_STANDS = Stalled(reason="no_progress", seconds=21_600, usual=USUAL["no_progress"])
_DONE, _RUNS = Status.COMPLETED, Status.IN_PROGRESS

SEEN = {
    "batch.validating": Seen(_COMPLETED, 12, 1, None),
    "batch.in_progress": Seen(_COMPLETED, 42, 2, Status.VALIDATING),
    "batch.finalizing": Seen(_COMPLETED, 21_040, 3, _RUNS),
    "batch.cancelling": Seen(_CANCELLED, 9_040, 3, _RUNS),
    "batch.completed": Seen(_COMPLETED, 21_151, 4, Status.FINALIZING, by="webhook"),
    "batch.failed": Seen(_script("failed"), 42, 2, Status.VALIDATING),
    "batch.expired": Seen(_EXPIRED, _DAY + 12, 4, Status.FINALIZING),
    "batch.cancelled": Seen(_CANCELLED, 9_180, 4, Status.CANCELLING),
    "batch.archived": Seen(_COMPLETED, 21_160, 5, _DONE, by="archiver", files=_ALL),
    "batch.file_gone": Seen(_COMPLETED, 21_151 + _DAY, 5, _DONE, files=_GONE),
    "batch.file_failed": Seen(_COMPLETED, 23_000, 5, _DONE, by="archiver", files=_FAILED),
    "batch.stalled": Seen(_COMPLETED, 20_000, 3, _RUNS, status=_RUNS, stalled=_STANDS),
    "batch.lost": Seen(_COMPLETED, 7_200, 3, _RUNS, status=_RUNS),
    "batch.unknown": Seen(_COMPLETED, 60, 3, _RUNS, status=Status.UNKNOWN, spelled="paused"),
}


def example(kind: str) -> BatchEvent:
    """Make the example of a type."""
    seen = SEEN[kind]
    batch = Batch.read(seen.batch())
    return make_event(
        kind,
        batch,
        source="urn:batchwatch:batchwatch:default",
        account="default",
        status=seen.status or batch.status,
        previous_status=seen.before,
        sequence=seen.sequence,
        now=CREATED + seen.after + 0.512,
        by=seen.by,
        files=seen.files,
        stalled=seen.stalled,
    )
