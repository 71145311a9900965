"""`batchwatch submit`: files of requests, sent by way of the inbox, and watched to their end."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from batchwatch.cli.command import command
from batchwatch.cli.follow.following import Until, paces_of, progress, verdict, watch
from batchwatch.cli.follow.screen import screen_for
from batchwatch.cli.follow.watched import Submitted
from batchwatch.cli.output import Output
from batchwatch.cli.send.bars import bar_of, titled
from batchwatch.cli.send.checking import check_file, complaint, letters, object_metadata
from batchwatch.cli.send.doubts import may_send
from batchwatch.cli.send.putting import TooLateError, put
from batchwatch.cli.send.taking import taken_in
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean, plural, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchwatch.cli.follow.progress import Seen
    from batchwatch.cli.follow.watched import Put
    from batchwatch.cli.send.checking import Letter


@command("submit")
def submit_files(  # noqa: PLR0913 - each is an option
    stack: Stack,
    out: Output,
    *,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Requests, one a line: NAME.jsonl.")
    ],
    account: Annotated[
        str | None,
        typer.Option(
            "--account", "-a", metavar="NAME", help="Whose key sends it. [default: the only one]"
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", "-m", metavar="KEY=VALUE", help="Put on every batch; up to 15 of them."
        ),
    ] = None,
    on_bad_lines: Annotated[
        Literal["quarantine", "refuse"] | None,
        typer.Option(
            "--on-bad-lines",
            help="quarantine: send the good lines all the same. [default: refuse]",
        ),
    ] = None,
    part_requests: Annotated[
        int | None,
        typer.Option("--part-requests", metavar="N", help="The most requests in a batch."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="The only url allowed in the lines."),
    ] = None,
    output_expires_after: Annotated[
        int | None,
        typer.Option(
            "--output-expires-after",
            metavar="SECONDS",
            help="When OpenAI deletes the results; the archived ones stay.",
        ),
    ] = None,
    completion_window: Annotated[
        str | None,
        typer.Option("--completion-window", metavar="TIME", help="Other providers have others."),
    ] = None,
    called: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="NAME", help="Another name in the inbox; of several files, a folder/."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Look at every line before the upload.")
    ] = True,
    watched: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch", help="Watch the jobs; else print their ids once they are there."
        ),
    ] = True,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, whatever is in the inbox already.")
    ] = False,
) -> Code:
    """Send files of requests as batches, and watch them until the answers are there.

    Each file is looked at line by line, put into the inbox of the stack, and becomes a job: as
    many batches as it takes. At the end the answers of all are merged into one file.

    \b
      batchwatch submit questions.jsonl
      batchwatch submit a.jsonl b.jsonl --account research --metadata team=search --no-watch

    Options may also lie beside a file, in NAME.options.json, which goes along. If a line cannot be
    sent, nothing is, unless --on-bad-lines quarantine is given. That is stricter than the service
    itself, which sends the good lines of a file that is dropped, and reports the others.

    A file that is sent twice is paid twice. If one of its name and size is in the inbox already,
    or a job has one of its name, you are asked on a terminal; elsewhere it is said, and sent.
    Options of another time in the inbox would count for a file without any, by which another
    account may pay: then you are asked, and elsewhere nothing is sent without --yes.

    Ctrl-C during an upload leaves nothing behind; after it, the job goes on. Which of the two is
    said, and how to watch on or to cancel.

    Exit code: 0 every request was answered (of the good lines, with quarantine), or sent with
    --no-watch; 1 a file has bad lines, or is in doubt, or you said no, or a job did not come to a
    good end; 2, 3 no such file, or none that can be sent; 130 Ctrl-C.
    """  # noqa: D301 - the mark that keeps lines in the help
    said = {
        "account": account,
        "endpoint": endpoint,
        "metadata": _pairs(metadata) if metadata else None,
        "output_expires_after": output_expires_after,
        "completion_window": completion_window,
        "on_bad_lines": on_bad_lines or (None if check else "refuse"),
        "part_requests": part_requests,
    }
    ready = letters(files, called, object_metadata(said))
    if check and not _all_good(ready, out):
        return Code.BAD_NEWS
    if not may_send(stack, out, ready, yes=yes):
        out.note("nothing was sent")
        return Code.BAD_NEWS
    sent: list[Put] = []
    for letter in ready:
        sent.append(_sent(stack, letter, out, sent))
    if not (watched and out.live):  # what moves shows names, and needs no ids
        jobs = _taken_in(stack, out, sent)
        sent = [_as_it_is(put, jobs.get(put.key)) for put in sent]
    if not watched:
        for each in sent:
            _tell_id(out, each, jobs.get(each.key))
        return Code.WELL
    with screen_for(out) as screen:
        ended = watch(screen, Submitted(stack, sent), Until(), paces_of(stack))
    for seen in ended:
        _tell_end(out, seen)
    return verdict(out, ended)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        if not name or not is_pair or name in pairs:
            raise CommandError(Code.USAGE, f"--metadata {clean(text, 40)}: not KEY=VALUE, or twice")
        pairs[name] = value
    return pairs


def _all_good(ready: Sequence[Letter], out: Output) -> bool:
    """Look at every line of every file, and tell of each that cannot be sent."""
    complaints, some_good = [], True
    for letter in ready:
        with _bar(out, f"checking {letter.path.name}", letter.size) as advance:
            checked = check_file(letter, advance)
        why = complaint(letter, checked)
        complaints += why
        some_good &= not why or (checked.good > 0 and not checked.refusal)
        aside = f", {plural(checked.bad, 'bad line')}" if checked.bad else ""
        out.note(f"{clean(letter.path.name)}: {plural(checked.good, 'request')}{aside}")
    for line in complaints:
        out.note(line)
    if complaints:
        aside = ", or set bad lines aside: --on-bad-lines quarantine" if some_good else ""
        out.note(f"nothing was sent; correct them{aside}")
    return not complaints


def _sent(stack: Stack, letter: Letter, out: Output, before: Sequence[Put]) -> Put:
    """Put one file into the inbox; whatever happens, say of those before that they go on."""
    name = clean(letter.path.name)
    sent: Put | None = None
    try:
        s3 = stack.client("s3")
        with _bar(out, f"uploading {name}", letter.size) as advance:
            sent = put(s3, stack.bucket, letter, advance)
    except KeyboardInterrupt as stop:
        sent = stop.sent if isinstance(stop, TooLateError) else sent
        there = [*before, sent] if sent else before
        cause = f"but {name} had been sent" if sent else f"nothing of {name} was sent"
        raise CommandError(Code.INTERRUPTED, f"stopped: {cause}", _goes_on(there)) from None
    except Exception:
        if before:
            out.note(_goes_on(before))
        raise
    out.note(f"{name}: {size(letter.size)} in the inbox")
    return sent


def _taken_in(stack: Stack, out: Output, sent: Sequence[Put]) -> dict[str, Seen]:
    """Wait a moment for the jobs of what was sent: a store that has no versions names others."""
    try:
        return taken_in(stack, out, sent)
    except KeyboardInterrupt:
        cause = f"stopped: {plural(len(sent), 'file')} had been sent"
        raise CommandError(Code.INTERRUPTED, cause, _goes_on(sent)) from None


def _as_it_is(put: Put, job: Seen | None) -> Put:
    return put._replace(job_id=job.id) if job else put


def _goes_on(there: Sequence[Put]) -> str:
    if not there:
        return ""
    ids = " ".join(each.job_id for each in there)
    go = f"{plural(len(there), 'job')} {'goes' if len(there) == 1 else 'go'} on"
    return f"{go}: batchwatch watch {ids}, or batchwatch cancel {ids}"


def _tell_id(out: Output, sent: Put, job: Seen | None) -> None:
    if job is None:
        out.note(
            f"note: {sent.key} is not taken in yet; its job will be {sent.job_id}, and to see"
            " what is: batchwatch jobs; whether the service runs: batchwatch doctor"
        )
    if out.as_json:
        unread = {"kind": "job", "id": sent.job_id, "key": sent.key, "status": "uploaded"}
        out.emit(job.said if job else unread)
    out.show(sent.job_id)


def _tell_end(out: Output, seen: Seen) -> None:
    """Tell where the answers of a job are; all of that is in its JSON, too."""
    merged = seen.said.get("files") or {}
    files = {role: said["s3_uri"] for role, said in merged.items() if said.get("s3_uri")}
    out.show(f"{seen.name}: {progress(seen)}")
    for role, address in files.items():
        out.show(f"  {role:<7} {address}")
    if files:
        out.show(f"  batchwatch fetch {seen.id}")
    if seen.said.get("rejected"):
        lines = plural(seen.said["rejected"], "line")
        out.show(f"  {lines} not sent; the reasons are in {seen.said.get('report')}")


@contextmanager
def _bar(out: Output, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far something is, where somebody looks on."""
    with bar_of(out.notes, shown=out.notes.is_terminal and not out.as_json) as bar:
        task = bar.add_task(titled(what), total=total)
        yield lambda count: bar.advance(task, count)
