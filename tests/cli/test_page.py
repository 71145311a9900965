"""`batchwatch page`: what it reads, and how the file comes to its place."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.cli.page.figures import DAY, job_needs_you, needs_you
from batchwatch.cli.page.reading import overview
from batchwatch.cli.stack import Stack
from batchwatch.record import Change, File, FileState, Record
from benchmarks.many import items, write
from tests.builders import errors, read
from tests.command_line import batchwatch, hooked
from tests.dropped import asked, only
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from batchwatch.cli.page.overview import Overview
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
NOW = 1_700_000_000
QUOTED = "the question about Ada's salary"
HOSTILE = "</script><img src=x onerror=window.pwned=1>"
GONE = {Role.OUTPUT: File(state=FileState.GONE, reason="404")}
THERE = {
    Role.OUTPUT: File(state=FileState.ARCHIVED, s3_uri="s3://b/k", bytes=10, lines=980),
    Role.RECORD: File(state=FileState.ARCHIVED, s3_uri="s3://b/r", bytes=5, lines=1),
}
KINDS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("fine", "completed", {"request_counts": {"total": 9, "completed": 9, "failed": 0}}, {}),
    ("some", "completed", {"metadata": {"name": HOSTILE}}, {"files": THERE}),
    ("gone", "completed", {}, {"files": GONE}),
    ("failed", "failed", {"errors": errors(QUOTED, QUOTED)}, {}),
    ("expired", "expired", {}, {}),
    ("cancelled", "cancelled", {}, {}),
    ("running", "in_progress", {}, {"progressed_at": NOW + 10.0}),
    ("stalled", "in_progress", {}, {"stalled": {"in_progress"}, "progressed_at": NOW}),
    ("lost", "in_progress", {}, {"lost_at": NOW, "missing_since": NOW}),
    ("odd", "completed", {}, {}),
]


def fill(world: World) -> None:
    """Let the ledger know a batch of each kind, one of which cannot be read, and a new one."""
    ledger = world.runtime.ledger
    for age, (name, status, said, changes) in enumerate(KINDS):
        batch = read(status, id=f"batch_{name}", created_at=NOW - age, **said)
        change = Change(batch=batch, status=batch.status, **changes)
        ledger.write(Record(account=ACCOUNT, batch_id=batch.id), change)
    world.runtime.dynamodb.update_item(
        TableName=world.environment["BATCHWATCH_TABLE"],
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": "batch_odd"}},
        UpdateExpression="SET files = :odd",
        ExpressionAttributeValues={":odd": {"S": QUOTED}},
    )
    ledger.register(ACCOUNT, "batch_new")


def _misplaced_key() -> dict[str, Any]:
    """A row that somebody wrote with a key where an id belongs."""
    return {name: {"S": text} for name, text in (
        ("account", ACCOUNT), ("batch_id", KEY), ("open", ACCOUNT))}  # fmt: skip


def read_page(*, since: float = 0, limit: int = 2000) -> Overview:
    return overview(Stack("batchwatch"), at=NOW + 60, since=since, limit=limit)


def test_every_outcome_is_a_card_that_says_what_is_wrong_and_what_to_do(world: World) -> None:
    fill(world)
    job_id = world.drop("questions.jsonl", asked(3))
    world.submit()

    said = read_page()

    cards = {card.id.removeprefix("batch_"): card for card in said.batches}
    sent = cards.pop(str(only(world.job(job_id)).batch_id).removeprefix("batch_"))
    assert (sent.standing, sent.good, sent.created) == ("new", None, None)
    assert {name: (card.standing, card.good) for name, card in cards.items()} == {
        "new": ("new", None),
        "fine": ("completed", True),
        "some": ("completed with errors", True),
        "gone": ("files lost", False),
        "failed": ("failed", False),
        "expired": ("expired", False),
        "cancelled": ("cancelled", False),
        "running": ("in progress", None),
        "stalled": ("stalled", None),
        "lost": ("lost", False),
        "odd": ("unreadable", False),
    }
    made = [card.created for card in said.batches if card.created is not None]
    assert made == sorted(made, reverse=True)
    fared_well = {"new", "fine", "running"}
    assert {name for name, card in cards.items() if not card.problems} == fared_well
    assert all(card.what_next for name, card in cards.items() if name not in {"fine", "running"})
    assert cards["failed"].problems[0] == "invalid_request: 2 times, in lines 1, 2"
    assert cards["stalled"].problems == [
        "stalled: nothing has changed since 2023-11-14 22:13:20 UTC"
    ]
    assert (cards["running"].left, cards["running"].seen) != (None, None)
    assert cards["expired"].problems == ["980 of 1,000 requests succeeded, 20 failed"]
    assert [tuple(each) for each in cards["some"].files] == [
        ("output", "archived", 10, 980, "s3://b/k"),
        ("record", "archived", 5, None, "s3://b/r"),
    ]
    assert cards["some"].name == HOSTILE
    ((job,), older) = said.jobs, said.older
    assert (job.name, job.parts, job.good, older) == ("questions.jsonl", 1, None, False)


def test_what_ended_badly_this_week_is_shown_whatever_is_asked_for(world: World) -> None:
    fill(world)
    old = read("failed", id="batch_old", created_at=NOW - 30 * DAY, failed_at=NOW - 30 * DAY + 60)
    change = Change(batch=old, status=old.status)
    world.runtime.ledger.write(Record(account=ACCOUNT, batch_id=old.id), change)
    _alarm("batchwatch-NoPolls-1ABCDEFGHIJKL", "ALARM")
    _alarm("batchwatch-RelaysDead-1ABCDEFGHIJKL", "OK")
    _alarm("batchwatch-staging-NoPolls-1ABCDEFGHIJKL", "ALARM")

    everything, lately, few = read_page(), read_page(since=NOW + 1), read_page(limit=1)

    assert [_needing(said) for said in (lately, few)] == [_needing(everything)] * 2
    assert {"batch_failed", "batch_gone", "batch_expired"} < _needing(few)
    assert everything.earlier == []
    assert {card.id for card in lately.batches}.isdisjoint(card.id for card in lately.earlier)
    assert few.alarms == ["NoPolls"]
    denied = SimpleNamespace(status_code=403), {"Error": {"Code": "AccessDenied", "Message": ""}}
    with hooked("before-call.cloudwatch", lambda **_: denied):
        assert read_page().alarms == []


def _needing(said: Overview) -> set[str]:
    return {card.id for card in (*said.batches, *said.earlier) if needs_you(card, said.at)}


def _alarm(name: str, state: Any) -> None:
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="batchwatch", MetricName="OpenBatches", Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="LessThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")


def test_a_page_of_an_account_that_nothing_is_known_of_is_not_written(
    world: World, tmp_path: Path
) -> None:
    world.runtime.ledger.register(ACCOUNT, "batch_new")
    page = tmp_path / "page.html"

    unknown = batchwatch("page", "-o", str(page), "-a", "nope")
    known = batchwatch("page", "-o", str(page), "-a", ACCOUNT)

    assert (unknown.code, known.code) == (3, 0)
    assert "nothing is known of an account 'nope'" in unknown.err
    assert f"known: {ACCOUNT}" in unknown.err
    assert f"account <bdi>{ACCOUNT}</bdi>" in page.read_text()


def test_files_that_do_not_come_and_a_key_that_is_refused_ask_for_somebody(world: World) -> None:
    said_of = {"completed_at": NOW - 7200, "request_counts": None}
    for name, moved_at in (("late", NOW - 7200.0), ("soon", NOW - 60.0)):
        batch = read("completed", id=f"batch_{name}", **said_of)
        change = Change(batch=batch, status=batch.status, moved_at=moved_at)
        world.runtime.ledger.write(Record(account=ACCOUNT, batch_id=batch.id), change)
    world.openai.fault("POST /v1/files", status=401)
    world.drop("questions.jsonl", asked(3))
    world.submit()

    said = read_page()

    cards = {card.id: card for card in said.batches}
    late, soon = cards["batch_late"], cards["batch_soon"]
    assert (late.standing, late.good, needs_you(late, NOW)) == ("files waiting", None, True)
    assert "not in the bucket" in late.problems[-1]
    assert (soon.good, soon.problems) == (True, [])
    (job,) = said.jobs
    assert job_needs_you(job, NOW)
    assert "key" in job.what_next[0]


def test_nothing_that_quotes_a_request_and_no_key_is_in_the_file(
    world: World, tmp_path: Path
) -> None:
    fill(world)
    write(client("dynamodb"), world.environment["BATCHWATCH_TABLE"], [_misplaced_key()])
    page = tmp_path / "page.html"

    said = batchwatch("page", "-o", str(page), "--since", "2001-01-01", "--json")
    text = page.read_text()

    batches = len(KINDS) + 2
    assert said.objects == [
        {"path": str(page), "bytes": page.stat().st_size, "batches": batches, "jobs": 0,
         "older": False}
    ]  # fmt: skip
    assert "batch_failed" in text
    assert "invalid_request" in text
    assert not [word for word in (QUOTED, "salary", KEY, HOSTILE) if word in text]
    assert batchwatch("page", "-o", "-", "--since", "2001-01-01").out.startswith("<!doctype html>")


def test_batches_with_work_left_are_there_whatever_their_age(world: World) -> None:
    table = world.environment["BATCHWATCH_TABLE"]
    write(client("dynamodb"), table, items(12, NOW, still_open=3))
    oldest = read("in_progress", id="batch_oldest", created_at=1)
    change = Change(batch=oldest, status=oldest.status)
    world.runtime.ledger.write(Record(account=ACCOUNT, batch_id=oldest.id), change)
    asked_of: set[str] = set()

    with hooked("before-call.dynamodb", lambda model, **_: asked_of.add(model.name)):
        everything, few, none = read_page(), read_page(limit=6), read_page(since=NOW + 1, limit=1)

    assert (len(everything.batches), everything.older) == (13, False)
    assert (len(few.batches), few.older) == (6, True)
    assert few.batches[:5] == everything.batches[:5]
    assert [card.id for card in few.batches[-1:]] == ["batch_oldest"]
    assert (len(none.batches), none.older) == (4, True)
    assert asked_of == {"Query", "BatchGetItem"}


def test_a_file_is_replaced_when_the_new_one_is_whole(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.runtime.ledger.register(ACCOUNT, "batch_new")
    page = tmp_path / "page.html"
    page.write_text("the old one")
    page.chmod(0o600)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        stopped = batchwatch("page", "-o", str(page))
    left = [each.read_text() for each in tmp_path.iterdir()]
    done = batchwatch("page", "-o", str(page))

    assert (stopped.code, left) == (130, ["the old one"])
    assert (done.code, done.out.split()[:3]) == (0, [str(page), "1", "batch,"])
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    assert "batch_new" in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.stat().st_mtime <= time.time()


def test_a_page_that_can_be_nowhere_is_a_wrong_command_line(tmp_path: Path) -> None:
    wrong = [("-o", str(tmp_path)), ("-o", f"{tmp_path}/no/page.html"), ("-o", "-", "--json")]

    assert [batchwatch("page", *each).code for each in wrong] == [2, 2, 2]


def test_a_page_that_cannot_be_written_is_told_of_by_its_name(tmp_path: Path) -> None:
    name = "n" * 255  # there is no room for the one beside it

    said = batchwatch("page", "-o", str(tmp_path / name))

    assert said.code == 1
    assert f"{name} cannot be written: File name too long" in said.err
    assert [*tmp_path.iterdir()] == []
