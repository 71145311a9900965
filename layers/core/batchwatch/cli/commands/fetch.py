"""`batchwatch fetch`: archived files on this machine, and requests beside their answers."""

from __future__ import annotations

import filecmp
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from batchwatch.batch import Role
from batchwatch.cli import view
from batchwatch.cli.command import AccountName, command
from batchwatch.cli.fetching import Download, Expected, NotFetchedError, stream
from batchwatch.cli.joining import Joined, Some, join
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError, trouble_of
from batchwatch.notify.wording import clean, number, plural, size
from batchwatch.record import File, FileState, Record
from batchwatch.submit.job import Job, Outcome, Stage, is_job_id

_STDOUT = "-"
_ARCHIVED = "archived"
_ANSWERS = (Role.OUTPUT, Role.ERROR)
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0  # seconds between two looks at what is waited for
_Roles = frozenset[Role]


class Target(NamedTuple):
    """A batch or a job, and what has become of its files.

    `waits_for`: why the files are not to be had yet, None: they are. `empty`: why there are
    neither answers nor errors of single requests. `mend`: what to do about a file that is wrong.
    """

    id: str
    files: Mapping[Role, File]
    waits_for: str | None
    empty: str
    mend: str


@command("fetch")
def fetch(  # noqa: PLR0913 - the options of a command
    stack: Stack,
    out: Output,
    *,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Batches, or jobs (job_...)."),
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
            help="Only these files; may be given several times. The record is the batch object "
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

    Exit code: 0 all is here. 1 something is not: the batch is not archived yet, or left no
    results; a file is gone, was never archived, is not what the archive noted, or would overwrite
    another one; requests lack an answer, or answers a request. The rest is fetched all the same.
    3 there is no such batch, job or file.
    """  # noqa: D301 - typer's sign for lines that are to be kept
    roles = frozenset(role or ())
    _check_usage(ids, folder, roles, join_with, as_json=out.as_json)
    if join_with and roles:
        roles |= {*_ANSWERS} | ({Role.INPUT} if join_with == _ARCHIVED else set())
    targets = _Targets(stack, account, roles)
    fetching = _Fetching(stack, out, roles, force=force)
    targets.must_exist(ids)
    try:
        for each in dict.fromkeys(ids):
            target = targets.awaited(each, out) if wait else targets.get(each)
            if folder == _STDOUT:
                fetching.to_stdout(target)
            else:
                fetching.to_folder(target, Path(folder) / each, join_with)
    except KeyboardInterrupt as error:
        way_out = "" if folder == _STDOUT else "the same command goes on from there"
        raise CommandError(Code.INTERRUPTED, "stopped; what has come is kept", way_out) from error
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


class _Targets:
    """Batches and jobs as they are now."""

    def __init__(self, stack: Stack, account: str | None, roles: _Roles) -> None:
        self._stack, self._account, self._roles = stack, account, roles
        self._of: dict[str, str] = {}

    def must_exist(self, ids: list[str]) -> None:
        """Find them all; CommandError where one is unknown."""
        batches = [each for each in ids if not is_job_id(each)]
        if batches:
            for known in self._stack.find_all(batches, self._account):
                self._of[known.batch_id] = known.account
        for each in filter(is_job_id, ids):
            self._job(each)

    def get(self, each: str) -> Target:
        """Return one of them."""
        if is_job_id(each):
            return _of_job(self._job(each))
        return _of_batch(self._stack.find(each, self._of[each]), self._roles)

    def awaited(self, each: str, out: Output) -> Target:
        """Wait until its files are there; while AWS is not to be reached, too."""
        told, first = "", True
        for tries in count():
            try:
                target = self.get(each)
            except Exception as error:
                trouble = trouble_of(error)
                if first or trouble is None or trouble.code is not Code.LATER:
                    raise
                said = str(trouble)
            else:
                first = False
                if target.waits_for is None:
                    return target
                said = target.waits_for
            if said != told:
                out.note(f"waiting: {clean(said)}")
                told = said
            time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 1.5 ** min(tries, 20)))
        raise AssertionError  # it counts without an end

    def _job(self, job_id: str) -> Job:
        job = self._stack.jobs.get(job_id)
        if job is None:
            cause = f"the stack {self._stack.name!r} knows no job {job_id}"
            raise CommandError(Code.NOT_FOUND, cause, "batchwatch list shows what there is")
        return job


def _of_batch(known: Record, roles: _Roles) -> Target:
    batch_id, status = known.batch_id, view.status_of(known)
    empty, waits_for = f"{batch_id} has no results: it is {clean(status)}", None
    if known.batch and known.batch.errors and known.batch.errors.data:
        empty += f": {clean(known.batch.errors.data[0].message or '')}"
    if known.lost or known.abandoned:
        empty = f"{batch_id} is lost: OpenAI does not know it any more"
    elif not known.terminal:
        waits_for = f"{batch_id} has not ended yet; it is {clean(status)}"
    elif Role.RECORD not in known.files or any(
        not file.state.final for role, file in known.files.items() if not roles or role in roles
    ):
        waits_for = f"{batch_id} is being archived"
    return Target(batch_id, known.files, waits_for, empty, f"batchwatch archive {batch_id}")


def _of_job(job: Job) -> Target:
    waits_for = f"{job.job_id} is not done yet; it is {job.stage}"
    how = job.outcome or Outcome.COMPLETED
    empty = f"{job.job_id} has no results: it is {how}"
    return Target(
        job.job_id,
        job.merged,
        None if job.stage is Stage.DONE else waits_for,
        f"{empty}: {clean(job.reason)}" if job.reason else empty,
        f"the files of its batches are there, too: batchwatch show {job.job_id}",
    )


class _Fetching:
    """Targets one after the other; `code`: how it went so far."""

    def __init__(self, stack: Stack, out: Output, roles: _Roles, *, force: bool) -> None:
        self._s3, self._out, self._roles, self._force = stack.client("s3"), out, roles, force
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
                self._bad(target, error.state, str(error), _way_out(error, target), role=role)
        if join_with and target.waits_for is None:
            self._join(target, here, folder, join_with)

    def to_stdout(self, target: Target) -> None:
        """Print the one file that is wanted."""
        for role, file in self._wanted(target).items():
            expected = Expected.of(file)
            try:
                with self._bar(f"{target.id} {role}", expected) as seen:
                    stream(self._s3, expected, sys.stdout.buffer.write, seen)
            except NotFetchedError as error:
                self._bad(target, error.state, str(error), _way_out(error, target), role=role)
            sys.stdout.buffer.flush()

    def _wanted(self, target: Target) -> dict[Role, File]:
        """Return the files that lie in the bucket; say what is the matter with the others."""
        if target.waits_for is not None:
            way_out = f"batchwatch watch {target.id} && batchwatch fetch {target.id}"
            self._bad(target, "waiting", target.waits_for, way_out)
            return {}
        if not self._roles and not {*_ANSWERS} & {*target.files}:
            self._bad(target, "empty", target.empty)
        for role in self._roles - {*target.files}:
            if role is Role.INPUT:
                why = "inputs are archived with ArchiveInput=on"
                self._bad(target, "none", f"{target.id} has no input: {why}", code=Code.NOT_FOUND)
            else:
                cause = f"{target.id} has no {role} file"
                self._bad(target, "none", cause, role=role, code=Code.NOT_FOUND)
        files = {r: f for r, f in target.files.items() if not self._roles or r in self._roles}
        for role, file in files.items():
            if file.state is not FileState.ARCHIVED:
                why = clean(file.reason or file.location or "")
                cause = f"the {role} file of {target.id} is {file.state}" + (why and f": {why}")
                way_out = target.mend if file.state is FileState.FAILED else ""
                self._bad(target, file.state.value, cause, way_out, role=role)
        return {r: f for r, f in sorted(files.items()) if f.state is FileState.ARCHIVED}

    def _to_path(self, target: Target, role: Role, file: File, path: Path) -> None:
        expected = Expected.of(file)
        with self._bar(f"{target.id}/{path.name}", expected) as seen:
            start = Download(self._s3, expected, path, seen).run(force=self._force)
        came = "" if not start else f", went on from {size(start)}"
        said = f"{size(file.bytes or 0)}, {plural(file.lines or 0, 'line')}{came}"
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
            self._bad(target, "not joined", f"{target.id} is not joined: not all of it is here")
            return
        path = folder / "joined.jsonl"
        part, answers = path.with_suffix(".jsonl.part"), [role for role in _ANSWERS if role in due]
        with ExitStack() as files:
            result = files.enter_context(part.open("wb"))
            opened = [files.enter_context(here[role].open("rb")) for role in answers]
            with asked.open("rb") as requests:
                found = join(requests, opened, result.write)
        same = path.exists() and filecmp.cmp(path, part, shallow=False)
        if path.exists() and not same and not self._force:
            part.unlink()
            cause = f"{path} is there, and is another join; it was left alone"
            self._bad(target, "differs", cause, "overwrite it by --force")
            return
        part.replace(path)
        self._out.show(f"{clean(path)}  {plural(found.requests, 'request')}")
        self._tell(target, found, path, [str(asked), *(f"{here[r]}" for r in answers)])

    def _tell(self, target: Target, found: Joined, path: Path, names: list[str]) -> None:
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

    def _bad(
        self,
        target: Target,
        state: str,
        cause: str,
        way_out: str = "",
        *,
        role: Role | None = None,
        code: Code = Code.BAD_NEWS,
    ) -> None:
        self._out.trouble(CommandError(code, cause, way_out))
        self.code = Code.BAD_NEWS if Code.BAD_NEWS in {code, self.code} else code
        self._emit(target, state, role=role, reason=cause)

    def _emit(self, target: Target, state: str, **said: Any) -> None:
        if self._out.as_json:
            told = {name: value for name, value in said.items() if value is not None}
            self._out.emit({"id": target.id, "state": state, **told})

    @contextmanager
    def _bar(self, name: str, expected: Expected) -> Iterator[Any]:
        """Show, to whom looks on, how far a file has come; gone when it is there."""
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(
            TextColumn("{task.description}", markup=False),
            *columns,
            console=self._out.notes,
            transient=True,
            disable=not self._out.notes.is_terminal,
        ) as progress:
            task = progress.add_task(name, total=expected.size)
            yield lambda seen: progress.update(task, completed=seen)


def _way_out(error: NotFetchedError, target: Target) -> str:
    return error.way_out or target.mend


def _name(file: File) -> str:
    return (file.s3_uri or "").rpartition("/")[2]


def _first(some: Some) -> str:
    more = ", ..." if some.count > len(some.first) else ""
    return ", ".join(clean(custom_id, 80) for custom_id in some.first) + more
