"""Writes the second half of docs/cli.md: the help of each command, as it is printed.

    uv run python -m docs.cli            # writes it
    uv run python -m docs.cli --check    # 1 if what is there differs

The first half, down to the mark, is written by hand.
"""  # noqa: INP001 - a folder of documents, with what generates them

import sys
from pathlib import Path

from typer.testing import CliRunner

from batchwatch.cli.app import app

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- From here on written by `uv run python -m docs.cli`; edit the docstrings. -->\n"
_WIDTH = "80"


def page(there: str) -> str:
    """Return the page with what is generated as it should be."""
    by_hand, mark, _ = there.partition(MARK)
    if not mark:
        raise ValueError(f"{PAGE.name} has lost its line {MARK!r}")
    names = [str(each.name) for each in app.registered_commands]
    blocks = [_block("batchwatch"), *(_block("batchwatch", name) for name in names)]
    return f"{by_hand}{mark}\n{''.join(blocks)}".rstrip() + "\n"


def _block(*command: str) -> str:
    words = " ".join(command)
    return f"## `{words}`\n\n```console\n$ {words} --help\n{_help(*command[1:])}```\n\n"


def _help(*command: str) -> str:
    """Return what `--help` prints on a terminal of 80 columns, whoever asks."""
    arguments = [*command, "--help"]
    asked = {"COLUMNS": _WIDTH, "BATCHWATCH_STACK": None, "NO_COLOR": "1", "FORCE_COLOR": None}
    said = CliRunner().invoke(app, arguments, env=asked, prog_name="batchwatch")
    lines = [line.rstrip() for line in said.output.splitlines()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    there = PAGE.read_text(encoding="utf-8")
    made = page(there)
    if arguments == ["--check"]:
        if made != there:
            print(f"{PAGE} is not what the commands say")  # noqa: T201 - a command
        return int(made != there)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
