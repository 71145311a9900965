"""`python -m tests.mishap.sweep`: every crash and race point, or the schedules named, judged.

`uv run python -m tests.mishap.sweep 'ended/dies-after-17-sns.Publish'` repeats a run that failed.
With `--sending`, every run is one of Submitter, such as `dropped/dies-after-23-openai.create`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import tests.conftest  # noqa: F401 - first: it clears the environment of the person's own AWS
from tests.mishap import schedules, sending_schedules

if TYPE_CHECKING:
    from collections.abc import Iterable

    Case = schedules.Case | sending_schedules.Case
    Outcome = schedules.Outcome | sending_schedules.Outcome

_COUNTED = {
    "I1": "lost",
    "I2": "forked",
    "I3": "backwards or with a gap",
    "lost:": "of unsent lines",
    "doubled:": "of lines sent twice",
    "orphaned:": "of orphaned batches",
}


def main() -> int:
    """Run, and return 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.mishap.sweep", description=__doc__)
    parser.add_argument("schedules", nargs="*", help="which runs (none: every one)")
    parser.add_argument("--sending", action="store_true", help="those of tests/mishap/sending_*")
    parser.add_argument("--every", type=int, default=1, help="of all runs, take every n-th")
    parser.add_argument("--jobs", type=int, help="processes (as many as there are cores)")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        wanted = given.schedules
        if not wanted:
            cases = (sending_schedules if given.sending else schedules).CASES
            points = [one for case in pool.map(_points, cases) for one in case]
            wanted = points[:: given.every]
        return _tell(pool.map(_run, wanted, chunksize=4))


def _points(case: Case) -> list[str]:
    return [str(schedule) for schedule in case.schedules()]


def _run(schedule: str) -> Outcome:
    if schedule.startswith("dropped"):
        return sending_schedules.Schedule.read(schedule).run()
    return schedules.Schedule.read(schedule).run()


def _tell(outcomes: Iterable[Outcome]) -> int:
    count: Counter[str] = Counter()
    for outcome in outcomes:
        count["runs"] += 1
        count["repeated"] += outcome.repeated
        kinds = {_COUNTED.get(fault.split()[0], "otherwise wrong") for fault in outcome.faults}
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
