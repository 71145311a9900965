"""A process of its own, so that its memory is its own: asked and answering in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEAVES = 5  # seconds that a child may take to leave when nobody asks any more
_FOREIGN = ("AWS_", "OPENAI_", "BATCHWATCH_", "PYTHON")
_ROOT = Path(__file__).resolve().parent.parent


class ChildError(Exception):
    """Raised when a child went without an answer; it has said why on stderr."""


class Child:
    """A module run by this Python in a session of its own, which ends with the context.

    It inherits nothing that would change what is measured: no keys, no proxies.
    """

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not (name.startswith(_FOREIGN) or name.lower().endswith("_proxy"))
        }
        self._environment = inherited | dict(environment or {})

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is its parent's to handle
        )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        process = self._process
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_LEAVES if kind is None else 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def ask(self, do: str, **what: Any) -> Any:
        """Have something done, and wait for the answer."""
        if not (self._process.stdin and self._process.stdout):
            raise ChildError("not started")
        try:
            self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ChildError(f"{' '.join(self._command[2:])} did not {do}")
        return json.loads(line)


def answer(**deeds: Callable[..., Any]) -> None:
    """Do what is asked, by name, until nobody asks any more. What deeds print goes to stderr."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(deeds[asked.pop("do")](**asked)), file=out, flush=True)


def timed(deed: Callable[[], Any]) -> tuple[Any, float]:
    """Do it; return what came of it, and the seconds it took."""
    began = time.perf_counter()
    result = deed()
    return result, time.perf_counter() - began


def peak_bytes() -> int:
    """Bytes of memory that this process has held at most (VmHWM). Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell a process its peak memory")
