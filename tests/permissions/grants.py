"""Every statement of every policy of a template, and what each grants to whom on what."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from local.deploy import ROOT, TEMPLATE, Tagged, read_template

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, str, str]
"""Policy, action and resource of a grant, by which the document has it."""
EXAMPLES = sorted((ROOT / "examples").glob("*/template.yaml"))
TEMPLATES = {"": TEMPLATE} | {path.parent.name: path for path in EXAMPLES}
"""By the folder of the example; ours has none."""
DOCUMENTS = {
    "AWS::IAM::ManagedPolicy": "identity",
    "AWS::SNS::TopicPolicy": "resource",
    "AWS::SQS::QueuePolicy": "resource",
    "AWS::S3::BucketPolicy": "resource",
}
"""Resources that are one policy, and whether it stands at a person or at a thing."""


class Statement(NamedTuple):
    """One statement; `kind`: identity, resource, trust (who may take on a role) or function.

    `policy`: its name in the template, and that of the statement, where it has one.
    """

    example: str
    policy: str
    kind: str
    said: dict[str, Any]

    @property
    def actions(self) -> list[str]:
        """The actions it names."""
        return [*flat(self.said["Action"])]

    @property
    def resources(self) -> list[Any]:
        """The resources it names, as written: text or `Tagged`; the role itself of a trust."""
        return [*flat(self.said.get("Resource", self.policy))]


class Grant(NamedTuple):
    """One action on one resource; `written`: the resource as the template has it."""

    example: str
    policy: str
    kind: str
    action: str
    resource: str
    written: Any

    @property
    def key(self) -> Key:
        """By what it is found in the document."""
        return f"{self.example}/{self.policy}".lstrip("/"), self.action, self.resource


def flat(value: Any) -> Iterator[Any]:
    """Each of what may be one, or a list, or a choice of which both sides may come true."""
    if isinstance(value, list):
        for each in value:
            yield from flat(each)
    elif isinstance(value, Tagged) and value.tag == "!If":
        yield from flat(value.value[1:])
    elif not (isinstance(value, Tagged) and value.value == "AWS::NoValue"):
        yield value


@cache
def resources(example: str = "") -> dict[str, Any]:
    """The resources of a template."""
    return dict(read_template(TEMPLATES[example])["Resources"])


def statements(example: str = "") -> Iterator[Statement]:
    """Each statement of a template."""
    for name, resource in resources(example).items():
        kind, properties = resource["Type"], resource["Properties"]
        documents = []
        if kind == "AWS::IAM::Role":
            documents = [("trust", properties["AssumeRolePolicyDocument"])]
            inline = properties.get("Policies", [])
            documents += [("identity", each["PolicyDocument"]) for each in inline]
        elif kind in DOCUMENTS:
            documents = [(DOCUMENTS[kind], properties["PolicyDocument"])]
        elif kind == "AWS::Lambda::Permission":
            said = properties | {"Effect": "Allow", "Resource": properties["FunctionName"]}
            yield Statement(example, name, "function", said)
        for place, document in documents:
            for said in flat(document["Statement"]):
                own = "/".join([name, *([said["Sid"]] if "Sid" in said else [])])
                yield Statement(example, own, place, said)


def grants(example: str = "") -> Iterator[Grant]:
    """Each action on each resource that a template allows."""
    for statement in statements(example):
        if statement.said["Effect"] == "Allow":
            for action in statement.actions:
                for written in statement.resources:
                    yield Grant(*statement[:3], action, named(written), written)


def everything() -> list[Grant]:
    """What all templates allow."""
    return [grant for example in TEMPLATES for grant in grants(example)]


def named(written: Any) -> str:
    """A resource as people read it: `Bucket/inbox/*`, `schedule/default/STACK-*`."""
    text = str(written.value if isinstance(written, Tagged) else written)
    text = re.sub(r"\$\{(?:AWS::)?([^}]+)\}", r"\1", text).replace("StackName", "STACK")
    text = re.sub(r"^arn:Partition:[^:]+:(Region)?:(AccountId)?:", "", text)
    return re.sub(r"^(\w+)\.(Arn|Id)\b", r"\1", text)
