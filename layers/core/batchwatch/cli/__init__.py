"""`batchwatch`: the deployed service from the command line. What it needs is the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its packages, say how to get them."""
    try:
        from batchwatch.cli.app import app  # noqa: PLC0415 - they may be missing
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.exit("error: the command line is not installed\n  pip install 'batchwatch[cli]'")
    app()
