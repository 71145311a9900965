"""`python -m local`: the whole service on this machine, against a simulated or a real OpenAI."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from batchwatch.batch import safe_id
from batchwatch.errors import BatchwatchError
from batchwatch.openai import BASE_URL, safe_base_url
from local.emulator import EmulatorError
from local.options import Options
from local.run import Run
from local.screen import screen
from local.sending import SUFFIX
from local.service import PollError
from local.sizes import read_size

INTERRUPTED = 130
OFTEN, SELDOM = 2.0, 15.0
"""Seconds between two polls, without and with webhooks."""
_YEAR = 365 * 24 * 3600


def main() -> int:
    """Run, and return 0 if every batch got its events and files."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        options = _options(arguments)
    except (ValueError, BatchwatchError, OSError) as error:
        parser.error(str(error))
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, _interrupt)
    try:
        with screen(as_json=arguments.json) as shown:
            run = Run(options, shown)
            faults = run.go()
    except KeyboardInterrupt:
        print("stopped; nothing is left running here", file=sys.stderr)
        _tell_what_goes_on(run)
        return INTERRUPTED
    except (EmulatorError, PollError, BatchwatchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    _tell_what_goes_on(run)
    return 1 if faults else 0


def _tell_what_goes_on(run: Run) -> None:
    """Tell of batches that were made, and that nobody here follows any more."""
    try:
        left = run.left_running()
    except BatchwatchError as error:
        print(f"error: batches may go on at the API, which could not be asked: {error}",
              file=sys.stderr)  # fmt: skip
        return
    if left:
        print(f"these batches go on at the API, and are charged: {', '.join(left)}; follow one "
              "by --track ID, or cancel it there", file=sys.stderr)  # fmt: skip


def _interrupt(*_: object) -> None:
    """Stop once, and let nothing disturb the stopping."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, signal.SIG_IGN)
    os.write(2, "stopping …\n".encode())  # a print may be under way
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Deploy batchwatch into a local AWS, and watch batches of a simulated OpenAI "
        "until all are announced and archived; or batches of a real one; or send files, as "
        "batches. Exit code 0: every batch got its events and files, every request its answer.",
        epilog="Of a real API, every batch is watched that is open or begins: new ones are "
        "found by themselves, those that ended before are left alone. This goes on until Ctrl-C, "
        "which stops everything here at once, or --for, which ends with a summary. With --submit, "
        "only the batches made of the files are watched, until their results are "
        "merged.",
    )
    add = parser.add_argument
    add("--base-url", metavar="URL", help="watch this API instead (or OPENAI_BASE_URL)")
    add("--api-key", metavar="KEY",
        help="its key (or OPENAI_API_KEY); alone: watch OpenAI itself")  # fmt: skip
    add("--track", metavar="ID", action="append", default=[],
        help="watch this batch alone, even if it has ended (repeatable)")  # fmt: skip
    add("--submit", metavar="FILE", type=_jsonl, action="extend", nargs="+", default=[],
        help="send this *.jsonl, and the *.options.json beside it, by way of the inbox "
        "(one or several); to OpenAI itself with --api-key, else to a simulation that charges "
        "nothing; the built-in batches are then left out, but with --scenario")  # fmt: skip
    add("--token-limit", metavar="N", type=_count,
        help="let the simulated OpenAI take so many tokens of a model at a time; a file counts as "
        "a token for each four bytes")  # fmt: skip
    add("--scenario", action="store_true", help="simulate the built-in batches beside --submit")
    add("--every", metavar="SECONDS", type=_seconds,
        help="between polls (2; with --webhooks 15)")  # fmt: skip
    add("--for", metavar="SECONDS", type=_seconds, dest="run_for", help="stop after that long")
    add("--events", metavar="FILE", type=Path, help="append every event received, one JSON a line")
    add("--archive", metavar="DIR", type=Path, help="leave the archived objects there")
    add("--size", metavar="BYTES", type=_bytes, default=0,
        help="simulate one more batch with an output of that size, such as 200MB")  # fmt: skip
    add("--webhooks", action="store_true",
        help="let the simulated OpenAI tell of each end by itself: signed webhooks, some of them "
        "sent twice, held back or lost at first")  # fmt: skip
    add("--notify", action="store_true",
        help="show every digest as it is mailed, and post it to a stand-in for Slack")  # fmt: skip
    add("--stay", action="store_true",
        help="go on after the end until Ctrl-C: for `batchwatch` to look at")  # fmt: skip
    add("--json", action="store_true", help="print one JSON object a line")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    # What lies around in the environment does not end the simulation; an option does.
    named = bool(arguments.track or arguments.api_key or arguments.base_url)
    key = arguments.api_key or (os.environ.get("OPENAI_API_KEY") if named else None)
    url = arguments.base_url or (os.environ.get("OPENAI_BASE_URL") if named else None)
    if named and not key:
        raise ValueError("no API key: give --api-key or set OPENAI_API_KEY")
    for option in ("size", "token_limit", "scenario"):
        if named and getattr(arguments, option):
            shown = option.replace("_", "-")
            raise ValueError(f"--{shown} is for the simulation, not for a real API")
    names = [path.name for path in arguments.submit]
    if len({*names}) < len(names):
        raise ValueError("--submit: two files of one name; the later would replace the other")
    if named and arguments.webhooks:
        raise ValueError(
            "--webhooks is for the simulation: a real OpenAI cannot reach this machine; "
            "deploy, with the parameter Webhooks=on"
        )
    for batch_id in arguments.track:
        safe_id(batch_id)
    if arguments.events:
        arguments.events.open("a").close()
    if arguments.archive:
        arguments.archive.mkdir(parents=True, exist_ok=True)
    return Options(
        base_url=safe_base_url(url or BASE_URL) if named else None,
        api_key=key,
        track=tuple(arguments.track),
        submit=tuple(arguments.submit),
        token_limit=arguments.token_limit,
        scenario=arguments.scenario or arguments.size > 0 or not arguments.submit,
        every=arguments.every or (SELDOM if arguments.webhooks else OFTEN),
        run_for=arguments.run_for,
        events=arguments.events,
        archive=arguments.archive,
        size=arguments.size,
        webhooks=arguments.webhooks,
        notify=arguments.notify,
        stay=arguments.stay,
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < _YEAR:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"not a number from 1 on: {text!r}")
    return int(text)


def _jsonl(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != SUFFIX:
        raise argparse.ArgumentTypeError(f"only *{SUFFIX} can be sent, not {text!r}")
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _bytes(text: str) -> int:
    try:
        return read_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
