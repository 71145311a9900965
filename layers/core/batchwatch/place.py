"""Where things lie in the bucket. Pure."""

from datetime import UTC, datetime

from batchwatch.batch import Batch, Role


def folder(account: str, batch: Batch) -> str:
    """Return the prefix of everything archived of a batch; the date is the batch's own."""
    created = batch.created_at
    day = "unknown" if created is None else f"{datetime.fromtimestamp(created, tz=UTC):%Y-%m-%d}"
    return f"batches/account={account}/created={day}/{batch.id}/"


def archive_key(account: str, batch: Batch, role: Role) -> str:
    """Return the key of a file of a batch."""
    name = "batch.json" if role is Role.RECORD else f"{role}.jsonl"
    return folder(account, batch) + name
