"""On what it was measured: part of every JSON that is written."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from local.emulator import MINISTACK

_LIBRARIES = ("batchwatch", "boto3", "httpx", "openai", "pydantic", "aws-lambda-powertools")


def machine() -> dict[str, Any]:
    """Tell the date, the machine (memory in bytes), its Python, and the versions of what runs."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "model": _line("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "memory": int((_line("/proc/meminfo", "MemTotal") or "0").split()[0]) * 1024 or None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {
            **{name: found for name in _LIBRARIES if (found := _version(name))},
            **dict([MINISTACK.split("==")]),
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # the SDK, without --group bench
        return None


def _line(file: str, name: str) -> str | None:
    """What a file of Linux says behind a name; nothing on other systems."""
    path = Path(file)
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return None
