"""Which batches a list shows, by what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.cli.look.filters import STATUSES, read_filters
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.errors import LedgerRowError
from batchwatch.items import Row
from batchwatch.record import File, FileState, Record
from tests.builders import BATCH, CREATED, read

if TYPE_CHECKING:
    from batchwatch.cli.look.filters import Filters

NOW = CREATED + 3600.0


def filters(**typed: Any) -> Filters:
    said: dict[str, Any] = dict.fromkeys(("statuses", "metadata", "model", "since", "until"))
    return read_filters(**(said | {"now": NOW} | typed))


def row(status: str = "completed", **changes: Any) -> Row:
    batch = read(status, **changes.pop("said", {}))
    known = {"last_status": batch.status.value, "batch": batch, "created_at": batch.created_at}
    return Row(Record(account="default", batch_id=batch.id, **(known | changes)))


LOST_FILES = {Role.OUTPUT: File(state=FileState.GONE), Role.ERROR: File(state=FileState.PENDING)}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("completed", row()),
        ("Completed", row()),
        ("canceled", row("cancelled")),
        ("in-progress", row("in_progress")),
        ("open", row(open=True)),
        ("new", Row(Record(account="default", batch_id=BATCH, open=True))),
        ("lost", row("in_progress", lost_at=CREATED)),
        ("incomplete", row(files=LOST_FILES)),
        ("unknown", row("paused")),
        ("unreadable", Row(Record(account="default", batch_id=BATCH), LedgerRowError("odd"))),
    ],
)
def test_a_status_shows_what_is_in_it_and_nothing_else(status: str, shown: Row) -> None:
    wanted = filters(statuses=[status])

    assert wanted.match(shown)
    assert not wanted.match(row("expired"))


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        (["team=search"], True),
        (["team"], True),
        (["team=search", "run=7"], True),
        (["note=a=b"], True),
        (["empty="], True),
        (["team=", "run"], False),
        (["team=search", "owner"], False),
        (["Team=search"], False),
    ],
)
def test_all_metadata_that_is_asked_for_must_be_there(typed: list[str], matches: bool) -> None:  # noqa: FBT001
    said = {"team": "search", "run": 7, "note": "a=b", "empty": ""}

    assert filters(metadata=typed).match(row(said={"metadata": said})) is matches


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5*"])
def test_a_model_is_known_with_and_without_its_date(model: str) -> None:
    assert filters(model=model).match(row())
    assert not filters(model=model).match(row(said={"model": "gpt-4.1-nano"}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", NOW - 90),
        ("30m", NOW - 1800),
        ("12h", NOW - 43_200),
        ("7d", NOW - 604_800),
        ("9999w", 0),
        ("2027-01-15", CREATED - 8 * 3600),
        ("2027-01-15T08:00", CREATED),
        ("2027-01-15 08:00:00Z", CREATED),
        ("2027-01-15T09:00+01:00", CREATED),
    ],
)
def test_a_time_is_an_age_or_iso_8601(text: str, seconds: float) -> None:
    assert filters(since=text).since == max(0, seconds)


def test_until_a_day_is_until_its_end() -> None:
    assert filters(until="2027-01-15").until == CREATED + 16 * 3600 - 1


def test_what_is_not_seen_yet_has_no_time() -> None:
    new = Row(Record(account="default", batch_id=BATCH))

    assert filters().match(new)
    assert not filters(since="7d").match(new)
    assert not filters(until="1h").match(new)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"statuses": ["done"]}, STATUSES),
        ({"metadata": ["=search"]}, ["KEY=VALUE"]),
        ({"metadata": ["team=a", "team=b"]}, ["team"]),
        ({"since": "yesterday"}, ["30m", "2026-11-22"]),
        ({"since": "2026-13-01"}, ["30m"]),
        ({"until": "0001-01-01T00:00+23:00"}, ["30m"]),
        ({"since": "2027-02-01"}, ["future"]),
        ({"since": "1h", "until": "2h"}, ["after --until"]),
    ],
)
def test_what_can_match_nothing_is_a_wrong_command_line(
    typed: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(CommandError) as refused:
        filters(**typed)

    assert refused.value.code is Code.USAGE
    for word in told:
        assert word in f"{refused.value} {refused.value.way_out}"


@pytest.mark.parametrize("statuses", [["open"], ["new", "validating"], ["cancelling"]])
def test_what_has_work_left_is_looked_for_where_nothing_else_is(statuses: list[str]) -> None:
    assert filters(statuses=statuses).only_with_work_left
    assert not filters(statuses=[*statuses, "failed"]).only_with_work_left
