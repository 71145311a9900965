"""A table on terminals of any width."""

from __future__ import annotations

from decimal import Decimal

import pytest
from rich.cells import cell_len

from batchwatch.cli.follow.progress import of_batch
from batchwatch.cli.look import detail, table
from batchwatch.cli.look.columns import Layout, fit
from batchwatch.items import Row
from batchwatch.prices import prices_of
from batchwatch.record import Record
from tests.builders import BATCH, LONGEST_ID, counts, read

PRICES = prices_of("")[0]


def row(batch_id: str = BATCH, name: str = "nightly", status: str = "in_progress") -> Row:
    many = counts(50_000, 31_000, 1200)
    batch = read(status, id=batch_id, metadata={"name": name}, request_counts=many)
    return Row(
        Record(
            account="default",
            batch_id=batch_id,
            last_status=status,
            batch=batch,
            created_at=batch.created_at,
        )
    )


def shown(rows: list[Row], room: int | None, *, several: bool = False) -> tuple[Layout, list[str]]:
    lines = [table.cells(each, PRICES, read().created_at or 0 + 12_345) for each in rows]
    layout = fit(lines, table.heads(several=several), table.STEPS, room)
    return layout, ["".join(text for text, _ in layout.line(line)) for line in lines]


@pytest.mark.parametrize("room", [60, 80, 90, 100, 120, 200])
@pytest.mark.parametrize("several", [False, True])
def test_every_line_fits_and_has_the_whole_id(room: int, several: bool) -> None:  # noqa: FBT001
    rows = [row(), row(name="an evaluation with a rather long name, " * 2), row(status="completed")]

    layout, lines = shown(rows, room, several=several)

    assert {cell_len(line) for line in [*lines, layout.head.ljust(layout.width)]} == {layout.width}
    assert layout.width <= room
    assert all(BATCH in line for line in lines)


def test_eighty_columns_have_room_for_names() -> None:
    layout, lines = shown([row(), row(name="nightly-summaries", status="completed")], 80)

    assert layout.head.split() == ["id", "name", "status", "age", "done"]
    assert "nightly-sum" in lines[1]
    assert "err" in shown([row()], 90)[0].head


def test_with_room_everything_is_said_in_full() -> None:
    layout, (line,) = shown([row()], None)

    assert layout.head.split() == ["id", "name", "status", "age", "progress", "errors"]
    assert "32,200/50,000" in line


@pytest.mark.parametrize(
    ("good", "bad", "said", "short", "style"),
    [
        (60, 0, "60/60 ok", "100% ok", "green"),
        (59, 1, "59/60 ok", "98% ok", "yellow"),
        (0, 60, "0/60 ok", "0% ok", "red"),
    ],
)
def test_of_what_has_ended_it_says_how_much_succeeded(
    good: int, bad: int, said: str, short: str, style: str
) -> None:
    batch = read("completed", request_counts=counts(60, good, bad))
    known = Record(account="a", batch_id=batch.id, batch=batch, status=batch.status)

    cells = table.cells(Row(known), PRICES, 0)

    assert cells["progress"][:2] == (said, short)
    assert cells["status"].style == style
    assert detail.page(known, PRICES, [], 0)[1].style == style
    assert of_batch(known, PRICES).reason == ("" if good else "no request succeeded")


def test_an_id_wider_than_the_terminal_is_not_cut() -> None:
    _, (line,) = shown([row(LONGEST_ID)], 80)

    assert line.startswith(LONGEST_ID)
    assert "in_progress" in line


def test_wide_characters_count_twice() -> None:
    layout, lines = shown([row(name="夜間バッチ"), row(name="nightly")], 200)

    assert {cell_len(line) for line in lines} == {layout.width}


def test_a_cost_below_a_cent_is_not_free() -> None:
    assert table._cost(Decimal("0.0032")).full == "$0.0032"
    assert table._cost(Decimal("0.00001")).full == "<$0.0001"
    assert table._cost(Decimal(0)).short == "$0.00"
