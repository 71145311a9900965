"""`batchwatch`: the deployed service from the command line. What it needs is the extra `cli`."""

from __future__ import annotations

import sys

_MISSING = """error: the command line is not installed
  in a clone of batchwatch: uv tool install '.[cli]'"""


def main() -> None:
    """Run the command line; without its packages, say how to get them."""
    try:
        from batchwatch.cli.app import app  # noqa: PLC0415 - they may be missing
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit(_MISSING)
    except KeyboardInterrupt:  # it takes a second, in which people change their mind
        sys.exit(130)
    app()
