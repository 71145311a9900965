"""The checker finds nothing in a good run, and what is wrong in each bad one."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Script
from local.simulator.lifecycle import file_id
from tests.judge import checked_files, checker, history
from tests.judge.bad_runs import BAD, CANARY, OTHER_ID, kept, other_text
from tests.judge.checker import faults, faults_so_far
from tests.judge.collect import collect
from tests.judge.hand_made import BUCKET, LOST, WHOLE, Run, good_run
from tests.world import KEY

if TYPE_CHECKING:
    from tests.world import World


def judged(run: Run) -> list[str]:
    return faults(run.outside(), bucket=BUCKET, secrets=[CANARY])


def codes(found: list[str]) -> str:
    return " ".join(sorted({fault.split()[0] for fault in found}))


@pytest.mark.parametrize("what", BAD)
def test_a_bad_run_is_told_by_the_invariants_it_breaks(what: str) -> None:
    expected, spoil = BAD[what]
    run = good_run()

    spoil(run)

    found = judged(run)
    assert codes(found) == expected, found
    assert not any(CANARY in fault for fault in found)


def test_two_ids_at_one_place_are_a_fork_by_the_messages_alone() -> None:
    run = good_run()
    BAD["a sequence with two ids"][1](run)

    assert codes(list(history.read(run.messages).faults)) == "I2"


def test_a_good_run_has_no_fault() -> None:
    assert judged(good_run()) == []


def test_messages_may_come_again_and_in_any_order() -> None:
    run = good_run()
    run.messages = sorted(run.messages * 3, key=lambda text: str(json.loads(text)["id"]))

    assert judged(run) == []


@pytest.mark.parametrize(("batch_id", "sequence"), [(WHOLE, 1), (WHOLE, 4), (LOST, 2), (LOST, 5)])
def test_an_event_may_come_in_its_reduced_form(batch_id: str, sequence: int) -> None:
    run = good_run()

    def reduce(body: dict[str, Any]) -> None:
        batch = body["data"]["batch"]
        body["data"]["batch"] = {"id": batch["id"], "status": batch["status"]}
        body["id"] = OTHER_ID

    run.rewrite(batch_id, sequence, reduce)

    assert judged(run) == []


def test_uploads_of_killed_workers_are_tolerated_as_far_as_said() -> None:
    run = good_run()
    run.uploads = 2

    assert faults(run.outside(), orphans=2) == []
    assert codes(faults(run.outside(), orphans=1)) == "I5"


def test_a_run_that_goes_on_lacks_nothing_yet_but_forks_already() -> None:
    run = good_run()
    run.lose(WHOLE, 4)
    run.objects.pop(kept(run, 6, LOST))
    run.items[LOST]["open"] = "default"

    assert faults_so_far(run.outside()) == []
    other_text(run, WHOLE, 2)
    assert codes(faults_so_far(run.outside())) == "I2"


def test_an_accounts_own_item_is_no_batch() -> None:
    run = good_run()
    run.items["#account"] = {"account": "default", "batch_id": "#account"}

    assert judged(run) == []


def test_a_calm_run_has_no_fault(world: World) -> None:
    ids = [
        world.batch(Script(name=end, endpoint="/v1/embeddings", requests=5, ends=end, failed=one))
        for end, one in (("completed", 1), ("expired", 1), ("cancelled", 0), ("failed", 0))
    ]
    messages: list[str] = []
    for _ in range(10):
        world.poll(after=1)
        world.archive()
        messages += world.messages()

    calm = collect(world, messages, ids)

    assert faults(calm, bucket="bucket", secrets=[KEY]) == []
    assert [sorted(truth.files) for truth in calm.truth.values()] == [
        ["error", "output"],
        ["error", "output"],
        ["output"],
        [],
    ]
    assert codes(faults(collect(world, messages, ids, {ids[0]: ["output"]}))) == "I5"


@pytest.mark.parametrize("fault", [{"cut_after": 10}, {"status": 404}])
def test_a_file_that_cannot_be_had_is_no_fault_where_that_is_known(
    world: World, fault: dict[str, int]
) -> None:
    batch_id = world.batch(
        Script(name="cut", endpoint="/v1/embeddings", requests=5, ends="completed", failed=1)
    )
    world.openai.fault(f"{file_id(batch_id, 'output')}/content", times=-1, **fault)
    messages: list[str] = []
    for _ in range(10):
        world.poll(after=600)
        world.archive()
        messages += world.messages()

    lost = collect(world, messages, [batch_id], {batch_id: ["output"]})

    assert faults(lost) == []
    assert codes(faults(collect(world, messages, [batch_id]))) == "I5"


def test_what_a_run_leaves_behind_is_all_seen(world: World) -> None:
    bucket = world.environment["BATCHWATCH_BUCKET"]
    for body in (b"1", b"2"):
        world.runtime.s3.put_object(Bucket=bucket, Key="twice", Body=body)
    world.runtime.s3.create_multipart_upload(Bucket=bucket, Key="begun")
    dead = world.environment["BATCHWATCH_ARCHIVE_DEAD_LETTERS"]
    for number in range(12):
        world.runtime.sqs.send_message(QueueUrl=dead, MessageBody=str(number))
    world.runtime.ledger.register("default", "batch_1")

    outside = collect(world, ["m"], [], text=["t"])

    assert sorted(outside.objects["twice"]) == [b"1", b"2"]
    assert (outside.uploads, outside.messages, outside.text) == (1, ["m"], ["t"])
    assert len(outside.dead_letters) == len(collect(world, [], []).dead_letters) == 12
    assert [item["batch_id"] for item in outside.items] == ["batch_1"]


def test_the_checker_shares_no_code_with_what_it_judges() -> None:
    for module in (checker, checked_files, history):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        named |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not {name for name in named if name.startswith(("batchwatch", "boto"))}
