"""The AWS CLI of Debian, version 2, typed into by a test; one process for all that is typed."""

from __future__ import annotations

import json
import shlex
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PYTHON = "/usr/bin/python3"
"""Not ours: Debian's package is for its own."""
# Each command in a child of its own, as if `aws` was called; what takes a second is loaded once.
_CLI = """
import json, os, sys
from awscli.clidriver import create_clidriver

driver = create_clidriver()
for line in sys.stdin:
    heard, said = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(said, 1), os.dup2(said, 2)
        os.close(heard), os.close(said)
        typed = json.loads(line)
        os.environ.update(typed["environment"])
        code = driver.main(typed["arguments"])
        sys.stdout.flush()
        os._exit(code)
    os.close(said)
    text = os.fdopen(heard).read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, text]), flush=True)
"""


class Typed(NamedTuple):
    """How a command ended, and all that it printed."""

    code: int
    text: str


def why_not() -> str:
    """Why there is no such CLI here; empty if there is."""
    asked = "import awscli; print(awscli.__version__)"
    try:
        ran = subprocess.run(  # noqa: S603 - a program of the system
            [PYTHON, "-c", asked], check=False, capture_output=True, text=True, env={}
        )
    except OSError:
        return f"there is no {PYTHON}"
    if not ran.stdout.startswith("2."):
        return "Debian's awscli, version 2, is not installed"
    return ""


@contextmanager
def aws_cli(endpoint: str) -> Iterator[Callable[[str, Mapping[str, str]], Typed]]:
    """Yield what runs a command line `aws …` against an endpoint, in an environment."""
    everywhere = {"AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(  # noqa: S603 - a program of the system
        [PYTHON, "-c", _CLI],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=everywhere,
    ) as process:
        assert process.stdin
        assert process.stdout
        to, of = process.stdin, process.stdout

        def run(line: str, environment: Mapping[str, str]) -> Typed:
            program, *arguments = shlex.split(line)
            assert program == "aws"
            arguments += ["--endpoint-url", endpoint]
            said = {"arguments": arguments, "environment": dict(environment)}
            print(json.dumps(said), file=to, flush=True)
            return Typed(*json.loads(of.readline()))

        try:
            yield run
        finally:
            to.close()
