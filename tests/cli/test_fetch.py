"""`batchwatch fetch`."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.record import File, FileState
from batchwatch.submit.job import Outcome, Stage
from local.simulator import Script
from tests.command_line import batchwatch, hooked
from tests.plans import job, part
from tests.world import client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, failed=2, ends="completed")
deployed = pytest.mark.usefixtures("stack")
JOB = "job_" + "0123456789ab" * 2


def archived(world: World, script: Script = BRIEF) -> str:
    """Let a batch run its course, and be archived."""
    batch_id = world.batch(script)
    for after in (0, 5, 5):
        world.poll(after=after)
    world.archive()
    assert world.record(batch_id).archived
    return batch_id


@deployed
def test_all_files_of_a_batch_come_as_they_were_archived(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = archived(world)
    monkeypatch.chdir(tmp_path)

    said = batchwatch("fetch", batch_id, "--json")

    assert (said.code, said.err) == (0, "")
    assert [(each["role"], each["state"]) for each in said.objects] == [
        ("error", "fetched"),
        ("output", "fetched"),
        ("record", "fetched"),
    ]
    objects = {key.rpartition("/")[2]: body for key, body in world.objects().items()}
    for each in said.objects:
        content = (tmp_path / each["path"]).read_bytes()
        assert content == objects[each["path"].removeprefix(f"{batch_id}/")]
        assert (each["bytes"], each["crc32"]) == (len(content), f"{zlib.crc32(content):08x}")

    (tmp_path / batch_id / "error.jsonl").write_text("mine")
    again = batchwatch("fetch", batch_id)

    assert again.code == 1
    assert again.out.count("already there") == 2
    assert f"error: {batch_id}/error.jsonl is there" in again.err
    assert (tmp_path / batch_id / "error.jsonl").read_text() == "mine"
    assert batchwatch("fetch", batch_id, "--force").code == 0
    assert (tmp_path / batch_id / "error.jsonl").read_bytes() == objects["error.jsonl"]


@deployed
def test_one_file_goes_to_stdout_byte_for_byte_and_is_verified_all_the_same(world: World) -> None:
    batch_id = archived(world)
    key = next(key for key in world.objects() if key.endswith("output.jsonl"))
    content = world.objects()[key]

    said = batchwatch("fetch", batch_id, "-o", "-", "--role", "output")
    assert (said.code, said.out, said.err) == (0, content.decode(), "")

    client("s3").put_object(Bucket="bucket", Key=key, Body=content[:-9])
    said = batchwatch("fetch", batch_id, "-o", "-", "--role", "output")
    assert said.code == 1
    assert f"the ledger says {len(content)} bytes" in said.err
    assert f"batchwatch archive {batch_id}" in said.err


@deployed
def test_the_other_files_come_where_one_is_wrong_gone_or_never_was(
    world: World, tmp_path: Path
) -> None:
    fine, batch_id = archived(world), archived(world)
    bad = {key: body for key, body in world.objects().items() if f"{batch_id}/" in key}
    for key in bad:
        if key.endswith("error.jsonl"):
            client("s3").delete_object(Bucket="bucket", Key=key)
        if key.endswith("output.jsonl"):
            client("s3").put_object(Bucket="bucket", Key=key, Body=b"other")

    said = batchwatch("fetch", batch_id, fine, "-o", str(tmp_path), "--role", "input", "--json")
    assert said.code == 3
    assert f"{batch_id} has no input file" in said.err
    assert "ArchiveInput=on" in said.err
    several = batchwatch("fetch", fine, "-o", str(tmp_path / "2"), "--role=input", "--role=error")
    assert (several.code, several.err.startswith("note: ")) == (0, True)

    said = batchwatch("fetch", batch_id, fine, "-o", str(tmp_path), "--json")
    assert said.code == 1
    assert [each["state"] for each in said.objects] == ["missing", "wrong"] + 4 * ["fetched"]
    assert said.err.count(f"batchwatch archive {batch_id}") == 2
    assert [each.name for each in (tmp_path / batch_id).iterdir()] == ["batch.json"]


@deployed
def test_a_batch_that_is_not_archived_yet_is_waited_for_if_wanted(
    world: World, tmp_path: Path
) -> None:
    batch_id = world.batch(BRIEF)
    world.poll()

    said = batchwatch("fetch", batch_id, "-o", str(tmp_path))
    assert said.code == 1
    assert f"{batch_id} has not ended yet" in said.err
    assert f"batchwatch watch {batch_id} && batchwatch fetch {batch_id}" in said.err
    assert [*tmp_path.iterdir()] == []

    ahead = [lambda: world.poll(after=5), lambda: world.poll(after=5), world.archive]

    def time_goes_on(**_: Any) -> None:
        if ahead:
            ahead.pop(0)()

    asked = "before-call.dynamodb.BatchGetItem"  # the command's; the service asks otherwise
    with hooked(asked, time_goes_on):
        said = batchwatch("fetch", batch_id, "--wait", "-o", str(tmp_path))
    assert said.code == 0
    assert "waiting: " in said.err
    assert (tmp_path / batch_id / "output.jsonl").read_bytes()


@deployed
def test_ctrl_c_says_how_to_go_on(world: World, tmp_path: Path) -> None:
    batch_id = archived(world)

    def press(**_: Any) -> None:
        raise KeyboardInterrupt

    with hooked("before-call.s3.GetObject", press):
        said = batchwatch("fetch", batch_id, "-o", str(tmp_path))
    assert said.code == 130
    assert said.err.startswith("stopped: what has come is kept\n  the same command goes on")
    assert batchwatch("fetch", batch_id, "-o", str(tmp_path)).code == 0


@deployed
def test_a_batch_without_results_says_why(world: World, tmp_path: Path) -> None:
    script = Script(name="bad", endpoint="/v1/responses", requests=3, ends="failed")
    batch_id = archived(world, script)

    said = batchwatch("fetch", batch_id, "-o", str(tmp_path))

    assert said.code == 1
    assert f"{batch_id} failed, and left no answers: " in said.err
    assert " line" not in said.out
    assert [each.name for each in (tmp_path / batch_id).iterdir()] == ["batch.json"]


@deployed
def test_requests_and_answers_stand_side_by_side(world: World, tmp_path: Path) -> None:
    world.environment["BATCHWATCH_ARCHIVE_INPUT"] = "on"
    world.restart()
    batch_id = archived(world)
    arguments = ["fetch", batch_id, "-o", str(tmp_path), "--role", "record", "--join"]

    said = batchwatch(*arguments, "archived")

    assert (said.code, said.err) == (0, "")
    folder = tmp_path / batch_id
    lines = [json.loads(line) for line in (folder / "joined.jsonl").read_bytes().splitlines()]
    asked = [json.loads(line) for line in (folder / "input.jsonl").read_bytes().splitlines()]
    assert [{"custom_id": each["custom_id"], **each["request"]} for each in lines] == asked
    assert sorted(each["response"]["status_code"] // 100 for each in lines) == [2] * 8 + [4, 5]

    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps(asked[3]) + '\n{"custom_id": "\x1b[31mnew"}\n\nodd\n')
    said = batchwatch(*arguments, str(mine), "--force", "--json")

    assert said.code == 1
    assert said.objects[-1]["state"] == "joined"
    assert (said.objects[-1]["unanswered"], said.objects[-1]["unasked"]) == (0, 9)
    assert "9 answers have no request, and were left out" in said.err
    assert f"{mine}: 2 lines cannot be read" in said.err
    assert "\x1b" not in said.err


@deployed
def test_the_merged_files_of_a_job_come_when_it_is_done(world: World, tmp_path: Path) -> None:
    content = b'{"custom_id": "a"}\n'
    client("s3").put_object(Bucket="bucket", Key="jobs/1/output.jsonl", Body=content)
    merged = File(
        state=FileState.ARCHIVED,
        s3_uri="s3://bucket/jobs/1/output.jsonl",
        bytes=len(content),
        lines=1,
        crc32=f"{zlib.crc32(content):08x}",
    )
    lost = File(state=FileState.FAILED, reason="a part of it\nis gone")
    jobs = world.runtime.jobs
    jobs.begin(job(JOB, part(state="ended"), stage=Stage.MERGING, merged={Role.OUTPUT: merged}))

    said = batchwatch("fetch", JOB, "-o", str(tmp_path))
    assert said.code == 1
    assert f"{JOB} is not done yet; it is merging" in said.err

    ended = {"stage": Stage.DONE, "outcome": Outcome.COMPLETED}
    jobs.change(JOB, lambda known: known.but(**ended))
    said = batchwatch("fetch", JOB, "-o", str(tmp_path))
    assert said.code == 0
    assert (tmp_path / JOB / "output.jsonl").read_bytes() == content

    jobs.change(JOB, lambda known: known.but(merged={**known.merged, Role.ERROR: lost}))
    said = batchwatch("fetch", JOB, "-o", str(tmp_path))
    assert said.code == 1
    assert f"the error file of {JOB} is failed: a part of it is gone" in said.err
    assert "batchwatch fetch batch_1" in said.err
    assert "already there" in said.out

    assert batchwatch("fetch", JOB[:-1] + "f").code == 3


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["batch_1", "-o", "-"], "one ID and one --role"),
        (["batch_1", "batch_2", "-o", "-", "--role", "output"], "one ID and one --role"),
        (["batch_1", "-o", "-", "--role", "output", "--json"], "neither --json nor --join"),
        (["batch_1", "batch_2", "--join", "pyproject.toml"], "--join INPUT.jsonl takes one ID"),
        ([JOB, "--join", "archived"], "of a job no input is archived"),
        (["batch_1", "--join", "not-there.jsonl"], "there is no file not-there.jsonl"),
        (["batch_1", "--role", "result"], "'result' is not one of"),
        (["../batch_1"], "not a usable id"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_done(
    arguments: list[str], why: str
) -> None:
    said = batchwatch("fetch", *arguments)
    assert (said.code, said.out) == (2, "")
    assert why in said.err
