"""`batchwatch archive`: what is wrong is copied again, and only that."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Batch, Role
from batchwatch.cli.mend.mending import look, mend
from batchwatch.cli.stack import Stack
from batchwatch.observe import BACKSTOP
from batchwatch.record import FileState
from batchwatch.transfer import Shift
from local.simulator import Script
from tests.command_line import _session, batchwatch, hooked
from tests.judge.checker import truths
from tests.plans import job, part
from tests.world import ACCOUNT, Clock, client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.command_line import Deployed
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


@pytest.fixture
def clock() -> Clock:
    """The service's time is that of the command line."""
    return Clock(time.time())


def archived(world: World, script: Script = BRIEF) -> str:
    """Let a batch end, and be archived and announced."""
    batch_id = world.batch(script)
    while not world.record(batch_id).terminal:
        world.poll(after=60)
    world.archive()
    world.events()
    assert world.record(batch_id).archived
    assert not world.record(batch_id).open
    return batch_id


def key_of(world: World, batch_id: str, name: str) -> str:
    """Return the key of an archived object."""
    return next(key for key in world.objects() if key.endswith(f"{batch_id}/{name}"))


def versions(key: str) -> list[Any]:
    """Return what the bucket has ever had under a key."""
    return list(client("s3").list_object_versions(Bucket="bucket", Prefix=key)["Versions"])


def spoil(key: str) -> None:
    """Put something else into the place of an object."""
    client("s3").put_object(Bucket="bucket", Key=key, Body=b"something else\n")


def test_a_whole_archive_is_left_alone(world: World) -> None:
    batch_id = archived(world)
    before = world.record(batch_id)

    said = batchwatch("archive", batch_id)

    assert said.code == 0
    assert "all of it is there" in said.out
    assert world.record(batch_id) == before
    assert world.drop_orders() == []


def test_an_object_that_is_right_is_in_nobodys_way_even_if_its_file_is_told_gone(
    world: World,
) -> None:
    batch_id = archived(world)
    known = world.record(batch_id)
    gone = known.files[Role.OUTPUT].model_copy(update={"state": FileState.GONE})
    files = {**known.files, Role.OUTPUT: gone}
    case = look(Stack("batchwatch"), known.model_copy(update={"files": files}), lambda _: None)
    world.runtime.jobs.begin(job("job_" + "0" * 24, part(state="ended")))

    said = batchwatch("archive", "job_" + "0" * 24)

    assert not case.in_the_way
    assert (said.code, "it has: batchwatch archive batch_1" in said.err) == (2, True)
    assert "track" not in said.err


def remove(world: World, batch_id: str) -> str:
    """Take the output out of the bucket; return its key."""
    key = key_of(world, batch_id, "output.jsonl")
    client("s3").delete_object(Bucket="bucket", Key=key)
    return key


def test_what_is_missing_is_copied_again_and_announced_as_a_further_attempt(world: World) -> None:
    batch_id = archived(world)
    truth = truths(world.openai, [batch_id])[batch_id].files["output"]
    output = remove(world, batch_id)

    said = batchwatch("archive", "--no-wait", "--json", batch_id)

    assert said.code == 0
    assert said.objects[0]["attempt"] == 2
    assert said.objects[0]["files"]["output"]["found"] == "missing"
    assert said.objects[0]["files"]["record"]["found"] == "whole"
    assert world.record(batch_id).open
    world.archive()
    record = world.record(batch_id)
    assert world.objects()[output] == truth
    assert len(versions(key_of(world, batch_id, "batch.json"))) == 1
    assert not record.open
    [event] = world.events(batch_id)
    assert (event.type, event.data.attempt) == ("batch.archived", 2)


def test_an_object_in_the_way_is_kept_in_the_history_and_only_deleted_after_a_yes(
    world: World,
) -> None:
    batch_id = archived(world)
    keys = [key_of(world, batch_id, name) for name in ("output.jsonl", "batch.json")]
    before = world.objects()
    for key in keys:
        spoil(key)

    refused = batchwatch("archive", "--no-wait", batch_id)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert all(key in refused.err for key in keys)
    assert not world.record(batch_id).open

    assert batchwatch("archive", "--no-wait", "--yes", batch_id).code == 0
    world.archive()
    assert world.objects()[keys[0]] == before[keys[0]]
    assert batchwatch("archive", "--check", batch_id).code == 0
    assert len(versions(keys[0])) == 3


def test_what_somebody_has_mended_while_the_question_waited_is_not_deleted(world: World) -> None:
    batch_id = archived(world)
    key = key_of(world, batch_id, "batch.json")
    spoil(key)
    asked = look(Stack("batchwatch"), world.record(batch_id), lambda _: None)
    batchwatch("archive", "--no-wait", "--yes", batch_id)
    # The same object once more: of it, the older look still says that it is in the way.
    client("s3").put_object(Bucket="bucket", Key=key, Body=b"something else\n")
    world.archive()
    assert world.record(batch_id).archived
    before = world.record(batch_id), len(versions(key))

    mend(Stack("batchwatch"), asked, time.time())

    assert (world.record(batch_id), len(versions(key))) == before
    assert world.objects()[key] == b"something else\n"


def test_nothing_is_deleted_where_the_bucket_keeps_no_versions(
    world: World, stack: Deployed
) -> None:
    batch_id = archived(world)
    spoil(key_of(world, batch_id, "batch.json"))
    before = world.record(batch_id), world.objects()
    for status in ("Suspended", "Enabled"):
        client("s3").put_bucket_versioning(
            Bucket="bucket", VersioningConfiguration={"Status": status}
        )
        if status == "Enabled":
            del stack.outputs["OperatorsPolicy"]  # as of a stack whose archiver knows no attempts

        said = batchwatch("archive", "--no-wait", "--yes", batch_id)

        assert said.code == (1 if status == "Suspended" else 3)
        assert ("keeps no versions" if status == "Suspended" else "older version") in said.err
        assert (world.record(batch_id), world.objects()) == before


@pytest.mark.parametrize(("option", "code"), [("--check", 1), ("--dry-run", 0)])
def test_a_look_changes_nothing(world: World, option: str, code: int) -> None:
    batch_id = archived(world)
    spoil(key_of(world, batch_id, "output.jsonl"))
    before, objects = world.record(batch_id), world.objects()

    said = batchwatch("archive", option, batch_id)

    assert said.code == code
    assert "output  different" in said.out
    assert (f"to mend: batchwatch archive {batch_id}" in said.err) is (option == "--check")
    assert (world.record(batch_id), world.objects()) == (before, objects)
    assert world.drop_orders() == []


def test_it_waits_until_the_archiver_has_done_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = archived(world)
    remove(world, batch_id)
    monkeypatch.setattr("time.sleep", lambda _: world.archive())

    said = batchwatch("archive", batch_id)

    assert said.code == 0
    assert "archived, attempt 2" in said.out


def test_what_openai_has_no_more_is_told_beforehand_and_is_bad_news(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.clock.now -= 400 * 24 * 3600
    batch_id = archived(world)
    remove(world, batch_id)
    world.openai.delete_file(world.record(batch_id).files[Role.OUTPUT].file_id or "")

    def later(_: float) -> None:
        world.archive()
        world.clock.now += 700

    monkeypatch.setattr("time.sleep", later)
    said = batchwatch("archive", batch_id)

    assert said.code == 1
    assert "30 days" in said.err
    assert "not to be had: output (gone" in said.out
    assert [e.type for e in world.events(batch_id)] == ["batch.file_gone", "batch.archived"]


def test_an_order_that_is_lost_is_given_again_by_the_poller(world: World) -> None:
    batch_id = archived(world)
    remove(world, batch_id)
    batchwatch("archive", "--no-wait", batch_id)
    assert len(world.drop_orders()) == 1

    world.poll(after=BACKSTOP + 1)
    world.archive()

    assert world.record(batch_id).archived
    assert [e.type for e in world.events(batch_id)] == ["batch.archived"]


def test_a_batch_that_has_not_ended_is_told_plainly(world: World) -> None:
    batch_id = world.batch(BRIEF)
    world.poll(after=3)

    said = batchwatch("archive", batch_id)

    assert said.code == 1
    assert "is in_progress: it is archived when it has ended" in said.err
    assert world.drop_orders() == []


def test_a_batch_that_somebody_is_archiving_is_told_plainly_and_left_to_him(world: World) -> None:
    batch_id = archived(world)
    remove(world, batch_id)
    batchwatch("archive", "--no-wait", batch_id)
    world.drop_orders()
    ledger, now = world.runtime.ledger, world.clock.now
    ledger.claim(world.record(batch_id), Role.OUTPUT, owner="worker", now=now, until=now + 60)

    said = batchwatch("archive", "--no-wait", batch_id)

    assert "being archived right now" in said.err
    assert world.drop_orders() == []
    assert world.record(batch_id).attempt == 2


def test_of_a_batch_of_before_the_watch_nothing_is_told_in_a_further_attempt_either(
    world: World,
) -> None:
    batch_id = world.openai.add(BRIEF, created_at=world.clock.now - 5000)
    world.runtime.observer("poller").found(
        ACCOUNT, Batch.read(world.openai.batch(batch_id)), history=True
    )
    world.archive()
    remove(world, batch_id)

    assert batchwatch("archive", "--no-wait", batch_id).code == 0
    world.archive()

    assert world.record(batch_id).attempt == 2
    assert not world.record(batch_id).open
    assert world.events(batch_id) == []


def test_a_worker_of_the_attempt_before_ends_no_file_of_this_one(world: World) -> None:
    batch_id = archived(world)
    before = world.record(batch_id)
    remove(world, batch_id)
    batchwatch("archive", "--no-wait", batch_id)

    shift = Shift("of before", world.clock.now + 60)
    transfer = world.runtime.archiver.transfer
    transfer._finish(before, Role.OUTPUT, before.files[Role.OUTPUT], shift)

    assert world.record(batch_id).files[Role.OUTPUT].state is FileState.PENDING
    finish(world, batch_id)


def test_one_that_cannot_be_mended_keeps_no_other_from_it(world: World) -> None:
    # Somebody is always faster at the first one's key.
    ids = [archived(world) for _ in range(2)]
    keys = [key_of(world, batch_id, "batch.json") for batch_id in ids]
    for key in keys:
        spoil(key)

    def faster(params: dict[str, Any], **_: Any) -> None:
        if ids[0] in params["url_path"]:
            body = b"theirs %d" % len(versions(keys[0]))
            client("s3").put_object(Bucket="bucket", Key=keys[0], Body=body)

    with hooked("before-call.s3.DeleteObject", faster):
        said = batchwatch("archive", "--no-wait", "--yes", *ids)

    assert said.code == 5
    assert f"somebody else is at the archive of {ids[0]}" in said.err
    assert said.out.splitlines()[-2:] == [f"{ids[0]}: as it was", f"{ids[1]}: ordered, attempt 2"]


# Whoever comes between


class DiedError(BaseException):
    """As a process that is killed: nothing of ours catches it."""


WRITES = ("s3.DeleteObject", "dynamodb.UpdateItem", "sqs.SendMessage")
REST = ("dynamodb.BatchGetItem", "s3.GetObject", "sqs.SendMessage")


@contextmanager
def at(moment: str, call: str, happens: Callable[[], None]) -> Iterator[None]:
    """Have something happen once, before or after a call of the command line."""
    left = [happens]

    def happen(**_: Any) -> None:
        if left:
            left.pop()()

    events = _session().events
    events.register(f"{moment}-call.{call}", happen)
    try:
        yield
    finally:
        events.unregister(f"{moment}-call.{call}", happen)
    assert not left, f"{call} was never made"


def broken(world: World) -> str:
    """Return a batch of which one object is missing and one is in the way."""
    batch_id = archived(world)
    remove(world, batch_id)
    spoil(key_of(world, batch_id, "batch.json"))
    return batch_id


def finish(world: World, batch_id: str) -> None:
    """Let the service go on by itself; then all must be there, and told once an attempt."""
    world.poll(after=BACKSTOP + 1)
    world.archive()
    record, told = world.record(batch_id), world.events(batch_id)
    assert batchwatch("archive", "--check", batch_id).code == 0
    assert not record.open
    assert [event.type for event in told] == ["batch.archived"] * (record.attempt - 1)
    assert [event.data.attempt for event in told] == [*range(2, record.attempt + 1)]


@pytest.mark.parametrize(
    ("moment", "calls"),
    [("after", WRITES[:2]), pytest.param("before", WRITES, marks=pytest.mark.full)],
)
def test_whenever_it_dies_the_next_who_looks_mends_it(
    world: World, moment: str, calls: Sequence[str]
) -> None:
    def die() -> None:
        raise DiedError

    for call in calls:
        batch_id = broken(world)
        with at(moment, call, die), pytest.raises(DiedError):
            batchwatch("archive", "--no-wait", "--yes", batch_id)
        if not world.record(batch_id).open:
            assert batchwatch("archive", "--no-wait", "--yes", batch_id).code == 0
        finish(world, batch_id)
        assert world.record(batch_id).attempt == 2


@pytest.mark.parametrize(
    "calls", [WRITES[:2], pytest.param(REST, marks=pytest.mark.full)], ids=["writes", "rest"]
)
def test_two_who_mend_at_the_same_moment_mend_it_once(world: World, calls: Sequence[str]) -> None:
    for call in calls:
        batch_id = broken(world)

        def other(batch_id: str = batch_id) -> None:
            batchwatch("archive", "--no-wait", "--yes", batch_id)
            world.archive()

        with at("before", call, other):
            batchwatch("archive", "--no-wait", "--yes", batch_id)
        finish(world, batch_id)
        assert world.record(batch_id).attempt == 2
