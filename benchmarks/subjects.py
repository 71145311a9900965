"""What can be measured: each subject with its options, how it is measured, and how it is shown."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import coldstart, latency, many, memory, submit, ticks, transfer
from benchmarks.cost import cost, show_costs
from benchmarks.figures import OURS, Figures
from benchmarks.figures import show as show_sweep
from benchmarks.scale import show_scale
from benchmarks.sweep import Asked, sweep
from local.sizes import read_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

COMMITTED = Path(__file__).parent / "figures.json"


class Subject(NamedTuple):
    """One command.

    measure  gives the figures; more than once if they come piece by piece, each time all so far
    plain    makes of the figures what JSON can hold
    options  arguments of `add_argument` by name
    reduced  the options with which it is one of all; None: it runs only when named
    """

    help: str
    about: str
    measure: Callable[[argparse.Namespace], Iterable[Any]]
    show: Callable[[Any], None]
    options: Mapping[str, Mapping[str, Any]]
    reduced: Sequence[str] | None = ()
    plain: Callable[[Any], Any] = lambda figures: figures


def _count(text: str) -> int:
    (count,) = _counts(text)
    return count


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return counts


def _sizes(text: str) -> list[int]:
    return [read_size(part) for part in text.split(",")]


def _swept(given: argparse.Namespace) -> Iterator[Figures]:
    how = {"accounts": given.accounts, "seeded": given.seed, "storm": given.storm}
    sizes = given.open or ([5] if given.accounts > 1 else [20, 100, 1000])
    return sweep(Asked(size, **how) for size in sizes)


def _show_sweep(figures: Figures) -> None:
    """Show polls beside the SDK's, if there were any; and what is told of them at scale."""
    if any(look.who != OURS for look in figures.looks):
        show_sweep(figures)
    if any(look.within or look.accounts > 1 for look in figures.looks):
        show_scale(figures)


SUBJECTS: Mapping[str, Subject] = {
    "sweep": Subject(
        help="a poll beside the official SDK",
        about="Requests, seconds, memory and DynamoDB units of one look at all open batches: "
        "our poller on a local AWS, and the official SDK in three ways, against one simulated "
        "server that takes 50 ms for each answer. Needs --group bench; takes some minutes.",
        measure=_swept,
        show=_show_sweep,
        plain=lambda figures: json.loads(figures.to_json()),
        options={
            "--open": {
                "type": _counts,
                "metavar": "N,N",
                "help": "how many are open, among 20 %% more (20,100,1000; with --accounts, 5 "
                "each); 10000 takes some fifteen minutes more; of more than 10000, our poller is "
                "asked for two polls in which nothing changes",
            },
            "--accounts": {
                "type": _count,
                "default": 1,
                "metavar": "N",
                "help": "accounts, each with as many (1)",
            },
            "--storm": {
                "type": float,
                "metavar": "SECONDS",
                "help": "let all change at once, and tell it by polls of so many seconds; 110 as "
                "deployed",
            },
            "--seed": {
                "action": "store_true",
                "help": "write the ledger as polls would have left it, as is done with --accounts",
            },
        },
        reduced=("--open", "20,100"),
    ),
    "transfer": Subject(
        help="a file from OpenAI to S3, beside the simplest stream and the SDK's helper",
        about="MB/s, memory and bytes moved of the archiver's copy, of a stream handed to "
        "upload_fileobj, and of the SDK's content().read() with put_object, with and without cuts; "
        "from a plain server to rclone, which uv fetches, both on this machine.",
        measure=lambda given: [transfer.measure(given.size, given.runs)],
        show=transfer.show,
        options={
            "--size": {
                "type": _sizes,
                "default": [100_000_000],
                "metavar": "BYTES,…",
                "help": "of files (100MB)",
            },
            "--runs": {
                "type": _count,
                "default": 3,
                "metavar": "N",
                "help": "copies by each, without cuts (3)",
            },
        },
    ),
    "coldstart": Subject(
        help="import and first call of each function, beside one with the official SDK",
        about="Seconds of import and until the first call is answered, modules and memory, of each "
        "function and of one that imports boto3 and the SDK, in processes of their own: with only "
        "boto3 compiled, as in Lambda, and with everything compiled. Needs --group bench.",
        measure=lambda given: [coldstart.measure(given.runs)],
        show=coldstart.show,
        options={
            "--runs": {
                "type": _count,
                "default": 15,
                "metavar": "N",
                "help": "starts of each, of which the median counts (15)",
            }
        },
        reduced=("--runs", "5"),
    ),
    "latency": Subject(
        help="seconds until an end is heard of, with webhooks and by polls alone",
        about="Seconds from the moment in which the simulated OpenAI shows an end "
        "to that in which a subscriber has the event: with webhooks and a poll every minute, and "
        "with polls alone, in a local AWS each. Takes about four minutes more than twice --over.",
        measure=lambda given: [latency.measure(given.batches, given.over)],
        show=latency.show,
        options={
            "--batches": {
                "type": _count,
                "default": 100,
                "metavar": "N",
                "help": "that end (100)",
            },
            "--over": {
                "type": _count,
                "default": 120,
                "metavar": "SECONDS",
                "help": "in which they end (120)",
            },
        },
        reduced=("--batches", "30", "--over", "60"),
    ),
    "cost": Subject(
        help="dollars a month",
        about="What AWS charges in a month in which a batch lives for a day and polls happen "
        "every minute: from the figures of a sweep, the calls of one batch's whole life (measured "
        "in memory), template.yaml, and benchmarks/prices.json. No free tier.",
        measure=lambda given: [cost(Figures.read(given.figures))],
        show=show_costs,
        plain=lambda costs: json.loads(costs.to_json()),
        options={
            "--figures": {
                "type": Path,
                "default": COMMITTED,
                "metavar": "FILE",
                "help": "JSON of a sweep (benchmarks/figures.json)",
            }
        },
    ),
    "submit": Subject(
        help="how fast and in how much memory a dropped file is read; what a job calls",
        about="A file read into parts as Submitter does, beside a script that loads it "
        "whole, each in a process of its own, from disk to disk; and the calls to AWS that "
        "Submitter makes for a job of three parts, in memory.",
        measure=lambda given: [submit.measure(given.size)],
        show=submit.show,
        options={
            "--size": {
                "type": read_size,
                "default": 300_000_000,
                "metavar": "BYTES",
                "help": "of the file (300MB)",
            }
        },
        reduced=("--size", "100MB"),
    ),
    "list": Subject(
        help="seconds and requests of `batchwatch list` with many batches",
        about="A table of many batches in a local AWS, of which 20 are open; and how long "
        "lists of them take, as a process and without its start, with the requests to AWS of each.",
        measure=lambda given: [many.measure(given.batches)],
        show=many.show,
        plain=lambda asked: [each._asdict() for each in asked],
        options={
            "--batches": {
                "type": _count,
                "default": 10_000,
                "metavar": "N",
                "help": "in the table (10000)",
            }
        },
        reduced=("--batches", "1000"),
    ),
    "ticks": Subject(
        help="what a tick of Submitter takes with many open jobs",
        about="Reads of both tables, and seconds of a processor, of one tick at which nothing has "
        "changed, by the number of open jobs, of three live parts each; in memory.",
        measure=lambda given: [ticks.measure(given.jobs)],
        show=ticks.show,
        options={
            "--jobs": {
                "type": _counts,
                "default": [10, 100, 1000],
                "metavar": "N,N",
                "help": "how many are open (10,100,1000)",
            }
        },
        plain=lambda measured: [each._asdict() for each in measured],
        reduced=("--jobs", "10,100"),
    ),
    "memory": Subject(
        help="peak memory of the deployed archiver, by the size of a file",
        about="Archives a file of each size in a local AWS of its own, and reads the high-water "
        "mark that the kernel kept for the function's process. Linux only.",
        measure=lambda given: [memory.measure(given.size)],
        show=memory.show,
        options={
            "size": {
                "nargs": "*",
                "type": read_size,
                "default": [10_000_000, 1_000_000_000],
                "help": "such as 10MB (10MB 1GB)",
            }
        },
        reduced=None,
    ),
}
