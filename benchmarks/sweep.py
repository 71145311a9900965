"""Our poll beside the official SDK, against one simulated server, in one run."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.child import Child
from benchmarks.figures import OURS, Figure, Figures
from benchmarks.quiet import quiet
from benchmarks.server import LATENCY
from local.deploy import deploy
from local.emulator import MINISTACK, REGION, Emulator
from local.service import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SDK = {"loop": "SDK, a plain loop", "threads": "SDK, 20 threads", "list": "SDK, its list"}
PATIENCE = {"loop": 1000, "threads": 10_000}
"""Batches that take a minute or less; what retrieves more than these singly is extrapolated."""
FOUND = 10_000
"""Open batches that the local AWS can hold; more are polled without it, where nothing changes."""
ALL_IT_HAS = 110
"""Seconds of the 120 of the deployed function that it polls."""
_NO_TICK = {"Schedule": "rate(1 day)"}  # we poll; the deployed function is not to join in


class SweepError(Exception):
    """Raised when something else than what was to be measured has happened."""


class Asked(NamedTuple):
    """What is to be measured.

    open      batches of each account
    accounts  how many; the SDK is compared where there is one
    seeded    whether the ledger is written as polls would have left it, so that none need find all
    storm     let all change at once, and tell it by polls of so many seconds
    """

    open: int
    accounts: int = 1
    seeded: bool = False
    storm: float | None = None

    @property
    def moves_few(self) -> bool:
        """Whether there is a poll in which only a few change."""
        return self.accounts == 1 and self.storm is None

    def moves(self, changed: float) -> int:
        """Moves of the server before a poll; the first of all moves only the few."""
        return 0 if not changed else 1 if self.moves_few else 2

    @property
    def looks(self) -> Iterator[tuple[float, float | None]]:
        """The polls that are measured: the share that changes before each, and its seconds."""
        crowd = self.accounts > 1
        yield 0, None
        if crowd:
            yield 0, ALL_IT_HAS
        if self.moves_few:
            yield 0.01, None
        yield 1, self.storm or (ALL_IT_HAS if crowd else None)


def sweep(asked: Iterable[Asked]) -> Iterator[Figures]:
    """Measure all that is asked; give all figures so far after each.

    Every process that was started ends with it.
    """
    figures = Figures(facts(), [])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        _say("starting a local AWS")
        emulator = stack.enter_context(Emulator(folder))
        for number, each in enumerate(asked):
            figures.looks.extend(_looks(emulator, folder, f"sweep-{number}", each))
            yield figures


def _looks(emulator: Emulator, folder: Path, stack: str, asked: Asked) -> Iterator[Figure]:
    arguments = ("--open", str(asked.open), "--accounts", str(asked.accounts))
    with Child("benchmarks.server", *arguments) as server:
        begun = server.ask("begin")
        if asked.accounts == 1 and asked.storm is None:
            yield from _sdk(server, begun)
        if asked.accounts == 1 and asked.open > FOUND:
            yield from quiet(server, begun)
            return
        environment, secret = _table(emulator, folder, stack, begun)
        for look in _ours(server, begun, environment, asked):
            yield look._replace(accounts=asked.accounts, secret_bytes=secret)


def _sdk(server: Child, begun: dict[str, Any]) -> Iterator[Figure]:
    size = len(begun["open"])
    for how, who in SDK.items():
        _say(f"{size:,} open: {who}")
        ids = begun["open"][: PATIENCE.get(how, size)]
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


def _ours(
    server: Child, begun: dict[str, Any], environment: dict[str, str], asked: Asked
) -> Iterator[Figure]:
    """A process that finds all batches, then another that is asked for what is measured."""
    size = len(begun["open"])
    seeded = asked.seeded or asked.accounts > 1
    _say(f"{size:,} open: {OURS}, {'the ledger' if seeded else 'the first poll'}")
    with Child("benchmarks.ours", environment=environment) as first:
        said = first.ask("seed") if seeded else first.ask("watch", ids=begun["open"])
        _say(f"  {said['found']:,} of them found by itself, in {said['seconds']:.1f} s")
    with Child("benchmarks.ours", environment=environment) as poller:
        # It connects, reads the secret, and does what a process does once an hour.
        poller.ask("poll")
        for changed, within in asked.looks:
            for _ in range(asked.moves(changed)):
                server.ask("move")
            expected = round(size * changed) or (1 if changed else 0)
            said = {}
            while not said or (asked.storm is not None and expected > 0):
                _requests(server)
                _say(f"{size:,} open: {OURS}, {changed:.0%} changed")
                said = poller.ask("poll", within=within)
                kinds = _requests(server)
                told = {name: said[name] for name in Figure._fields if name in said}
                count = sum(kinds.values())
                yield Figure(OURS, size, changed, count, kinds=kinds, within=within, **told)
                expected -= said["events"]
                if not said["events"]:
                    break
            if within is None and asked.accounts == 1:  # of many, what goes wrong is measured
                _check(said, missing=expected)


def _check(said: dict[str, Any], *, missing: int) -> None:
    if said["problems"]:
        raise SweepError(f"a poll set {said['problems']} things aside")
    if missing:
        raise SweepError(f"a poll told of {said['events']} changes, {missing} are missing")


def _requests(server: Child) -> dict[str, int]:
    """How many requests of each kind came since this was asked before."""
    said = server.ask("requests")
    if said["errors"]:
        raise SweepError(f"the server failed: {said['errors'][:3]}")
    return dict(said["kinds"])


def _table(
    emulator: Emulator, folder: Path, stack: str, begun: dict[str, Any]
) -> tuple[dict[str, str], int]:
    """Deploy a stack of its own; return what its poller finds in the environment.

    And how many bytes its secret has: AWS takes 65,536, the local one any number.
    """
    layer = folder / "layer"  # stays empty: the poller runs here, in a process that is measured
    layer.mkdir(exist_ok=True)
    outputs = deploy(emulator, layer, stack=stack, parameters=_NO_TICK)
    secret = _secret(begun["keys"], begun["base_url"])
    emulator.client("secretsmanager").put_secret_value(
        SecretId=outputs["KeysSecret"], SecretString=secret
    )
    function = emulator.client("lambda").get_function_configuration(
        FunctionName=outputs["PollerFunction"]
    )
    environment = {
        **function["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return environment, len(secret)


def _secret(keys: list[str], base_url: str) -> str:
    """Spell the accounts as somebody would who is short of room."""
    names = [ACCOUNT] if len(keys) == 1 else [f"team-{n:04}" for n, _ in enumerate(keys)]
    accounts = {
        name: {"api_key": key, "base_url": base_url} for name, key in zip(names, keys, strict=True)
    }
    return json.dumps({"accounts": accounts}, separators=(",", ":"))


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
