"""With a key of one's own: what holds or carries data has it; who touches that may use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import ROOT, Tagged, read_template

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = read_template()
RESOURCES = TEMPLATE["Resources"]
KEY = read_template(ROOT / "examples/customer-key/template.yaml")["Resources"]["Key"]
BY_TYPE: dict[str, dict[str, Any]] = {
    "AWS::SNS::Topic": {"KmsMasterKeyId": "KmsKey"},
    "AWS::SQS::Queue": {"KmsMasterKeyId": "KmsKey"},
    "AWS::DynamoDB::Table": {
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "KmsKey"}
    },
    "AWS::S3::Bucket": {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": "KmsKey",
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        }
    },
}
"""What a resource says of its encryption where a key is given."""
OTHERWISE = {
    "AWS::SecretsManager::Secret",  # any change of it could put the empty text back
    "AWS::Logs::LogGroup",  # no content of a request or an answer is logged
    "AWS::SSM::Parameter",  # the ARN of a layer
    "AWS::Serverless::LayerVersion",  # a package that anybody may read
    "AWS::Serverless::Function",  # code that anybody may read; no secret among its variables
    *("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::CloudWatch::Alarm"),
    *("AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"),
    *("AWS::S3::BucketPolicy", "AWS::Lambda::Url", "AWS::Lambda::Permission", "AWS::Events::Rule"),
    *("AWS::Chatbot::SlackChannelConfiguration", "AWS::CloudWatch::Dashboard"),
}
"""Types that this key is not for: they hold no data of anybody's, or the reason is told."""
READ, WRITE = {"kms:Decrypt"}, {"kms:Decrypt", "kms:GenerateDataKey"}
READING = (
    *("sqs:ReceiveMessage", "s3:GetObject", "s3:ListMultipartUploadParts"),
    *("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"),
    *("dynamodb:PutItem", "dynamodb:UpdateItem"),  # what encrypts them is a grant of DynamoDB's own
)
WRITING = ("sqs:SendMessage", "sns:Publish", "s3:PutObject")
NEITHER = (
    *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"),
    *("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"),
    *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:GetBucketVersioning", "s3:GetBucketPublicAccessBlock"),
)
NEEDS = {
    **dict.fromkeys(READING, READ),
    **dict.fromkeys(WRITING, WRITE),
    **{action: set[str]() for action in NEITHER},
}
"""Which rights on the key an action asks for, of services that the key encrypts for."""
SERVICES = {"dynamodb", "s3", "sns", "sqs"}
PEOPLE = ("Readers", "Operators")


def told(value: Any, *, key: bool) -> Any:
    """A value of the template as CloudFormation reads it, with a key or without; None: left out."""
    if isinstance(value, Tagged):
        if value.tag == "!If" and value.value[0] == "KmsKeyGiven":
            return told(value.value[1 if key else 2], key=key)
        return None if value.value == "AWS::NoValue" else value.value
    if isinstance(value, dict):
        said = {name: told(each, key=key) for name, each in value.items()}
        return {name: each for name, each in said.items() if each is not None}
    if isinstance(value, list):
        return [each for each in (told(one, key=key) for one in value) if each is not None]
    return value


def actions(statement: dict[str, Any]) -> set[str]:
    said = statement["Action"]
    return {said} if isinstance(said, str) else set(said)


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return list(told(policy["PolicyDocument"]["Statement"], key=True))


def asked(policy: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Which rights on the key the actions of a policy need, and through which services."""
    used = {
        action
        for statement in statements(policy)
        for action in actions(statement)
        if action.partition(":")[0] in SERVICES
    }
    services = {action.partition(":")[0] for action in used if NEEDS[action]}
    return set().union(*(NEEDS[action] for action in used)), services


def allowed(policy: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Which rights on the key a policy gives, and through which services."""
    (given,) = [one for one in statements(policy) if any("kms:" in a for a in actions(one))]
    assert given["Resource"] == "KmsKey"
    assert given["Condition"].keys() == {"StringLike"}
    through = given["Condition"]["StringLike"]["kms:ViaService"]
    named = {re.fullmatch(r"([a-z0-9]+)\.\*\.amazonaws\.com\*", one) for one in through}
    return actions(given), {match[1] for match in named if match}


def functions() -> Iterator[tuple[str, dict[str, Any]]]:
    """The role of each function, and its policy."""
    for resource in RESOURCES.values():
        if resource["Type"] == "AWS::Serverless::Function":
            role = resource["Properties"]["Role"].value.removesuffix(".Arn")
            (policy,) = RESOURCES[role]["Properties"]["Policies"]
            yield role, policy


@pytest.mark.parametrize("name", [n for n, r in RESOURCES.items() if r["Type"] in BY_TYPE])
def test_with_a_key_whatever_holds_or_carries_data_is_encrypted_by_it(name: str) -> None:
    said = told(RESOURCES[name]["Properties"], key=True)

    wanted = BY_TYPE[RESOURCES[name]["Type"]]
    assert {field: said.get(field) for field in wanted} == wanted
    assert "SqsManagedSseEnabled" not in said  # SQS has one or the other


def test_no_type_of_resource_is_forgotten() -> None:
    assert {resource["Type"] for resource in RESOURCES.values()} <= OTHERWISE | BY_TYPE.keys()


@pytest.mark.parametrize("name", [n for n, r in RESOURCES.items() if r["Type"] in BY_TYPE])
def test_without_a_key_nothing_names_one(name: str) -> None:
    said = told(RESOURCES[name]["Properties"], key=False)

    assert not said.keys() & {"KmsMasterKeyId", "SSESpecification"}
    assert said.get("SqsManagedSseEnabled", "not a queue") in (True, "not a queue")
    by_aws = [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    rules = said.get("BucketEncryption", {"ServerSideEncryptionConfiguration": by_aws})
    assert rules["ServerSideEncryptionConfiguration"] == by_aws


def test_each_function_may_use_the_key_for_what_it_does_and_by_no_other_way() -> None:
    use = RESOURCES["KmsUse"]
    roles = [
        role.value if role.tag == "!Ref" else role.value[1].value
        for role in use["Properties"]["Roles"]
    ]
    given, through = allowed(use["Properties"])
    wanted = {role: asked(policy) for role, policy in functions()}

    assert sorted(roles) == sorted(wanted)
    assert {role: rights for role, (rights, _) in wanted.items()} == dict.fromkeys(roles, given)
    assert set().union(*(services for _, services in wanted.values())) == through


def test_a_function_that_is_optional_brings_its_role_along_only_where_it_exists() -> None:
    for role in RESOURCES["KmsUse"]["Properties"]["Roles"]:
        name = role.value if role.tag == "!Ref" else role.value[1].value
        condition = None if role.tag == "!Ref" else role.value[0]
        assert RESOURCES[name].get("Condition") == condition, name


@pytest.mark.parametrize("name", PEOPLE)
def test_people_may_use_the_key_for_what_their_policy_lets_them_do(name: str) -> None:
    policy = RESOURCES[name]["Properties"]

    assert allowed(policy) == asked(policy)
    without = told(policy["PolicyDocument"]["Statement"], key=False)
    assert not [one for one in without if "kms:" in str(one)]


def test_the_key_lets_in_each_service_that_sends_into_what_it_encrypts_and_no_other() -> None:
    """A service without that right loses what it sends: dropped files, alarms, orders."""
    of_type: dict[str, list[dict[str, Any]]] = {}
    for resource in RESOURCES.values():
        of_type.setdefault(resource["Type"], []).append(resource["Properties"])
    senders = {
        one["Principal"]["Service"]
        for policy in of_type["AWS::SQS::QueuePolicy"]
        for one in policy["PolicyDocument"]["Statement"]
    }
    if [one for one in of_type["AWS::SNS::Subscription"] if one["Protocol"] == "sqs"]:
        senders.add("sns.amazonaws.com")
    if [rule for rule in of_type["AWS::Events::Rule"] if rule.get("Targets")]:
        senders.add("events.amazonaws.com")
    if [one for one in of_type["AWS::CloudWatch::Alarm"] if one["AlarmActions"]]:
        senders.add("cloudwatch.amazonaws.com")

    own, *services = KEY["Properties"]["KeyPolicy"]["Statement"]
    assert {one["Principal"]["Service"] for one in services} == senders
    for one in services:
        assert (one["Effect"], actions(one)) == ("Allow", {"kms:Decrypt", "kms:GenerateDataKey*"})
    assert own["Principal"]["AWS"].value.endswith(":${AWS::AccountId}:root")


def test_services_are_let_in_for_this_account_and_eventbridge_without_a_condition() -> None:
    """EventBridge sends neither aws:SourceArn nor aws:SourceAccount along to KMS."""
    limits = {
        one["Principal"]["Service"].partition(".")[0]: one.get("Condition")
        for one in KEY["Properties"]["KeyPolicy"]["Statement"][1:]
    }
    assert limits.pop("events") is None
    for service, condition in limits.items():
        source = condition["ArnLike"]["aws:SourceArn"].value
        assert source.startswith(
            f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:"
        )


def test_a_key_outlives_its_stack_and_is_rotated() -> None:
    assert (KEY["DeletionPolicy"], KEY["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert KEY["Properties"]["EnableKeyRotation"] is True


def test_only_the_arn_of_a_key_is_taken() -> None:
    allowed = re.compile(TEMPLATE["Parameters"]["KmsKey"]["AllowedPattern"])
    name = "1234abcd-12ab-34cd-56ef-1234567890ab"
    good = [
        "",
        f"arn:aws:kms:eu-west-1:111122223333:key/{name}",
        f"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{name}",
        "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ]
    bad = [name, "alias/aws/sns", f"arn:aws:kms:eu-west-1:111122223333:alias/{name}"]

    assert [text for text in [*good, *bad] if allowed.fullmatch(text)] == good
    assert TEMPLATE["Parameters"]["KmsKey"]["Default"] == ""


def test_nothing_takes_an_etag_for_a_hash_of_the_content() -> None:
    """Of an object encrypted by KMS it is none; what is verified is the CRC32."""
    sources = [*(ROOT / "layers/core/batchwatch").rglob("*.py"), *(ROOT / "functions").glob("*.py")]

    assert sources
    assert [path for path in sources if "md5" in path.read_text().lower()] == []


def test_the_document_tells_the_most_that_the_key_may_cost() -> None:
    """By the formulas of SQS and SNS, if each who may send or read did so every five minutes."""
    queues = sum(2 * senders + readers for senders, readers in sent_and_read("sqs").values())
    topics = sum(2 * senders for senders, _ in sent_and_read("sns").values())
    document = (ROOT / "docs/encryption.md").read_text()
    periods = 30 * 86400 // 300

    assert f"{queues} \N{MULTIPLICATION SIGN} {periods:,}" in document
    assert f"{topics} \N{MULTIPLICATION SIGN} {periods:,}" in document
    dollars = (queues + topics) * periods * 0.03 / 10_000
    assert f"{dollars:.2f} dollars" in document


def sent_and_read(service: str) -> dict[str, tuple[int, int]]:
    """Of each queue or topic that is not for the dead: how many principals send, and how many read.

    All is wanted that can be; alarms hardly ever ring.
    """
    send = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}[service]
    kinds = {"sqs": "AWS::SQS::Queue", "sns": "AWS::SNS::Topic"}
    found = {}
    for name, resource in RESOURCES.items():
        if resource["Type"] != kinds[service] or name.endswith("DeadLetters"):
            continue
        users = [
            [a for one in statements(policy) for a in actions(one) if name in places(one)]
            for _, policy in functions()
        ]
        services = {
            one["Principal"]["Service"]
            for policy in RESOURCES.values()
            if policy["Type"] == "AWS::SQS::QueuePolicy"
            for one in told(policy["Properties"]["PolicyDocument"]["Statement"], key=True)
            if name in places(one)
        }
        sends = sum(send in used for used in users) + len(services)
        found[name] = sends, sum("sqs:ReceiveMessage" in used for used in users)
    return found


def places(statement: dict[str, Any]) -> set[str]:
    said = statement["Resource"]
    return {one.removesuffix(".Arn") for one in ([said] if isinstance(said, str) else said)}
