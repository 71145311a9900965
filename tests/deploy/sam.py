"""The project as somebody has cloned it, and `sam` typed in it: the real build and deployment."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.deploy import ROOT, _compile
from local.emulator import REGION, Emulator, find_uv
from tests.shell import SAM

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIMS = {
    "sam": f'exec {find_uv()} tool run --quiet --from {SAM} sam "$@"',
    # Debian's looks at no variable for the endpoint. What every process can see of it is noted.
    "aws": 'echo "$@" >> "$0.seen"; exec /usr/bin/aws "$@" --endpoint-url "$AWS_ENDPOINT_URL"',
    "uv": f'exec env UV_NO_SYNC=1 UV_PROJECT_ENVIRONMENT={sys.prefix} {find_uv()} "$@"',
}
"""`sam`, `aws` and `uv` as typed: pinned, sent to the emulator, with what is installed here."""


class Project:
    """A copy of what git tracks, and the variables of whoever works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder.parent / "bin"
        self.environment: dict[str, str] = {}

    def live_at(self, emulator: Emulator) -> None:
        """Let everything that is typed here speak to an emulator, as its owner."""
        for name, line in SHIMS.items():
            self.bin.mkdir(exist_ok=True)
            (self.bin / name).write_text(f"#!/bin/sh\n{line}\n")
            (self.bin / name).chmod(0o755)
        # Nothing of the person who runs the tests but the network and uv.
        mine = ("AWS_", "SAM_", "PYTHON", "BATCHWATCH_", "OPENAI_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        home = self.folder.parent / "home"
        self.environment = kept | {
            "PATH": f"{self.bin}:{kept['PATH']}",
            "HISTFILE": str(home / "history"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "200",
            "__SAM_CLI_APP_DIR": str(home),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.3",  # seconds
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        home.mkdir(exist_ok=True)

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start a line of shell, and let it run."""
        return subprocess.Popen(  # noqa: S603 - what a test types
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, line: str) -> str:
        """Type a line of shell that must go well; return all that it printed."""
        return said(self.start(line))

    def check_build(self) -> subprocess.CompletedProcess[str]:
        """Look at the build as CI does."""
        command = ["/bin/bash", str(self.folder / ".ci" / "check-build")]
        return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours


def said(process: subprocess.Popen[str]) -> str:
    """Wait for what was started, which must go well; return all that it printed."""
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0, text
    return text


def uv(*words: str) -> str:
    """Ask uv."""
    ran = subprocess.run([find_uv(), *words], check=True, capture_output=True, text=True)  # noqa: S603 - uv
    return ran.stdout.strip()


def clone(folder: Path) -> Project:
    """Copy what git tracks into a folder that is not there yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return Project(folder)


def let_run_here(project: Project) -> None:
    """Put this machine's own compiled module beside that for Lambda, of the same version."""
    layer = project.folder / ".aws-sam" / "build" / "Core" / "python"
    requirements = (ROOT / "layers/core/requirements.txt").read_text()
    pinned = re.search(r"^pydantic-core==\S+", requirements, re.MULTILINE)
    assert pinned
    with tempfile.TemporaryDirectory() as folder:
        uv(*("pip", "install", "--quiet", "--no-deps", "--python", sys.executable),
           *("--target", folder, pinned[0]))  # fmt: skip
        (module,) = Path(folder).rglob("_pydantic_core*.so")
        shutil.copy2(module, layer / "pydantic_core")
    _compile(layer)  # so that no process of the emulator has to


@contextmanager
def once_built(folder: Path) -> Iterator[Path]:
    """Yield where one build for all tests of a run lies; the first who comes makes it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            project = clone(folder / "project")
            with ExitStack() as stack:
                temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                project.live_at(Emulator(temporary))
                project.run("sam build")
            (folder / "made").touch()
    yield folder / "project"
