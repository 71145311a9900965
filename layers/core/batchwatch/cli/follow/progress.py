"""What is watched as it is at a moment: a batch, or a job with all its parts. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from batchwatch.cli.follow.pace import run_of
from batchwatch.cli.look import view
from batchwatch.events import outcome
from batchwatch.notify.digest import title
from batchwatch.notify.wording import clean, plural
from batchwatch.submit.job import FINAL, UNSENT, Job, Outcome, PartState, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchwatch.cli.follow.pace import Run
    from batchwatch.prices import Prices
    from batchwatch.record import Record

_SHORT = 20


class Seen(NamedTuple):
    """A batch, or a job, as it was last seen.

    errors   requests that were answered by an error
    since    when it was made, in seconds since 1970
    detail   what became of the files; of a job, how far its parts are
    ended    whether it has its last status; `over`: its files too
    good     whether that is the end that was hoped for; `trouble`: whether it is not, or stalls
    runs     what its time left depends on; None where that is not to be known
    reason   why it came to a bad end, if that is known
    said     all of it as one JSON object
    """

    kind: Literal["batch", "job"]
    id: str
    name: str
    status: str
    said: Mapping[str, Any]
    done: int = 0
    total: int = 0
    errors: int = 0
    since: float | None = None
    detail: str = ""
    ended: bool = False
    over: bool = False
    good: bool = True
    trouble: bool = False
    runs: tuple[Run, ...] | None = ()
    reason: str = ""

    @property
    def account(self) -> str:
        """Whose it is; two accounts may see the same batch. Empty where that is not known yet."""
        return str(self.said.get("account", ""))

    @property
    def rank(self) -> int:
        """Where it is shown: troubles first, what is over last."""
        return 0 if self.trouble else 2 if self.over else 1


def in_order(seen: Iterable[Seen]) -> list[Seen]:
    """Problems first, then what goes on, the newest first, then what is over."""
    return sorted(seen, key=lambda each: (each.rank, -(each.since or 0), each.id))


def of_batch(known: Record, prices: Prices) -> Seen:
    """Show a batch."""
    batch, status = known.batch, view.status_of(known)
    counts = batch.counts if batch else None
    over, good = view.over(known), view.good(known)
    ended = over or known.terminal
    run = run_of(known)
    return Seen(
        "batch",
        known.batch_id,
        short(title(batch) if batch else known.batch_id),
        clean(status, _SHORT),
        view.said(known, prices),
        done=counts.done if counts else 0,
        total=(counts.total or 0) if counts else 0,
        errors=(counts.failed or 0) if counts else 0,
        since=known.created_at,
        detail=view.files_of(known),
        ended=ended,
        over=over,
        good=good,
        trouble=(ended and not good) or (not ended and _stalls(known)),
        runs=(run,) if run else (),
        reason=_reason(known),
    )


def unreadable(known: Record, why: str) -> Seen:
    """Show a batch of which the ledger has nothing that can be read, or nothing any more."""
    said, name = view.unreadable(known, why), short(known.batch_id)
    return Seen("batch", known.batch_id, name, view.UNREADABLE, said,
                ended=True, over=True, good=False, trouble=True, reason=why)  # fmt: skip


def expected(job_id: str, key: str, since: float) -> Seen:
    """Show a job of which nothing is known yet but that its file lies in the inbox."""
    said = {"kind": "job", "id": job_id, "key": key, "status": "uploaded", "over": False}
    return Seen("job", job_id, _file(key), "uploaded", said, since=since, detail="not read yet")


def of_job(job: Job, batches: Mapping[str, Record]) -> Seen:
    """Show a job; `batches`: what is known of those that its parts have, by their ids."""
    live = {p.batch_id: batches.get(p.batch_id or "") for p in job.parts if _is_live(p.state)}
    counts = [r.batch.counts for r in live.values() if r and r.batch and r.batch.counts]
    completed = sum(p.completed or 0 for p in job.parts) + sum(c.completed or 0 for c in counts)
    failed = sum(p.failed or 0 for p in job.parts) + sum(c.failed or 0 for c in counts)
    over, done, status = job.stage is Stage.DONE, completed + failed, view.status_of_job(job)
    answered = completed > 0 and done >= job.requests
    good = not over or (job.outcome is Outcome.COMPLETED and answered)
    runs = [run_of(record) if record else None for record in live.values()]
    known = tuple(run for run in runs if run)
    said = {
        "kind": "job",
        "id": job.job_id,
        "account": job.account,
        "key": job.key,
        "status": status,
        "outcome": view.outcome_of_job(job),
        "over": over,
        "arrived_at": view.iso(job.arrived),
        "requests": {"total": job.requests, "completed": completed, "failed": failed},
        "parts": dict(Counter(part.state.value for part in job.parts)),
        "batches": [part.batch_id for part in job.parts if part.batch_id],
        "waiting": job.waiting,
        "waiting_since": view.iso(job.waiting_since),
        "rejected": job.rejected,
        "report": job.report,
        "reason": job.reason,
        "files": {role.value: view.said_of_file(file) for role, file in job.merged.items()},
    }
    reasons = [job.reason, *(part.reason for part in job.parts)]
    if not good:
        left = _unanswered(job.requests - done)
        reasons.append(left if completed else "no request succeeded")
    return Seen(
        "job",
        job.job_id,
        _file(job.key),
        status,
        said,
        done=done,
        total=job.requests,
        errors=failed,
        since=job.arrived,
        detail=parts_of(job),
        ended=over or job.stage is Stage.MERGING,
        over=over,
        good=good,
        trouble=not good or (job.waiting is not None and job.stage is Stage.SENDING),
        runs=known if len(known) == len(live) and not _unsent(job) else None,
        reason=clean(next((reason for reason in reasons if reason), "")),
    )


def short(name: str) -> str:
    """Shorten an id so that it can still be told from others; leave a name as it is."""
    if not name.startswith("batch_") or len(name) <= _SHORT:
        return name
    return f"{name[:11]}…{name[-6:]}"


def _is_live(state: PartState) -> bool:
    return state is PartState.LIVE


def _stalls(known: Record) -> bool:
    return bool(known.batch and known.batch.named_status in known.stalled)


def _reason(known: Record) -> str:
    """Say the first thing that went wrong: an error of the batch, or of a file."""
    batch = known.batch
    errors = batch.errors.data if batch and batch.errors else []
    reasons = [e.message or e.code or "" for e in errors[:1]]
    reasons += [f"{role}: {file.reason}" for role, file in known.files.items() if file.reason]
    if batch and known.terminal and not view.good(known):
        reasons.append(
            "no request succeeded"
            if outcome(batch) == "none"
            else _unanswered(batch.counts.unfinished if batch.counts else 0)
        )
    return clean(next(filter(None, reasons), ""))


def _unanswered(count: int) -> str:
    if not count:
        return ""
    return f"{plural(count, 'request')} {'was' if count == 1 else 'were'} never answered"


def parts_of(job: Job) -> str:
    """Say how far the parts of a job are."""
    if job.stage is Stage.DONE:
        return "merged" if any(file.s3_uri for file in job.merged.values()) else ""
    if not job.parts:
        return "being read"
    waits = f", {_unsent(job)} wait" if _unsent(job) else ""
    why = f" ({job.waiting})" if waits and job.waiting else ""
    return f"{sum(part.state in FINAL for part in job.parts)}/{len(job.parts)} parts{waits}{why}"


def _unsent(job: Job) -> int:
    return sum(part.state in UNSENT for part in job.parts)


def _file(key: str) -> str:
    return clean(key.rpartition("/")[2], 40)
