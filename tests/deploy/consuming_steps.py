"""README "Subscribe", "React", "A bus of EventBridge"; the example with the real SAM CLI."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.deploy import ROOT, deploy_folder
from tests.deploy.walk import EXAMPLE, README, shape, soon, step
from tests.documents import blocks, commands, names_of

if TYPE_CHECKING:
    from local.emulator import Emulator
    from tests.deploy.walk import Walk

STACK = """\
Transform: AWS::Serverless-2016-10-31
Parameters: {Queue: {Type: String}}
Resources:
  Seen:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expiration, Enabled: true}
  Mine:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      CodeUri: .
      Timeout: 60
      Environment: {Variables: {SEEN_TABLE: !Ref Seen}}
      Policies:
        - SQSPollerPolicy: {QueueName: !Ref Queue}
        - DynamoDBCrudPolicy: {TableName: !Ref Seen}
      Events:
        Message:
          Type: SQS
          Properties: {Queue: !Sub "arn:aws:sqs:us-east-1:000000000000:${Queue}"}
"""
"""A function of one's own, to which the README gives the layer and the program."""


class Queue:
    """A queue of somebody who subscribes; SNS and EventBridge may send to it."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self._sqs = emulator.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        how = {"QueueUrl": self._url, "AttributeNames": ["QueueArn"]}
        self.arn = str(self._sqs.get_queue_attributes(**how)["Attributes"]["QueueArn"])
        senders = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
        allow = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": self.arn}]}
        self._sqs.set_queue_attributes(
            QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)}
        )
        self._bodies: list[str] = []

    def events(self) -> list[dict[str, Any]]:
        """Every message by now."""
        how = {"QueueUrl": self._url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600}
        while found := self._sqs.receive_message(**how).get("Messages"):
            self._bodies += [message["Body"] for message in found]
        return [json.loads(body) for body in self._bodies]

    def types(self) -> set[tuple[str, str]]:
        """Of which subject there were which events."""
        return {(each["subject"], each["type"]) for each in self.events()}


@dataclass
class Subscribed:
    """What somebody has who did all that "Subscribe" and "A bus of EventBridge" tell."""

    failures: Queue
    batches: Queue
    account: Queue
    team: Queue
    bus: Queue


def subscribe(walk: Walk) -> Subscribed:
    names = ("failures", "batches", "account", "team", "bus")
    queues = {name: Queue(walk.stack.emulator, name) for name in names}
    recipes = commands(README, "Only what concerns you")
    for name, recipe in zip(names[:-1], recipes, strict=True):
        walk.type(recipe, names={"QUEUE_ARN": queues[name].arn})
    walk(README, "aws events put-rule")
    walk(README, "aws events put-targets", QUEUE_ARN=queues["bus"].arn)
    return Subscribed(**queues)


def get_what_was_asked_for(
    queues: Subscribed, *, searched: str, unanswered: str, answered: str
) -> None:
    """`searched`: a batch of the team that failed; one without an answer; one with answers."""
    soon(lambda: (searched, "batch.failed") in queues.bus.types())
    soon(lambda: (unanswered, "batch.completed") in queues.failures.types())
    failed = {(searched, "batch.failed"), (unanswered, "batch.completed")}
    assert queues.failures.types() == failed
    assert queues.bus.types() == {(searched, "batch.failed")}
    soon(lambda: any(each["type"] == "job.completed" for each in queues.account.events()))
    assert {each["data"]["account"] for each in queues.account.events()} == {"research"}
    assert (searched, "batch.failed") in queues.team.types()
    for event in queues.team.events():
        assert event["data"]["batch"]["metadata"]["team"] == "search"
    assert not {answered, unanswered} & {subject for subject, _ in queues.team.types()}


class Mine:
    """The function of the README, behind the queue that gets batches only."""

    def __init__(self, walk: Walk) -> None:
        folder = walk.folder / "mine"
        folder.mkdir()
        (layer,) = blocks(README, "yaml", "Your own Lambda")
        (program,) = blocks(README, "python", "Your own Lambda")
        lines = textwrap.indent(layer.replace("STACK", "batchwatch"), " " * 6)
        (folder / "template.yaml").write_text(
            STACK.replace("      Handler:", f"{lines}      Handler:")
        )
        (folder / "app.py").write_text(program)
        self._emulator = walk.stack.emulator
        deploy_folder(self._emulator, folder, stack="mine", parameters={"Queue": "batches"})

    def printed(self) -> list[str]:
        """What `react` has printed by now."""
        logs = self._emulator.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/mine")["logGroups"]
        lines = [
            event["message"]
            for group in groups
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        ]
        return [line.strip() for line in lines if line.startswith("batch_")]


def react_once(walk: Walk, mine: Mine, batch_id: str) -> None:
    """What is announced again is not reacted to again."""
    soon(lambda: any(line.startswith(batch_id) for line in mine.printed()))
    before = mine.printed()
    archived = [line.split()[:4] for line in before if line.startswith(batch_id)]
    roles = ["output", "error", "record", "input"]
    assert sorted(archived) == sorted([batch_id, "completed", role, "archived"] for role in roles)
    heard = walk.stack.listener
    heard.news()
    walk("docs/cli.md", "batchwatch list --json | jq -r .id | batchwatch replay")
    again: list[str] = []

    def told() -> bool:
        again.extend(heard.news())
        return any(batch_id in text for text in again)

    soon(told)
    soon(
        lambda: (
            not walk.stack._waiting(walk.stack.sqs.get_queue_url(QueueName="batches")["QueueUrl"])
        )
    )
    assert mine.printed() == before


def deploy_example(walk: Walk) -> dict[str, str]:
    shutil.copytree(ROOT / "examples", walk.folder / "examples")
    walk(EXAMPLE, "cd examples/react-to-completed")
    walk(EXAMPLE, "told()")
    walk(EXAMPLE, "sam deploy")
    walk.by_the_way('cd "$OLDPWD"')
    cloudformation = walk.stack.emulator.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName="batch-results")["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def see_and_clean_up(walk: Walk, outputs: dict[str, str], batch_id: str) -> None:
    names, s3 = names_of(outputs) | {"BATCH_ID": batch_id}, walk.stack.s3
    bucket = outputs["ResultsBucket"]
    soon(lambda: s3.list_objects_v2(Bucket=bucket).get("KeyCount"))
    soon(lambda: walk.by_the_way(f"aws s3 ls {bucket} --recursive | grep -c {batch_id} || true"))
    see = "aws s3 cp s3://RESULTS_BUCKET"
    said = walk.type(step(EXAMPLE, see), names=names)
    assert shape(said.out) == shape(step(EXAMPLE, see).shown)
    walk.type(step(EXAMPLE, "aws s3 rm"), names=names)
    walk(EXAMPLE, "sam delete", answer="y\ny")
    stacks = walk.stack.emulator.client("cloudformation").list_stacks()["StackSummaries"]
    left = [each["StackStatus"] for each in stacks if each["StackName"] == "batch-results"]
    assert left in ([], ["DELETE_COMPLETE"])
