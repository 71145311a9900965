"""The key on its way into the secret by README's lines, and everywhere it must not be."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.deploy.aws import artifacts
from tests.deploy.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.deploy.readme import Step
    from tests.deploy.sam import Project
    from tests.whole.stack import Stack

BASH = ("bash", "--noprofile", "--norc", "--noediting", "-i")
READY = r"\[(\d+)\]> $"


def put_key(key: str, project: Project, steps: Sequence[Step], stack: Stack) -> None:
    """Type them, and paste the key; then say where it is good, which is not at OpenAI."""
    read, put, unset = steps
    environment = {**project.environment, "PS1": "[$?]> ", "PS2": ""}
    with (
        no_poll_between(stack),
        Terminal(*BASH, folder=project.folder, environment=environment) as bash,
    ):
        bash.wait(READY)
        bash.type(read.command)
        bash.hidden()
        bash.type(key)
        bash.wait(READY)
        bash.type(put.filled_in(stack.service.outputs))
        answer = bash.wait(READY)
        assert answer[1] == "0", answer[0]
        put.compare(answer[0])
        bash.type(unset.command)
        bash.wait(READY)
        bash.type("declare -p; exit")
        assert bash.end() == 0
        assert key not in bash.shown
        history = project.environment["HISTFILE"]
        assert "secretsmanager put-secret-value" in Path(history).read_text()
        secrets = stack.emulator.client("secretsmanager")
        secret = secrets.get_secret_value(SecretId=stack.service.outputs["KeysSecret"])
        assert json.loads(secret["SecretString"]) == {"accounts": {"default": {"api_key": key}}}
        stack.service.put_key(key, stack.openai.base_url)


@contextmanager
def no_poll_between(stack: Stack) -> Iterator[None]:
    """Hold the schedules: what a poll has read of the secret holds for five minutes."""
    scheduler = stack.emulator.client("scheduler")
    names = [schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]]
    whole = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    for state in ("DISABLED", "ENABLED"):
        for name in names:
            schedule = scheduler.get_schedule(Name=name)
            scheduler.update_schedule(**{k: schedule[k] for k in whole}, State=state)
        if state == "DISABLED":
            yield


def nowhere_else(key: str, project: Project, stack: Stack) -> None:
    """Whether the key is in no file, template, event, line of log, item, object or mail."""
    names = [name for name, text in _texts(project, stack) if key.encode() in text]

    assert names == []


def _texts(project: Project, stack: Stack) -> Iterator[tuple[str, bytes]]:
    for path in project.folder.parent.rglob(
        "*"
    ):  # what was typed, bash's history and SAM's own, too
        mine = "tmp" in path.relative_to(project.folder.parent).parts[:1]  # the emulator's
        if path.is_file() and not mine:
            yield str(path), path.read_bytes()
    for name, content in artifacts(stack.emulator).items():
        yield name, content
        if content.startswith(b"PK"):
            packed = zipfile.ZipFile(io.BytesIO(content))
            yield from ((f"{name} {each}", packed.read(each)) for each in packed.namelist())
    cloudformation, name = stack.emulator.client("cloudformation"), "batchwatch"
    for stage in ("Original", "Processed"):
        template = cloudformation.get_template(StackName=name, TemplateStage=stage)
        yield f"template {stage}", json.dumps(template, default=str).encode()
    yield "stack", json.dumps(cloudformation.describe_stacks(), default=str).encode()
    events = cloudformation.describe_stack_events(StackName=name)
    yield "events of the stack", json.dumps(events, default=str).encode()
    functions = stack.emulator.client("lambda").list_functions()["Functions"]
    yield "functions", json.dumps(functions, default=str).encode()
    yield "log", "\n".join(stack.service.log("")).encode()
    yield "items", str(stack.items()).encode()
    yield "messages", "\n".join(stack.messages).encode()
    for key, versions in stack.objects().items():
        yield key, b"".join(versions)
