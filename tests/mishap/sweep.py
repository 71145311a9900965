"""`python -m tests.mishap.sweep`: every crash and race point, or the schedules named, judged.

`uv run python -m tests.mishap.sweep 'ended/dies-after-17-sns.Publish'` repeats a run that failed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import tests.conftest  # noqa: F401 - first: it clears the environment of the person's own AWS
from tests.mishap.schedules import CASES, Case, Outcome, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

_COUNTED = {"I1": "lost", "I2": "forked", "I3": "backwards or with a gap"}


def main() -> int:
    """Run, and return 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.mishap.sweep", description=__doc__)
    parser.add_argument("schedules", nargs="*", help="which runs (none: every one)")
    parser.add_argument("--every", type=int, default=1, help="of all runs, take every n-th")
    parser.add_argument("--jobs", type=int, help="processes (as many as there are cores)")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        wanted = given.schedules
        if not wanted:
            points = [str(one) for case in pool.map(_points, CASES) for one in case]
            wanted = points[:: given.every]
        return _tell(pool.map(_run, wanted, chunksize=4))


def _points(case: Case) -> list[Schedule]:
    return case.schedules()


def _run(schedule: str) -> Outcome:
    return Schedule.read(schedule).run()


def _tell(outcomes: Iterable[Outcome]) -> int:
    count: Counter[str] = Counter()
    for outcome in outcomes:
        count["runs"] += 1
        count["repeated"] += outcome.repeated
        kinds = {_COUNTED.get(fault[:2], "otherwise wrong") for fault in outcome.faults}
        count.update(kinds)
        count["bad"] += bool(kinds)
        for fault in outcome.faults:
            _say(f"{outcome.schedule}: {fault}")
    wrong = ", ".join(f"{count[name]} {name}" for name in (*_COUNTED.values(), "otherwise wrong"))
    _say(f"{count['runs']} runs: {wrong}; {count['repeated']} messages repeated, each the same")
    return 1 if count["bad"] else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
