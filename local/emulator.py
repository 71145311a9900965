"""The local AWS: started on a free loopback port with IAM enforced, stopped with all it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from pathlib import Path

MINISTACK = "ministack==1.5.33"
SAM_TRANSLATOR = "aws-sam-translator==1.115.0"
REGION = "us-east-1"
_START_SECONDS = 90  # the first start also installs it
_STOP_SECONDS = 10


class EmulatorError(Exception):
    """Raised when the local AWS cannot be had."""


class Emulator:
    """A running emulator; `folder` takes its log and whatever it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] = ("ministack",)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def variables(self) -> str:
        """What lets every program that speaks to AWS speak to it; no secret, as it is nobody's."""
        return (
            f"AWS_ENDPOINT_URL={self.endpoint} AWS_DEFAULT_REGION={REGION}"
            " AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test"
        )

    def client(self, service: Any, *, patience: float = 60) -> Any:
        """Return a boto3 client for it; `patience`: seconds to wait for an answer."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator's root, of no other use
            config=Config(read_timeout=patience, retries={"total_max_attempts": 2}),
        )

    def __enter__(self) -> Self:
        log = self._folder / "emulator.log"
        temporary = self._folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(find_uv(), "tool", "run", "--isolated", "--quiet"),
                    *("--python", base_python(), "--with", SAM_TRANSLATOR),
                    *("--from", MINISTACK, *self.program),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment(temporary),
                start_new_session=True,  # so that its workers can be stopped with it
            )
        try:
            self._wait(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(process, how)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        _signal_group(process, signal.SIGKILL)  # workers that outlived it

    def _environment(self, temporary: Path) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
        return inherited | {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(temporary),
            "STATE_DIR": str(temporary / "state"),
            "S3_DATA_DIR": str(temporary / "s3"),
            "PYTHONDONTWRITEBYTECODE": "",
        }

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if _answers(f"{self.endpoint}/_ministack/health"):
                return
            time.sleep(0.1)
        tail = log.read_text(errors="replace")[-2000:]
        raise EmulatorError(f"the local AWS did not start; its log ends:\n{tail}")


def find_uv() -> str:
    """Return the uv that runs us, or the one on the path."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise EmulatorError("uv is not on the path; install it: python3 -m pip install uv")
    return uv


def base_python() -> str:
    """Return the interpreter behind the virtual environment: emulator and layer share it."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP
    except (urllib.error.URLError, OSError):
        return False


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
