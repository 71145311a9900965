"""Each right that the templates give, and which run was seen to use it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.table import Table

from local.deploy import ROOT
from tests.permissions.document import DOCUMENT, NOTHING, WORDS, noted, recorded, render
from tests.permissions.grants import everything
from tests.permissions.shown import RUNS, run_of

if TYPE_CHECKING:
    from tests.permissions.grants import Key


class Used:
    """Hears, as a plugin of pytest, what each run says was used."""

    def __init__(self) -> None:
        self.grants: set[Key] = set()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take in what a test has recorded."""
        for name, grants in report.user_properties:
            if name == "used":
                self.grants |= {tuple(grant) for grant in grants}


def play(runs: list[str]) -> tuple[int, dict[Key, str]]:
    """Play runs; return the exit code of pytest, and what was used by them, by which."""
    used = Used()
    tests = [str(ROOT / RUNS[run]) for run in runs]
    code = pytest.main(["-n", "0", "-m", "", "-q", *tests], plugins=[used])
    return code, {g.key: run_of(g) for g in everything() if g.key in used.grants}


def main() -> int:
    """Print the list; with `--run`, as it is now."""
    parser = argparse.ArgumentParser(prog="python -m tests.permissions", description=__doc__)
    parser.add_argument(
        "--run", nargs="*", choices=RUNS, help="play these runs, or all, which takes minutes"
    )
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} anew")
    asked = parser.parse_args()
    shown, code = recorded(DOCUMENT.read_text()), 0
    if asked.run is not None:
        runs = asked.run or [*RUNS]
        code, fresh = play(runs)
        shown = {key: by for key, by in shown.items() if by not in runs} | fresh
    text = render(shown)
    if asked.write:
        DOCUMENT.write_text(text)
    table = Table("policy", "action", "resource", "exercised by", box=None, pad_edge=False)
    rows = recorded(text)
    for (policy, action, resource), by in rows.items():
        table.add_row(policy, action, resource, by)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for number, name in enumerate(noted(), 1):
        print(f"({number}) {WORDS['notes'][name]}")  # noqa: T201 - what it is for
    return code or (NOTHING in rows.values())


if __name__ == "__main__":
    sys.exit(main())
