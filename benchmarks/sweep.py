"""Our poll beside the official SDK, against one simulated server, in one run."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import Child
from benchmarks.figures import OURS, Figure, Figures
from benchmarks.server import KEY, LATENCY
from local.deploy import deploy
from local.emulator import MINISTACK, REGION, Emulator
from local.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SDK = {"loop": "SDK, a plain loop", "threads": "SDK, 20 threads", "list": "SDK, its list"}
PATIENCE = 1000
"""Batches of which a plain loop takes a minute; of more than these it is extrapolated."""
_NO_TICK = {"Schedule": "rate(1 day)"}  # we poll; the deployed function is not to join in


class SweepError(Exception):
    """Raised when something else than what was to be measured has happened."""


def sweep(sizes: Sequence[int]) -> Iterator[Figures]:
    """Measure each number of open batches; give all figures so far after each.

    Every process that was started ends with it.
    """
    figures = Figures(facts(), [])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        _say("starting a local AWS")
        emulator = stack.enter_context(Emulator(folder))
        for size in sizes:
            figures.looks.extend(_looks(emulator, folder, size))
            yield figures


def _looks(emulator: Emulator, folder: Path, size: int) -> Iterator[Figure]:
    with Child("benchmarks.server", "--open", str(size)) as server:
        begun = server.ask("begin")
        yield from _sdk(server, begun)
        yield from _ours(server, begun, _table(emulator, folder, size, begun["base_url"]))


def _sdk(server: Child, begun: dict[str, Any]) -> Iterator[Figure]:
    size = len(begun["open"])
    for how, who in SDK.items():
        _say(f"{size:,} open: {who}")
        ids = begun["open"][: PATIENCE if how == "loop" else size]
        with Child("benchmarks.sdk", begun["base_url"]) as sdk:
            sdk.ask("connect")
            _requests(server)  # those until now do not count
            said = sdk.ask(how, ids=ids)
            kinds = _requests(server)
        if said["seen"] != len(ids):
            raise SweepError(f"{who} saw {said['seen']} of {len(ids)} batches")
        times = size / len(ids)
        yield Figure(
            who,
            size,
            None,
            sum(kinds.values()) * times,
            round(said["seconds"] * times, 3),
            said["peak_bytes"],
            kinds,
            extrapolated_from=len(ids) if times > 1 else None,
        )


def _ours(server: Child, begun: dict[str, Any], environment: dict[str, str]) -> Iterator[Figure]:
    """A process that finds all batches, then another that is asked for what is measured."""
    size = len(begun["open"])
    _say(f"{size:,} open: {OURS}, the first poll")
    with Child("benchmarks.ours", environment=environment) as first:
        said = first.ask("watch", ids=begun["open"])
        _say(f"  {said['found']:,} of them found by itself, in {said['seconds']:.1f} s")
    with Child("benchmarks.ours", environment=environment) as poller:
        poller.ask("poll")  # connects, reads the secret, and does what a process does once an hour
        for changed in (0, 0.01, 1):
            if changed:
                server.ask("move")
            _requests(server)
            _say(f"{size:,} open: {OURS}, {changed:.0%} changed")
            said = poller.ask("poll")
            _check(said, expected=round(size * changed) or (1 if changed else 0))
            kinds = _requests(server)
            told = {name: said[name] for name in Figure._fields if name in said}
            yield Figure(OURS, size, changed, sum(kinds.values()), kinds=kinds, **told)


def _check(said: dict[str, Any], *, expected: int) -> None:
    if said["problems"]:
        raise SweepError(f"a poll set {said['problems']} things aside")
    if said["events"] != expected:
        raise SweepError(f"a poll told of {said['events']} changes, not of {expected}")


def _requests(server: Child) -> dict[str, int]:
    """How many requests of each kind came since this was asked before."""
    said = server.ask("requests")
    if said["errors"]:
        raise SweepError(f"the server failed: {said['errors'][:3]}")
    return dict(said["kinds"])


def _table(emulator: Emulator, folder: Path, size: int, base_url: str) -> dict[str, str]:
    """Deploy a stack of its own, and return what its poller finds in the environment."""
    layer = folder / "layer"  # stays empty: the poller runs here, in a process that is measured
    layer.mkdir(exist_ok=True)
    outputs = deploy(emulator, layer, stack=f"open-{size}", parameters=_NO_TICK)
    Service(emulator, outputs).put_key(KEY, base_url)
    function = emulator.client("lambda").get_function_configuration(
        FunctionName=outputs["PollerFunction"]
    )
    return {
        **function["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def facts() -> dict[str, Any]:
    """When, where and with what; PackageNotFoundError where the SDK is missing."""
    libraries = ("batchwatch", "boto3", "httpx", "openai")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "latency": LATENCY,
        "machine": {
            "processors": os.cpu_count(),
            "model": _model(),
            "system": f"{platform.system()} {platform.machine()}",
            "Python": platform.python_version(),
        },
        "versions": {
            **{name: version(name) for name in libraries},
            **dict([MINISTACK.split("==")]),
        },
    }


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
