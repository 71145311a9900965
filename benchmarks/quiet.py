"""Our poll of more open batches than the local AWS can hold: a table of which nothing changes.

As a child it polls. Its calls of AWS are answered within the process, after 10 ms each: pages of
the index from files, as DynamoDB cuts them; the account's own item; the secret.
"""

from __future__ import annotations

import json
import os
import sys
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from benchmarks.capacity import item_size
from benchmarks.child import Child, answer
from benchmarks.figures import OURS, Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACCOUNT = "default"
LATENCY = 0.01
"""Seconds that each call of AWS is assumed to take."""
_PAGE = 1_000_000  # bytes of a page of a query
_POLLS = (110, None)  # seconds of each: those of the deployed one, and all it wants


def quiet(server: Child, begun: dict[str, Any]) -> Iterator[Figure]:
    """Poll twice, once as long as the deployed function does, once until all are seen."""
    size, now = len(begun["open"]), time.time()
    with TemporaryDirectory() as folder:
        write_pages(Path(folder), begun["open"], now)
        server.ask("move")  # so that the few are in progress, too
        names = ("STACK", "TABLE", "BUCKET", "TOPIC", "SECRET", "ARCHIVE_QUEUE")
        environment = {
            **{f"BATCHWATCH_{name}": "any" for name in names},
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PAGES": folder,
            "SECRET": json.dumps(
                {
                    "accounts": {
                        ACCOUNT: {"api_key": begun["keys"][0], "base_url": begun["base_url"]}
                    }
                }
            ),
        }
        with Child("benchmarks.quiet", environment=environment) as poller:
            for within in _POLLS:
                server.ask("requests")
                print(f"{size:,} open: {OURS}, {within or 'no'} seconds", file=sys.stderr)
                said = poller.ask("poll", within=within)
                kinds = server.ask("requests")["kinds"]
                told = {name: said[name] for name in Figure._fields if name in said}
                yield Figure(OURS, size, 0, sum(kinds.values()), kinds=kinds, within=within, **told)


def write_pages(folder: Path, ids: Sequence[str], now: float) -> None:
    """Write what the index shows of batches that are in progress, a file for each page."""
    rows, size = [], 0
    for batch_id in sorted(ids):
        row = _row(batch_id, now)
        rows.append(row)
        size += item_size(row)
        if size >= _PAGE:
            _write(folder, rows, more=True)
            rows, size = [], 0
    _write(folder, rows, more=False)


def _row(batch_id: str, now: float) -> dict[str, Any]:
    created = int(batch_id.removeprefix("batch_")[:8], 16)  # as the simulator makes its ids
    return {
        "account": {"S": ACCOUNT},
        "batch_id": {"S": batch_id},
        "open": {"S": ACCOUNT},
        "v": {"N": "1"},
        "status": {"S": "in_progress"},
        "digest": {"S": IN_PROGRESS},
        "progress": {"N": "10"},
        "moved_at": {"N": str(int(now))},
        "progressed_at": {"N": str(int(now))},
        "created_at": {"N": str(created)},
        "outbox": {"M": {}},
    }


def _digest() -> str:
    from batchwatch.batch import Batch  # noqa: PLC0415 - the parent needs it once
    from batchwatch.record import digest  # noqa: PLC0415

    return digest(Batch.read({"id": "batch_1", "status": "in_progress"}))


IN_PROGRESS = _digest()


def _write(folder: Path, rows: list[dict[str, Any]], *, more: bool) -> None:
    number = sum(1 for _ in folder.iterdir())
    said: dict[str, Any] = {"Items": rows, "Count": len(rows), "ScannedCount": len(rows)}
    if more:
        said["LastEvaluatedKey"] = {"batch_id": {"S": str(number + 1)}}
    (folder / f"{number}.json").write_text(json.dumps(said))


def _answer(request: Any, event_name: str, **_: Any) -> AWSResponse:
    time.sleep(LATENCY)
    asked = json.loads(bytes(request.body or b"{}"))
    match event_name.rpartition(".")[2]:
        case "Query":
            page = asked.get("ExclusiveStartKey", {}).get("batch_id", {}).get("S", "0")
            body = (Path(os.environ["PAGES"]) / f"{page}.json").read_bytes()
        case "GetSecretValue":
            body = json.dumps({"SecretString": os.environ["SECRET"]}).encode()
        case "GetItem":
            body = json.dumps({"Item": _mark()}).encode()
        case "UpdateItem":
            body = json.dumps({"Attributes": _mark()}).encode()
        case "Scan":
            body = b'{"Items": [], "Count": 0}'
        case other:
            raise NotImplementedError(other)
    return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(body))


def _mark() -> dict[str, Any]:
    now = str(int(time.time()))
    return {"first_polled_at": {"N": now}, "seen_through": {"N": now}}


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        """Give all of it, as urllib3 does."""
        yield self.read()


def main() -> None:
    """Poll whenever asked."""
    from benchmarks.ours import Ours  # noqa: PLC0415 - the child's own affair

    ours = Ours(table={"KeySchema": [{"AttributeName": "account"}, {"AttributeName": "batch_id"}]})
    events: Any = boto3._get_default_session().events  # noqa: SLF001 - there is no other way
    events.register("before-send", _answer)
    answer(poll=ours.poll)


if __name__ == "__main__":
    main()
