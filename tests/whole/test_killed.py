"""Processes of Poller and Archiver killed at work: afterwards all is as if none had been."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Script
from tests.judge.checker import faults
from tests.whole.stack import Stack, deployed, fresh_seed
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH = 0.5
"""Seconds after which at the latest a worker found at work is killed."""
PAUSE = 3
"""Seconds for which, at most, work goes on before the next is killed."""
CHAT, VECTORS = "/v1/chat/completions", "/v1/embeddings"
DIED = "Worker process died"  # what the emulator says of an invocation whose process is gone


def workers(stack: Stack, function: str) -> Iterator[int]:
    """The processes in which this emulator, and no other, runs a function."""
    name = f"\0AWS_LAMBDA_FUNCTION_NAME=batchwatch-{function}-".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone, or not ours
            mine = os.getsid(int(process.name)) == stack.session
            if mine and name in process.joinpath("environ").read_bytes():
                yield int(process.name)


def at_work(pid: int) -> bool:
    """Whether a process has come so far as to speak to somebody, and not to the end.

    A worker between two invocations reads its standard input; one that starts has no socket.
    """
    with suppress(OSError):
        process = Path(f"/proc/{pid}")
        reads = process.joinpath("syscall").read_text().split()[1:2] == ["0x0"]
        files = [str(file.readlink()) for file in process.joinpath("fd").iterdir()]
        return not reads and any("socket:" in file for file in files)
    return False


def deaths(stack: Stack) -> dict[str, int]:
    """How many invocations ended with their process, by what the emulator says."""
    log = (stack.folder / "emulator.log").read_text(errors="replace")
    return {
        "Poller": sum(DIED in said for said in stack.failed),
        "Archiver": log.count(f"errorMessage={DIED}"),
    }


def kill(stack: Stack, chance: random.Random, least: int) -> None:
    """Kill workers at random moments of their work until `least` invocations have died so."""
    deadline = time.monotonic() + 60 + 5 * least
    for function in itertools.cycle(("Poller", "Archiver", "Archiver")):
        dead = deaths(stack)
        enough = min(dead.values()) >= least // 4 and sum(dead.values()) >= least
        if enough or time.monotonic() > deadline:
            return
        if pids := busy(stack, function):
            pid = chance.choice(pids)
            time.sleep(chance.uniform(0, REACH))
            if at_work(pid):
                os.kill(pid, signal.SIGKILL)
                time.sleep(chance.uniform(0, PAUSE))


def busy(stack: Stack, function: str) -> list[int]:
    """The workers that are at work; where none is, wait a second for one."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        if pids := [pid for pid in workers(stack, function) if at_work(pid)]:
            return pids
        time.sleep(0.02)
    return []


def scripts(count: int, chance: random.Random) -> list[Script]:
    """Batches of every end, of which some leave an output of several parts."""
    ends: list[dict[str, Any]] = [
        {"ends": "completed", "output_bytes": 20_000_000},
        {"ends": "completed", "failed": 3},
        {"ends": "failed"},
        {"ends": "expired", "failed": 1, "unfinished": 8},
        {"ends": "cancelled", "unfinished": 12, "output_bytes": 20_000_000},
        {"ends": "cancelled", "running": 0},
    ]
    return [
        Script(
            **{
                "name": f"{number}",
                "endpoint": chance.choice((CHAT, VECTORS)),
                "requests": 20,
                "running": chance.uniform(1, count),
                **ends[number % len(ends)],
            }
        )
        for number in range(count)
    ]


@pytest.mark.full
@pytest.mark.parametrize(("batches", "killed"), [(50, 30)])
def test_killed_workers_leave_no_trace_in_what_was_promised(batches: int, killed: int) -> None:
    chance = random.Random(fresh_seed())  # noqa: S311 - to be repeated, not secret
    with deployed(ArchiveTimeout="15", ArchiveVisibility="25") as stack:
        stack.openai.fault("GET", times=-1, delay=0.2)  # so that there is something to interrupt
        ids = [stack.watch(script) for script in scripts(batches, chance)]
        with stack.ticking():
            kill(stack, chance, killed)
            unfinished = stack.settle(60 + batches)

        dead = deaths(stack)
        assert unfinished == []
        assert sum(dead.values()) >= killed
        assert all(DIED in said for said in stack.failed)
        assert faults(stack.outside(ids), secrets=[KEY], orphans=dead["Archiver"]) == []
