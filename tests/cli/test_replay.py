"""`batchwatch replay`: what was announced is announced again, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.simulator import Script
from tests.command_line import batchwatch
from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


def told(world: World) -> tuple[str, list[str]]:
    """Let a batch end; return its id and all that was told of it."""
    batch_id = world.batch(BRIEF)
    world.poll(after=2)
    world.poll(after=60)
    world.archive()
    return batch_id, world.messages()


def test_all_events_come_again_to_the_byte_and_only_after_a_yes(world: World) -> None:
    batch_id, before = told(world)

    assert batchwatch("replay", batch_id).code == 2
    assert world.messages() == []

    said = batchwatch("replay", "--yes", "--json", batch_id)
    assert said.code == 0
    assert world.messages() == before
    assert [event["sequence"] for event in said.objects] == [*range(1, len(before) + 1)]


def test_only_the_types_and_numbers_wanted_come_again_with_the_attributes_they_had(
    world: World,
) -> None:
    first, second = told(world), told(world)

    said = batchwatch("replay", "-", "-t", "archived", "--yes", stdin=f"{first[0]}\n{second[0]}\n")

    assert said.code == 0
    assert world.messages() == [first[1][-1], second[1][-1]]
    assert world.drop_orders() == []  # the filter of the archive queue does not let it pass
    assert batchwatch("replay", first[0], "--sequence", "1").code == 2
    missing = batchwatch("replay", first[0], "--sequence", "1", "--sequence", "99", "--yes")
    assert (missing.code, "no event number 99; nothing" in missing.err) == (3, True)
    assert world.messages() == []
    assert batchwatch("replay", first[0], "--sequence", "1", "--yes").code == 0
    assert world.messages() == [first[1][0]]


def test_a_look_announces_nothing(world: World) -> None:
    batch_id, before = told(world)
    said = batchwatch("replay", "--dry-run", batch_id)
    assert said.code == 0
    assert len(said.out.splitlines()) == len(before)
    assert world.messages() == []


def test_a_replay_of_the_end_archives_nothing_twice(world: World) -> None:
    batch_id, _ = told(world)
    record = world.record(batch_id)
    batchwatch("replay", batch_id, "--type", "batch.completed", "--yes")
    world.archive()
    assert world.record(batch_id) == record
    assert [event.type for event in world.events(batch_id)] == ["batch.completed"]


def test_what_was_never_announced_is_not_found(world: World) -> None:
    batch_id, _ = told(world)
    assert batchwatch("replay", "batch_unknown").code == 3
    said = batchwatch("replay", batch_id, "-t", "batch.lost")
    assert said.code == 3
    assert "batch.archived" in said.err
    assert batchwatch("replay", batch_id, "-t", "archived", "-t", "lost", "--yes").code == 3
    assert world.messages() == []
    assert batchwatch("replay", "../secret").code == 2


def test_an_event_that_cannot_be_read_stops_all_before_anything_is_announced(world: World) -> None:
    batch_id, _ = told(world)
    key = f"events/default/{batch_id}/0099-batch.new.json"
    client("s3").put_object(Bucket="bucket", Key=key, Body=b"{}")

    said = batchwatch("replay", "--yes", batch_id)

    assert said.code == 1
    assert key in said.err
    assert world.messages() == []
