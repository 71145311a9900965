"""Every command on the deployed service, by somebody with the stack's two policies and no more."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.service import ACCOUNT
from local.simulator import Script
from tests.cli.uses import USES
from tests.command_line import batchwatch, hooked
from tests.dropped import asked
from tests.permissions.watched import Watched, unused
from tests.whole.stack import deployed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command_line import Said
    from tests.whole.stack import Stack

BRIEF = Script(
    name="brief", endpoint="/v1/responses", requests=20, failed=2, ends="completed",
    validating=0.5, running=0.5, finalizing=0.5,
)  # fmt: skip
SLOW = replace(BRIEF, name="slow", running=5000)
PATIENCE = ("--timeout", "90")


class Person:
    """Somebody with rights of his own, at a terminal of his own."""

    def __init__(self, stack: Stack, name: str, policies: tuple[str, ...]) -> None:
        iam = stack.emulator.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=stack.service.outputs[policy])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.environment = {
            "AWS_ENDPOINT_URL": stack.emulator.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def __call__(self, line: str) -> Said:
        """Type a command."""
        return batchwatch(*line.split(), **self.environment)


@pytest.mark.deploy
def test_every_command_does_what_its_help_says(
    tmp_path: Path,
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr("batchwatch.cli.mend.mailbox.WAIT", 0)  # the local SQS is one server
    with deployed(Watched) as stack:
        person = Person(stack, "operator", ("ReadersPolicy", "OperatorsPolicy"))
        done, slow = stack.openai.add(BRIEF), stack.openai.add(SLOW)
        with stack.ticking(jobs=True):
            with subtests.test("track, watch, list, show, events, page"):
                look(stack, person, done, slow)
            with subtests.test("fetch"):
                fetch(stack, person, done, tmp_path)
            with subtests.test("cancel"):
                cancel(person, slow)
            with subtests.test("replay"):
                replay(stack, person, done)
            with subtests.test("archive"):
                archive(stack, person, done)
            with subtests.test("redrive"):
                redrive(stack, person, done)
            with subtests.test("submit, jobs"):
                submit(person, tmp_path)
            with subtests.test("doctor"):
                doctor(person)
        assert stack.failed == []
        with subtests.test("nobody has a right that no command needs"):
            assert unused(stack.emulator, "commands", record_property) == []
        with subtests.test("who has no right is told so"):
            be_denied(stack, tmp_path)


def look(stack: Stack, person: Person, done: str, slow: str) -> None:
    tracked = person(f"track {done} {slow} --account {ACCOUNT} --json")
    watched = person(f"watch {done} --json --account {ACCOUNT} {' '.join(PATIENCE)}")
    listed, left = person("list --json"), person("list --json --status open")
    shown, told = person(f"show {done} --json"), person(f"events {done}")
    page = person("page -o -")

    assert (tracked.code, {each["id"] for each in tracked.objects}) == (0, {done, slow})
    assert (watched.code, watched.objects[-1]["over"]) == (0, True)
    assert {each["id"] for each in listed.objects} == {done, slow}
    assert [each["id"] for each in left.objects] == [slow]
    (batch,) = shown.objects
    assert batch["requests"] == {"total": 20, "completed": 18, "failed": 2}
    heard = [m for m in stack.listener.news() if json.loads(m)["subject"] == done]
    assert sorted(told.out.splitlines()) == sorted({*heard})
    assert len(batch["history"]) == len({*heard})
    assert (page.code, done in page.out, slow in page.out) == (0, True, True)


def fetch(stack: Stack, person: Person, done: str, folder: Path) -> None:
    said = person(f"fetch {done} -o {folder} --json")

    assert (said.code, {each["state"] for each in said.objects}) == (0, {"fetched"})
    for role in ("output", "error"):
        file_id = str(stack.openai.batch(done)[f"{role}_file_id"])
        (found,) = folder.rglob(f"{done}/{role}.jsonl")
        assert found.read_bytes() == stack.openai.file(file_id).read_bytes()


def cancel(person: Person, slow: str) -> None:
    said = person(f"cancel {slow} --yes --json")
    watched = person(f"watch {slow} --json {' '.join(PATIENCE)}")

    assert said.code == 0
    assert (watched.code, watched.objects[-1]["status"]) == (1, "cancelled")
    assert person(f"cancel {slow} --yes").code == 0


def replay(stack: Stack, person: Person, done: str) -> None:
    stack.listener.news()
    (text,) = [
        line for line in person(f"events {done}").out.splitlines() if '"batch.completed"' in line
    ]

    said = person(f"replay {done} --type batch.completed --yes")

    assert said.code == 0
    assert heard_again(stack, text)


def heard_again(stack: Stack, text: str) -> bool:
    """Whether a message comes within a moment."""
    pause = threading.Event()
    return any(text in stack.listener.news() or pause.wait(0.2) for _ in range(100))


def archive(stack: Stack, person: Person, done: str) -> None:
    bucket = stack.service.outputs["BucketName"]
    keys = {key.rpartition("/")[2]: key for key in stack.service.stored() if done in key}
    before = stack.service.fetch(keys["output.jsonl"])
    stack.s3.delete_object(Bucket=bucket, Key=keys["error.jsonl"])
    stack.s3.put_object(Bucket=bucket, Key=keys["output.jsonl"], Body=b"not the answers")

    looked, mended = person(f"archive {done} --check --json"), person(f"archive {done} --yes")

    assert looked.code == 1
    assert mended.code == 0, mended.err
    assert stack.service.fetch(keys["output.jsonl"]) == before
    assert stack.service.fetch(keys["error.jsonl"]).size
    told = [json.loads(line) for line in person(f"events {done}").out.splitlines()]
    assert [e["data"].get("attempt") for e in told if e["type"] == "batch.archived"] == [None, 2]


def redrive(stack: Stack, person: Person, done: str) -> None:
    queue = stack.service.outputs["ArchiveDeadLettersUrl"]
    order = json.dumps({"subject": done, "data": {"account": ACCOUNT}})
    for body in (order, "neither order nor event"):
        stack.sqs.send_message(QueueUrl=queue, MessageBody=body)

    looked = person("redrive --json")
    sent = person("redrive archive --send-back --drop-unreadable --yes")

    assert (looked.code, len(looked.objects)) == (1, 2), looked.err
    assert sent.code == 0, sent.err
    assert person("redrive --json").objects == []


def submit(person: Person, folder: Path) -> None:
    file = folder / "questions.jsonl"
    file.write_bytes(asked(5))
    with hooked("before-call.s3.UploadPart", lambda **_: os.utime(file, (0, 0))):
        changed = person(f"submit {file}")
    sent = person(f"submit {file} --json")
    (job_id,) = {each["id"] for each in sent.objects if each["id"].startswith("job_")}
    fetched = person(f"fetch {job_id} -o {folder}")

    assert (changed.code, "has changed meanwhile" in changed.err) == (1, True)
    assert (sent.code, fetched.code) == (0, 0), sent.err
    (answers,) = folder.rglob(f"{job_id}/output.jsonl")
    names = Counter(json.loads(line)["custom_id"] for line in answers.read_bytes().splitlines())
    assert names == Counter(f"gpt-5-mini-{n}" for n in range(1, 6))
    assert person("jobs --json").objects == []
    (printed,) = person(f"submit {file} --as again.jsonl --no-watch").out.split()
    shown = person(f"show {printed} --json")
    assert (shown.code, [each["id"] for each in shown.objects]) == (0, [printed])


def doctor(person: Person) -> None:
    said = person("doctor --json")

    states = {each["check"]: each["state"] for each in said.objects}
    assert (said.code, "problem" in states.values()) == (0, False), said.out
    assert states["secret"] == "not checked"


def be_denied(stack: Stack, folder: Path) -> None:
    """A person without any policy; and one who names another stack."""
    nobody, reader = Person(stack, "nobody", ()), Person(stack, "reader", ("ReadersPolicy",))
    file = folder / "questions.jsonl"
    for name, use in USES.items():
        line = " ".join([name, *(a.format(folder=folder, file=file) for a in use.arguments)])
        denied = nobody(line)
        assert (denied.code, denied.out, "error: " in denied.err) == (4, "", True), line
        assert reader(f"{line} --stack other").code != 0
    assert nobody("doctor").code == 4
    assert reader("list").code == 0
    assert reader(f"submit {file}").code == 4
