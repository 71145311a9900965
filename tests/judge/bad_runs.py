"""Bad runs, each a small change of the good one, and the invariants that each breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.judge.checker import Truth
from tests.judge.hand_made import ERROR, LOST, OUTPUT, WHOLE, Edit, Run, event, folder, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = 'sk-canary "é"'
EARLY = json.dumps({"id": WHOLE, "status": "finalizing"}).encode()
HERE, ERRORS = f"{folder(WHOLE)}/output.jsonl", f"{folder(WHOLE)}/error.jsonl"
OTHER_ID = event(WHOLE, "other", "", None, 0)["id"]
LATER = "2027-01-15T09:00:00Z"
BY_CHANCE = "0b9c9a0e-64ab-4c43-9d0b-2f5e8f0e8a11"
UNSENT = {"outbox": {"4": "{}"}}


def data(**changes: Any) -> Edit:
    return lambda body: body["data"].update(changes)


def top(**changes: Any) -> Edit:
    return lambda body: body.update(changes)


def inside(**changes: Any) -> Edit:
    return lambda body: body["data"]["batch"].update(changes)


def shown(role: str, **changes: Any) -> Edit:
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


def step_told_twice(run: Run) -> None:
    run.rewrite(WHOLE, 2, top(type="batch.validating", time="2027-01-15T08:00:00Z"))
    run.rewrite(WHOLE, 2, data(status="validating"))
    run.rewrite(WHOLE, 2, inside(status="validating"))
    run.rewrite(WHOLE, 3, data(previous_status="validating"))


def type_against_status(run: Run) -> None:
    run.rewrite(LOST, 2, data(status="paused"))
    run.rewrite(LOST, 3, data(previous_status="paused"))


def new_status_at_last(run: Run) -> None:
    run.rewrite(WHOLE, 4, data(status="failed"))
    run.rewrite(WHOLE, 4, inside(status="failed"))


def another_end(run: Run) -> None:
    run.rewrite(WHOLE, 3, top(type="batch.failed"))
    for sequence in (3, 4):
        run.rewrite(WHOLE, sequence, data(status="failed"))
        run.rewrite(WHOLE, sequence, inside(status="failed"))
    run.rewrite(WHOLE, 4, data(previous_status="failed"))


def lost_too_early(run: Run) -> None:
    run.rewrite(LOST, 4, data(sequence=0))
    run.rewrite(LOST, 5, data(sequence=4, status="cancelling", previous_status="cancelling"))
    run.rewrite(LOST, 4, inside(status="cancelling"))
    run.rewrite(LOST, 0, data(sequence=5))


def nothing_told(run: Run) -> None:
    for sequence in (1, 2, 3, 4):
        run.lose(WHOLE, sequence)


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
    del run.items[WHOLE]["files"]["error"], run.objects[ERRORS]
    run.rewrite(WHOLE, 4, lambda body: body["data"]["files"].pop("error"))


def lost_after_all(run: Run) -> None:
    run.truth[WHOLE] = Truth(run.truth[WHOLE].batch, {"error": ERROR}, frozenset({"output"}))


def never_there(run: Run) -> None:
    run.truth[WHOLE] = Truth(run.truth[WHOLE].batch, {"output": OUTPUT})


def only_word(run: Run) -> None:
    never_there(run)
    del run.objects[ERRORS]


def without_reason(run: Run) -> None:
    both(run, LOST, "output", reason=None)
    run.rewrite(LOST, 5, shown("output", reason=None))


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


def put(run: Run, key: str, body: bytes) -> None:
    """Let an object be there, instead of another if there was one."""
    run.objects[key] = [body]


BAD: dict[str, tuple[str, Callable[[Run], object]]] = {
    # I1: everything was received
    "one message lost": ("I1 I2 I3", lambda r: r.messages.pop(r.place(WHOLE, 2))),
    "the first message lost": ("I1 I2 I3", lambda r: r.messages.pop(r.place(WHOLE, 1))),
    "the end never told": ("I1 I3", lambda r: r.lose(WHOLE, 3)),
    "the last message lost": ("I1 I2", lambda r: r.messages.pop(r.place(WHOLE, 4))),
    "archived never told": ("I1", lambda r: r.lose(WHOLE, 4)),
    "nothing told": ("I1", nothing_told),
    "an event more than counted": ("I1", lambda r: item(r).update(seq=3)),
    "an event fewer than counted": ("I1", lambda r: item(r).update(seq=5)),
    "another end told": ("I1", another_end),
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
        lambda r: item(r).update(UNSENT, open="default"),
    ),
    # I2: one id, one text
    "an id with two texts": ("I2", lambda r: other_text(r, WHOLE, 2)),
    "a sequence with two ids": ("I2 I3", another_id),
    "a text kept otherwise": ("I2", lambda r: put(r, kept(r, 2), b"{}")),
    "an event not kept": ("I2", lambda r: r.objects.pop(kept(r, 2))),
    "kept, never received": ("I2", lambda r: put(r, kept(r, 2) + "x", b"{}")),
    "kept under another number": ("I2", lambda r: moved(r, kept(r, 2), kept(r, 2) + "x")),
    # I3: contiguous, linked, forward
    "a gap": ("I1 I3", renumbered),
    "a broken link": ("I3", lambda r: r.rewrite(WHOLE, 2, data(previous_status=None))),
    "a first event that follows": ("I3", lambda r: r.rewrite(WHOLE, 1, data(previous_status="x"))),
    "backwards": ("I3", backwards),
    "a status told twice": ("I3", lambda r: again(r, "completed")),
    "a step told twice": ("I3", step_told_twice),
    "a loss of who knows what": ("I5", lambda r: again(r, "file_gone")),
    "a second end": ("I3", lambda r: again(r, "cancelled")),
    "a status after the end": ("I3", lambda r: again(r, "unknown")),
    "archived at once": ("I1 I3 I5", lambda r: r.rewrite(WHOLE, 1, top(type="batch.archived"))),
    "a loss before the end": ("I3", lost_too_early),
    "type against status": ("I3", type_against_status),
    "no transition, yet a status": ("I3", new_status_at_last),
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
    "an id by chance": ("I3", lambda r: r.messages.append(stranger(id=BY_CHANCE))),
    "another subject": ("I3", lambda r: r.messages.append(stranger(subject=WHOLE))),
    "too large": ("I3", lambda r: r.messages.append(stranger(more="x" * 65_536))),
    "a date of no zone": ("I3", lambda r: r.messages.append(stranger(time=LATER[:-1]))),
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
        lambda r: put(r, f"{folder('x')}/batch.json", b""),
    ),
    "an object of no name": ("I4", lambda r: put(r, f"{folder(WHOLE)}/part", b"")),
    "an object anywhere": ("I4", lambda r: put(r, "part", b"")),
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
        lambda r: put(r, f"{folder(LOST)}/output.jsonl", OUTPUT),
    ),
    "a file that OpenAI has not": ("I5", never_there),
    "word of what OpenAI has not": ("I5", only_word),
    "a loss without a reason": ("I5", without_reason),
    "a loss told otherwise": ("I5", lambda r: r.rewrite(LOST, 5, shown("output", reason="x"))),
    "a loss of another type": ("I5", lambda r: r.rewrite(LOST, 5, top(type="batch.file_gone"))),
    "a loss of nothing": ("I5", lambda r: r.rewrite(LOST, 5, data(files=None))),
    "an upload left": ("I5", lambda r: setattr(r, "uploads", 1)),
    # I7: nothing pending outside the index, nothing open at the end
    "still open": ("I7", lambda r: item(r).update(open="default")),
    "open elsewhere": ("I7", lambda r: item(r).update(open="other")),
    "a closed outbox": ("I1 I7", lambda r: item(r).update(UNSENT)),
    "a closed copy": ("I5 I7", lambda r: item(r)["files"]["output"].update(state="copying")),
    "a closed wait": ("I5 I7", lambda r: item(r)["files"]["output"].update(state="awaited")),
    "closed without a record": ("I5 I7", lambda r: item(r)["files"].pop("record")),
    "closed before the end": ("I1 I7", lambda r: item(r).update(status="in_progress")),
    "a stranger open elsewhere": ("I7", lambda r: r.items.update(x={"batch_id": "x", "open": "y"})),
    "a stranger's closed work": ("I7", lambda r: r.items.update(x={"batch_id": "x"})),
    # I8: no secret anywhere; I9: every batch ends
    "a secret in a message": ("I8", lambda r: r.rewrite(WHOLE, 1, data(note=CANARY))),
    "a secret in an item": ("I8", lambda r: item(r).update(batch=[{"x": {json.dumps(CANARY)}}])),
    "a secret as a name": ("I8", lambda r: item(r).update({CANARY: b"x"})),
    "a secret in bytes": ("I8", lambda r: item(r).update(batch=CANARY.encode())),
    "a secret in a key": ("I4 I8", lambda r: put(r, CANARY, b"")),
    "a secret in a kept event": (
        "I2 I8",
        lambda r: put(r, kept(r, 1), CANARY.encode()),
    ),
    "a secret in a dead letter": ("I1 I8", lambda r: r.dead_letters.append(f"x{CANARY}")),
    "a secret in a log line": ("I8", lambda r: r.text.append(f"key {CANARY}.")),
    "a batch that has not ended": ("I1 I4 I9", not_over),
}
