"""`batchwatch page`: how everything stands, as one HTML file."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from batchwatch.cli.command import command
from batchwatch.cli.fetch.fetching import told_of
from batchwatch.cli.look.filters import read_filters
from batchwatch.cli.output import Output
from batchwatch.cli.page.overview import Overview
from batchwatch.cli.page.reading import overview
from batchwatch.cli.page.render import render
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, number, plural, size

_STDOUT = "-"


@command("page")
def write_page(  # noqa: PLR0913 - the options of a command
    stack: Stack,
    out: Output,
    *,
    file: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - is stdout.")
    ] = "batchwatch.html",
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="Batches made since then: an age (12h, 7d, 2w), or a time (2026-11-22, of UTC). "
            "Those with work left are there however old they are.",
        ),
    ] = "30d",
    account: Annotated[
        str | None,
        typer.Option(
            "--account", "-a", metavar="NAME", help="Only of this account. [default: all]"
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            help="At most so many batches; those with work left are never left out.",
        ),
    ] = 2000,
    show: Annotated[
        bool, typer.Option("--open", help="Show it in the browser, if you are at a terminal.")
    ] = False,
) -> None:
    """Write a status page, one HTML file.

    Problems come first, each with what to do next: what is stuck, or ended badly in the last seven
    days. Then what is under way, with progress and the time that is left; outcomes, durations and
    cost over time; files that are being sent; and the newest batches, each with its stages, files
    and metadata. The file holds all it shows: it asks nothing of any network, and can be mailed,
    kept, or put on a web server. It is of one moment; run it again for a later one, by cron, say.

    Names, metadata and ids are in it, but no request, no answer and no key. What OpenAI says of a
    request that failed validation may quote it, and is not in it either: only codes and lines are.

    \b
      batchwatch page --open
      batchwatch page --since 7d --account research -o research.html
      batchwatch page -o - | aws s3 cp --content-type text/html - s3://BUCKET/page.html

    The file is replaced when the new one is whole; Ctrl-C leaves the old one. With --json one
    object tells of it: path, bytes, batches, jobs, and older (whether older batches are left out).

    Exit code: 0 it is written, however the batches fare; 1 it cannot be; 2 there is no such folder;
    3 no such stack, or nothing is known of that account.
    """  # noqa: D301 - click reads \b
    path = None if file == _STDOUT else _place(file)
    if path is None and (out.as_json or show):
        cause = "-o - prints the page itself, so neither --json nor --open goes with it"
        raise CommandError(Code.USAGE, cause)
    now = time.time()
    filters = read_filters(
        statuses=None, metadata=None, model=None, since=since, until=None, now=now
    )
    with _counting(out) as seen:
        said = overview(
            stack, at=now, since=filters.since or 0, limit=limit, account=account, seen=seen
        )
    text = render(said).encode("utf-8", "replace")
    if path is None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    _replace(path, text)
    _tell(out, Path(file), len(text), said)
    if show:
        _open(out, path)


def _place(file: str) -> Path:
    """Return where the file itself is to be, if it can be there."""
    path = Path(os.path.realpath(file))
    if not path.parent.is_dir():
        raise CommandError(Code.USAGE, f"-o {file}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise CommandError(Code.USAGE, f"-o {file} is no file", "give a file; - is stdout")
    return path


def _replace(path: Path, text: bytes) -> None:
    """Write a file beside it, and put that in its place when it is whole."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with told_of(path):
        try:
            with new.open("xb") as file:
                if path.exists():
                    shutil.copymode(path, new)  # who may not read the old one is not to read it
                file.write(text)
            new.replace(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from error  # its name is not what was asked
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)


def _tell(out: Output, path: Path, length: int, said: Overview) -> None:
    batches, jobs = len(said.batches), len(said.jobs)
    sending = f", {plural(jobs, 'job')}" if jobs else ""
    out.show(f"{clean(path)}  {plural(batches, 'batch')}{sending}, {size(length)}")
    if said.older:
        out.note("… older batches are left out: --since and --limit have more")
    if out.as_json:
        counts = {"bytes": length, "batches": batches, "jobs": jobs}
        out.emit({"path": str(path), **counts, "older": said.older})


def _open(out: Output, path: Path) -> None:
    if not (out.live and webbrowser.open(path.as_uri())):
        out.note(f"no browser is to be had here: open {clean(path, 1000)}")


@contextmanager
def _counting(out: Output) -> Iterator[Callable[[int], None]]:
    """Tell whoever looks on how many batches have been read."""
    if not out.notes.is_terminal:
        yield lambda _: None
        return
    with out.notes.status("reading batches") as status:
        yield lambda count: status.update(f"{number(count)} batches read")
