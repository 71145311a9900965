"""Reads items as a version of the package does, and spells each as it would write it back.

Run with the package of any release on the path: items come in on standard input, in DynamoDB's own
JSON. Of one that cannot be read, the error is put out in its place.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from batchwatch.items import _file, record_of
from batchwatch.submit.jobs import _job, _said

_PLAIN = ("v", "seq", "status", "last_status", "digest", "moved_at", "tracked", "attempt")
_plain = TypeDeserializer().deserialize


def reread(item: dict[str, Any]) -> dict[str, Any]:
    """Read an item of either table, and tell of it what a write would put there."""
    return _of_job(item) if "job_id" in item else _of_batch(item)


def kept(item: dict[str, Any]) -> dict[str, Any]:
    """Tell the same of what lies in the table, without any code of the package."""
    plain = {name: _plain(value) for name, value in item.items()}
    if "job_id" in item:
        said = {name: plain[name] for name in ("stage", "account", "outbox", "v")}
        return _bare({**said, "job": json.loads(plain["job"]), "open": "open" in plain})
    said = {name: plain[name] for name in _PLAIN if name in plain}
    batch = {"batch": json.loads(plain["batch"])} if "batch" in plain else {}
    files = {"files": plain.get("files", {}), "outbox": plain.get("outbox", {})}
    return _bare({**said, **batch, **files, "open": "open" in plain})


def lost(there: Any, read: Any, path: str = "") -> list[str]:
    """What would be gone, or another, if what was read were written back; defaults may be added."""
    if isinstance(there, dict) and isinstance(read, dict):
        return [
            gone
            for name, each in there.items()
            for gone in lost(each, read.get(name), f"{path}.{name}")
        ]
    if isinstance(there, list) and isinstance(read, list) and len(there) == len(read):
        pairs = enumerate(zip(there, read, strict=True))
        return [gone for n, (a, b) in pairs for gone in lost(a, b, f"{path}.{n}")]
    return [] if there == read else [f"{path}: {there!r} would be {read!r}"]


def _of_batch(item: dict[str, Any]) -> dict[str, Any]:
    record = record_of(item, item["account"]["S"], item["batch_id"]["S"])
    said = {name: getattr(record, name) for name in _PLAIN if name in item}
    batch = {"batch": record.batch.said} if record.batch else {}
    files = {role.value: _file(file) for role, file in record.files.items()}
    return _bare(
        {**said, **batch, "files": files, "outbox": dict(record.outbox), "open": record.open}
    )


def _of_job(item: dict[str, Any]) -> dict[str, Any]:
    job = _job(item)
    said = _said(job)
    return _bare(
        {
            "stage": said["stage"],
            "account": said["account"],
            "outbox": dict(job.outbox),
            "v": job.v,
            "job": json.loads(said["job"]),
            "open": job.open,
        }
    )


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    """Bring to what JSON knows, so that it can be compared; null is as good as nothing."""
    told: dict[str, Any] = json.loads(json.dumps(value, default=_number))
    whole = {name: told.pop(name) for name in ("batch",) if name in told}  # it is OpenAI's own
    return {**_without_null(told), **whole}


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return value


def _number(value: Any) -> Any:
    return int(value) if value == int(value) else float(value)


def _told(item: dict[str, Any]) -> dict[str, Any]:
    try:
        return reread(item)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other version is told
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    json.dump([_told(item) for item in json.load(sys.stdin)], sys.stdout)
