"""`batchwatch fetch`: archived files on this machine, and requests beside their answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from batchwatch.batch import Role
from batchwatch.cli.command import AccountName, command
from batchwatch.cli.fetch.fetching import Download, Expected, NotFetchedError, stream, told_of
from batchwatch.cli.fetch.joining import Joined, Some, join_files
from batchwatch.cli.fetch.targets import Target, Targets
from batchwatch.cli.ids import ids_of
from batchwatch.cli.output import Output
from batchwatch.cli.send.bars import bar_of, titled
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, number, plural, size
from batchwatch.record import File, FileState
from batchwatch.submit.job import is_job_id

_STDOUT = "-"
_ARCHIVED = "archived"
_ANSWERS = (Role.OUTPUT, Role.ERROR)
_Roles = frozenset[Role]


@command("fetch")
def fetch(  # noqa: PLR0913 - the options of a command
    stack: Stack,
    out: Output,
    *,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", help="Batches or jobs; - reads ids from standard input."),
    ],
    folder: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where to: DIR/ID/output.jsonl and so on. - is stdout, for one ID and one --role.",
        ),
    ] = ".",
    role: Annotated[
        list[Role] | None,
        typer.Option(
            "--role",
            help="Only these files; repeatable. The record is the batch object "
            "itself, batch.json. [default: all that are there]",
        ),
    ] = None,
    join_with: Annotated[
        str | None,
        typer.Option(
            "--join",
            metavar="INPUT.jsonl",
            help="Also write DIR/ID/joined.jsonl, requests and answers side by side. 'archived': "
            "the requests are the archived input (ArchiveInput=on).",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the files are there.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that are there and differ.")
    ] = False,
    account: AccountName = None,
) -> Code | None:
    """Fetch the archived files of batches, or the merged ones of jobs, from S3 to this machine.

    Each file is checked against the size and the CRC32 that the archive noted, and has its name
    only when it is whole and right. One that is there and right already is left alone. What was
    cut off, by the network or by Ctrl-C, stays beside it as NAME.ETAG.part, and the same command
    goes on from there.

    \b
      batchwatch fetch batch_abc                         ./batch_abc/output.jsonl ...
      batchwatch fetch --wait -o results batch_abc batch_def
      batchwatch fetch -o - --role output batch_abc | jq .response.body
      batchwatch fetch --join requests.jsonl batch_abc   ./batch_abc/joined.jsonl

    --join writes one object a line, in the order of the requests, by custom_id: {"custom_id",
    "request": {"method", "url", "body"}, "response", "error"}, the last two as the answer has
    them. It counts on stderr what has no counterpart.

    Exit code: 0 all is here; 1 something is not: the batch is not archived yet, or left no
    results; a file is gone, was never archived, is not what the archive noted, or would overwrite
    another one; requests lack an answer, or answers a request: the rest is fetched all the same;
    3 there is no such batch, job or file. Of several --role, one that never was is only told of.
    """  # noqa: D301 - typer's sign for lines that are to be kept
    ids, due = ids_of(ids, sys.stdin), frozenset(role or ())
    _check_usage(ids, folder, due, join_with, as_json=out.as_json)
    due |= {Role.INPUT} if join_with == _ARCHIVED else set()
    roles = due | {*_ANSWERS} if role and join_with else frozenset(role or ())
    targets = Targets(stack, account, roles)
    targets.must_exist(ids)
    fetching = _Fetching(stack, out, due, roles, force=force)
    try:
        for each in ids:
            target = targets.awaited(each, out) if wait else targets.get(each)
            if folder == _STDOUT:
                fetching.to_stdout(target)
            else:
                fetching.to_folder(target, Path(folder) / each, join_with)
    except KeyboardInterrupt as error:
        if folder == _STDOUT:
            raise
        cause, way_out = "stopped: what has come is kept", "the same command goes on from there"
        raise CommandError(Code.INTERRUPTED, cause, way_out) from error
    return fetching.code


def _check_usage(
    ids: list[str], folder: str, roles: _Roles, join_with: str | None, *, as_json: bool
) -> None:
    wrong = ""
    if folder == _STDOUT and (len(ids) != 1 or len(roles) != 1):
        wrong = "-o - takes one ID and one --role"
    elif folder == _STDOUT and (join_with or as_json):
        wrong = "-o - prints the file itself, so neither --json nor --join goes with it"
    elif join_with and join_with != _ARCHIVED and len({*ids}) > 1:
        wrong = "--join INPUT.jsonl takes one ID; --join archived takes several"
    elif join_with == _ARCHIVED and any(map(is_job_id, ids)):
        wrong = "of a job no input is archived; give the file you dropped: --join INPUT.jsonl"
    elif join_with and join_with != _ARCHIVED and not Path(join_with).is_file():
        wrong = f"--join: there is no file {join_with}"
    if wrong:
        raise CommandError(Code.USAGE, wrong)


class _Fetching:
    """Targets one after the other; `code`: how it went so far.

    `due`: files that must be there. `roles`: those that are fetched if they are; none: all.
    """

    def __init__(
        self, stack: Stack, out: Output, due: _Roles, roles: _Roles, *, force: bool
    ) -> None:
        self._s3, self._out, self._force = stack.client("s3"), out, force
        self._due, self._roles = due, roles
        self.code: Code | None = None

    def to_folder(self, target: Target, folder: Path, join_with: str | None) -> None:
        """Bring every file that is wanted and to be had; say of the others why they are not."""
        wanted = self._wanted(target)
        here = {role: folder / _name(file) for role, file in wanted.items()}
        for role, file in wanted.items():
            try:
                self._to_path(target, role, file, here[role])
            except NotFetchedError as error:
                del here[role]
                self._bad(target, _with_way_out(error, target), role)
        if join_with and target.waits_for is None:
            self._join(target, here, folder, join_with)

    def to_stdout(self, target: Target) -> None:
        """Print the one file that is wanted."""
        for role, file in self._wanted(target).items():
            expected = Expected.of(file)
            try:
                with self._bar(role, expected) as seen:
                    stream(self._s3, expected, sys.stdout.buffer.write, seen)
            except NotFetchedError as error:
                self._bad(target, _with_way_out(error, target), role)
            sys.stdout.buffer.flush()

    def _wanted(self, target: Target) -> dict[Role, File]:
        """Return the files that lie in the bucket; say what is the matter with the others."""
        if target.waits_for is not None:
            self._bad(target, NotFetchedError("waiting", target.waits_for, target.wait))
            return {}
        if not self._roles and not {*_ANSWERS} & {*target.files}:
            self._bad(target, NotFetchedError("empty", target.empty))
        for role in sorted(self._due - {*target.files}):
            if self._due == {role}:
                self._bad(target, target.without(role), role)
            else:  # of several it is no error that one of them never was: most have no errors
                self._none(target, target.without(role), role)
        files = {r: f for r, f in target.files.items() if not self._roles or r in self._roles}
        there = {r: f for r, f in sorted(files.items()) if f.state is FileState.ARCHIVED}
        for role in files.keys() - there.keys():
            self._bad(target, target.unarchived(role), role)
        return there

    def _to_path(self, target: Target, role: Role, file: File, path: Path) -> None:
        expected = Expected.of(file)
        with self._bar(path.name, expected) as seen:
            start = Download(self._s3, expected, path, seen).run(force=self._force)
        came = "" if not start else f", went on from {size(start)}"
        lines = "" if role is Role.RECORD else f", {plural(file.lines or 0, 'line')}"
        said = f"{size(file.bytes or 0)}{lines}{came}"
        self._out.show(f"{clean(path)}  {'already there' if start is None else said}")
        state = "there" if start is None else "fetched"
        self._emit(
            target,
            state,
            role=role,
            path=str(path),
            bytes=file.bytes,
            lines=file.lines,
            crc32=file.crc32,
            resumed_from=start or None,
        )

    def _join(
        self, target: Target, here: Mapping[Role, Path], folder: Path, join_with: str
    ) -> None:
        due = {role for role in _ANSWERS if role in target.files}
        asked = here.get(Role.INPUT) if join_with == _ARCHIVED else Path(join_with)
        if asked is None or not due or due - {*here}:
            cause = f"{target.id} is not joined: not all that it takes is here"
            self._bad(target, NotFetchedError("not joined", cause))
            return
        path = folder / "joined.jsonl"
        answers = [here[role] for role in _ANSWERS if role in due]
        with told_of(path):
            found = join_files(asked, answers, path, force=self._force)
        if found is None:
            cause = f"{path} is there, and is another join; it was left alone"
            self._bad(target, NotFetchedError("differs", cause, "overwrite it by --force"))
            return
        self._out.show(f"{clean(path)}  {plural(found.requests, 'request')}")
        self._tell(target, found, path, [asked, *answers])

    def _tell(self, target: Target, found: Joined, path: Path, names: list[Path]) -> None:
        """Say what has no counterpart, and give it to programs as numbers."""
        for some, what in (
            (found.unanswered, "requests have no answer"),
            (found.unasked, "answers have no request, and were left out"),
            (found.asked_again, "requests repeat a custom_id, and have the same answer"),
            (found.answered_again, "answers repeat a custom_id, and were left out"),
        ):
            if some.count:
                self._out.note(f"{target.id}: {number(some.count)} {what}: {_first(some)}")
        for name, lines in zip(names, found.unreadable, strict=True):
            if lines:
                what = "cannot be read, or have no custom_id, and were left out"
                self._out.note(f"{clean(name)}: {plural(lines, 'line')} {what}")
        if not found.whole:
            self.code = Code.BAD_NEWS
        self._emit(
            target,
            "joined",
            path=str(path),
            requests=found.requests,
            unanswered=found.unanswered.count,
            unasked=found.unasked.count,
            asked_again=found.asked_again.count,
            answered_again=found.answered_again.count,
            unreadable=sum(found.unreadable),
        )

    def _bad(self, target: Target, error: NotFetchedError, role: Role | None = None) -> None:
        self._out.trouble(error)
        self.code = Code.BAD_NEWS if self.code is Code.BAD_NEWS else error.code
        self._emit(target, error.state, role=role, reason=str(error))

    def _none(self, target: Target, error: NotFetchedError, role: Role) -> None:
        self._out.note(f"note: {error}" + (error.way_out and f"; {error.way_out}"))
        self._emit(target, error.state, role=role, reason=str(error))

    def _emit(self, target: Target, state: str, **said: Any) -> None:
        if self._out.as_json:
            told = {name: value for name, value in said.items() if value is not None}
            kind = "job" if is_job_id(target.id) else "batch"
            self._out.emit({"kind": kind, "id": target.id, "state": state, **told})

    @contextmanager
    def _bar(self, name: str, expected: Expected) -> Iterator[Any]:
        """Show, to whom looks on, how far a file has come; gone when it is there."""
        with bar_of(self._out.notes, shown=self._out.notes.is_terminal) as progress:
            task = progress.add_task(titled(name), total=expected.size)
            yield lambda seen: progress.update(task, completed=seen)


def _with_way_out(error: NotFetchedError, target: Target) -> NotFetchedError:
    error.way_out = error.way_out or target.mend
    return error


def _name(file: File) -> str:
    return (file.s3_uri or "").rpartition("/")[2]


def _first(some: Some) -> str:
    more = ", ..." if some.count > len(some.first) else ""
    return ", ".join(clean(custom_id, 80) for custom_id in some.first) + more
