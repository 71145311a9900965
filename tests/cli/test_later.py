"""What a later version has left, as this command shows it: by its name, and nothing falls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from batchwatch.items import key_of
from local.simulator import Script
from tests.command_line import batchwatch
from tests.dropped import asked
from tests.test_versions import item, put
from tests.world import ACCOUNT, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = [pytest.mark.usefixtures("stack"), pytest.mark.deploy]
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


@pytest.fixture
def clock() -> Clock:
    """The service's time is that of the command line."""
    return Clock(time.time())


@pytest.fixture
def batch_id(world: World) -> str:
    """A batch that has ended, with a file in a state of a later version and one of such a role."""
    batch_id = world.batch(BRIEF)
    while not world.record(batch_id).terminal:
        world.poll(after=60)
    key = key_of(ACCOUNT, batch_id)
    put(world, "ledger", key, files__output__state="thawing", files__summary={"state": "pending"})
    world.archive()
    return batch_id


@pytest.fixture
def job_id(world: World) -> str:
    """A job with a part in such a state, which waits for a reason of a later version."""
    job_id = world.drop("questions.jsonl", asked(2))
    world.submit()
    key = {"job_id": {"S": job_id}}
    said = json.loads(item(world, "jobs", key)["job"]["S"])
    said["waiting"], said["waiting_since"] = "full_moon", world.clock.now
    said["parts"][0] |= {
        "state": "priced",
        "held": {"why": "full_moon", "until": world.clock.now + 60},
    }
    put(world, "jobs", key, job=json.dumps(said))
    return job_id


def test_names_of_a_later_version_are_shown_as_they_are(
    batch_id: str, job_id: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    looks = {
        words: batchwatch(*words.split())
        for words in (
            "list --json",
            f"show {batch_id}",
            f"show --json {job_id}",
            "jobs --json",
            f"archive --check {batch_id}",
            f"page -o {page}",
        )
    }

    listed, batch, job, jobs, checked, _ = looks.values()
    assert [said.code for said in looks.values()] == [0, 0, 0, 0, 1, 0]
    assert '"output": {"state": "thawing"}' in listed.out
    assert "output  thawing" in batch.out
    assert (json.loads(job.out)["parts"][0]["state"], json.loads(jobs.out)["waiting"]) == (
        "priced",
        "full_moon",
    )
    assert "unknown    the ledger says thawing" in checked.out
    assert "thawing" in page.read_text()
