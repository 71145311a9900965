"""What becomes of stdin, stdout and stderr where they are full, closed, or of another encoding."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys

import pytest
from botocore.exceptions import ConfigParseError, InvalidRegionError, ParamValidationError
from rich.console import Console

from batchwatch.cli.output import Output
from batchwatch.cli.trouble import Code, trouble_of

_PRINTS = """
import sys
sys.argv[0] = "batchwatch"
from batchwatch.cli import main
from batchwatch.cli.stack import Stack
from batchwatch.submit.job import Job, Stage
class Nothing:
    def open_jobs(self, troubles):
        for number in range(2000 if "--json" in sys.argv else 1):
            yield Job.model_construct(job_id=f"job_{number}", account="a", key="\\xfc",
                arrived=0, parts=(), stage=Stage.SENDING, waiting=None, cancelled=False,
                requests=1, rejected=0, merged={}, outcome=None, report=None, reason="x" * 999)
    def batches(self, keys):
        return ()
Stack.jobs = Stack.catalogue = Nothing()
main()
"""


def test_json_is_ascii_so_that_no_encoding_refuses_it_and_no_terminal_obeys_it() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    said = {"name": "München \x9b31m \u202e \udcff \u2028"}

    Output(as_json=True, answers=Console(file=file)).emit(said)

    line = file.buffer.getvalue().decode()
    assert json.loads(line) == said
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        InvalidRegionError(region_name="bogus!"),
        ParamValidationError(report="StackName"),
        ConfigParseError(path="config"),
        ValueError("Invalid endpoint: nowhere"),
    ],
    ids=str,
)
def test_what_no_waiting_mends_is_a_wrong_command_line(error: Exception) -> None:
    """A script tries again as long as the exit code is 5."""
    trouble = trouble_of(error)

    assert trouble is not None
    assert trouble.code is Code.USAGE
    assert "--region" in trouble.way_out


def test_a_full_disk_is_told_of_and_a_reader_that_went_away_is_not() -> None:
    full = trouble_of(OSError(28, "No space left on device"))

    assert full is not None
    assert (full.code, str(full)) == (
        Code.BAD_NEWS,
        "the answer cannot be written: No space left on device",
    )
    assert trouble_of(BrokenPipeError(32, "Broken pipe")) is None


@pytest.mark.parametrize(
    "command",
    [
        "{} jobs --json | head -n 1; exit $((PIPESTATUS[0] != 141))",
        pytest.param("{} jobs >&-", marks=pytest.mark.full),
        pytest.param("{} track - <&-", marks=pytest.mark.full),
        pytest.param("PYTHONIOENCODING=ascii {} jobs", marks=pytest.mark.full),
    ],
    ids=["broken off", "no stdout", "no stdin", "ascii"],
)
def test_no_stream_that_is_closed_or_broken_off_makes_a_traceback(command: str) -> None:
    python = shlex.join([sys.executable, "-c", _PRINTS])

    done = subprocess.run(  # noqa: S602 - a shell is what it is about
        command.format(python),
        shell=True,
        executable="bash",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "Traceback" not in done.stderr
    assert ("PIPESTATUS" in command) <= (done.returncode == 0)
    assert done.stderr in {"", "error: standard input holds no ids\n  give one id a line\n"}
