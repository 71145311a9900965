"""`python -m benchmarks`: what a poll or a job takes, beside others, and what it costs."""

from __future__ import annotations

import argparse
import json
import runpy
import signal
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from benchmarks.child import ChildError
from benchmarks.cost import cost, show_costs
from benchmarks.figures import Figures, show
from benchmarks.many import measure as measure_lists
from benchmarks.many import show as show_lists
from benchmarks.scale import show_scale
from benchmarks.submit import measure
from benchmarks.submit import show as show_submit
from benchmarks.sweep import Asked, SweepError, sweep
from benchmarks.webhooks import compare
from benchmarks.webhooks import show as show_waits
from local.emulator import EmulatorError
from local.sizes import read_size

INTERRUPTED = 130
COMMITTED = Path(__file__).parent / "figures.json"


def main() -> int:
    """Measure, and return 0 if everything could be measured."""
    if sys.argv[1:2] == ["memory"]:
        del sys.argv[1]
        runpy.run_module("benchmarks.memory", run_name="__main__")
        return 0
    arguments = _parser().parse_args()
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, _interrupt)
    try:
        {
            "sweep": _sweep,
            "cost": _cost,
            "webhooks": _webhooks,
            "submit": _submit,
            "list": _list,
        }[arguments.what](arguments)
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return INTERRUPTED
    except PackageNotFoundError as missing:
        print(f"error: {missing.name} is missing; uv run --group bench …", file=sys.stderr)
        return 1
    except (EmulatorError, ChildError, SweepError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _sweep(arguments: argparse.Namespace) -> None:
    plain = arguments.accounts == 1 and arguments.storm is None
    how = {"accounts": arguments.accounts, "seeded": arguments.seed, "storm": arguments.storm}
    sizes = arguments.open or ([5] if arguments.accounts > 1 else [20, 100, 1000])
    for figures in sweep(Asked(size, **how) for size in sizes):
        _keep(arguments.json, figures.to_json())
    if plain:
        show(figures)
    if not plain or arguments.seed or any(look.within for look in figures.looks):
        show_scale(figures)


def _cost(arguments: argparse.Namespace) -> None:
    costs = cost(Figures.read(arguments.figures))
    show_costs(costs)
    _keep(arguments.json, costs.to_json())


def _webhooks(arguments: argparse.Namespace) -> None:
    figures = compare(arguments.batches, arguments.over)
    show_waits(figures)
    _keep(arguments.json, json.dumps(figures, indent=1) + "\n")


def _submit(arguments: argparse.Namespace) -> None:
    figures = measure(arguments.size)
    show_submit(figures)
    _keep(arguments.json, json.dumps(figures, indent=1) + "\n")


def _list(arguments: argparse.Namespace) -> None:
    asked = measure_lists(arguments.batches)
    show_lists(asked)
    _keep(arguments.json, json.dumps([each._asdict() for each in asked], indent=1) + "\n")


def _keep(path: Path | None, text: str) -> None:
    if path:
        path.write_text(text)


def _interrupt(*_: object) -> None:
    """Stop once, and let nothing disturb the stopping."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    sweep = commands.add_parser(
        "sweep",
        help="measure a poll beside the official SDK",
        description="Requests, seconds, memory and DynamoDB units of one look at all open batches: "
        "our poller on a local AWS, and the official SDK in three ways, against one simulated "
        "server that takes 50 ms for each answer. Needs --group bench; takes some minutes.",
    )
    sweep.add_argument(
        "--open",
        type=_sizes,
        metavar="N,N",
        help="how many are open, among 20 %% more (20,100,1000; with --accounts, 5 each); "
        "10000 takes ten minutes more; of more than these, two polls in which nothing changes",
    )
    sweep.add_argument(
        "--accounts", type=_count, default=1, metavar="N", help="accounts, each with as many (1)"
    )
    sweep.add_argument(
        "--storm",
        type=float,
        metavar="SECONDS",
        help="let all change at once, and tell it by polls of so many seconds; 110 as deployed",
    )
    sweep.add_argument(
        "--seed",
        action="store_true",
        help="write the ledger as polls would have left it, as is done with --accounts",
    )
    money = commands.add_parser(
        "cost",
        help="dollars a month",
        description="What AWS charges in a month in which a batch lives for a day and polls happen "
        "every minute: from the figures of a sweep, the calls of one batch's whole life (measured "
        "in memory), template.yaml, and benchmarks/prices.json. No free tier.",
    )
    money.add_argument(
        "--figures", type=Path, default=COMMITTED, metavar="FILE", help="JSON of a sweep"
    )
    news = commands.add_parser(
        "webhooks",
        help="seconds until an end is heard of, with webhooks and without",
        description="Seconds from the moment in which the simulated OpenAI shows an end "
        "to that in which a subscriber has the event: with webhooks and a poll every minute, and "
        "with polls alone, in a local AWS each. Takes about four minutes more than twice --over.",
    )
    news.add_argument("--batches", type=_count, default=100, metavar="N", help="that end (100)")
    news.add_argument(
        "--over", type=_count, default=120, metavar="SECONDS", help="in which they end (120)"
    )
    sending = commands.add_parser(
        "submit",
        help="how fast and in how much memory a dropped file is read; what a job calls",
        description="A file read into parts as Submitter does, beside a script that loads it "
        "whole, each in a process of its own, from disk to disk; and the calls to AWS that "
        "Submitter makes for a job of three parts, in memory.",
    )
    sending.add_argument(
        "--size", type=read_size, default=300_000_000, metavar="BYTES", help="of the file (300MB)"
    )
    lists = commands.add_parser(
        "list",
        help="seconds and requests of `batchwatch list` with many batches",
        description="A table of many batches in a local AWS, of which 20 are open; and how long "
        "lists of them take, as a process and without its start, with the requests to AWS of each.",
    )
    lists.add_argument(
        "--batches", type=_count, default=10_000, metavar="N", help="in the table (10000)"
    )
    commands.add_parser("memory", help="peak memory of the archiver: 10MB 1GB …", add_help=False)
    for command in (sweep, money, news, sending, lists):
        command.add_argument(
            "--json", type=_writable, metavar="FILE", help="write the figures there"
        )
    return parser


def _writable(text: str) -> Path:
    """Find out before the minutes of a sweep, not after."""
    path = Path(text)
    try:
        with path.open("a"):
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    (count,) = _sizes(text)
    return count


def _sizes(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError("a number of batches is at least 1")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
