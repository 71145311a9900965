"""A program at a pseudo-terminal, typed into by a test as by a person."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE = 120
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program and its terminal; `shown`: all that stood on it, without colours."""

    def __init__(self, *command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._file, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self._process = subprocess.Popen(  # noqa: S603 - a program of the test
            command, cwd=folder, env=environment, start_new_session=True,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        self._raw = b""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._file)

    @property
    def shown(self) -> str:
        """All that it has shown up to now."""
        return _ANSI.sub("", self._raw.decode(errors="replace")).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Type a line, and Enter."""
        os.write(self._file, f"{text}\n".encode())

    def wait(self, pattern: str) -> re.Match[str]:
        """Wait for what it shows since the last call; group 0 reaches back to there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = re.compile(rf"(?s:.*?){pattern}").match(self.shown, self._seen)
            if found:
                self._seen = found.end()
                return found
            assert self._read(deadline), f"no {pattern} after: {self.shown[self._seen :]}"

    def hidden(self) -> None:
        """Wait until what is typed is not shown."""
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(self._file)[3] & termios.ECHO:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        """Take what comes next; False at the end, or when the time is over."""
        ready, _, _ = select.select([self._file], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            fresh = os.read(self._file, 65536)
        except OSError:  # how Linux tells that nobody is left at the other side
            return False
        self._raw += fresh
        return bool(fresh)
