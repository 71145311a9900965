"""Every statement of every policy: named actions on named things, for whom it is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import Tagged
from tests.permissions.document import DOCUMENT, NOTHING, WORDS, recorded, render
from tests.permissions.grants import TEMPLATES, everything, flat, resources, statements

if TYPE_CHECKING:
    from tests.permissions.grants import Statement

STATEMENTS = [each for example in TEMPLATES for each in statements(example)]
ON_ANYTHING = {
    "cloudwatch:GetMetricStatistics": "knows no resources",
    "cloudwatch:DescribeAlarms": "lists alarms of a prefix, which is none",
}
"""Actions that are granted on `*`, and why."""
ACCOUNT = "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
OTHERS = [",", "SubscriberAccounts"]
ALARMS = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
"""Of this account and region: who may make one there could as well ring by it."""
NO_SOURCE = {
    "lambda.amazonaws.com": "AWS gives none where it takes on the role of a function; to give it"
    " one takes iam:PassRole, which nobody has on a role of another account",
    "chatbot.amazonaws.com": "AWS gives none; the role may do nothing",
}
"""Services that are trusted without a condition on the source, and why."""
ANYBODY: dict[str, dict[str, Any]] = {
    "WebhookUrlPermission": {"FunctionUrlAuthType": "NONE"},
    "WebhookPermission": {"InvokedViaFunctionUrl": True},
}
"""What is open to everybody, as OpenAI has no role here: an address, and what is behind it."""


def name(statement: Statement) -> str:
    return f"{statement.example}/{statement.policy}".lstrip("/")


def allowed(kind: str) -> list[Any]:
    return [
        pytest.param(s, id=f"{name(s)}-{number}")
        for number, s in enumerate(STATEMENTS)
        if s.kind == kind and s.said["Effect"] == "Allow"
    ]


def plain(written: Any) -> str:
    return str(written.value if isinstance(written, Tagged) else written)


@pytest.mark.parametrize("example", TEMPLATES)
def test_whatever_acts_has_a_role_that_the_template_spells_out(example: str) -> None:
    """SAM makes none of its own, and nothing is attached that others wrote."""
    there = resources(example)
    roles = {n for n, r in there.items() if r["Type"] == "AWS::IAM::Role"}
    functions = {n: r for n, r in there.items() if r["Type"] == "AWS::Serverless::Function"}
    for own, function in functions.items():
        assert function["Properties"]["Role"].value == f"{own}Role.Arn"
        assert not {"Policies", "Connectors", "FunctionUrlConfig"} & {*function["Properties"]}
        for event in function["Properties"].get("Events", {}).values():
            assert event["Type"] == "SQS" or event["Properties"]["RoleArn"].value == "TickRole.Arn"
    for role in roles:
        assert "ManagedPolicyArns" not in there[role]["Properties"]
    assert {"AWS::IAM::Policy", "AWS::IAM::RolePolicy"}.isdisjoint(
        r["Type"] for r in there.values()
    )


@pytest.mark.parametrize("statement", [s for k in ("identity", "resource") for s in allowed(k)])
def test_a_statement_allows_named_actions_on_named_things(statement: Statement) -> None:
    assert {*statement.said} <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    for action in statement.actions:
        assert re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", action)
    assert statement.resources
    for resource in statement.resources:
        if resource == "*":
            assert {*statement.actions} <= {*ON_ANYTHING}
        else:
            assert isinstance(resource, Tagged)
            # A star stands for what is within a thing of ours, never for a thing.
            assert re.fullmatch(r"[^*]+(/\*)?", plain(resource)), resource


def test_whatever_is_allowed_on_anything_is() -> None:
    said = {a for s in STATEMENTS for a in s.actions if "*" in map(plain, s.resources)}

    assert said == {*ON_ANYTHING}


@pytest.mark.parametrize("statement", allowed("trust"))
def test_a_role_is_taken_on_by_one_service_and_for_this_account(statement: Statement) -> None:
    (service,) = statement.said["Principal"].values()

    assert statement.said["Principal"] == {"Service": service}
    assert statement.actions == ["sts:AssumeRole"]
    if service not in NO_SOURCE:
        condition = statement.said["Condition"]
        assert condition["StringEquals"]["aws:SourceAccount"].value == "AWS::AccountId"
        assert "${AWS::AccountId}:" in condition["ArnEquals"]["aws:SourceArn"].value


@pytest.mark.parametrize("statement", allowed("resource"))
def test_a_thing_is_open_to_its_account_or_to_one_thing_of_a_service(statement: Statement) -> None:
    """The ARN of the source names the account, so that SourceAccount would say nothing more."""
    ((kind, who),) = statement.said["Principal"].items()
    if kind == "AWS" and statement.actions == ["sns:Subscribe"]:
        assert (who.tag, [plain(each) for each in who.value]) == ("!Split", OTHERS)
        return
    if kind == "AWS":
        assert [plain(each) for each in flat(who)] == [ACCOUNT]
        return
    assert kind == "Service"
    if who == "cloudwatch.amazonaws.com":
        assert statement.said["Condition"]["ArnLike"]["aws:SourceArn"].value == ALARMS
        assert (statement.policy, statement.actions) == ("AlarmsPolicy", ["sns:Publish"])
        return
    assert who in {"sns.amazonaws.com", "events.amazonaws.com"}
    source = statement.said["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert isinstance(source, Tagged)
    assert "*" not in source.value


@pytest.mark.parametrize("statement", allowed("function"))
def test_anybody_comes_by_the_address_of_webhook_and_by_nothing_else(statement: Statement) -> None:
    assert statement.said["Principal"] == "*"
    assert ANYBODY[statement.policy].items() <= statement.said.items()
    assert [plain(each) for each in statement.resources] == ["Webhook"]


def test_what_is_forbidden_is_forbidden_to_all() -> None:
    denied = [s for s in STATEMENTS if s.said["Effect"] != "Allow"]

    assert [name(s) for s in denied] == ["BucketPolicy/OnlyTLS"]
    assert denied[0].said["Principal"] == "*"


def test_what_is_granted_has_a_reason() -> None:
    granted: dict[str, set[str]] = {}
    for grant in everything():
        granted.setdefault(grant.key[0], set()).add(grant.resource)

    assert {policy: {*things} for policy, things in WORDS["reasons"].items()} == granted


def test_no_right_is_granted_twice() -> None:
    keys = [grant.key for grant in everything()]

    assert sorted(keys) == sorted({*keys})


def test_the_document_has_what_is_granted_and_nothing_else_and_each_was_shown() -> None:
    """If not: `uv run python -m tests.permissions --run --write`."""
    text = DOCUMENT.read_text()
    shown = recorded(text)

    assert {*shown} == {grant.key for grant in everything()}
    assert [key for key, by in shown.items() if by == NOTHING] == []
    assert render(shown) == text
