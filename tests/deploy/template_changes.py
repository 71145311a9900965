"""What an update from one template to another would do that a release must not do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Template = dict[str, Any]

REPLACED_BY = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema", "ImportSourceSpecification"),
    "AWS::S3::Bucket": ("BucketName", "ObjectLockEnabled"),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Lambda::Url": ("TargetFunctionArn", "Qualifier"),
}
"""Resources that hold something, or whose address somebody knows; properties that replace them.

By "Update requires: Replacement" of CloudFormation's reference. A table's attributes and indexes
are looked at apart; functions, roles and alarms hold nothing.
"""
UNTOUCHED = ("Keys",)
"""Resources of which no property may ever change: an update could put the first value back."""


def faults(before: Template, after: Template) -> list[str]:
    """Everything that a release must not do; [] if the update loses nothing."""
    was, now = before["Resources"], after["Resources"]
    found: list[str] = []
    for name, resource in was.items():
        if resource["Type"] in REPLACED_BY:
            found += (f"{name}: {fault}" for fault in _resource_faults(name, resource, now))
    found += (f"output {name} is gone" for name in before["Outputs"].keys() - after["Outputs"])
    return sorted(found)


def _resource_faults(name: str, was: Template, resources: Template) -> Iterator[str]:
    now = resources.get(name)
    if now is None:
        yield "gone: what it holds would be deleted, or left behind"
        return
    if now["Type"] != was["Type"]:
        yield f"is a {now['Type']} now, which replaces it"
        return
    old, new = was.get("Properties", {}), now.get("Properties", {})
    for each in REPLACED_BY[was["Type"]]:
        if _plain(old.get(each)) != _plain(new.get(each)):
            yield f"{each} is another, which replaces it"
    if name in UNTOUCHED and _plain(old) != _plain(new):
        yield "a property is another"
    for each in ("DeletionPolicy", "UpdateReplacePolicy"):
        if was.get(each) == "Retain" and now.get(each) != "Retain":
            yield f"{each} is no longer Retain"
    if _plain(was.get("Condition")) != _plain(now.get("Condition")):
        yield "it is there under another condition"
    if was["Type"] == "AWS::DynamoDB::Table":
        yield from _table_faults(old, new)


def _table_faults(old: Template, new: Template) -> Iterator[str]:
    had, has = _indexes(old), _indexes(new)
    if len(had.keys() ^ has.keys()) > 1:
        yield "more than one index is created or deleted, which DynamoDB refuses in one update"
    for index in had.keys() & has.keys():
        for each in ("KeySchema", "Projection"):
            if _plain(had[index].get(each)) != _plain(has[index].get(each)):
                yield f"{each} of index {index} is another, which CloudFormation refuses"
    if lost := sorted(had.keys() - has.keys()):
        yield f"index {lost[0]} is gone, which the code of the release before still reads"
    types = {a["AttributeName"]: a["AttributeType"] for a in old["AttributeDefinitions"]}
    for each in new["AttributeDefinitions"]:
        name = each["AttributeName"]
        if types.get(name, each["AttributeType"]) != each["AttributeType"]:
            yield f"attribute {name} is of another type"


def _indexes(table: Template) -> dict[str, Template]:
    return {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}


def untold(before: Template, after: Template, changelog: str) -> list[str]:
    """Parameters gone or with another default of which the changelog says nothing."""
    had, has = before["Parameters"], after["Parameters"]
    changed = [
        name
        for name in had
        if name not in has or str(had[name].get("Default")) != str(has[name].get("Default"))
    ]
    narrower = [
        name
        for name in had.keys() & has.keys()
        if set(map(str, had[name].get("AllowedValues", [])))
        - set(map(str, has[name].get("AllowedValues", had[name].get("AllowedValues", []))))
    ]
    names = {name for name in (*changed, *narrower) if f"`{name}`" not in changelog}
    unsaid = dict.fromkeys(names, "gone or another, and the changelog does not say so")
    unsaid |= {n: "new and has no default" for n in has.keys() - had if "Default" not in has[n]}
    return [f"parameter {name} is {what}" for name, what in sorted(unsaid.items())]


def _plain(value: Any) -> Any:
    """Bring to what can be compared; `!Ref` and its kin are objects."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return (value.tag, _plain(value.value)) if hasattr(value, "tag") else value
