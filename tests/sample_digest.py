"""A morning on which everything happens, in invented batches: for the pictures in docs/.

`uv run python -m tests.sample_digest` renews the email in docs/notifications.md.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchwatch.batch import Batch, Role
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, make_event
from batchwatch.notify.digest import Digest, digest_of
from batchwatch.notify.email import email
from batchwatch.place import archive_key
from batchwatch.prices import Prices

PAGE = Path(__file__).parents[1] / "docs" / "notifications.md"
BUCKET = "batchwatch-bucket-7xk2m9q4w1"
_PICTURE = re.compile(r"(<!-- the email -->\n```text\n).*?(```\n)", re.DOTALL)
_EVENING = 1_792_620_000  # 2026-10-21T18:00:00Z
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
            "metadata": {"name": name} if name else None,
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


def short_digest() -> Digest:
    """Three of its batches: one that failed, one with errors, one that has completed."""
    digest = sample_digest()
    shown = ("failed", "completed with errors", "completed")
    by_said = {entry.said: entry for entry in digest.entries}
    return digest._replace(entries=tuple(by_said[said] for said in shown))


def picture() -> str:
    """Give the email as docs/notifications.md shows it."""
    made = email(sample_digest(), prices=Prices.read().told)
    return f"Subject: {made.subject}\n\n{made.text}"


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(_PICTURE.sub(lambda found: found[1] + picture() + found[2], page))
