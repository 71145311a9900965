"""A table that fits: columns that shrink or go, the least important first; never an id. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDE, _NARROW = 2, 1


class Cell(NamedTuple):
    """What stands in a column: in full, and in a form that takes less room."""

    full: str
    short: str | None = None
    style: str = ""

    def form(self, *, short: bool) -> str:
        """Return one of its forms."""
        return self.short if short and self.short is not None else self.full


class Head(NamedTuple):
    """A column: its name in two forms, and on which side its texts are filled up."""

    full: str
    short: str | None = None
    right: bool = False


class Step(NamedTuple):
    """What is given up where the room is too narrow.

    do     shorten (take the short forms), cut (to no less than `width`), drop (the whole column),
           or narrow (all gaps)
    """

    do: str
    column: str = ""
    width: int = 0


class _Column(NamedTuple):
    name: str
    head: Cell
    width: int
    short: bool
    right: bool

    def text(self, cell: Cell) -> str:
        """Fill a cell up with spaces, or cut it, to the width of the column."""
        text = cell.form(short=self.short)
        if cell_len(text) > self.width:
            return set_cell_size(text, self.width - 1) + "…"
        space = " " * (self.width - cell_len(text))
        return space + text if self.right else text + space


class Layout(NamedTuple):
    """The columns that are shown, and how far they are apart."""

    columns: tuple[_Column, ...]
    gap: int

    @property
    def width(self) -> int:
        """Cells of a line."""
        return sum(column.width for column in self.columns) + self.gap * (len(self.columns) - 1)

    @property
    def head(self) -> str:
        """The line of names."""
        texts = (column.text(column.head) for column in self.columns)
        return (" " * self.gap).join(texts).rstrip()

    def line(self, row: Mapping[str, Cell]) -> list[tuple[str, str]]:
        """Return a line of the table, as texts with their styles."""
        parts = [(column.text(row[column.name]), row[column.name].style) for column in self.columns]
        return [part for each in parts for part in (each, (" " * self.gap, ""))][:-1]


def fit(
    rows: Sequence[Mapping[str, Cell]],
    heads: Mapping[str, Head],
    steps: Sequence[Step],
    room: int | None,
) -> Layout:
    """Return the columns that fit into `room` cells (None: any number), in the order of `heads`.

    A column in which every row is empty is left out, but for the first. What no step makes fit
    stays wider than the room.
    """
    shown = [
        _column(name, head, rows, short=False)
        for place, (name, head) in enumerate(heads.items())
        if not place or any(row[name].full for row in rows)
    ]
    layout = Layout(tuple(shown), _WIDE)
    for step in steps:
        if room is None or layout.width <= room:
            break
        if step.do == "narrow":
            layout = layout._replace(gap=_NARROW)
            continue
        columns = (
            _less(column, step, heads, rows, layout.width - room)
            if column.name == step.column
            else column
            for column in layout.columns
        )
        layout = layout._replace(columns=tuple(filter(None, columns)))
    return layout


def _less(
    column: _Column,
    step: Step,
    heads: Mapping[str, Head],
    rows: Sequence[Mapping[str, Cell]],
    too_much: int,
) -> _Column | None:
    match step.do:
        case "shorten":
            return _column(column.name, heads[column.name], rows, short=True)
        case "cut":
            width = max(step.width, column.width - too_much)
            return column._replace(width=min(column.width, width))
        case _:
            return None


def _column(name: str, head: Head, rows: Sequence[Mapping[str, Cell]], *, short: bool) -> _Column:
    own = Cell(head.full, head.short)
    width = max(cell_len(cell.form(short=short)) for cell in (own, *(row[name] for row in rows)))
    return _Column(name, own, width, short, head.right)
