"""The checker finds nothing in a good run, and what is wrong in each bad one."""

from __future__ import annotations

import ast
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Script
from tests import checked_files, checker, history
from tests.checker import Truth, faults, faults_so_far
from tests.collect import collect
from tests.hand_made import (
    BUCKET,
    ERROR,
    LOST,
    OUTPUT,
    WHOLE,
    Run,
    event,
    folder,
    good_run,
    key_of,
)
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

CANARY = 'sk-canary "é"'
EARLY = json.dumps({"id": WHOLE, "status": "finalizing"}).encode()
HERE = f"{folder(WHOLE)}/output.jsonl"
OTHER_ID = event(WHOLE, "other", "", None, 0)["id"]


def judged(run: Run) -> list[str]:
    return faults(run.outside(), bucket=BUCKET, secrets=[CANARY])


def codes(found: list[str]) -> str:
    return " ".join(sorted({fault.split()[0] for fault in found}))


def data(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body["data"].update(changes)


def top(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body.update(changes)


def inside(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body["data"]["batch"].update(changes)


def shown(role: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body["data"]["files"][role].update(changes)


def both(run: Run, batch_id: str, role: str, **changes: Any) -> None:
    """Let item and batch.archived say the same of a file."""
    run.items[batch_id]["files"][role].update(changes)
    run.rewrite(batch_id, int(run.items[batch_id]["seq"]), shown(role, **changes))


def other_text(run: Run, batch_id: str, sequence: int) -> None:
    body = json.loads(run.messages[run.place(batch_id, sequence)])
    run.messages.append(json.dumps(body, indent=1))


def another_id(run: Run) -> None:
    body = json.loads(run.messages[run.place(WHOLE, 2)])
    run.messages.append(json.dumps(body | {"id": OTHER_ID}))


def archived_again(run: Run) -> None:
    files = json.loads(run.messages[run.place(WHOLE, 4)])["data"]["files"]
    run.tell(WHOLE, "archived", files=files)
    run.rewrite(WHOLE, 5, top(id=OTHER_ID))


def again(run: Run, kind: str) -> None:
    """Let a status be told between the end and batch.archived."""
    files = json.loads(run.messages[run.place(WHOLE, 4)])["data"]["files"]
    run.lose(WHOLE, 4)
    run.items[WHOLE]["seq"] -= 1
    run.tell(WHOLE, kind)
    run.rewrite(WHOLE, 4, top(id=OTHER_ID))
    run.tell(WHOLE, "archived", files=files)


def backwards(run: Run) -> None:
    run.rewrite(WHOLE, 1, top(type="batch.finalizing"))
    run.rewrite(WHOLE, 1, data(status="finalizing"))
    run.rewrite(WHOLE, 1, inside(status="finalizing"))
    run.rewrite(WHOLE, 2, data(previous_status="finalizing"))


def stranger(**changes: Any) -> str:
    body = event("batch_stranger", "validating", "validating", None, 1)
    return json.dumps(body | changes)


def renumbered(run: Run) -> None:
    run.rewrite(WHOLE, 4, data(sequence=5))
    run.items[WHOLE]["seq"] += 1


def forgotten(run: Run) -> None:
    """Let a file that OpenAI has be left out everywhere."""
    del run.items[WHOLE]["files"]["error"], run.objects[f"{folder(WHOLE)}/error.jsonl"]
    run.rewrite(WHOLE, 4, lambda body: body["data"]["files"].pop("error"))


def lost_after_all(run: Run) -> None:
    run.truth[WHOLE] = Truth(run.truth[WHOLE].batch, {"error": ERROR}, frozenset({"output"}))


def never_there(run: Run) -> None:
    run.truth[WHOLE] = Truth(run.truth[WHOLE].batch, {"output": OUTPUT})


def not_over(run: Run) -> None:
    batch = {**run.truth[WHOLE].batch, "status": "in_progress"}
    run.truth[WHOLE] = Truth(batch, run.truth[WHOLE].files)


def moved(run: Run, old: str, new: str) -> None:
    run.objects[new] = run.objects.pop(old)


def item(run: Run, batch_id: str = WHOLE) -> dict[str, Any]:
    return run.items[batch_id]


def objects(run: Run, name: str = "output.jsonl", batch_id: str = WHOLE) -> list[bytes]:
    return run.objects[f"{folder(batch_id)}/{name}"]


def kept(run: Run, sequence: int, batch_id: str = WHOLE) -> str:
    return key_of(json.loads(run.messages[run.place(batch_id, sequence)]))


BAD: dict[str, tuple[str, Callable[[Run], object]]] = {
    # I1: everything was received
    "one message lost": ("I1 I2 I3", lambda r: r.messages.pop(r.place(WHOLE, 2))),
    "the first message lost": ("I1 I2 I3", lambda r: r.messages.pop(r.place(WHOLE, 1))),
    "the end never told": ("I1 I3", lambda r: r.lose(WHOLE, 3)),
    "the last message lost": ("I1 I2", lambda r: r.messages.pop(r.place(WHOLE, 4))),
    "archived never told": ("I1", lambda r: r.lose(WHOLE, 4)),
    "nothing told": ("I1", lambda r: [r.lose(WHOLE, n) for n in (1, 2, 3, 4)]),
    "an event more than counted": ("I1", lambda r: item(r).update(seq=3)),
    "an event fewer than counted": ("I1", lambda r: item(r).update(seq=5)),
    "archived twice": ("I1", archived_again),
    "archived, then lost": (
        "I1 I5",
        lambda r: r.tell(WHOLE, "file_gone", files={"output": {"state": "gone"}}),
    ),
    "of a batch nobody watches": ("I1", lambda r: r.messages.append(stranger())),
    "another end in the ledger": ("I1", lambda r: item(r).update(status="failed")),
    "no item": ("I1 I4 I5", lambda r: r.items.pop(WHOLE)),
    "a dead letter": ("I1", lambda r: r.dead_letters.append("{}")),
    "an event in the outbox": (
        "I1 I7",
        lambda r: item(r).update(outbox={"4": "{}"}, open="default"),
    ),
    # I2: one id, one text
    "an id with two texts": ("I2", lambda r: other_text(r, WHOLE, 2)),
    "a sequence with two ids": ("I1 I2 I3", another_id),
    "a text kept otherwise": ("I2", lambda r: r.objects.update({kept(r, 2): [b"{}"]})),
    "an event not kept": ("I2", lambda r: r.objects.pop(kept(r, 2))),
    "kept, never received": ("I2", lambda r: r.objects.update({kept(r, 2) + "x": [b"{}"]})),
    "kept under another number": ("I2", lambda r: moved(r, kept(r, 2), kept(r, 2) + "x")),
    # I3: contiguous, linked, forward
    "a gap": ("I1 I3", renumbered),
    "a broken link": ("I3", lambda r: r.rewrite(WHOLE, 2, data(previous_status=None))),
    "a first event that follows": ("I3", lambda r: r.rewrite(WHOLE, 1, data(previous_status="x"))),
    "backwards": ("I3", backwards),
    "a status told twice": ("I3", lambda r: again(r, "completed")),
    "a second end": ("I3", lambda r: again(r, "cancelled")),
    "a status after the end": ("I3", lambda r: again(r, "unknown")),
    "archived before the end": ("I1 I3", lambda r: r.rewrite(WHOLE, 1, top(type="batch.archived"))),
    "type against status": ("I3", lambda r: r.rewrite(LOST, 2, data(status="paused"))),
    "no transition, yet a status": ("I3", lambda r: r.rewrite(WHOLE, 4, data(status="failed"))),
    "another batch's status": ("I3", lambda r: r.rewrite(WHOLE, 2, inside(status="finalizing"))),
    "a type unheard of": ("I3", lambda r: r.rewrite(LOST, 2, top(type="batch.paused"))),
    "our time for OpenAI's": (
        "I3",
        lambda r: r.rewrite(WHOLE, 3, top(time="2027-01-15T09:00:00Z")),
    ),
    "no JSON": ("I3", lambda r: r.messages.append("batch.completed")),
    "no event": ("I3", lambda r: r.messages.append('["batch.completed"]')),
    "an empty type": ("I3", lambda r: r.messages.append(stranger(type=""))),
    "another envelope": ("I3", lambda r: r.messages.append(stranger(specversion="0.3"))),
    "another source": ("I3", lambda r: r.messages.append(stranger(source="urn:batchwatch:t:x"))),
    "an id by chance": ("I3", lambda r: r.messages.append(stranger(id="5"))),
    "another subject": ("I3", lambda r: r.messages.append(stranger(subject=WHOLE))),
    "too large": ("I3", lambda r: r.messages.append(stranger(more="x" * 65_536))),
    "a date of no zone": ("I3", lambda r: r.messages.append(stranger(time="2027-01-15T09:00:00"))),
    # I4: whole, written once, in its place
    "a short object": ("I4 I5", lambda r: objects(r).__setitem__(0, OUTPUT[:-1])),
    "another object": ("I4 I5", lambda r: objects(r, "error.jsonl").__setitem__(0, OUTPUT)),
    "two versions": ("I4", lambda r: objects(r).append(OUTPUT)),
    "an event kept twice": ("I4", lambda r: r.objects[kept(r, 1)].append(r.objects[kept(r, 1)][0])),
    "a record of no JSON": ("I4 I5", lambda r: objects(r, "batch.json").__setitem__(0, b"{")),
    "a record before the end": ("I4 I5", lambda r: objects(r, "batch.json").__setitem__(0, EARLY)),
    "another day": ("I4 I5", lambda r: moved(r, HERE, HERE.replace("-15", "-16"))),
    "another account": ("I4 I5", lambda r: moved(r, HERE, HERE.replace("default", "x"))),
    "an object of no batch": (
        "I4",
        lambda r: r.objects.update({f"{folder('x')}/batch.json": [b""]}),
    ),
    "an object of no name": ("I4", lambda r: r.objects.update({f"{folder(WHOLE)}/part": [b""]})),
    "an object anywhere": ("I4", lambda r: r.objects.update({"part": [b""]})),
    # I5: every file to its end
    "no object": ("I5", lambda r: r.objects.pop(HERE)),
    "a file forgotten": ("I5", forgotten),
    "a file had, called gone": ("I5", lambda r: both(r, WHOLE, "output", state="gone")),
    "a wrong crc32": ("I5", lambda r: both(r, WHOLE, "output", crc32="00000000")),
    "wrong bytes": ("I5", lambda r: both(r, WHOLE, "output", bytes=7)),
    "wrong lines": ("I5", lambda r: both(r, WHOLE, "output", lines=7)),
    "a wrong address": ("I5", lambda r: both(r, WHOLE, "output", s3_uri="s3://results/x")),
    "another bucket": ("I5", lambda r: both(r, WHOLE, "output", s3_uri=f"s3://x/{HERE}")),
    "item against event": ("I5", lambda r: item(r)["files"]["output"].update(crc32="00000000")),
    "another file's id": ("I5", lambda r: item(r)["files"]["output"].update(file_id="file-x")),
    "lost, yet archived": ("I5", lost_after_all),
    "lost, with an object": (
        "I5",
        lambda r: r.objects.update({f"{folder(LOST)}/output.jsonl": [OUTPUT]}),
    ),
    "a file that OpenAI has not": ("I5", never_there),
    "a loss without a reason": ("I5", lambda r: both(r, LOST, "output", reason=None)),
    "a loss told otherwise": ("I5", lambda r: r.rewrite(LOST, 5, shown("output", reason="x"))),
    "a loss of another type": ("I5", lambda r: r.rewrite(LOST, 5, top(type="batch.file_gone"))),
    "a loss of nothing": ("I5", lambda r: r.rewrite(LOST, 5, data(files=None))),
    "an upload left": ("I5", lambda r: setattr(r, "uploads", 1)),
    # I7: nothing pending outside the index, nothing open at the end
    "still open": ("I7", lambda r: item(r).update(open="default")),
    "open elsewhere": ("I7", lambda r: item(r).update(open="other")),
    "a closed outbox": ("I1 I7", lambda r: item(r).update(outbox={"4": "{}"})),
    "a closed copy": ("I5 I7", lambda r: item(r)["files"]["output"].update(state="copying")),
    "a closed wait": ("I5 I7", lambda r: item(r)["files"]["output"].update(state="awaited")),
    "closed without a record": ("I5 I7", lambda r: item(r)["files"].pop("record")),
    "closed before the end": ("I1 I7", lambda r: item(r).update(status="in_progress")),
    "a stranger's closed work": ("I7", lambda r: r.items.update(x={"batch_id": "x"})),
    # I8: no secret anywhere; I9: every batch ends
    "a secret in a message": ("I8", lambda r: r.rewrite(WHOLE, 1, data(note=CANARY))),
    "a secret in an item": ("I8", lambda r: item(r).update(batch=[{"x": {json.dumps(CANARY)}}])),
    "a secret as a name": ("I8", lambda r: item(r).update({CANARY: b"x"})),
    "a secret in bytes": ("I8", lambda r: item(r).update(batch=CANARY.encode())),
    "a secret in a key": ("I4 I8", lambda r: r.objects.update({CANARY: [b""]})),
    "a secret in a kept event": (
        "I2 I8",
        lambda r: r.objects.update({kept(r, 1): [CANARY.encode()]}),
    ),
    "a secret in a dead letter": ("I1 I8", lambda r: r.dead_letters.append(f"x{CANARY}")),
    "a secret in a log line": ("I8", lambda r: r.text.append(f"key {CANARY}.")),
    "a batch that has not ended": ("I1 I4 I9", not_over),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_run_is_told_by_the_invariants_it_breaks(what: str) -> None:
    expected, spoil = BAD[what]
    run = good_run()

    spoil(run)

    found = judged(run)
    assert codes(found) == expected, found
    assert not any(CANARY in fault for fault in found)


def test_a_good_run_has_no_fault() -> None:
    assert judged(good_run()) == []


def test_messages_may_come_again_and_in_any_order() -> None:
    run = good_run()
    run.messages = run.messages * 3
    random.Random(5).shuffle(run.messages)

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


def test_a_calm_run_and_a_lost_file_are_judged_by_what_they_leave(world: World) -> None:
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
        tree = ast.parse(Path(module.__file__).read_text())
        named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        named |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not {name for name in named if name.startswith(("batchwatch", "boto"))}
