"""What a person, a log file or a program sees of a run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.events import BatchEvent
    from batchwatch.job_events import JobEvent
    from batchwatch.notify.email import Email
    from local.sending import Sent
    from local.service import Batch

_STYLE = {
    "completed": "green",
    "failed": "red",
    "expired": "yellow",
    "cancelled": "yellow",
    "cancelling": "yellow",
}


class Lines:
    """Plain lines: one an event, as it comes."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say what is going on."""
        print(text, flush=True)

    def warn(self, text: str) -> None:
        """Say what went wrong, though the run goes on."""
        self.note(f"  {text}")

    def event(self, batch: Batch, event: BatchEvent) -> None:
        """Tell of an event that came."""
        data = event.data
        print(
            f"  {data.sequence:>2}  {event.type:<19} {batch.name:<18} {_counts(batch)}", flush=True
        )

    def job_event(self, sent: Sent, event: JobEvent) -> None:
        """Tell of an event of a job that came."""
        print(f"  {event.data.sequence:>2}  {event.type:<19} {sent.name}", flush=True)

    def sending(self, files: Sequence[Sent]) -> None:
        """Tell how far files are that are sent, where that has changed."""
        for sent in files:
            if sent.put >= sent.size and self._told.get(sent.name) != sent.status:
                self._told[sent.name] = sent.status
                self.progress(sent)

    def progress(self, sent: Sent) -> None:
        """Tell how far a file is."""
        self.note(f"      {sent.name}: {sent.status}")

    def mail(self, mail: Email) -> None:
        """Show a mail as it arrives."""
        print(_letter(mail), flush=True)

    def batches(self, batches: Sequence[Batch]) -> None:
        """Show where the batches are."""

    def result(self, text: str, facts: dict[str, Any]) -> None:
        """Tell how a batch, or the run, ended."""
        del facts
        print(text, flush=True)


class Json(Lines):
    """One JSON object a line, for programs."""

    def note(self, text: str) -> None:
        """Say what is going on."""
        self._line({"kind": "note", "text": text})

    def event(self, batch: Batch, event: BatchEvent) -> None:
        """Tell of an event that came."""
        del batch
        self._line({"kind": "event", "event": json.loads(event.frozen())})

    def job_event(self, sent: Sent, event: JobEvent) -> None:
        """Tell of an event of a job that came."""
        del sent
        self._line({"kind": "event", "event": json.loads(event.frozen())})

    def progress(self, sent: Sent) -> None:
        """Tell how far a file is."""
        self._line({"kind": "progress", "name": sent.name, "status": sent.status})

    def mail(self, mail: Email) -> None:
        """Show a mail as it arrives."""
        self._line({"kind": "mail", **mail._asdict()})

    def result(self, text: str, facts: dict[str, Any]) -> None:
        """Tell how a batch, or the run, ended."""
        if facts:
            self._line(facts)
        elif text.strip():
            self.note(text.strip())

    def _line(self, line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)


class Terminal(Lines):
    """A live table with a bar for each batch."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._notes: list[str] = []
        self._batches: Sequence[Batch] = ()
        self._sent: Sequence[Sent] = ()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """Say what is going on."""
        self._notes = [text]
        self._draw()

    def warn(self, text: str) -> None:
        """Say what went wrong, though the run goes on."""
        self._notes.append(text)
        self._draw()

    def event(self, batch: Batch, event: BatchEvent) -> None:
        """Tell of an event that came: the table shows it."""

    def job_event(self, sent: Sent, event: JobEvent) -> None:
        """Tell of an event of a job that came: what is above the table shows it."""

    def sending(self, files: Sequence[Sent]) -> None:
        """Show how far files are that are sent."""
        self._sent = files
        self._draw()

    def mail(self, mail: Email) -> None:
        """Show a mail as it arrives, above the table."""
        self._live.console.print(_letter(mail), markup=False, highlight=False)

    def batches(self, batches: Sequence[Batch]) -> None:
        """Show where the batches are."""
        self._batches = batches
        self._draw()

    def result(self, text: str, facts: dict[str, Any]) -> None:
        """Tell how a batch, or the run, ended."""
        self._live.stop()
        super().result(text, facts)

    def _draw(self) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("batch", "status", "", "requests", "events", "files"):
            table.add_column(title)
        for batch in self._batches:
            table.add_row(*_row(batch))
        sent = Text("\n".join(f"{sent.name}: {sent.status}" for sent in self._sent))
        notes = Text("\n".join(self._notes), style="dim")
        self._live.update(Group(*([sent] if self._sent else []), table, notes))


def _letter(mail: Email) -> str:
    lines = (f"  │ {line}".rstrip() for line in mail.text.splitlines())
    return "\n".join([f"  ┌ Subject: {mail.subject}", *lines, "  └"])


def screen(*, as_json: bool) -> Lines:
    """Choose what to show: JSON if asked for, a live table on a terminal, else lines."""
    if as_json:
        return Json()
    console = Console()
    return Terminal(console) if console.is_terminal else Lines()


def _row(batch: Batch) -> tuple[Any, ...]:
    record = batch.record
    unseen = "registered" if batch.registered else "not seen yet"
    status = str(record.batch.status) if record and record.batch else unseen
    counts = record.batch.counts if record and record.batch else None
    done, total = (counts.done, counts.total or 0) if counts else (0, 0)
    bar = ProgressBar(total=total or 1, completed=done, width=24)
    files = ", ".join(str(r) for r, f in (record.files if record else {}).items() if f.state.final)
    return (
        batch.name,
        Text(status, style=_STYLE.get(status, "")),
        bar,
        f"{done}/{total}" if total else "",
        str(len(batch.events)),
        files,
    )


def _counts(batch: Batch) -> str:
    counts = batch.events[-1].data.batch.counts if batch.events else None
    if not counts:
        return ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.completed or 0}/{counts.total}{failed}"
