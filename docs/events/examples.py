"""One whole example of each type of event: of batches that nobody has, in a bucket of nobody."""

from typing import Any, NamedTuple

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, event_id, make_event, moment
from batchwatch.job_events import Event, JobEvent, JobEventData, JobPart, JobTotals, Waiting
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


_SOURCE = "urn:batchwatch:batchwatch:default"


def example(kind: str) -> Event:
    """Make the example of a type."""
    return job_example(kind) if kind in JOBS else batch_example(kind)


def batch_example(kind: str) -> BatchEvent:
    """Make the example of a type that tells of a batch."""
    seen = SEEN[kind]
    batch = Batch.read(seen.batch())
    return make_event(
        kind,
        batch,
        source=_SOURCE,
        account="default",
        status=seen.status or batch.status,
        previous_status=seen.before,
        sequence=seen.sequence,
        now=CREATED + seen.after + 0.512,
        by=seen.by,
        files=seen.files,
        stalled=seen.stalled,
    )


JOB = "job_000000000000000000000001"
_REPORT = f"s3://amzn-s3-demo-bucket/inbox-rejected/nightly.jsonl/{JOB}/report.json"
_MERGED = f"s3://amzn-s3-demo-bucket/jobs/account=default/created=2026-11-21/{JOB}"


def _part(number: int, state: str, requests: int, **more: Any) -> JobPart:
    batch_id = None if state in {"waiting", "cancelled"} else f"batch_{number:032d}"
    part = JobPart(
        number=number,
        state=state,
        endpoint="/v1/responses",
        model="gpt-5-mini",
        requests=requests,
        batch_id=batch_id,
    )
    return part.model_copy(update=more)


def _merged(role: str, size: int, lines: int, crc32: str) -> ArchivedFile:
    uri = f"{_MERGED}/{role}.jsonl"
    return ArchivedFile(state="archived", s3_uri=uri, bytes=size, lines=lines, crc32=crc32)


_ENDED = _part(1, "ended", 50_000, status="completed", completed=49_988, failed=12)
_OTHER = _part(2, "ended", 10_000, status="completed", completed=10_000, failed=0)
_UNSENT = _part(2, "cancelled", 10_000, reason="cancelled before it was sent")
_LIMIT = Waiting(reason="token_limit", since=moment(CREATED + 95), parts=1)
_OUTPUT = _merged("output", 46_511_022, 59_988, "a9e15b04")
_HALF = _merged("output", 38_760_240, 49_988, "1f7703cd")
_ERRORS = _merged("error", 3725, 12, "e1a40b37")

JOBS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "job.submitted": (
        2,
        7_300,
        {"parts": (_part(1, "submitted", 50_000), _part(2, "submitted", 10_000))},
    ),
    "job.waiting": (
        1,
        95,
        {
            "parts": (
                _part(1, "submitted", 50_000),
                _part(2, "waiting", 10_000, reason="token_limit"),
            ),
            "waiting": _LIMIT,
        },
    ),
    "job.completed": (
        3,
        28_400,
        {
            "parts": (_ENDED, _OTHER),
            "totals": JobTotals(requests=60_000, completed=59_988, failed=12, unfinished=0),
            "files": {"output": _OUTPUT, "error": _ERRORS},
        },
    ),
    "job.cancelled": (
        2,
        21_200,
        {
            "parts": (_ENDED, _UNSENT),
            "totals": JobTotals(requests=60_000, completed=49_988, failed=12, unfinished=10_000),
            "files": {"output": _HALF, "error": _ERRORS},
        },
    ),
    "job.refused": (
        1,
        4,
        {
            "requests": 0,
            "rejected": 60_003,
            "reason": "none of the first 1000 lines is a request; is this JSONL?",
        },
    ),
}
"""Sequence, seconds since the file was dropped, and what the event tells beyond all others."""


def job_example(kind: str) -> JobEvent:
    """Make the example of a type that tells of a job."""
    sequence, after, more = JOBS[kind]
    usual: dict[str, Any] = {"requests": 60_000, "rejected": 3, "report": _REPORT}
    return JobEvent(
        id=event_id("default", JOB, kind),
        source=_SOURCE,
        type=kind,
        subject=JOB,
        time=moment(CREATED + after + 0.512),
        data=JobEventData(
            account="default",
            status=kind.removeprefix("job."),
            sequence=sequence,
            observed_at=moment(CREATED + after + 0.512),
            object="s3://amzn-s3-demo-bucket/inbox/nightly.jsonl",
            version="3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
            **usual | more,
        ),
    )
