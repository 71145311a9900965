"""What a person, a log file or a program sees of what is watched."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchwatch.cli.follow.following import progress, tally
from batchwatch.cli.look.view import STYLE
from batchwatch.notify.wording import duration, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderResult

    from batchwatch.cli.follow.following import Shown
    from batchwatch.cli.follow.progress import Seen
    from batchwatch.cli.output import Output

UNKNOWN = "\N{EN DASH}"
_MINUTE = 60
_GAP, _NARROWEST_NAME, _BAR, _WIDEST_BAR = 2, 10, 8, 24
_HEADER, _SPARE = 1, 1  # lines of a screen beside those of the table
_WIDE, _LONGEST_ID = 120, 40  # from which width on ids are shown; those that are no longer
_OPTIONAL = ("pace", "age", "", "id", "errors", "files", "left")
"""Columns that are left out where the screen is narrow, one after the other."""


class Lines:
    """Plain lines, one a change, for a log; or one JSON object a change, for programs."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._told: dict[tuple[str, str], Any] = {}
        self._noted = ""
        self._day = ""
        self._wide = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, all_of_it: Sequence[Shown], now: float) -> None:
        """Tell what has changed."""
        self._wide = max([self._wide, *(len(_called(seen)) for seen, _ in all_of_it)])
        for seen, _ in all_of_it:
            what = dict(seen.said) if self._out.as_json else progress(seen)
            which = seen.account, seen.id
            if self._told.get(which) == what:
                continue
            self._told[which] = what
            if self._out.as_json:
                self._out.emit(seen.said)
            else:
                self._out.show(f"{self._time(now)}  {_called(seen):<{self._wide}}  {what}")

    def _time(self, now: float) -> str:
        """Write the local time, as other logs do; with the date where another day has begun."""
        at = datetime.fromtimestamp(now)  # noqa: DTZ006 - local
        before, self._day = self._day, f"{at:%Y-%m-%d} "
        return f"{'' if before in ('', self._day) else self._day}{at:%H:%M:%S}"

    def note(self, text: str) -> None:
        """Tell something once, on stderr."""
        if text and not self._noted:
            self._out.note(text)
        self._noted = text


def _called(seen: Seen) -> str:
    return f"{seen.id} {seen.name}" if seen.name[:6] != seen.id[:6] else seen.id


class Terminal:
    """A live table with a bar for each."""

    def __init__(self, console: Console) -> None:
        self._picture = Picture()
        self._live = Live(
            self._picture, console=console, refresh_per_second=4, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._picture.note = ""
        self._live.stop()

    def show(self, all_of_it: Sequence[Shown], now: float) -> None:
        """Show how everything is."""
        self._picture.rows, self._picture.now = all_of_it, now
        self._live.refresh()

    def note(self, text: str) -> None:
        """Tell something below the table."""
        self._picture.note = text
        self._live.refresh()


def screen_for(out: Output) -> Lines | Terminal:
    """Choose what to show: something that moves only where somebody looks on."""
    return Terminal(out.answers) if out.live else Lines(out)


class Picture:
    """The table as it fits: in width by leaving out columns, in height by summing up rows."""

    def __init__(self) -> None:
        self.rows: Sequence[Shown] = ()
        self.now = 0.0
        self.note = ""
        self._widest: dict[str, int] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        note = Text(self.note, style="yellow")
        noted = max(1, len(note.wrap(console, width)))  # with room for one that may come
        below = [note] if self.note else []
        if not self.rows:
            yield Group(*below)
            return
        room = console.height - _HEADER - _SPARE - noted
        summary, shown = self._summed(len(self.rows)), self.rows
        if len(shown) > room - len(summary.wrap(console, width)):
            room -= len(self._summed(0).wrap(console, width))
            shown = self.rows[: max(1, room)]
            summary = self._summed(len(shown))
        yield Group(table(shown, self.now, width, self._widest), summary, *below)

    def _summed(self, shown: int) -> Text:
        return Text(self._summary(shown), style="dim")

    def _summary(self, shown: int) -> str:
        everything = [row.seen for row in self.rows]
        hidden = everything[shown:]
        left = [row.pace.left for row in self.rows if not row.seen.ended]
        known = [each for each in left if each is not None]
        last = (
            f"; done in about {duration(max(known))}" if known and len(known) == len(left) else ""
        )
        above = f"{len(everything)} in all: {tally(everything)}{last}"
        return f"… and {len(hidden)} more: {tally(hidden)}\n{above}" if hidden else above


def table(rows: Sequence[Shown], now: float, width: int, widest: dict[str, int]) -> Table:
    """Draw a row for each, in columns that fit into a width; the name gives way last.

    `widest`: how wide each column was until now, so that it does not become narrower again.
    """
    cells = [_cells(row, now) for row in rows]
    for title in cells[0] if cells else ():
        widest[title] = max([widest.get(title, 0), *(cell_len(each[title]) for each in cells)])
    columns = _fitting(widest, width)
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    room = width - sum(columns.values()) - _GAP * len(columns)
    longest = widest.get("name", _NARROWEST_NAME)
    drawn.add_column("name", no_wrap=True, width=max(1, min(longest, room)))
    bar = columns.get("")
    spare = 0 if bar is None else max(0, min(room - longest, _WIDEST_BAR - bar))
    for title, wide in columns.items():
        right = "right" if title in {"requests", "errors", "pace", "left", "age"} else "left"
        drawn.add_column(title, justify=right, no_wrap=True, width=wide + (0 if title else spare))  # type: ignore[arg-type]
    for row, each in zip(rows, cells, strict=True):
        drawn.add_row(
            Text(each["name"]), *(_drawn(title, each.get(title, ""), row.seen) for title in columns)
        )
    return drawn


def _cells(row: Shown, now: float) -> dict[str, str]:
    seen, pace = row
    rate = pace.rate if seen.runs else None
    return {
        "name": seen.name,
        "id": seen.id,
        "status": seen.status,
        "": "",
        "requests": f"{number(seen.done)}/{number(seen.total)}" if seen.total else "",
        "errors": number(seen.errors) if seen.errors else "",
        "pace": _rate(rate),
        "left": "" if seen.ended else UNKNOWN if pace.left is None else duration(pace.left),
        "age": duration(now - seen.since) if seen.since else "",
        "files": seen.detail,
    }


def _rate(rate: float | None) -> str:
    if rate is None:
        return ""
    a_minute = rate * _MINUTE
    return f"{a_minute:,.0f}/min" if a_minute >= 1 else f"{a_minute * 60:,.0f}/h"


def _fitting(widest: Mapping[str, int], width: int) -> dict[str, int]:
    """Choose the columns beside the name, and their widths; empty ones are left out."""
    wide = {t: max(w, len(t)) if w else 0 for t, w in widest.items() if t != "name"}
    if width < _WIDE or wide.get("id", 0) > _LONGEST_ID:
        wide.pop("id", None)
    if "" in wide:
        wide[""] = _BAR
    wide = {t: w for t, w in wide.items() if w}
    for least in _OPTIONAL:
        if sum(wide.values()) + _GAP * len(wide) + _NARROWEST_NAME <= width:
            break
        wide.pop(least, None)
    return wide


def _style(seen: Seen) -> str:
    if seen.status == "completed" and seen.good:
        return "yellow" if seen.errors or seen.done < seen.total else "green"
    bad = "red" if seen.trouble and seen.ended else ""
    return bad if seen.status == "completed" else STYLE.get(seen.status, bad)


def _drawn(title: str, text: str, seen: Seen) -> Any:
    if title == "":
        return ProgressBar(total=seen.total or 1, completed=seen.done)
    if title == "status":
        return Text(text, style=_style(seen))
    if title == "errors":
        return Text(text, style="red")
    bad = title == "files" and text == "incomplete"
    return Text(text, style="red" if bad else "")
