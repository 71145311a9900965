"""A shell at a terminal, into which a test types what a document says, as it stands."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from local.emulator import REGION, find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 120
"""Seconds for what takes ten on an idle machine."""
SAM = "aws-sam-cli==1.170.0"
FORKS, DEBIANS = Path(__file__).parent / "forks.py", "/usr/bin/python3"
SIZE = (50, 100)
"""Lines and columns of the terminal."""
_ENVIRONMENT = {
    # What the prompt prints instead of a prompt: how the command ended.
    "PROMPT_COMMAND": r"printf '\036%s\036' $? >&2",
    "PS1": "",
    "PS2": "",
    "TERM": "xterm",
    "NO_COLOR": "1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_PAGER": "",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_TELEMETRY": "0",
}
_QUESTION = re.compile(rb"\[y/N\]:? *$")
_ENDED = re.compile(rb"\x1e(\d+)\x1e")


class Said(NamedTuple):
    """How a command ended; `out`: its stdout, `screen`: what else the terminal has shown."""

    code: int
    out: str
    screen: str


class Shell:
    """An interactive bash with a history, in a folder.

    plain: its stdout is a file, as in a script; else it is the terminal, too.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, plain: bool) -> None:
        self.folder, self.history = folder, folder / ".history"
        self._terminal, self._inside = pty.openpty()
        termios.tcsetwinsize(self._inside, SIZE)
        self._shown, self._seen = b"", 0
        with (folder / ".printed").open("ab") as printed:
            self._bash = subprocess.Popen(
                ["/bin/bash", "--norc", "--noprofile", "--noediting", "-i"],
                stdin=self._inside,
                stdout=printed if plain else self._inside,
                stderr=self._inside,
                cwd=folder,
                env={**environment, "HISTFILE": str(self.history)},
                start_new_session=True,
                preexec_fn=_as_a_login_does,  # noqa: PLW1509 - it takes no lock
            )
        self._printed = (folder / ".printed").open("rb")
        self._screen = threading.Thread(target=self._look, daemon=True)
        self._screen.start()
        self._until_prompt()

    def __call__(self, command: str, *pasted: str, answer: str | None = None) -> Said:
        """Type a command, and what it asks for.

        pasted: lines, once it no longer shows what is typed. answer: to each question that it asks.
        """
        self._type(command)
        if pasted:
            self._until_hidden()
            self._type("\n".join(pasted))
        try:
            code, screen = self._until_prompt(answer)
        except TimeoutError:
            os.write(self._terminal, b"\x03")  # what is typed next is not typed into this
            self._until_prompt()
            raise
        return Said(code, self._out().decode(), screen)

    def close(self) -> None:
        """Leave, so that the history is written."""
        if self._bash.poll() is None:
            self._type("exit")
            with suppress(subprocess.TimeoutExpired):
                self._bash.wait(10)
        self._bash.kill()
        self._bash.wait()
        os.close(self._inside)
        self._screen.join(5)
        os.close(self._terminal)
        self._printed.close()

    def _type(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def _until_hidden(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(self._inside)[3] & termios.ECHO:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _out(self, *, again: bool = False) -> bytes:
        """What was printed since this was asked for, and not to be had again."""
        begins = self._printed.tell()
        said = self._printed.read()
        if again:
            self._printed.seek(begins)
        return said

    def _until_prompt(self, answer: str | None = None) -> tuple[int, str]:
        deadline, answered = time.monotonic() + PATIENCE, list[int]()
        while not (ended := _ENDED.search(self._shown, self._seen)):
            if answer is not None:
                said = (self._shown[self._seen :], self._out(again=True))
                asked = [len(each) for each in said if _QUESTION.search(each)]
                if asked and asked != answered:
                    self._type(answer)
                    answered = asked
            if time.monotonic() > deadline:
                raise TimeoutError(self._shown[self._seen :])
            assert self._bash.poll() is None, self._shown[self._seen :]
            time.sleep(0.01)
        screen = self._shown[self._seen : ended.start()].decode(errors="replace")
        self._seen = ended.end()
        return int(ended[1]), screen.replace("\r\n", "\n")

    def _look(self) -> None:
        with suppress(OSError):
            while piece := os.read(self._terminal, 65536):
                self._shown += piece


def _as_a_login_does() -> None:
    """Make the terminal that of the session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def loaded(folder: Path, endpoint: str) -> Iterator[dict[str, str]]:
    """Yield how `aws` and `batchwatch` are called once they are loaded, for `shell`."""
    places = {
        "aws": (DEBIANS, str(folder / "aws.socket")),
        "batchwatch": (sys.executable, str(folder / "batchwatch.socket")),
    }
    with ExitStack() as ends:
        for name, (python, place) in places.items():
            # Not ours, Debian's Python: a library that is installed here is none of its own.
            serving = [python, str(FORKS), "serve", place, name]
            process = ends.enter_context(subprocess.Popen(serving, env=_outside()))  # noqa: S603
            ends.callback(process.terminate)
            while not Path(place).exists():
                assert process.poll() is None
                time.sleep(0.05)
        call = f"/usr/bin/python3 -S -E {FORKS}"
        aws = f'{call} {places["aws"][1]} --endpoint-url {endpoint} "$@"'
        yield {"aws": aws, "batchwatch": f'{call} {places["batchwatch"][1]} "$@"'}


def _outside() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}


@contextmanager
def shell(
    folder: Path,
    environment: Mapping[str, str],
    programs: Mapping[str, str] | None = None,
    *,
    plain: bool = True,
) -> Iterator[Shell]:
    """Yield a shell in a folder.

    environment: beside the one of tests, such as AWS_ENDPOINT_URL. programs: how some are called.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours = folder / ".bin"
    ours.mkdir(exist_ok=True)
    sam = f'{find_uv()} tool run --quiet --from {SAM} sam "$@"'
    for name, runs in {"sam": sam, "uv": f'{find_uv()} "$@"', **(programs or {})}.items():
        _program(ours / name, runs)
    places = [ours, Path(sys.executable).parent, "/usr/local/bin", "/usr/bin", "/bin"]
    here = {"PATH": ":".join(map(str, places))}
    typed = Shell(folder, {**_outside(), **_ENVIRONMENT, **here, **environment}, plain=plain)
    try:
        yield typed
    finally:
        typed.close()


def _program(path: Path, runs: str) -> None:
    path.write_text(f"#!/bin/bash\nexec {runs}\n")
    path.chmod(0o755)
