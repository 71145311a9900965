"""`batchwatch doctor`: each check of a stack in order, and out of order."""

from __future__ import annotations

import json
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest

from local.simulator import Script
from local.simulator.wire import Answer, Request, json_answer, serving
from tests.cli.clinic import YOU, Clinic
from tests.command_line import batchwatch
from tests.world import KEY, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


@pytest.fixture
def clinic(world: World) -> Iterator[Clinic]:
    """The world, with all that is looked at."""
    with Clinic(world) as clinic:
        yield clinic


def _doctor(*options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and what was found by check; of several, the first."""
    said = batchwatch("doctor", "--json", *options)
    return said.code, {finding["check"]: finding for finding in reversed(said.objects)}


@pytest.mark.usefixtures("clinic")
def test_all_that_is_in_order_is_a_line_each_without_a_key() -> None:
    said = batchwatch("doctor")

    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[-1] == "0 problems, 0 warnings; 20 ok"
    assert all(line.startswith("✓ ok  ") for line in lines[:-1])
    assert lines[0].endswith("as AWS has it")
    assert lines[-2].endswith("enough for every check")
    assert KEY not in said.out


def test_what_is_out_of_order_is_named_with_the_way_to_mend_it(clinic: Clinic) -> None:
    _put_all_out_of_order(clinic)

    code, found = _doctor()

    assert code == 1
    assert {check: each["state"] for check, each in found.items()} == {
        "clock": "ok",
        "stack": "warning",
        "version": "warning",
        "schedule of Poller": "problem",
        "schedule of Submitter": "ok",
        "last poll": "problem",
        "log": "warning",
        "secret": "ok",
        "key of default": "problem",
        "webhook": "problem",
        "email": "problem",
        "listeners": "warning",
        "alarms' listeners": "warning",
        "alarms": "problem",
        "dead letters of archive": "problem",
        "dead letters of inbox": "ok",
        "archive": "warning",
        "bucket's versions": "problem",
        "bucket's access": "problem",
        "your rights": "ok",
    }
    assert all(each["way_out"] for each in found.values() if each["state"] != "ok")
    assert found["last poll"]["found"] == "none for 2 h"
    assert found["log"]["found"].endswith("lately default: it did not answer")
    assert YOU in found["email"]["found"]
    assert found["alarms"]["way_out"] == (
        "see why: aws logs tail log --since 1h --filter-pattern '?ERROR ?Task';"
        " what to do: docs/operations.md, NoPolls"
    )
    assert "1 message" in found["dead letters of archive"]["found"]
    assert found["dead letters of archive"]["way_out"].startswith("see what: batchwatch redrive a")
    assert found["archive"]["way_out"].startswith("batchwatch archive batch_")
    assert set(found["stack"]) == {"check", "state", "found", "way_out"}


def _put_all_out_of_order(clinic: Clinic) -> None:
    world = clinic.world
    world.clock.now = time.time() - 10_000
    world.batch(BRIEF)
    world.poll()
    world.poll(after=1000)  # which ends, and nobody archives it
    clinic.status = "UPDATE_ROLLBACK_COMPLETE"
    clinic.schedule("batchwatch-PollerTick", "DISABLED")
    clinic.forget_log()
    del clinic.outputs["Version"]  # as 0.1.0 has it
    client("cloudwatch").put_metric_data(
        Namespace="batchwatch",
        MetricData=[
            {
                "MetricName": "OpenBatches",
                "Dimensions": [{"Name": "service", "Value": "batchwatch"}],
                "Timestamp": time.time() - 7250,
                "Value": 1,
            }
        ],
    )
    clinic.log("set aside", account="default", reason="it did not answer")
    accounts = {"default": {"api_key": "sk-wrong", "base_url": world.openai.base_url}}
    world.put_secret(json.dumps({"accounts": accounts}))
    clinic.outputs["WebhookUrl"] = "http://127.0.0.1:1/"
    clinic.pending |= {clinic.outputs["NotificationsTopic"], clinic.outputs["AlarmsTopic"]}
    clinic.own_all_subscriptions()
    client("cloudwatch").set_alarm_state(
        AlarmName="batchwatch-NoPolls", StateValue="ALARM", StateReason="a test"
    )
    dead = clinic.outputs["ArchiveDeadLettersUrl"]
    client("sqs").send_message(QueueUrl=dead, MessageBody="{}")
    bucket = clinic.outputs["BucketName"]
    suspended = {"Status": "Suspended"}
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended)
    client("s3").delete_public_access_block(Bucket=bucket)


def test_further_ways_to_be_out_of_order(clinic: Clinic) -> None:
    world = clinic.world
    client("sns").delete_topic(TopicArn=clinic.outputs["AlarmsTopic"])
    clinic.outputs["AlarmsTopic"] = client("sns").create_topic(Name="silent")["TopicArn"]
    clinic.parameters["NotificationEmail"] = "gone@example.com"
    clinic.parameters["PendingAlarm"] = "3700"
    client("cloudwatch").disable_alarm_actions(AlarmNames=["batchwatch-NoPolls"])
    world.clock.now = time.time() - 10_000
    world.batch(BRIEF)
    world.poll()
    world.poll(after=1000)
    clinic.parts = {k: v for k, v in clinic.parts.items() if k[0] != "AWS::Scheduler::Schedule"}
    world.put_secret('{"accounts": {"Bad Name": {}, "default": {"api_key": 1}}, "other": 1}')

    code, found = _doctor("--webhook")

    assert code == 1
    assert found["schedule"]["found"] == "the stack has none"
    assert "account 1 of the secret is not named" in found["secret"]["found"]
    assert found["email"]["found"].startswith("gone@example.com is not subscribed")
    assert found["alarms' listeners"]["found"] == "nobody hears when an alarm rings"
    assert found["alarms"]["found"] == "silenced: NoPolls"
    assert found["archive"]["state"] == "problem"
    assert found["webhook's answer"]["state"] == "not checked"

    world.put_secret("{}")
    code, found = _doctor()
    assert found["secret"]["found"].startswith("the secret must be JSON")
    assert found["keys"]["state"] == "not checked"


def test_what_may_not_be_looked_at_is_not_checked_and_the_rights_are_summed_up(
    clinic: Clinic,
) -> None:
    for operation in _ASKED:
        clinic.refuse(operation, "AccessDenied")
    clinic.refuse("scheduler.GetSchedule", "ThrottlingException", "Rate exceeded")

    code, found = _doctor()

    assert code == 0
    fine = {check for check, each in found.items() if each["state"] == "ok"}
    assert fine == {"clock", "stack", "version", "webhook"}
    assert {each["state"] for each in found.values()} == {"ok", "not checked"}
    assert "too much to do" in found["schedule"]["found"]
    lacking = found["your rights"]["found"].removeprefix("you lack ").split(", ")
    assert lacking == sorted(operation.replace(".", ":") for operation in _ASKED)


_ASKED = (
    "cloudwatch.DescribeAlarms",
    "cloudwatch.GetMetricStatistics",
    "logs.FilterLogEvents",
    "s3.GetBucketVersioning",
    "s3.ListObjectsV2",
    "secretsmanager.GetSecretValue",
    "sns.ListSubscriptionsByTopic",
    "sqs.GetQueueAttributes",
)


def test_an_account_that_left_the_secret_with_batches_under_way_is_named(clinic: Clinic) -> None:
    world = clinic.world
    world.batch(BRIEF)
    world.poll()
    accounts = {"other": {"api_key": KEY, "base_url": world.openai.base_url}}
    world.put_secret(json.dumps({"accounts": accounts}))

    code, found = _doctor()

    assert code == 1
    assert (
        found["account default"]["found"] == "1 batch with work left, but it is not in the secret"
    )
    assert "--status open -a default" in found["account default"]["way_out"]


def test_a_clock_that_is_off_is_why_aws_refuses(clinic: Clinic) -> None:
    clinic.skew = 900
    assert _doctor()[1]["clock"]["found"] == "15 min ahead: signatures are refused"
    clinic.refuse("cloudformation.DescribeStacks", "SignatureDoesNotMatch", "Signature expired")

    said = batchwatch("doctor")

    assert said.code == 4
    assert "the clock of this machine is 15 min ahead" in said.err
    assert "NTP" in said.err


def test_a_stack_that_cannot_be_asked_for_ends_it_with_the_way_out(clinic: Clinic) -> None:
    other = batchwatch("doctor", "--stack", "other")
    assert (other.code, "no stack 'other'" in other.err) == (3, True)

    clinic.refuse("cloudformation.DescribeStacks", "AccessDenied")
    denied = batchwatch("doctor", "--json")
    assert (denied.code, denied.out) == (4, "")
    assert "cloudformation:DescribeStacks" in denied.err


def test_a_test_event_is_taken_by_the_function_and_changes_nothing(clinic: Clinic) -> None:
    world, mistakes = clinic.world, list[BaseException]()
    world.clock.now = time.time()

    def function(request: Request, body: bytes) -> Answer:
        event = {"headers": request.headers, "body": body.decode(), "isBase64Encoded": False}
        return json_answer(world.runtime.webhook.hear(event).answer, {})

    with serving(function, mistakes, Event()) as url:
        clinic.outputs["WebhookUrl"] = f"{url}/"
        before = world.calls.copy()
        code, found = _doctor("--webhook")

    assert mistakes == []
    assert (code, found["webhook"]["state"]) == (0, "ok")
    assert found["webhook's answer"]["found"].startswith("took an event signed for default")
    assert world.calls == before
    assert world.events() == []
