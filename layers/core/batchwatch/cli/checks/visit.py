"""What checks share: the stack as CloudFormation tells it, the secret, and the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.accounts import read_accounts
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.accounts import Readable
    from batchwatch.cli.stack import Stack

LONGEST_SKEW = 300
"""Seconds that a clock may be off before AWS refuses what it signs."""
_SERVICES = (
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "logs",
    "s3",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
)


class Resource(NamedTuple):
    """A part of the stack: its name in the template, and in AWS."""

    logical: str
    physical: str


@dataclass
class Visit:
    """A look at a stack, by several threads at once.

    status       what CloudFormation says of it
    deployed_at  when that was last done, in seconds since 1970
    skew         seconds by which the clock here is ahead; None if AWS did not tell its time
    """

    stack: Stack
    status: str
    deployed_at: float
    skew: float | None
    _lock: Lock = field(default_factory=Lock)
    _secret: str | None = None
    _resources: dict[str, list[Resource]] | None = None

    @classmethod
    def begin(cls, stack: Stack) -> Visit:
        """Ask for the stack; CommandError where it is not there, or nothing can be asked at all."""
        for service in _SERVICES:  # boto3 makes clients in one thread only
            stack.client(service)
        try:
            said = stack.client("cloudformation").describe_stacks(StackName=stack.name)
        except Exception as error:
            skew = _skew(getattr(error, "response", {}))
            if skew is None or abs(skew) <= LONGEST_SKEW:
                _ = stack.outputs  # which says it better
                raise
            cause = f"the clock of this machine is {off(skew)}, so that AWS refuses it"
            raise CommandError(Code.DENIED, cause, "set it by NTP") from error
        _ = stack.outputs
        described = said["Stacks"][0]
        at = described.get("LastUpdatedTime") or described.get("CreationTime")
        status = described.get("StackStatus", "")
        return cls(stack, status, at.timestamp() if at else 0, _skew(said))

    def secret(self) -> str:
        """Return the text of the secret: it holds keys, and is never printed."""
        with self._lock:
            if self._secret is None:
                wanted = self.stack.output("KeysSecret")
                said = self.stack.client("secretsmanager").get_secret_value(SecretId=wanted)
                self._secret = str(said.get("SecretString", ""))
            return self._secret

    def accounts(self) -> Readable:
        """Return the accounts; SecretError where the secret is not what it should be."""
        return read_accounts(self.secret())

    def resources(self, kind: str) -> list[Resource]:
        """Return the parts of the stack that are of a type, such as `AWS::SNS::Topic`."""
        with self._lock:
            if self._resources is None:
                self._resources = self._list()
            return self._resources.get(kind, [])

    def seconds(self, parameter: str, usual: float, unit: float = 1) -> float:
        """Return a parameter of the stack that is a time, of `unit` seconds."""
        return float(self.stack.parameters.get(parameter) or usual) * unit

    def _list(self) -> dict[str, list[Resource]]:
        pages = self.stack.client("cloudformation").get_paginator("list_stack_resources")
        found: dict[str, list[Resource]] = {}
        for page in pages.paginate(StackName=self.stack.name):
            for each in page["StackResourceSummaries"]:
                part = Resource(each["LogicalResourceId"], each.get("PhysicalResourceId", ""))
                found.setdefault(each["ResourceType"], []).append(part)
        return found


def off(skew: float) -> str:
    """Say how a clock goes."""
    return f"{duration(abs(skew))} {'ahead' if skew > 0 else 'behind'}"


def _skew(answer: Mapping[str, Any]) -> float | None:
    try:
        told = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        return time.time() - parsedate_to_datetime(told).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
