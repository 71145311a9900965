"""`batchwatch`: the deployed service from the command line. What it needs is the extra `cli`."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

_MISSING = """error: the command line is not installed
  in a clone of batchwatch: uv tool install '.[cli]'"""


def main() -> None:
    """Run the command line; without its packages, say how to get them."""
    _open_what_is_closed()
    try:
        from batchwatch.cli.app import app  # noqa: PLC0415 - they may be missing
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit(_MISSING)
    except KeyboardInterrupt:  # it takes a second, in which people change their mind
        sys.exit(130)
    app()


def _open_what_is_closed() -> None:
    """Read and write nothing where there is no file; spell what an encoding cannot."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
