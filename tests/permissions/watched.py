"""A local AWS that writes down who was allowed what; and the names of things in its stacks."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.deploy import Tagged
from local.emulator import REGION, Emulator
from tests.permissions.grants import grants
from tests.permissions.shown import run_of, why_unseen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.permissions.grants import Grant, Key

_ACCOUNT = "000000000000"
_ARNS = {
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{_ACCOUNT}:table/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{_ACCOUNT}:log-group:{{}}:*",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{_ACCOUNT}:function:{{}}",
    "AWS::Scheduler::Schedule": f"arn:aws:scheduler:{REGION}:{_ACCOUNT}:schedule/default/{{}}",
}
"""What `!GetAtt NAME.Arn` gives, by type, of the last part of a physical id."""


class Seen(NamedTuple):
    """A decision on somebody: by the policies of an `identity`, or by a `resource`'s own."""

    allowed: bool
    policy: str
    by: str
    action: str
    resource: str


class Watched(Emulator):
    """The emulator under observation."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._decisions = folder / "decisions"
        observer = Path(__file__).with_name("observer.py")
        self.program = ("python", str(observer), str(self._decisions))

    def seen(self) -> set[Seen]:
        """What has been decided so far."""
        return {Seen(*json.loads(line)) for line in self._decisions.read_text().splitlines()}


class Names:
    """What the things of a template are called in a stack."""

    def __init__(self, emulator: Emulator, stack: str = "batchwatch") -> None:
        cloudformation, self._iam = emulator.client("cloudformation"), emulator.client("iam")
        self._secrets = emulator.client("secretsmanager")
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        said = [each for page in pages for each in page["StackResourceSummaries"]]
        self._types: dict[str, str] = {
            each["LogicalResourceId"]: each["ResourceType"] for each in said
        }
        self._ids: dict[str, str] = {
            each["LogicalResourceId"]: each["PhysicalResourceId"] for each in said
        }
        (about,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        given = {p["ParameterKey"]: p["ParameterValue"] for p in about.get("Parameters", [])}
        pseudo = {"Partition": "aws", "Region": REGION, "AccountId": _ACCOUNT, "StackName": stack}
        self._values: dict[str, str] = given | {
            f"AWS::{name}": value for name, value in pseudo.items()
        }

    def arn(self, written: Any) -> str:
        """The ARN, or its pattern, that a resource of a statement becomes; KeyError if none."""
        if not isinstance(written, Tagged):
            return str(written)
        if written.tag == "!Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda name: self._value(name[1]), written.value)
        return self._value(written.value)

    def _value(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        logical, _, attribute = name.partition(".")
        if self._types[logical] == "AWS::SecretsManager::Secret":  # locally, its id is its name
            return str(self._secrets.describe_secret(SecretId=self._ids[logical])["ARN"])
        if attribute != "Arn":
            return self._ids[logical]
        return _ARNS[self._types[logical]].format(re.split("[/:]", self._ids[logical])[-1])

    def used(self, grant: Grant, seen: set[Seen], *, allowed: bool = True) -> bool:
        """Whether somebody was seen to use a grant, or to lack it."""
        wanted = (allowed, grant.kind, grant.action)
        alike = [s for s in seen if (s.allowed, s.policy, s.action) == wanted]
        resource, holders = self.arn(grant.written), self._holders(grant) if alike else []
        return any(
            fnmatchcase(each.resource, resource)
            and any(fnmatchcase(each.by, who) for who in holders)
            for each in alike
        )

    def _holders(self, grant: Grant) -> list[str]:
        """Patterns of who may use a grant: sessions of the role, users of the policy, services."""
        if grant.kind == "resource":
            return ["*.amazonaws.com"]
        physical = self._ids[grant.policy]
        if self._types[grant.policy] == "AWS::IAM::Role":
            return [f"arn:aws:sts::{_ACCOUNT}:assumed-role/{physical}/*"]
        said = self._iam.list_entities_for_policy(PolicyArn=physical)
        return [f"arn:aws:iam::{_ACCOUNT}:user/{each['UserName']}" for each in said["PolicyUsers"]]


def unused(
    emulator: Emulator,
    run: str,
    record: Callable[[str, object], None],
    *,
    example: str = "",
    stack: str = "batchwatch",
) -> list[Key]:
    """What a run should have shown to be used, and did not; `record` is told what it did show.

    A note that it cannot be shown, where it was, is as wrong.
    """
    assert isinstance(emulator, Watched)
    names, seen = Names(emulator, stack), emulator.seen()
    wanted = [grant for grant in grants(example) if run_of(grant) == run]
    found = [grant for grant in wanted if names.used(grant, seen)]
    record("used", [grant.key for grant in found])
    return [grant.key for grant in wanted if (grant in found) == bool(why_unseen(grant))]
