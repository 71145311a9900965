"""How long a function takes to start: its import and its first call, beside one with the SDK.

Each start is a process of its own, `python -I -S -B` with three folders to import from, as in
Lambda: the function, its layer, and the boto3 of the runtime. In Lambda boto3 is compiled, and a
layer that was built for another Python is not; so everything is measured that way, and again with
all of it compiled. The first call goes to a local AWS where there is nothing to do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import ChildError
from benchmarks.server import KEY
from benchmarks.tables import print_table
from local.deploy import ROOT, deploy
from local.emulator import REGION, Emulator, EmulatorError, base_python, find_uv
from local.run import PARAMETERS
from local.service import Service
from local.simulator import Script, SimulatedOpenAI
from local.simulator.webhooks import fresh_secret, sign
from local.sizes import show_size

FUNCTIONS = ("poller", "webhook", "archiver", "notifier", "relay", "submitter")
SDK = "sdk_handler"
_WAYS = {"as deployed": "only boto3 compiled", "compiled": "everything compiled"}
_SECONDS = {
    "imported": "import",
    "imported_busy": "processor",
    "answered": "answer",
    "answered_busy": "processor",
}
_ALL = {"Schedule": "rate(1 day)", "Webhooks": "on", "EventBus": "default"}  # each function


def measure(runs: int) -> dict[str, Any]:
    """Start each function `runs` times, one after another in turn, in both ways.

    Of each the medians: `imported` and `answered`, seconds from the beginning of the import until
    it is done and until the first call is answered, and those of them that the process had of a
    processor (`_busy`), which other work on the machine disturbs less; `modules` imported,
    Python's own too; `peak_bytes` of the process. `ratios`: to the handler with the SDK.
    """
    figures: dict[str, Any] = {"runs": runs}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        libraries = Libraries(folder / "libraries")
        _say("starting a local AWS")
        emulator = stack.enter_context(Emulator(folder))
        openai = stack.enter_context(SimulatedOpenAI(key=KEY, directory=folder / "openai"))
        starts = Starts(libraries, Stack(emulator, folder, openai))
        for way, name in _WAYS.items():
            if way == "compiled":
                libraries.compile()
            figures[way] = starts.all(runs, name)
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print a table of each way."""
    for way, name in _WAYS.items():
        print(
            f"{name.capitalize()}: seconds until it is imported, and until its first answer, and of"
            f" a processor in them; medians of {figures['runs']}; x: to the handler with the SDK"
        )
        rows = [_row(who, each) for who, each in figures[way].items()]
        names = [cell for name in _SECONDS.values() for cell in (name, "x")]
        print_table(["who", *names, "modules", "x", "peak", "x"], [rows], words=["who"])


def _row(who: str, start: dict[str, Any]) -> list[str]:
    ratios = {name: f"{ratio:.2f}" for name, ratio in start["ratios"].items()}
    return [
        {SDK: "boto3 and the SDK"}.get(who, who),
        *(cell for name in _SECONDS for cell in (f"{start[name]:.2f}", ratios[name])),
        *(f"{start['modules']:.0f}", ratios["modules"]),
        *(show_size(round(start["peak_bytes"])), ratios["peak_bytes"]),
    ]


class Libraries:
    """What Lambda would have: the runtime's boto3, a layer for us and one for the SDK, functions.

    All have the same versions. Nothing is compiled but boto3.
    """

    def __init__(self, folder: Path) -> None:
        _say("installing what the functions import")
        self._folder = folder
        pinned = str(ROOT / "layers/core/requirements.txt")
        self._install("runtime", f"boto3=={version('boto3')}")
        self._install("ours", "--require-hashes", "--requirements", pinned)
        self._install("theirs", f"openai=={version('openai')}", "--constraints", pinned)
        leave_out = shutil.ignore_patterns("__pycache__", "cli")
        package = ROOT / "layers/core/batchwatch"
        shutil.copytree(package, folder / "ours/batchwatch", ignore=leave_out)
        shutil.copytree(ROOT / "functions", folder / "functions", ignore=leave_out)
        shutil.copy(Path(__file__).with_name(f"{SDK}.py"), folder / "functions")
        self._compile("runtime")

    def of(self, who: str) -> list[str]:
        """Where a function imports from, in the order that Lambda has."""
        layer = "theirs" if who == SDK else "ours"
        return [str(self._folder / name) for name in ("functions", layer, "runtime")]

    def compile(self) -> None:
        """Compile the rest, too."""
        self._compile("functions", "ours", "theirs")

    def _compile(self, *names: str) -> None:
        folders = [str(self._folder / name) for name in names]
        subprocess.run([base_python(), "-I", "-m", "compileall", "-q", *folders], check=True)

    def _install(self, target: str, *what: str) -> None:
        command = [
            *(find_uv(), "pip", "install", "--quiet", "--only-binary", ":all:"),
            *("--python", base_python(), "--target", str(self._folder / target), *what),
        ]
        installed = subprocess.run(command, check=False, capture_output=True, text=True)
        if installed.returncode:
            raise EmulatorError(f"{target} was not installed:\n{installed.stderr[-2000:]}")


class Starts:
    """Starts functions, each in the environment that the template gives it."""

    def __init__(self, libraries: Libraries, stack: Stack) -> None:
        self._libraries, self._stack = libraries, stack

    def all(self, runs: int, name: str) -> dict[str, dict[str, Any]]:
        """Start all in turn, time and again; the first time, with all on disk, does not count."""
        kept: dict[str, list[dict[str, Any]]] = {who: [] for who in (SDK, *FUNCTIONS)}
        for run in range(runs + 1):
            _say(f"{name}: start {run} of {runs}" if run else f"{name}: once to warm up")
            for who, starts in kept.items():
                start = self._start(who)
                if run:
                    starts.append(start)
        return medians(kept)

    def _start(self, who: str) -> dict[str, Any]:
        script = str(Path(__file__).with_name("start.py"))
        started = subprocess.run(
            [base_python(), "-I", "-S", "-B", script, *self._libraries.of(who), who],
            input=json.dumps(self._stack.event(who)),
            env=self._stack.environment(who),
            check=False,
            capture_output=True,
            text=True,
        )
        if started.returncode:
            raise ChildError(f"{who} did not start:\n{started.stderr[-2000:]}")
        start: dict[str, Any] = json.loads(started.stdout.splitlines()[-1])  # behind its log
        result = start.pop("result")
        if result.get("problems") or result.get("batchItemFailures") or "error" in result:
            raise ChildError(f"{who} did not do its work:\n{started.stdout[-2000:]}")
        if result.get("statusCode", 200) != HTTPStatus.OK:
            raise ChildError(f"{who} answered {result['statusCode']}")
        return start


class Stack:
    """The deployed service, which calls nothing by itself, and its simulated OpenAI."""

    def __init__(self, emulator: Emulator, folder: Path, openai: SimulatedOpenAI) -> None:
        self._emulator, self._secret = emulator, fresh_secret()
        layer = folder / "layer"  # stays empty: the functions run here
        layer.mkdir()
        outputs = deploy(emulator, layer, parameters=PARAMETERS | _ALL)
        functions = emulator.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.delete_event_source_mapping(UUID=mapping["UUID"])
        self._functions = functions.list_functions()["Functions"]
        Service(emulator, outputs).put_key(KEY, openai.base_url, [self._secret])
        ended = Script(name="ended", endpoint="/v1/responses", requests=10, ends="completed")
        self._batch_id = openai.add(ended, created_at=time.time() - 86_400)

    def environment(self, who: str) -> dict[str, str]:
        """Give the variables of a deployed function, and a way to the local AWS."""
        prefix = f"batchwatch-{(FUNCTIONS[0] if who == SDK else who).capitalize()}-"
        (variables,) = (
            each["Environment"]["Variables"]
            for each in self._functions
            if each["FunctionName"].startswith(prefix)
        )
        return {
            **variables,
            "AWS_ENDPOINT_URL": self._emulator.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def event(self, who: str) -> dict[str, Any]:
        """Give what the function is called with most often; a webhook is of a batch that ended."""
        sample = "poller" if who in {SDK, "submitter"} else who
        event: dict[str, Any] = json.loads((ROOT / f"events/{sample}.json").read_text())
        if who == "webhook":
            now, said = int(time.time()), json.loads(event["body"])
            event["body"] = json.dumps({**said, "data": {"id": self._batch_id}})
            headers, body = event["headers"], event["body"].encode()
            headers["webhook-timestamp"] = str(now)
            headers["webhook-signature"] = sign(self._secret, headers["webhook-id"], now, body)
        return event


def medians(kept: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Give the median of each figure, and ratios to the SDK's."""
    medians = {
        who: {name: median(start[name] for start in starts) for name in starts[0]}
        for who, starts in kept.items()
    }
    theirs = medians[SDK]
    return {
        who: {**start, "ratios": {name: round(start[name] / theirs[name], 3) for name in start}}
        for who, start in medians.items()
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
