"""`batchwatch jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.command_line import batchwatch
from tests.dropped import asked

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")


def test_open_jobs_are_listed_with_what_their_parts_do(world: World) -> None:
    job_id = world.drop("questions.jsonl", asked(3))
    world.submit()

    said, shown = batchwatch("jobs", "--json"), batchwatch("jobs")

    (job,) = said.objects
    (seen,) = batchwatch("watch", job_id, "--json", "--timeout", "0").objects
    (whole,) = batchwatch("show", job_id, "--json").objects
    assert (job["id"], job["key"], job["requests"]["total"]) == (job_id, "inbox/questions.jsonl", 3)
    assert job == seen
    assert {name for name in job if job[name] != whole[name]} == {"parts"}
    assert sum(said.objects[0]["parts"].values()) == 1
    assert job_id in shown.out
    assert not any(line.endswith(" ") for line in shown.out.splitlines())
    assert "questions.jsonl" in shown.out


def test_without_a_job_it_says_so_on_stderr_alone() -> None:
    said = batchwatch("jobs")

    assert (said.code, said.out) == (0, "")
    assert "batchwatch submit FILE" in said.err


def test_where_no_terminal_is_no_name_is_cut(world: World) -> None:
    name = "team-search/" + "a-long-name-" * 9 + ".jsonl"
    job_id = world.drop(name, asked(1))
    world.submit()

    said = batchwatch("jobs", COLUMNS="40").out

    assert [line.split()[:2] for line in said.splitlines()] == [["job", "file"], [job_id, name]]
