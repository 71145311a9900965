"""A file brought to this machine: whatever happens on the way, it is whole and right or not there.

S3 is a server on loopback that can do what S3 does and no emulator: break off in the middle.
"""

from __future__ import annotations

import os
import resource
import tracemalloc
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from batchwatch.cli.fetch.fetching import Download, Expected, NotFetchedError, stream
from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1024 * 1024
CONTENT = bytes(range(256)) * 4 * 1024 * 5  # 5 MiB
URI = "s3://bucket/batches/output.jsonl"


class CuttingS3(ThreadingHTTPServer):
    """One object; `cuts`: after how many bytes of the next bodies it breaks off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Get)
        self.content, self.cuts, self.sent = CONTENT, list[int](), 0

    @property
    def etag(self) -> str:
        """Of what the object is now; as one that was uploaded in parts has it."""
        return f'"{zlib.crc32(self.content):032x}-2"'


class _Get(BaseHTTPRequestHandler):
    server: CuttingS3

    def do_GET(self) -> None:
        content, etag = self.server.content, self.server.etag
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if self.headers.get("If-Match", etag) != etag:
            self._refuse(412, "PreconditionFailed")
        elif start and start >= len(content):
            self._refuse(416, "InvalidRange")
        else:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", etag)
            if start:
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", span)
            self.end_headers()
            length = self.server.cuts.pop(0) if self.server.cuts else len(content)
            body = memoryview(content)[start : start + length]
            self.server.sent += len(body)
            self.wfile.write(body)
        self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[CuttingS3]:
    """Serve the object."""
    with CuttingS3() as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """Make clients; what takes long of that is done once."""
    return boto3.Session()


@pytest.fixture
def s3(server: CuttingS3, session: boto3.Session) -> Any:
    """Return a way to it."""
    url = f"http://127.0.0.1:{server.server_port}"
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return session.client("s3", endpoint_url=url, config=config)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where to, in a folder that is not there yet."""
    return tmp_path / "batch_1" / "output.jsonl"


def expected(content: bytes = CONTENT) -> Expected:
    """Say what a ledger does of a file."""
    return Expected(URI, len(content), content.count(b"\n"), f"{zlib.crc32(content):08x}")


def download(s3: Any, path: Path, *, force: bool = False, what: Expected | None = None) -> Any:
    """Bring the file."""
    return Download(s3, what or expected(), path, lambda _: None).run(force=force)


def left_over(path: Path) -> list[Path]:
    """What lies beside the file."""
    return [each for each in path.parent.iterdir() if each != path]


def test_a_connection_that_breaks_off_is_gone_on_from_there(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    server.cuts = [2 * MB + 4711, MB]

    assert download(s3, path) == 0
    assert path.read_bytes() == CONTENT
    assert server.sent < len(CONTENT) + MB // 2  # little came twice
    assert left_over(path) == []


def test_where_nothing_more_comes_the_next_run_goes_on(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    server.cuts = [3 * MB, 0]

    with pytest.raises(CommandError, match="broke off after 3145728 bytes") as cut:
        download(s3, path)
    assert cut.value.code is Code.LATER
    assert not path.exists()

    assert download(s3, path) == 3 * MB
    assert path.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)
    assert left_over(path) == []


def interrupted(s3: Any, path: Path) -> Path:
    """Press Ctrl-C when 2 MiB have come; return what is left."""

    def seen(size: int) -> None:
        if size == 2 * MB:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Download(s3, expected(), path, seen).run()
    assert not path.exists()
    (part,) = left_over(path)
    assert part.read_bytes() == CONTENT[: 2 * MB]
    assert part.name.startswith("output.jsonl.")
    assert part.suffix == ".part"
    return part


def test_ctrl_c_leaves_a_part_from_which_the_next_run_goes_on(s3: Any, path: Path) -> None:
    interrupted(s3, path)

    assert download(s3, path) == 2 * MB
    assert path.read_bytes() == CONTENT
    assert left_over(path) == []


def test_a_part_of_an_object_that_was_replaced_is_dropped(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    interrupted(s3, path)
    server.content = CONTENT[::-1]

    assert download(s3, path, what=expected(CONTENT[::-1])) == 0
    assert path.read_bytes() == CONTENT[::-1]
    assert left_over(path) == []


def test_an_object_replaced_while_it_is_read_is_not_put_together_of_both(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    server.cuts = [2 * MB]

    def seen(size: int) -> None:
        if size == 2 * MB:
            server.content = CONTENT[::-1]

    with pytest.raises(CommandError, match="was replaced") as replaced:
        Download(s3, expected(), path, seen).run()
    assert replaced.value.code is Code.LATER
    assert not path.exists()


@pytest.mark.parametrize("damage", [b"x" * MB, CONTENT + b"x", CONTENT[:-1] + b"x"])
def test_a_part_that_was_damaged_here_is_not_held_against_the_archive(
    s3: Any, path: Path, damage: bytes
) -> None:
    interrupted(s3, path).write_bytes(damage)

    assert download(s3, path) == 0
    assert path.read_bytes() == CONTENT
    assert left_over(path) == []


def test_a_part_that_lacks_nothing_but_its_name_gets_it(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    interrupted(s3, path).write_bytes(CONTENT)
    before = server.sent

    assert download(s3, path) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert server.sent == before


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x"])
def test_what_is_not_what_the_ledger_says_never_gets_the_name(
    s3: Any, server: CuttingS3, path: Path, content: bytes
) -> None:
    server.content = content

    with pytest.raises(NotFetchedError, match=r"has \d+ bytes, .*; the ledger says 5242880 bytes"):
        download(s3, path)
    assert not path.exists()
    assert left_over(path) == []
    with pytest.raises(NotFetchedError):
        stream(s3, expected(), lambda _: None, lambda _: None)


def test_an_empty_file_is_a_file(s3: Any, server: CuttingS3, path: Path) -> None:
    server.content = b""
    assert download(s3, path, what=expected(b"")) == 0
    assert path.read_bytes() == b""


def test_a_file_that_is_right_already_is_left_alone_and_another_one_too(
    s3: Any, server: CuttingS3, path: Path
) -> None:
    download(s3, path)
    before = server.sent
    assert download(s3, path) is None

    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(NotFetchedError, match="not the archived file") as differs:
        download(s3, path)
    assert "--force" in differs.value.way_out
    assert path.read_bytes() != CONTENT
    assert server.sent == before

    assert download(s3, path, force=True) == 0
    assert path.read_bytes() == CONTENT


def test_two_at_once_do_not_write_to_one_part(s3: Any, path: Path) -> None:
    def seen(size: int) -> None:
        if size == MB:
            with pytest.raises(NotFetchedError, match="another process"):
                download(s3, path)

    Download(s3, expected(), path, seen).run()
    assert path.read_bytes() == CONTENT


def test_permissions_are_as_the_umask_says(s3: Any, path: Path) -> None:
    before = os.umask(0o027)
    try:
        download(s3, path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_where_there_is_no_room_it_is_said_and_gone_on_from_later(s3: Any, path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MB, hard))
    try:
        with pytest.raises(CommandError, match=r"\.part cannot be written: File too large"):
            download(s3, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()

    assert download(s3, path) == 2 * MB
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [24, pytest.param(1024, marks=pytest.mark.full)])
def test_memory_does_not_grow_with_the_file(
    s3: Any, server: CuttingS3, path: Path, size: int
) -> None:
    server.content = b"0123456789abcde\n" * (size * MB // 16)
    what = expected(server.content)
    download(s3, path.with_name("warm"), what=what)

    tracemalloc.start()
    try:
        download(s3, path, what=what)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert path.stat().st_size == size * MB
    assert peak < 8 * MB
