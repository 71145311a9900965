"""`batchwatch show` and `batchwatch events`."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Script
from tests.command_line import batchwatch
from tests.dropped import asked
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")


def _fail(**_: Any) -> None:
    raise ConnectionError


ENDS = {"endpoint": "/v1/responses", "requests": 10}


def test_a_batch_is_shown_with_all_of_its_life_and_events_as_they_were_sent(world: World) -> None:
    batch_id = world.batch(Script(name="nightly", ends="completed", failed=2, **ENDS))  # type: ignore[arg-type]
    for _ in range(4):
        world.poll(after=2)
        world.archive()
    sent = world.messages()

    (said,) = batchwatch("show", batch_id, "--json").objects
    people = batchwatch("show", batch_id).out

    assert batchwatch("events", batch_id).out.splitlines() == sent
    assert [each["type"] for each in said["history"]] == [json.loads(m)["type"] for m in sent]
    assert all(each["sent"] for each in said["history"])
    assert said["stages"][0]["status"] == "validating"
    assert all(a["seconds"] is not None for a, _ in pairwise(said["stages"]))
    assert said["batch"]["id"] == batch_id
    assert said["files"]["output"]["crc32"] in people
    assert said["files"]["output"]["s3_uri"] in people
    assert "! 2 requests failed" in people
    assert f"batchwatch fetch {batch_id}" in people
    assert "batch.archived" in people


def test_a_failed_validation_is_told_by_its_lines_and_what_is_not_sent_yet_as_such(
    world: World,
) -> None:
    batch_id = world.batch(Script(name="nightly", ends="failed", **ENDS))  # type: ignore[arg-type]
    topic = world.runtime.sns.meta.events
    topic.register("before-call.sns.Publish", _fail, unique_id="fail")
    world.poll(after=2)
    topic.unregister("before-call.sns.Publish", unique_id="fail")

    said = batchwatch("show", batch_id)

    assert said.code == 0
    assert said.out.splitlines()[1] == "failed"
    assert "! line 1: " in said.out
    assert "Fix the input file" in said.out
    assert "(not sent yet)" in said.out
    told = batchwatch("events", batch_id)
    assert (told.code, told.out) == (0, "")
    assert "nothing was told" in told.err


def test_a_job_is_shown_with_its_parts_and_why_it_was_refused(world: World) -> None:
    sent = world.drop("good.jsonl", asked(3))
    refused = world.drop("bad.jsonl", b"nonsense\n")
    world.submit()
    world.tick()
    world.poll(after=1)

    (good,) = batchwatch("show", sent, "--json").objects
    people = batchwatch("show", sent).out
    bad = batchwatch("show", refused).out

    assert good["parts"][0]["batch_id"] in people
    (part,) = batchwatch("show", good["parts"][0]["batch_id"], "--json").objects
    said = batchwatch("show", part["id"]).out
    assert (part["job"], f"{sent} part 1" in said, "By hand" in said) == (sent, True, False)
    assert good["requests"]["total"] == 3
    assert [each["type"] for each in good["history"]] == ["job.submitted"]
    assert bad.splitlines()[1] == "refused"
    assert "drop the file again" in bad
    assert batchwatch("events", refused).out.count("job.refused") == 1


@pytest.mark.parametrize("command", ["show", "events"])
@pytest.mark.parametrize("unknown", ["batch_nobody_knows", "job_" + "0" * 24])
def test_what_is_not_known_is_not_found(command: str, unknown: str) -> None:
    said = batchwatch(command, unknown)

    assert said.code == 3
    assert unknown in said.err


def test_an_id_that_is_none_is_a_wrong_command_line() -> None:
    assert batchwatch("events", "../secrets").code == 2
    assert batchwatch("show", "a/b", "--account", ACCOUNT).code == 2
