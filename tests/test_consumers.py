"""What programs downstream stand on: `AnyEvent` in Powertools' envelopes, or as plain files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError, envelopes, event_parser, parse

from batchwatch.batch import Status
from batchwatch.events import BatchEvent
from batchwatch.job_events import AnyEvent, JobEvent
from docs.events.examples import example
from docs.events.types import TYPES
from local.deploy import ROOT
from tests.handlers import Context, sample
from tests.world import aws_in_memory, client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_lambda_powertools.utilities.parser.envelopes.base import BaseEnvelope

TOPIC = "arn:aws:sns:us-east-1:123456789012:batchwatch-Events"
WEB = "https://sns.us-east-1.amazonaws.com"


def notification(text: str) -> dict[str, Any]:
    """Give what SNS makes of a message where delivery is not raw."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "completed 188/200 batch_… (default)",
        "Message": text,
        "Timestamp": "2026-11-21T06:00:12.345Z",
        "SignatureVersion": "1",
        "Signature": "c2lnbmVk",
        "SigningCertURL": f"{WEB}/SimpleNotificationService.pem",
        "UnsubscribeURL": f"{WEB}/?Action=Unsubscribe",
        "MessageAttributes": {"type": {"Type": "String", "Value": "batch.completed"}},
    }


def from_sqs(*bodies: str) -> dict[str, Any]:
    """Give what SQS calls a Lambda with."""
    (record,) = sample("archiver")["Records"]
    return {"Records": [{**record, "body": body} for body in bodies]}


def from_wrapped_sqs(*texts: str) -> dict[str, Any]:
    """Give what SQS calls a Lambda with, where delivery is not raw."""
    return from_sqs(*[json.dumps(notification(text)) for text in texts])


def from_sns(*texts: str) -> dict[str, Any]:
    """Give what SNS calls a Lambda with."""
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{TOPIC}:21be56ed-a058-49f5-8c98-aedd2564c486",
                "Sns": {k.replace("URL", "Url"): v for k, v in notification(text).items()},
            }
            for text in texts
        ]
    }


def from_bus(text: str) -> dict[str, Any]:
    """Give what EventBridge calls a Lambda with."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": json.loads(text)["type"],
        "source": "batchwatch",
        "account": "123456789012",
        "time": "2026-11-21T06:00:12Z",
        "region": "us-east-1",
        "resources": [],
        "detail": json.loads(text),
    }


ENVELOPES: dict[type[BaseEnvelope], Callable[..., dict[str, Any]]] = {
    envelopes.SqsEnvelope: from_sqs,
    envelopes.SnsSqsEnvelope: from_wrapped_sqs,
    envelopes.SnsEnvelope: from_sns,
    envelopes.EventBridgeEnvelope: from_bus,
}
ALL = {kind: example(kind).frozen() for kind in TYPES}


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_every_type_of_event_comes_out_of_an_envelope_as_it_was_sent(
    envelope: type[BaseEnvelope],
) -> None:
    for kind, text in ALL.items():
        model: Any = AnyEvent  # typed as a class there, and may be any type
        parsed: Any = parse(event=ENVELOPES[envelope](text), model=model, envelope=envelope)
        event = parsed[0] if isinstance(parsed, list) else parsed
        assert isinstance(event, JobEvent if kind.startswith("job.") else BatchEvent)
        assert (event.type, event.frozen()) == (kind, text)


def test_a_handler_is_given_events_with_types() -> None:
    @event_parser(model=BatchEvent, envelope=envelopes.SqsEnvelope)
    def handler(event: list[BatchEvent], _: Any) -> list[tuple[Status, str | None]]:
        return [(each.data.batch.status, each.data.batch.output_file_id) for each in event]

    called: Any = from_sqs(ALL["batch.completed"], ALL["batch.failed"])
    context: Any = Context("consumer")
    assert handler(called, context) == [
        (Status.COMPLETED, "file-ExampleOutput000000001"),
        (Status.FAILED, None),
    ]


def test_what_is_no_event_is_refused_without_repeating_it() -> None:
    model: Any = AnyEvent
    for text in ('{"prompt": "s3cret"}', '{"type": "job.waiting", "data": "s3cret"}', "s3cret"):
        for each in (model, BatchEvent):
            with pytest.raises(ValidationError) as refused:
                parse(from_sqs(text), each, envelopes.SqsEnvelope)
            assert "s3cret" not in str(refused.value)


def own_lambda() -> str:
    """Give the program that the README shows."""
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (program,) = [each for each in programs if "import AnyEvent" in each]
    return str(program)


def test_the_lambda_of_the_readme_reacts_to_an_event_once_however_often_it_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEEN_TABLE", "seen")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "mine")
    archived, lost, job = (ALL[kind] for kind in ("batch.archived", "batch.lost", "job.completed"))
    with aws_in_memory():
        client("dynamodb").create_table(
            TableName="seen",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        program: dict[str, Any] = {"__name__": "mine"}
        exec(own_lambda(), program)  # noqa: S102 - what readers are told to copy
        for called in (from_sqs(archived, lost, archived, job), from_sqs(job, archived)):
            program["handler"](called, Context("mine"))
        assert client("dynamodb").scan(TableName="seen", Select="COUNT")["Count"] == 3
    told = [line.split()[1:4] for line in capsys.readouterr().out.splitlines()]
    roles = ["output", "error", "record", "output", "error"]
    assert told == [["completed", role, "archived"] for role in roles]


# Taken along as plain files

ALONE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"boto3", "botocore", "httpx", "aws_lambda_powertools"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
sys.path[:] = [p for p in sys.path if "layers" not in p]
sys.path.insert(0, sys.argv[1])
from batchwatch.job_events import read_event
import batchwatch
assert batchwatch.__file__.startswith(sys.argv[1]), batchwatch.__file__
for line in sys.stdin:
    print(read_event(line).frozen())
"""


def taken_along() -> list[str]:
    """Give the files that the documents say suffice."""
    told = (ROOT / "docs/events/README.md").read_text()
    (names,) = re.findall(r"cd layers/core/batchwatch && cp (.+) /MY_PROGRAM/batchwatch/", told)
    return list(names.split())


def test_a_few_plain_files_and_pydantic_are_enough_to_read_an_event(tmp_path: Path) -> None:
    (tmp_path / "batchwatch").mkdir()
    for name in taken_along():
        shutil.copy(ROOT / "layers/core/batchwatch" / name, tmp_path / "batchwatch")
    text = "".join(f"{ALL[kind]}\n" for kind in ("batch.archived", "job.completed"))
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", ALONE, str(tmp_path)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (ran.stdout, ran.stderr) == (text, "")


def test_no_file_is_taken_along_in_vain() -> None:
    listing = (
        "import sys, batchwatch.job_events; print(*[m for m in sys.modules if 'batchwatch' in m])"
    )
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    names = [name.removeprefix("batchwatch.") for name in ran.stdout.split()]
    needed = {
        "__init__.py" if n == "batchwatch" else f"{n}.py" for n in names if "editable" not in n
    }
    assert set(taken_along()) == needed
