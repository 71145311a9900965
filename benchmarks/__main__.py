"""`python -m benchmarks`: what a poll, a start or a job takes, beside others, and what it costs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import ChildError
from benchmarks.machine import machine
from benchmarks.subjects import SUBJECTS
from benchmarks.sweep import SweepError
from local.emulator import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.subjects import Subject

INTERRUPTED = 130


def main() -> int:
    """Measure, and leave nothing running when stopped."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, _interrupt)
    return run(sys.argv[1:])


def run(given: Sequence[str], subjects: Mapping[str, Subject] = SUBJECTS) -> int:
    """Measure the subject that is named, or all; return 0 if everything could be measured."""
    parser = _parser(subjects)
    arguments = parser.parse_args(given)
    file, kept = arguments.json, {"machine": machine()}
    try:
        if arguments.what:
            _one(arguments, subjects[arguments.what], file, kept)
            return 0
        return min(1, sum(not _done(*each, file, kept) for each in _all(parser, subjects)))
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return INTERRUPTED
    except PackageNotFoundError as missing:
        print(f"error: {missing.name} is missing; uv run --group bench …", file=sys.stderr)
        return 1
    except (EmulatorError, ChildError, SweepError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _all(
    parser: argparse.ArgumentParser, subjects: Mapping[str, Subject]
) -> Iterator[tuple[argparse.Namespace, Subject]]:
    for name, subject in subjects.items():
        if subject.reduced is not None:
            yield parser.parse_args([name, *subject.reduced]), subject


def _done(
    arguments: argparse.Namespace, subject: Subject, file: Path | None, kept: dict[str, Any]
) -> bool:
    """Measure one of all; tell if it fails, whatever the reason, as the others go on."""
    print(f"{arguments.what}: {subject.help}", file=sys.stderr, flush=True)
    try:
        _one(arguments, subject, file, kept)
    except Exception as error:  # noqa: BLE001 - see above
        print(f"error: {arguments.what}: {error!r}", file=sys.stderr, flush=True)
        return False
    print(flush=True)
    return True


def _one(
    arguments: argparse.Namespace, subject: Subject, file: Path | None, kept: dict[str, Any]
) -> None:
    """Measure and show; the figures are kept as they come, beside those of others."""
    for figures in subject.measure(arguments):
        kept[arguments.what] = subject.plain(figures)
        if file:
            file.write_text(json.dumps(kept, indent=1) + "\n")
    subject.show(figures)


def _interrupt(*_: object) -> None:
    """Stop once, and let nothing disturb the stopping."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser(subjects: Mapping[str, Subject]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What a poll, a start or a job takes, beside others, and what it costs. "
        "Without WHAT all are measured one after another, with smaller numbers than they have by "
        "themselves, in about twenty minutes.",
        epilog="Each has options of its own: python -m benchmarks WHAT --help. Figures are to be "
        "read as ratios, on a machine that does nothing else.",
    )
    commands = parser.add_subparsers(dest="what", metavar="WHAT")
    each = [
        commands.add_parser(name, help=subject.help, description=subject.about)
        for name, subject in subjects.items()
    ]
    for command, subject in zip(each, subjects.values(), strict=True):
        for option, how in subject.options.items():
            command.add_argument(option, **how)
    wanted: dict[str, Any] = {"type": _writable, "metavar": "FILE"}
    parser.add_argument("--json", **wanted, help="write all figures there, and what machine it was")
    for command in each:  # without a default, which would undo what stands before WHAT
        command.add_argument(
            "--json", **wanted, default=argparse.SUPPRESS, help="write the figures there"
        )
    return parser


def _writable(text: str) -> Path:
    """Find out before the minutes of a measurement, not after."""
    path = Path(text)
    try:
        with path.open("a"):
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
