"""The input of a batch kept beside its output, where that is wanted, and left alone elsewhere."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.archive import PART_BYTES
from batchwatch.batch import Batch, Role
from batchwatch.ending import LATE_IDS
from batchwatch.record import Change, File, FileState, Record
from batchwatch.telling import Rules, Witness
from batchwatch.watch import ended_before, watch
from local.simulator import Script
from tests.builders import BATCH, CREATED, REACHED, TERMINAL, batch
from tests.lives import RULES
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from tests.world import World

INPUT = Role.INPUT
FILE = "file-4LpKx7CzQn2VbYw9GtRmAs"
"""The id that batches of the builders have."""
ON = RULES._replace(archive_input=True)


def at_end(said: dict[str, object], rules: Rules = ON) -> Change:
    """What is decided when a batch is first seen, after its end."""
    witness = Witness("poller", CREATED + 3 * LATE_IDS, rules)
    change = watch(Record(account=ACCOUNT, batch_id=BATCH), Batch.read(said), witness)
    assert change
    return change


@pytest.mark.parametrize("status", TERMINAL)
def test_however_a_batch_ended_its_input_is_to_be_had(status: str) -> None:
    files = at_end(batch(status)).files

    assert files[INPUT] == File(state=FileState.PENDING, file_id=FILE)
    assert files == {**at_end(batch(status), RULES).files, INPUT: files[INPUT]}


@pytest.mark.parametrize("file_id", [None, ""])
def test_a_batch_without_an_input_file_has_none_to_keep(file_id: str | None) -> None:
    assert INPUT not in at_end(batch(input_file_id=file_id)).files


def test_an_input_makes_no_batch_wait_and_no_transition() -> None:
    with_input, without = at_end(batch()), at_end(batch(input_file_id=None))

    assert with_input.digest == without.digest
    assert Batch.read(batch(output_file_id=None, error_file_id=None)).missing == {
        Role.OUTPUT,
        Role.ERROR,
    }


def test_an_input_is_not_taken_in_after_the_end() -> None:
    """What is kept of a batch is decided once, by what was wanted then."""
    ended = at_end(batch(output_file_id=None), RULES)
    files = {role: file for role, file in ended.files.items() if file}
    known = Record(
        account=ACCOUNT, batch_id=BATCH, v=1, batch=ended.batch, status=ended.status, files=files
    )
    witness = Witness("poller", CREATED + REACHED["completed"] + 9000, ON)
    change = watch(known, Batch.read(batch()), witness)

    assert change
    assert set(change.files) == {Role.OUTPUT}


def test_the_input_of_a_batch_that_had_ended_before_is_ordered_with_the_rest() -> None:
    witness = Witness("poller", CREATED + 3 * LATE_IDS, ON)
    _, change = ended_before(ACCOUNT, Batch.read(batch()), witness)
    file, output = change.files[INPUT], change.files[Role.OUTPUT]

    assert file
    assert output
    assert (file.file_id, file.lease, change.quiet) == (FILE, output.lease, True)


def wanted(world: World) -> None:
    world.environment["BATCHWATCH_ARCHIVE_INPUT"] = "on"
    world.restart()


def ended(world: World, ends: str = "completed", **script: Any) -> str:
    """A batch announced as ended just now."""
    plain = Script(name="b", endpoint="/v1/responses", requests=50, ends=ends, **script)
    batch_id = world.batch(plain)
    world.poll(after=60)
    return batch_id


def test_an_input_is_archived_byte_for_byte_and_told_with_the_other_files(world: World) -> None:
    wanted(world)
    ids = [ended(world, failed=3), ended(world, "failed")]
    world.archive()

    for batch_id in ids:
        file_id = str(world.openai.batch(batch_id)["input_file_id"])
        content = world.openai.file(file_id).read_bytes()
        said = world.record(batch_id).files[INPUT]
        folder = f"batches/account={ACCOUNT}/created=2026-11-18/{batch_id}"
        assert world.objects()[f"{folder}/input.jsonl"] == content
        assert (said.bytes, said.lines) == (len(content), 50)
        assert said.crc32 == f"{zlib.crc32(content):08x}"
        assert not world.record(batch_id).open
    told = [e.data.files or {} for e in world.events() if e.type == "batch.archived"]
    assert [set(files) for files in told] == [set(Role), {INPUT, Role.RECORD}]
    assert all(files[INPUT].lines == 50 for files in told)


def test_an_input_that_was_deleted_ends_as_gone_and_holds_up_nothing(world: World) -> None:
    wanted(world)
    batch_id = ended(world)
    world.openai.delete_file(str(world.openai.batch(batch_id)["input_file_id"]))
    world.archive()
    assert world.record(batch_id).files[Role.OUTPUT].state is FileState.ARCHIVED
    assert world.record(batch_id).open
    world.clock.now += 600
    world.archive()

    gone, archived = world.events(batch_id)[-2:]
    assert (gone.type, set(gone.data.files or {})) == ("batch.file_gone", {INPUT})
    assert (archived.type, set(archived.data.files or {})) == (
        "batch.archived",
        {INPUT, Role.OUTPUT, Role.RECORD},
    )
    assert not world.record(batch_id).open
    assert not [key for key in world.objects() if key.endswith("input.jsonl")]


def test_an_input_that_is_cut_goes_on_where_it_broke_off(world: World) -> None:
    wanted(world)
    batch_id = ended(world)
    file_id = str(world.openai.batch(batch_id)["input_file_id"])
    line = json.dumps({"custom_id": "x", "body": {"input": "y" * 10_000}}).encode() + b"\n"
    world.openai.replace_file(file_id, line * 2000)
    for cut in (10_000_000, 0):  # a try goes on by itself as long as something comes
        world.openai.fault(f"/files/{file_id}/content", cut_after=cut)
    world.archive()
    assert world.record(batch_id).files[INPUT].state is FileState.COPYING
    assert world.record(batch_id).open
    world.archive()

    said = world.record(batch_id).files[INPUT]
    assert (said.state, said.lines) == (FileState.ARCHIVED, 2000)
    asked = [r for r in world.openai.requests if r.path.endswith(f"{file_id}/content")]
    assert asked[0].headers.get("range") is None
    assert asked[-1].headers.get("range") == f"bytes={PART_BYTES}-"  # what S3 had by then


def test_an_input_nobody_wants_is_never_asked_for(world: World) -> None:
    batch_id = ended(world)
    world.archive()

    assert set(world.record(batch_id).files) == {Role.OUTPUT, Role.RECORD}
    file_id = str(world.openai.batch(batch_id)["input_file_id"])
    assert not [r for r in world.openai.requests if file_id in r.path]
