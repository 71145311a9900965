"""A dropped file read into parts, beside what anybody would write first; and what a job costs.

`python -m benchmarks.submit` is a child that reads, as one or the other, and tells what it took.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from batchwatch.archive import Archive
from batchwatch.submit.inbox import Arrival, Inbox, Rewritten
from batchwatch.submit.options import Options
from batchwatch.submit.reading import Destination, read_into_parts
from benchmarks.child import Child, answer, peak_bytes, timed
from benchmarks.tables import print_table
from local.sizes import show_size

URL = "/v1/chat/completions"
_LINE = 2_500  # bytes of a request
_PART = 50_000  # requests
_WHO = {"ours": "batchwatch", "naive": "json.loads, all in memory"}


def measure(size: int) -> dict[str, Any]:
    """Let both read one file of about `size` bytes; count the calls of a job of three parts."""
    from benchmarks.job_life import live  # noqa: PLC0415 - moto takes seconds to import

    readings = {}
    with tempfile.TemporaryDirectory() as folder:
        file = write_requests(Path(folder) / "large.jsonl", size)
        for who in _WHO:
            with Child("benchmarks.submit") as child:
                idle = child.ask("peak")["peak_bytes"]
                readings[who] = {**child.ask(who, file=str(file)), "idle_bytes": idle}
        size = file.stat().st_size
    if readings["ours"]["requests"] != readings["naive"]["requests"]:
        raise ValueError("the two have read different requests")
    return {
        "bytes": size,
        "readings": readings,
        "job": live()._asdict(),
    }


def write_requests(path: Path, size: int) -> Path:
    """Write a file of requests."""
    said = [{"role": "user", "content": "why? " * (_LINE // 5 - 35)}]
    with path.open("w") as file:
        for number in range(max(1, size // _LINE)):
            body = {"model": "gpt-5-mini", "messages": said}
            name = f"request-{number:09}"
            line = {"custom_id": name, "method": "POST", "url": URL, "body": body}
            file.write(json.dumps(line) + "\n")
    return path


def show(figures: dict[str, Any]) -> None:
    """Print both tables."""
    ours = figures["readings"]["ours"]
    rows = []
    for who, name in _WHO.items():
        one = figures["readings"][who]
        rate = figures["bytes"] / one["seconds"]
        times = ours["seconds"] / one["seconds"], one["peak_bytes"] / ours["peak_bytes"]
        rates = f"{rate / 1e6:,.0f}", f"{times[0]:.2f}"
        rows.append([name, *rates, show_size(one["peak_bytes"]), f"{times[1]:.1f}"])
    print(f"A file of {show_size(figures['bytes'])}, {ours['requests']:,} requests, into parts")
    print_table(("who", "MB/s", "x", "peak memory", "x"), [rows], words=["who"])
    job = figures["job"]
    print(f"What Submitter calls for a job of {job['parts']} parts that do not wait")
    lines = [[n, f"{c:,.4g}", f"{job['tick'][n]:,.4g}"] for n, c in job["whole"].items()]
    print_table(("", "in all", "each tick while it is open"), [lines], words=[""])


def ours(file: str) -> dict[str, Any]:
    """Read a file as Submitter does, from and to a disk in the place of S3."""
    disk: Any = Disk(Path(file).parent)
    size = Path(file).stat().st_size
    inbox, archive = Inbox(disk, "bucket"), Archive(disk, "bucket")
    desk = Destination(
        archive,
        Rewritten(disk, "bucket"),
        key=lambda number: f"{number:04d}.part",
        lines_key="lines",
        late=lambda: False,
    )
    with inbox.open(Arrival(Path(file).name, None, size)) as dropped:
        plan, seconds = timed(lambda: read_into_parts(dropped, Options(), desk))
    return {"seconds": seconds, "requests": plan.accepted, "peak_bytes": peak_bytes()}


def naive(file: str) -> dict[str, Any]:
    """Read a file as a script would: everything, then the checks, then the parts."""

    def read() -> int:
        requests = [json.loads(line) for line in Path(file).read_text().splitlines()]
        if len({request["custom_id"] for request in requests}) < len(requests):
            raise ValueError("a custom_id comes twice")
        for at in range(0, len(requests), _PART):
            part = "".join(json.dumps(each) + "\n" for each in requests[at : at + _PART])
            Path(f"{file}.{at}").write_text(part)
        return len(requests)

    requests, seconds = timed(read)
    return {"seconds": seconds, "requests": requests, "peak_bytes": peak_bytes()}


class Disk:
    """As much of S3 as a reading needs, in a folder; so that nothing of a network is measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """Open a file."""
        path = self._folder / Key
        return {"Body": _Body(path), "ETag": "", "ContentLength": path.stat().st_size}

    def put_object(self, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Write a file."""
        (self._folder / Key).write_bytes(Body)
        return {}

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        """Begin one."""
        return {"UploadId": "upload"}

    def upload_part(self, Key: str, Body: bytes, **_: Any) -> dict[str, str]:  # noqa: N803
        """Write on."""
        with (self._folder / Key).open("ab") as file:
            file.write(Body)
        return {"ETag": ""}

    def complete_multipart_upload(self, **_: Any) -> dict[str, str]:
        """End it."""
        return {}


class _Body:
    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.close = self._file.close

    def iter_chunks(self, size: int) -> Any:
        return iter(lambda: self._file.read(size), b"")


if __name__ == "__main__":
    answer(ours=ours, naive=naive, peak=lambda: {"peak_bytes": peak_bytes()})
