"""A morning on which everything happens, in invented batches: for the pictures in docs/.

`uv run python -m tests.sample_digest` renews the emails in docs/notifications.md.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchwatch.batch import Batch, Role
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, event_id, make_event, moment
from batchwatch.job_events import Event, JobEvent, JobEventData, JobPart, JobTotals, Waiting
from batchwatch.notify.digest import Digest, digest_of
from batchwatch.notify.email import email
from batchwatch.place import archive_key
from batchwatch.prices import Prices

PAGE = Path(__file__).parents[1] / "docs" / "notifications.md"
BUCKET = "batchwatch-bucket-7xk2m9q4w1"
_PICTURE = re.compile(r"(<!-- (the email|of jobs) -->\n```text\n).*?(```\n)", re.DOTALL)
_EVENING = 1_792_620_000  # 2026-10-21T22:00:00Z
_FILE = "file-{}Vq8ZtLw3RnYb5KxHc7PmSd".format
_END = {"completed": 5640, "expired": 86_700, "cancelled": 2460, "failed": 14}
MODEL = "gpt-5-mini-2025-08-07"


def _batch(  # noqa: PLR0913 - a batch is all of these
    number: int,
    status: str,
    name: str | None,
    *,
    of: tuple[int, int, int] = (0, 0, 0),
    model: str = MODEL,
    tokens: tuple[int, int, int] = (0, 0, 0),
    files: str = "",
    submit: str = "",
    reasons: tuple[tuple[str, int | None, str], ...] = (),
) -> Batch:
    """Give a batch; `of`: total, completed, failed; `tokens`: in, cached, out; `files`: "oe"."""
    total, completed, failed = of
    tokens_in, cached, tokens_out = tokens
    embeddings = model.startswith("text-embedding")
    began = None if status == "failed" else _EVENING + 60
    return Batch.read(
        {
            "id": f"batch_68f7c{number:x}a2d4e88190b3c6f0e15a7d92{number:02x}",
            "object": "batch",
            "endpoint": "/v1/embeddings" if embeddings else "/v1/responses",
            "model": model if began else None,
            "errors": {
                "object": "list",
                "data": [{"code": c, "line": n, "message": m} for c, n, m in reasons],
            },
            "status": status,
            "output_file_id": _FILE(f"{number}o") if "o" in files else None,
            "error_file_id": _FILE(f"{number}e") if "e" in files else None,
            "created_at": _EVENING,
            "in_progress_at": began,
            "expires_at": _EVENING + 86_400,
            **({f"{status}_at": _EVENING + _END[status]} if status in _END else {}),
            "request_counts": {"total": total, "completed": completed, "failed": failed},
            "usage": {
                "input_tokens": tokens_in,
                "input_tokens_details": {"cached_tokens": cached},
                "output_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            },
            "metadata": {
                **({"name": name} if name else {}),
                **({"batchwatch_submit": submit} if submit else {}),
            }
            or None,
        }
    )


def _event(kind: str, batch: Batch, sequence: int = 3, **more: Any) -> BatchEvent:
    account = more.pop("account", "default")
    return make_event(
        f"batch.{kind}",
        batch,
        source=f"urn:batchwatch:batchwatch:{account}",
        account=account,
        status=batch.status,
        previous_status="in_progress",
        sequence=sequence,
        now=_EVENING + 86_760,
        by="poller",
        **more,
    )


def _archived(
    batch: Batch, sizes: Mapping[Role, tuple[int, int]], sequence: int = 4, **more: Any
) -> BatchEvent:
    files = {
        role: ArchivedFile(
            state="archived",
            s3_uri=f"s3://{BUCKET}/{archive_key('default', batch, role)}",
            lines=lines,
            bytes=size,
            crc32="7c1d09f2",
        )
        for role, (lines, size) in {**sizes, Role.RECORD: (0, 1204)}.items()
    }
    return _event("archived", batch, sequence, files={**files, **more})


def sample_events() -> list[BatchEvent]:
    """Every outcome there is, in the order of their batches."""
    failed = _batch(
        1,
        "failed",
        "product-tags",
        reasons=(
            ("invalid_json_line", 17, "This line is not parseable as valid JSON."),
            ("duplicate_custom_id", 204, "The custom_id 'sku-20391' is used more than once."),
            ("invalid_url", 311, "The URL provided for this request does not match the batch."),
            ("invalid_url", 312, "The URL provided for this request does not match the batch."),
        ),
    )
    lost = _batch(2, "validating", None)
    broken = _batch(
        3, "completed", "support-triage", of=(800, 800, 0), tokens=(912_400, 0, 88_150), files="o"
    )
    broken_file = ArchivedFile(state="failed", reason="got 1402880 of 1833472 bytes")
    useless = _batch(4, "completed", "invoice-fields", of=(250, 0, 250), files="e")
    expired = _batch(
        5,
        "expired",
        "catalogue-embeddings",
        of=(50_000, 41_200, 0),
        model="text-embedding-3-small",
        tokens=(10_712_000, 0, 0),
        files="oe",
    )
    stalled = _batch(6, "in_progress", "eval-october", of=(1000, 120, 2))
    standing = Stalled(
        reason="no_progress",
        seconds=22_320,
        usual="answers every hour; on busy days a small batch may rest for longer",
    )
    cancelled = _batch(
        7, "cancelled", "review-labels", of=(300, 120, 0), tokens=(51_200, 0, 9_840), files="oe"
    )
    some = _batch(
        8,
        "completed",
        "nightly-summaries",
        of=(400, 388, 12),
        tokens=(1_204_400, 614_400, 96_700),
        files="oe",
    )
    good = _batch(
        9, "completed", "translations", of=(2000, 2000, 0), tokens=(388_000, 0, 402_500), files="o"
    )
    house = _batch(
        10,
        "completed",
        "ticket-topics",
        of=(640, 640, 0),
        model="ft:gpt-4.1-2025-04-14:acme::Bx41",
        tokens=(150_300, 0, 12_800),
        files="o",
    )
    earlier = _batch(11, "completed", "weekly-report", of=(52, 52, 0), files="o")
    return [
        _event("failed", failed, 2),
        _event("lost", lost, 2, account="research"),
        _event("completed", broken),
        _event("file_failed", broken, 4, files={Role.OUTPUT: broken_file}),
        _archived(broken, {}, 5, **{Role.OUTPUT: broken_file}),
        _event("completed", useless),
        _event("expired", expired, 4),
        _event("stalled", stalled, stalled=standing),
        _event("cancelled", cancelled, 4),
        _archived(cancelled, {Role.OUTPUT: (120, 93_210), Role.ERROR: (180, 39_240)}, 5),
        _event("completed", some),
        _event("completed", good),
        _archived(good, {Role.OUTPUT: (2000, 4_410_300)}),
        _event("completed", house),
        _archived(earlier, {Role.OUTPUT: (52, 151_040)}),
    ]


def sample_digest() -> Digest:
    """Put them together."""
    return digest_of(sample_events(), stack="batchwatch", bucket=BUCKET, price=Prices.read().cost)


def jobs_digest() -> Digest:
    """Put those of jobs together."""
    return digest_of(sample_jobs(), stack="batchwatch", bucket=BUCKET, price=Prices.read().cost)


def short_digest() -> Digest:
    """Three of its batches: one that failed, one with errors, one that has completed."""
    digest = sample_digest()
    shown = ("failed", "completed with errors", "completed")
    by_said = {entry.said: entry for entry in digest.entries}
    return digest._replace(entries=tuple(by_said[said] for said in shown))


JOB = "job_{:024x}".format


def job_event(kind: str, number: int = 1, file: str = "products.jsonl", **said: Any) -> JobEvent:
    """Tell of a job; `said`: further fields of its data."""
    account = said.pop("account", "default")
    usual: dict[str, Any] = {"sequence": 2, "requests": 60_000, "status": kind}
    return JobEvent(
        id=event_id(account, JOB(number), f"job.{kind}"),
        source=f"urn:batchwatch:batchwatch:{account}",
        type=f"job.{kind}",
        subject=JOB(number),
        time=moment(_EVENING + 7200),
        data=JobEventData(
            account=account,
            observed_at=moment(_EVENING + 7200),
            object=f"s3://{BUCKET}/inbox/{file}",
            version="3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
            **usual | said,
        ),
    )


def _part(number: int, requests: int, state: str = "ended", **more: Any) -> JobPart:
    usual = {"endpoint": "/v1/responses", "model": "gpt-5-mini"}
    return JobPart(number=number, requests=requests, state=state, **usual | more)


def _merged(job: int, **sizes: tuple[int, int]) -> dict[str, ArchivedFile]:
    """Give the merged files of a job, each with its lines and bytes."""
    place = f"s3://{BUCKET}/jobs/account=default/created=2026-10-21/{JOB(job)}"
    return {
        role: ArchivedFile(
            state="archived",
            s3_uri=f"{place}/{role}.jsonl",
            bytes=size,
            lines=lines,
            crc32="7c1d09f2",
        )
        for role, (lines, size) in sizes.items()
    }


def sample_jobs() -> list[Event]:
    """Every outcome of a job, and a batch of one that found no room."""
    report = f"s3://{BUCKET}/inbox-rejected/{{}}/{{}}/report.json".format
    first = _part(1, 50_000, status="completed", completed=49_988, failed=12)
    ended = (first, _part(2, 10_000, status="completed", completed=10_000, failed=0))
    full = _batch(
        12,
        "failed",
        "reviews",
        submit=f"{JOB(3)}/2/1",
        reasons=(("token_limit_exceeded", None, "Enqueued token limit reached for gpt-5-mini."),),
    )
    return [
        job_event(
            "completed",
            1,
            "products.jsonl",
            parts=ended,
            rejected=3,
            report=report("products.jsonl", JOB(1)),
            totals=JobTotals(requests=60_000, completed=59_988, failed=12, unfinished=0),
            files=_merged(1, output=(59_988, 46_511_022), error=(12, 3725)),
        ),
        job_event(
            "refused",
            2,
            "tickets.jsonl",
            account="unknown",
            requests=0,
            reason="the secret has no usable account 'serach'; the option account may name one of "
            "these: default, search",
        ),
        job_event(
            "waiting",
            3,
            "reviews.jsonl",
            parts=(_part(1, 50_000, "submitted"), _part(2, 10_000, "waiting")),
            waiting=Waiting(reason="token_limit", since=moment(_EVENING + 7140), parts=1),
        ),
        job_event(
            "cancelled",
            4,
            "drafts.jsonl",
            parts=(first, _part(2, 10_000, "cancelled")),
            totals=JobTotals(requests=60_000, completed=49_988, failed=12, unfinished=10_000),
            files=_merged(4, output=(49_988, 38_760_240), error=(12, 3725)),
        ),
        job_event(
            "completed",
            5,
            "labels.jsonl",
            requests=800,
            parts=(_part(1, 800, status="completed", completed=800, failed=0),),
            totals=JobTotals(requests=800, completed=800, failed=0, unfinished=0),
            files=_merged(5, output=(800, 310_400)),
        ),
        _event("failed", full, 2),
    ]


def picture(of: str = "the email") -> str:
    """Give an email as docs/notifications.md shows it: `the email`, or that `of jobs`."""
    digest = sample_digest() if of == "the email" else jobs_digest()
    made = email(digest, prices=Prices.read().told)
    return f"Subject: {made.subject}\n\n{made.text}"


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(_PICTURE.sub(lambda found: found[1] + picture(found[2]) + found[3], page))
