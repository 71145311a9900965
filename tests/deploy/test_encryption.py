"""A key of one's own, made as examples/customer-key makes it, given to a stack that is at work.

The local AWS asks no key whether it may be used, and its CloudFormation passes over the keys of
topics and buckets. So this shows that both templates deploy, that queues and rights name the key,
and that the change loses nothing; tests/test_encryption.py compares the rights with what AWS wants.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import ROOT, read_template
from local.emulator import REGION
from local.simulator import Script
from tests.judge.checker import faults
from tests.whole.stack import deployed
from tests.whole.terminal import aws_cli, why_not
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.whole.stack import Stack

pytestmark = [pytest.mark.full, pytest.mark.skipif(bool(why_not()), reason=why_not())]

EXAMPLE = ROOT / "examples/customer-key"
BRIEF = Script(
    name="before", endpoint="/v1/responses", requests=20, failed=2, ends="completed",
    validating=0.3, running=0.5, finalizing=0.3,
)  # fmt: skip
WAIT = 120
"""Seconds until at the latest what is waited for has happened."""


def test_a_stack_at_work_is_given_a_key_and_nothing_is_lost_by_it() -> None:
    with deployed(NotifyOn="batch.completed") as stack, stack.service.mailbox() as mailbox:
        key = made(stack)
        with stack.ticking():
            before = stack.watch(BRIEF)
            until(lambda: stack.service.record(before).archived)
            across = stack.watch(replace(BRIEF, name="across", running=8))
            until(lambda: stack.service.record(across).status == "in_progress")
            give(stack, key)
            after = stack.watch(replace(BRIEF, name="after"))
            unfinished = stack.settle(60)
            until(lambda: any(after in mail for mail in [*mailbox.heard_at]))

        assert re.fullmatch(read_template()["Parameters"]["KmsKey"]["AllowedPattern"], key)
        assert (unfinished, stack.failed) == ([], [])
        assert faults(stack.outside((before, across, after)), secrets=[KEY]) == []
        assert by(stack, before) is None  # as it was written, and read all the same
        assert by(stack, after) == key
        assert keys_of_queues(stack) == {key}
        assert who_may_use(stack) == {
            *("SubmitterRole", "PollerRole", "ArchiverRole", "NotifierRole")
        }


def made(stack: Stack) -> str:
    """Make a key by typing what the example's page says; its ARN is the last thing printed."""
    commands = re.findall(
        r"^\$ (aws (?:.*\\\n)*.*)$", (EXAMPLE / "README.md").read_text(), re.MULTILINE
    )
    root = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    with aws_cli(stack.emulator.endpoint) as run:
        for command in commands:
            line = command.replace("\\\n", " ").replace("template.yaml", f"{EXAMPLE}/template.yaml")
            said = run(line, root)
            assert said.code == 0, said.text
    return said.text.strip()


def give(stack: Stack, key: str) -> None:
    """Change that parameter, and no other."""
    cloudformation, name = stack.emulator.client("cloudformation"), "batchwatch"
    (now,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    others = {each["ParameterKey"] for each in now["Parameters"]} - {"KmsKey"}
    cloudformation.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": "KmsKey", "ParameterValue": key},
            *({"ParameterKey": each, "UsePreviousValue": True} for each in others),
        ],
    )
    waiter = cloudformation.get_waiter("stack_update_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": WAIT})
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }  # what CloudFormation does on AWS
    stack.s3.put_bucket_encryption(
        Bucket=stack.service.outputs["BucketName"],
        ServerSideEncryptionConfiguration={"Rules": [rule]},
    )


def by(stack: Stack, batch: str) -> str | None:
    """By which key of KMS the output of a batch is encrypted; None: by none."""
    (name,) = [key for key in stack.service.stored() if f"{batch}/output.jsonl" in key]
    said = stack.s3.head_object(Bucket=stack.service.outputs["BucketName"], Key=name)
    key: str | None = said.get("SSEKMSKeyId")
    return key


def of_type(stack: Stack, kind: str) -> list[str]:
    pages = stack.emulator.client("cloudformation").get_paginator("list_stack_resources")
    found = [one for page in pages.paginate(StackName="batchwatch") for one in page[_SUMMARIES]]
    return [one["PhysicalResourceId"] for one in found if one["ResourceType"] == kind]


def keys_of_queues(stack: Stack) -> set[str | None]:
    said = [
        stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for url in of_type(stack, "AWS::SQS::Queue")
    ]
    assert not [one for one in said if one.get("SqsManagedSseEnabled") == "true"]
    return {one.get("KmsMasterKeyId") for one in said}


def who_may_use(stack: Stack) -> set[str]:
    """The roles to which a policy is attached that tells of KMS."""
    iam, found = stack.emulator.client("iam"), set()
    for arn in of_type(stack, "AWS::IAM::ManagedPolicy"):
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        assert "kms:Decrypt" in json.dumps(policy["Document"])
        roles = iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]
        found |= {role["RoleName"].split("-")[1] for role in roles}
    return found


_SUMMARIES = "StackResourceSummaries"


def until(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)
