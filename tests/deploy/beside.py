"""Two stacks in one account and region: neither sees the other, and one may go."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from tests.deploy.aws import artifacts, resources_of, wait
from tests.whole.test_cli import BRIEF, Person

if TYPE_CHECKING:
    import pytest

    from local.emulator import Emulator
    from tests.whole.stack import Stack

FIRST, SECOND = "batchwatch", "batchwatch-staging"
KEPT = ("Ledger", "Jobs", "Bucket")
POLICIES = ("ReadersPolicy", "OperatorsPolicy")


def beside_each_other(first: Stack, second: Stack, subtests: pytest.Subtests) -> None:
    """Let each archive a batch; whether nothing of it is seen on the other side."""
    for stack, name in ((first, "of-the-first"), (second, "of-the-second")):
        wait(stack.service.tick)  # what had ended before is history
        stack.openai.add(replace(BRIEF, name=name))
    with first.ticking(), second.ticking():
        for stack in (first, second):
            wait(lambda stack=stack: archived(stack) == ids(stack))  # type: ignore[misc]
    for stack, other in ((first, second), (second, first)):
        with subtests.test("only its own", stack=stack.service.outputs["BucketName"]):
            assert stack.failed == []
            everything = [
                *(str(item) for item in stack.items()),
                *stack.objects(),
                *stack.service.log(""),
                *stack.messages,
                *said_by_policies(stack.emulator, SECOND if stack is second else FIRST),
            ]
            foreign = [*ids(other), *other.service.outputs.values()]
            assert [f for f in foreign for line in everything if f in line] == []
    with subtests.test("names"):
        cloudwatch, ssm = first.emulator.client("cloudwatch"), first.emulator.client("ssm")
        shown = [d["DashboardName"] for d in cloudwatch.list_dashboards()["DashboardEntries"]]
        assert shown == ["batchwatch-us-east-1"]  # the second wanted none
        layers = ssm.get_parameters_by_path(Path="/batchwatch", Recursive=True)["Parameters"]
        assert {p["Name"]: p["Value"] for p in layers} == {
            f"/batchwatch/{FIRST}/layer": first.service.outputs["LayerArn"],
            f"/batchwatch/{SECOND}/layer": second.service.outputs["LayerArn"],
        }
    with subtests.test("people"):
        for stack, other, name in ((first, second, "anna"), (second, first, "berta")):
            person = Person(stack, name, POLICIES)
            theirs = SECOND if other is second else FIRST
            assert person(f"list --stack {SECOND if stack is second else FIRST}").code == 0
            assert person(f"list --stack {theirs}").code != 0
            assert [did for did, let in tries(person, stack).items() if not let] == []
            assert [did for did, let in tries(person, other).items() if let] == []


def ids(stack: Stack) -> set[str]:
    """The batches that there are at its OpenAI."""
    return {batch.id for batch in stack.openai.added_after(0)}


def archived(stack: Stack) -> set[str]:
    """The batches whose last event has come."""
    stack.messages += stack.listener.news()
    said = [json.loads(message) for message in stack.messages]
    return {e["data"]["batch"]["id"] for e in said if e.get("type") == "batch.archived"}


def said_by_policies(emulator: Emulator, name: str) -> list[str]:
    """Every policy of a stack: of roles, people, queues and topics."""
    iam, texts = emulator.client("iam"), []
    for kind, id_ in resources_of(emulator, name).values():
        if kind == "AWS::IAM::Role":
            for policy in iam.list_role_policies(RoleName=id_)["PolicyNames"]:
                said = iam.get_role_policy(RoleName=id_, PolicyName=policy)
                texts += [str(said["PolicyDocument"])]
        if kind == "AWS::IAM::ManagedPolicy":
            version = iam.get_policy(PolicyArn=id_)["Policy"]["DefaultVersionId"]
            said = iam.get_policy_version(PolicyArn=id_, VersionId=version)
            texts.append(str(said["PolicyVersion"]["Document"]))
        if kind == "AWS::SQS::Queue":
            said = emulator.client("sqs").get_queue_attributes(
                QueueUrl=id_, AttributeNames=["Policy"]
            )
            texts.append(str(said.get("Attributes")))
        if kind == "AWS::SNS::Topic":
            said = emulator.client("sns").get_topic_attributes(TopicArn=id_)
            texts.append(said["Attributes"]["Policy"])
    return texts


def tries(person: Person, stack: Stack) -> dict[str, bool]:
    """Whether somebody may do each of what the two policies are for."""
    names = {n.removeprefix("AWS_").lower(): v for n, v in person.environment.items()}
    keys = {k: v for k, v in names.items() if "key" in k}
    outputs, done = stack.service.outputs, {}
    # A request that is let through may fail for what it asks; one that is not never gets there.
    table, bucket = outputs["LedgerTable"], outputs["BucketName"]
    item = {"account": {"S": "a"}, "batch_id": {"S": "b"}}
    schedule = next(
        id_ for kind, id_ in resources_of(stack.emulator, _name(stack)).values()
        if kind == "AWS::Scheduler::Schedule"
    )  # fmt: skip
    attempts: dict[tuple[str, str], dict[str, Any]] = {
        ("dynamodb", "get_item"): {"TableName": table, "Key": item},
        ("dynamodb", "update_item"): {"TableName": table, "Key": item},
        ("s3", "list_objects_v2"): {"Bucket": bucket},
        ("s3", "put_object"): {"Bucket": bucket, "Key": "inbox/empty"},
        ("sqs", "receive_message"): {"QueueUrl": outputs["ArchiveDeadLettersUrl"]},
        ("sqs", "send_message"): {"QueueUrl": outputs["NotifyQueueUrl"], "MessageBody": "{}"},
        ("sns", "publish"): {"TopicArn": outputs["EventsTopic"], "Message": "{}"},
        ("logs", "filter_log_events"): {"logGroupName": outputs["LogGroup"]},
        ("lambda", "invoke"): {"FunctionName": outputs["SubmitterFunction"], "Payload": b"{}"},
        ("scheduler", "get_schedule"): {"Name": schedule.rpartition("|")[2].rpartition("/")[2]},
    }
    for (service, operation), arguments in attempts.items():
        client = boto3.client(  # type: ignore[call-overload]
            service, endpoint_url=names["endpoint_url"], region_name=names["region"],
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
        )  # fmt: skip
        try:
            getattr(client, operation)(**arguments)
        except ClientError as error:
            if not re.search("Denied|Authoriz", error.response["Error"]["Code"]):
                raise
            done[operation] = False
        else:
            done[operation] = True
    return done


def _name(stack: Stack) -> str:
    return SECOND if SECOND in stack.service.outputs["BucketName"] else FIRST


def look(first: Stack, second: Stack) -> dict[str, Any]:
    """What is there before one is taken away."""
    return {
        "resources": resources_of(first.emulator, SECOND),
        "items": second.items(),
        "objects": second.objects(),
        "artifacts": artifacts(first.emulator, f"{FIRST}/"),
    }


def only_what_was_paid_for_stays(first: Stack, second: Stack, before: dict[str, Any]) -> None:
    """Whether the rest of the second is gone, and nothing of the first, which goes on."""
    emulator = first.emulator
    kept = {before["resources"][name][1] for name in KEPT}
    assert {*still_there(emulator)} == kept
    assert emulator.client("lambda").list_layer_versions(LayerName=f"{SECOND}-core")[
        "LayerVersions"
    ]
    assert before["items"] == second.items()
    assert before["objects"] == second.objects()
    assert artifacts(emulator, f"{FIRST}/") == before["artifacts"] != {}
    assert artifacts(emulator, f"{SECOND}/") == {}
    first.openai.add(replace(BRIEF, name="afterwards"))
    with first.ticking():
        wait(lambda: archived(first) == ids(first))


def still_there(emulator: Emulator) -> list[str]:
    """The names of all that has the name of the second stack, layers apart."""
    ask = emulator.client
    found = [
        *ask("dynamodb").list_tables()["TableNames"],
        *(b["Name"] for b in ask("s3").list_buckets()["Buckets"]),
        *(f["FunctionName"] for f in ask("lambda").list_functions()["Functions"]),
        *(
            m["EventSourceArn"]
            for m in ask("lambda").list_event_source_mappings()["EventSourceMappings"]
        ),
        *ask("sqs").list_queues().get("QueueUrls", []),
        *(t["TopicArn"] for t in ask("sns").list_topics()["Topics"]),
        *(s["TopicArn"] for s in ask("sns").list_subscriptions()["Subscriptions"]),
        *(s["Name"] for s in ask("secretsmanager").list_secrets()["SecretList"]),
        *(p["Name"] for p in ask("ssm").describe_parameters()["Parameters"]),
        *(g["logGroupName"] for g in ask("logs").describe_log_groups()["logGroups"]),
        *(r["RoleName"] for r in ask("iam").list_roles()["Roles"]),
        *(p["PolicyName"] for p in ask("iam").list_policies(Scope="Local")["Policies"]),
        *(s["Name"] for s in ask("scheduler").list_schedules()["Schedules"]),
        *(r["Name"] for r in ask("events").list_rules()["Rules"]),
        *(a["AlarmName"] for a in ask("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(d["DashboardName"] for d in ask("cloudwatch").list_dashboards()["DashboardEntries"]),
    ]
    return [name for name in found if SECOND in name.lower()]


def cleaned(second: Stack) -> None:
    """Whether nothing is left of the second stack."""
    layers = second.emulator.client("lambda").list_layer_versions(LayerName=f"{SECOND}-core")

    assert still_there(second.emulator) == []
    assert layers["LayerVersions"] == []
