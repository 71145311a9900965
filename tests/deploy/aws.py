"""What CloudFormation tells of a stack, and waiting for an outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from local.emulator import Emulator

PATIENCE = 90
T = TypeVar("T")


def wait(outcome: Callable[[], T]) -> T:
    """Ask until the answer is true; return it."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := outcome()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
    return answer


def outputs_of(emulator: Emulator, stack: str) -> dict[str, str]:
    """The outputs of a stack; none if there is no such stack."""
    return {
        o["OutputKey"]: o["OutputValue"] for o in _described(emulator, stack).get("Outputs", [])
    }


def parameters_of(emulator: Emulator, stack: str) -> dict[str, str]:
    """The parameters that a stack has."""
    parameters = _described(emulator, stack)["Parameters"]
    return {p["ParameterKey"]: p["ParameterValue"] for p in parameters}


def resources_of(emulator: Emulator, stack: str) -> dict[str, tuple[str, str]]:
    """Type and physical id of each resource."""
    pages = emulator.client("cloudformation").get_paginator("list_stack_resources")
    return {
        r["LogicalResourceId"]: (r["ResourceType"], r["PhysicalResourceId"])
        for page in pages.paginate(StackName=stack)
        for r in page["StackResourceSummaries"]
    }


def artifacts(emulator: Emulator, prefix: str = "") -> dict[str, bytes]:
    """What SAM has put into its own bucket, by key."""
    s3 = emulator.client("s3")
    (bucket,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if "aws-sam-cli" in b["Name"]]
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def _described(emulator: Emulator, stack: str) -> dict[str, Any]:
    try:
        (found,) = emulator.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        assert "does not exist" in str(error)  # noqa: PT017 - any other is the test's own
        return {}
    return {} if found["StackStatus"] == "DELETE_COMPLETE" else dict(found)
