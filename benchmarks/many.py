"""A table of many batches, as the service leaves them; and what `batchwatch list` takes of it."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from batchwatch.batch import Batch, Role
from batchwatch.items import key_of, spelled
from batchwatch.record import Change, File, FileState, Record
from benchmarks.child import Child, answer, timed
from benchmarks.tables import print_table
from local.deploy import read_template, write_template
from local.emulator import REGION, Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ACCOUNT = "default"
EVERY = 60
"""Seconds between the creation of two batches."""
OPEN = 20
COMMANDS = (
    ("list",),
    ("list", "--json"),
    ("list", "--status", "open"),
    ("list", "--since", "12h", "--all"),
    ("list", "--status", "expired"),  # there is none: everything is looked through
    ("list", "--all"),
    ("list", "--all", "--json"),
)
_RUNS = 5
_WRITTEN_AT_ONCE = 25
_STACK = "batchwatch"


class Asked(NamedTuple):
    """What a command took, and its requests by name.

    Seconds of a process from its start to its end, of which `busy` of a processor; and `inside`
    a process that runs already.
    """

    command: str
    seconds: float
    busy: float
    inside: float
    lines: int
    requests: dict[str, int]


def items(count: int, newest: int, *, still_open: int = OPEN) -> Iterator[dict[str, Any]]:
    """Give items of the ledger, the newest first, of which the first `still_open` have work left.

    `newest`: when the first was made, in seconds since 1970.
    """
    for number in range(count):
        created = newest - number * EVERY
        batch = Batch.read(_said(f"batch_{number:032x}", created, ended=number >= still_open))
        known = Record(account=ACCOUNT, batch_id=batch.id)
        spelling = spelled(known, _change(batch) if batch.status.terminal else Change(batch=batch))
        item = {path.removeprefix("#"): spelling.values[to] for path, to in spelling.sets.items()}
        if batch.status.terminal:
            del item["open"]
        yield {**item, **key_of(ACCOUNT, batch.id)}


def _change(batch: Batch) -> Change:
    place = f"s3://bucket/batches/account={ACCOUNT}/created=2026-11-22/{batch.id}"
    files = {
        role: File(
            state=FileState.ARCHIVED,
            s3_uri=f"{place}/{role}.jsonl",
            bytes=1_234_567,
            lines=980,
            crc32="1a2b3c4d",
        )
        for role in (Role.OUTPUT, Role.ERROR, Role.RECORD)
    }
    return Change(batch=batch, status=batch.status, files=files)


def _said(batch_id: str, created: int, *, ended: bool) -> dict[str, Any]:
    """Give a batch of a thousand requests as the API shows it."""
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": "/v1/responses",
        "model": "gpt-5-mini-2025-08-07",
        "input_file_id": f"file-{batch_id[-22:]}",
        "completion_window": "24h",
        "status": "completed" if ended else "in_progress",
        "output_file_id": f"file-{batch_id[-21:]}o" if ended else None,
        "error_file_id": f"file-{batch_id[-21:]}e" if ended else None,
        "created_at": created,
        "in_progress_at": created + 10,
        "completed_at": created + 3600 if ended else None,
        "request_counts": {"total": 1000, "completed": 980 if ended else 400, "failed": 20},
        "usage": {"input_tokens": 24_000, "output_tokens": 10_000, "total_tokens": 34_000},
        "metadata": {"name": "nightly summaries", "team": "search"},
    }


def write(dynamodb: Any, table: str, wanted: Iterable[dict[str, Any]]) -> None:
    """Put items into a table."""
    left = iter(wanted)
    some = iter(lambda: [*islice(left, _WRITTEN_AT_ONCE)], [])

    def put(each: list[dict[str, Any]]) -> None:
        requests = {table: [{"PutRequest": {"Item": item}} for item in each]}
        while requests:
            requests = dynamodb.batch_write_item(RequestItems=requests)["UnprocessedItems"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, some))


def measure(count: int) -> list[Asked]:
    """Fill a table of the local AWS, and ask for lists of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        print("starting a local AWS", file=sys.stderr)
        with Emulator(Path(folder)) as emulator:
            table = _deploy(emulator)
            print(f"writing {count:,} batches", file=sys.stderr)
            write(emulator.client("dynamodb"), table, items(count, int(time.time())))
            environment = {
                "AWS_ENDPOINT_URL": emulator.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            with Child("benchmarks.many", environment=environment) as child:
                return [_asked(child, command, environment) for command in COMMANDS]


def _deploy(emulator: Emulator) -> str:
    """Create a stack of the tables and a bucket; return the name of the ledger."""
    resources = read_template()["Resources"]
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Ledger": resources["Ledger"],
            "Bucket": {"Type": "AWS::S3::Bucket"},
        },
        "Outputs": {
            "LedgerTable": {"Value": {"Ref": "Ledger"}},
            "BucketName": {"Value": {"Ref": "Bucket"}},
        },
    }
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=_STACK, TemplateBody=write_template(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=_STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    said = cloudformation.describe_stacks(StackName=_STACK)["Stacks"][0]["Outputs"]
    outputs = {each["OutputKey"]: str(each["OutputValue"]) for each in said}
    return outputs["LedgerTable"]


def _asked(child: Child, command: Sequence[str], environment: dict[str, str]) -> Asked:
    runs = 1 if "--all" in command else _RUNS
    whole = [_process(command, environment) for _ in range(runs)]
    inside = [child.ask("run", command=command) for _ in range(runs)]
    return Asked(
        " ".join(command),
        round(statistics.median(seconds for seconds, _ in whole), 2),
        round(statistics.median(busy for _, busy in whole), 2),
        round(statistics.median(each["seconds"] for each in inside), 2),
        inside[-1]["lines"],
        inside[-1]["requests"],
    )


def _process(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds from the start of a process to its end, and of a processor."""
    program = [sys.executable, "-c", "from batchwatch.cli import main; main()", *command]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BATCHWATCH_"))}
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began, before = time.perf_counter(), _busy()
    subprocess.run(program, env=inherited | environment, check=True, **nowhere)  # type: ignore[call-overload]
    return time.perf_counter() - began, _busy() - before


def _busy() -> float:
    """Seconds of a processor that ended children have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(asked: Iterable[Asked]) -> None:
    """Print a line for each command."""
    rows = [
        (
            f"batchwatch {each.command}",
            f"{each.lines:,}",
            f"{each.seconds:.2f}",
            f"{each.busy:.2f}",
            f"{each.inside:.2f}",
            ", ".join(f"{count} {name}" for name, count in sorted(each.requests.items())),
        )
        for each in asked
    ]
    names = ("command", "lines", "seconds", "of a processor", "without start", "requests")
    print_table(names, [rows], words=("command", "requests"))


def run(command: list[str]) -> dict[str, Any]:
    """Run a command in this process; tell how long it took and what it asked of AWS."""
    from batchwatch.cli.app import app  # noqa: PLC0415 - the child's own affair

    calls: Counter[str] = Counter()
    boto3.setup_default_session()
    boto3._get_default_session().events.register(  # noqa: SLF001 - there is no other way
        "before-call", lambda model, **_: calls.update([model.name])
    )
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        _, seconds = timed(lambda: _to_its_end(app, command))
    return {"seconds": seconds, "lines": out.getvalue().count("\n"), "requests": dict(calls)}


def _to_its_end(app: Callable[..., Any], command: list[str]) -> None:
    """Run a command, which ends as programs do."""
    with contextlib.suppress(SystemExit):
        app(command)


if __name__ == "__main__":
    answer(run=run)
