"""The template, the code, the build files and the documents say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import version
from typing import Any

import pytest

from batchwatch.batch import TERMINAL
from batchwatch.settings import Settings
from local.deploy import ROOT, Tagged, read_template, write_template

TEMPLATE = read_template()
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = {n: r for n, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::Function"}
ALARMS = {n: r["Properties"] for n, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
SHARED = TEMPLATE["Globals"]["Function"]
OPTIONAL = {  # by its condition: how names begin, the parameter, and by which value it is off
    "WebhooksOn": ("Webhook", "Webhooks", "off"),
    "BusOn": ("Relay", "EventBus", ""),
    "EmailWanted": ("Mail", "NotificationEmail", ""),
    "SlackWanted": ("Slack", "SlackChannel", ""),
    "DashboardOn": ("Dashboard", "Dashboard", "off"),
    "KmsKeyGiven": ("Kms", "KmsKey", ""),
}
WITHIN = {  # what changes only a part of a resource: the parameter, and by which value it is off
    "SubscribersOn": ("SubscriberAccounts", ""),
    "ArchiveExpires": ("ArchiveExpiry", "0"),
    "InboxExpires": ("InboxExpiry", "0"),
}
REQUIREMENTS = (ROOT / "layers/core/requirements.txt").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\\s]+)", text, re.MULTILINE))


def variables(environment: dict[str, Any]) -> set[str]:
    return {
        name.removeprefix("BATCHWATCH_").lower()
        for name in environment["Variables"]
        if name.startswith("BATCHWATCH_")
    }


def test_every_variable_is_a_setting_and_every_required_setting_is_given() -> None:
    shared = variables(SHARED["Environment"])
    own = [
        variables(f["Properties"].get("Environment", {"Variables": {}})) for f in FUNCTIONS.values()
    ]

    assert shared.union(*own) <= set(Settings.model_fields)
    assert {n for n, f in Settings.model_fields.items() if f.is_required()} <= shared


def test_with_the_longest_prices_lambda_has_room_for_all_variables() -> None:
    """It takes 4 kB of names and values; those of resources hold ARNs and the stack's name."""
    own = FUNCTIONS["Notifier"]["Properties"]["Environment"]["Variables"]
    said = {n: v.value for n, v in (SHARED["Environment"]["Variables"] | own).items()}
    chosen = [TEMPLATE["Parameters"][v] for v in said.values() if v in TEMPLATE["Parameters"]]
    length = sum(map(len, said)) + 150 * (len(said) - len(chosen))
    length += sum(p.get("MaxLength", 10) for p in chosen)

    assert 1800 < length < 4096


def test_poller_and_webhook_decide_by_the_same_rules() -> None:
    """What only one of them knew, the other would take for its default."""
    rules = {"discovery", "archive_input", "grace", "progress_steps", "lost_after"} | {
        name for name in Settings.model_fields if name.startswith("stalled_")
    }

    assert rules <= variables(SHARED["Environment"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_file_a_handler_a_build_target_and_a_sample_event(name: str) -> None:
    module, handler = FUNCTIONS[name]["Properties"]["Handler"].split(".")

    assert module == name.lower()
    tree = ast.parse((ROOT / "functions" / f"{module}.py").read_text())
    assert handler in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert f"build-{name}:\n\tcp {module}.py" in (ROOT / "functions/Makefile").read_text()
    assert (ROOT / "events" / f"{module}.json").exists()
    assert len((ROOT / "functions" / f"{module}.py").read_text().splitlines()) <= 40


def test_the_python_of_the_functions_is_that_of_the_layer() -> None:
    runtime, python = SHARED["Runtime"], SHARED["Runtime"].removeprefix("python")

    assert RESOURCES["Core"]["Properties"]["CompatibleRuntimes"] == [runtime]
    assert f"--python-version {python} " in (ROOT / "layers/core/Makefile").read_text()


def test_what_is_not_for_everybody_exists_only_where_it_is_wanted() -> None:
    """No address for webhooks, no way to a bus: nothing of them is there, nor paid for."""
    for name, said in {**RESOURCES, **TEMPLATE["Outputs"]}.items():
        wanted = [only for only, (begins, *_) in OPTIONAL.items() if name.startswith(begins)]
        assert [said[key] for key in said if key == "Condition"] == wanted, name


def test_whatever_can_be_wanted_is_off_unless_somebody_says_so() -> None:
    assert set(TEMPLATE["Conditions"]) == {*OPTIONAL, *WITHIN}
    for condition, (*_, parameter, off) in {**OPTIONAL, **WITHIN}.items():
        assert TEMPLATE["Parameters"][parameter]["Default"] == off, condition


def test_who_comes_by_the_address_may_call_webhook_and_nobody_else_may() -> None:
    """Of both permissions, AWS demands the second since October 2025."""
    said = [r["Properties"] for r in RESOURCES.values() if r["Type"] == "AWS::Lambda::Permission"]
    limits = {each["Action"]: each for each in said}

    assert {each["FunctionName"].value for each in said} == {"Webhook"}
    assert set(limits) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert limits["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert limits["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


def test_a_guided_deployment_asks_nothing_that_enter_does_not_answer() -> None:
    """SAM asks, with No as the default, whether an address may be without authentication."""
    for function in FUNCTIONS.values():
        assert "FunctionUrlConfig" not in function["Properties"]


def test_the_archiver_is_sent_every_terminal_status_and_nothing_else() -> None:
    wanted = RESOURCES["EndedBatches"]["Properties"]["FilterPolicy"]

    assert wanted.keys() == {"type"}
    assert set(wanted["type"]) == {f"batch.{status}" for status in TERMINAL}


def test_a_message_is_not_given_to_a_second_archiver_while_the_first_may_run() -> None:
    parameters = TEMPLATE["Parameters"]

    slack = parameters["ArchiveVisibility"]["Default"] - parameters["ArchiveTimeout"]["Default"]
    assert slack >= 60


def test_what_happens_within_a_minute_is_one_digest_of_at_most_two_at_a_time() -> None:
    (source,) = FUNCTIONS["Notifier"]["Properties"]["Events"].values()
    asked = source["Properties"]

    assert (asked["BatchSize"], asked["MaximumBatchingWindowInSeconds"]) == (1000, 60)
    assert asked["ScalingConfig"] == {"MaximumConcurrency": 2}


@pytest.mark.parametrize("name", ["Notifier", "Relay"])
def test_what_failed_comes_again_alone_and_not_while_it_may_be_worked_on(name: str) -> None:
    """AWS asks for a queue's visibility of six times the timeout, and the window."""
    function = FUNCTIONS[name]["Properties"]
    (source,) = function["Events"].values()
    queue = RESOURCES[source["Properties"]["Queue"].value.removesuffix(".Arn")]["Properties"]
    window = source["Properties"].get("MaximumBatchingWindowInSeconds", 0)

    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + window
    assert queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] >= 2 * 3600


def test_people_are_told_of_what_notify_on_names_and_memory_ends_by_what_is_written() -> None:
    announced = RESOURCES["Announced"]["Properties"]
    assert announced["FilterPolicy"]["type"].value == "NotifyOn"
    forgetting = RESOURCES["Told"]["Properties"]["TimeToLiveSpecification"]
    assert forgetting == {"AttributeName": "expires", "Enabled": True}


def test_what_holds_data_outlives_the_stack() -> None:
    for name in ("Ledger", "Bucket"):
        assert RESOURCES[name]["DeletionPolicy"] == "Retain"
        assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_every_dead_letter_queue_has_an_alarm() -> None:
    dead = {
        policy["deadLetterTargetArn"].value.removesuffix(".Arn")
        for resource in RESOURCES.values()
        if (policy := resource["Properties"].get("RedrivePolicy"))
    }
    watched = {
        dimension["Value"].value.removesuffix(".QueueName")
        for alarm in ALARMS.values()
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "QueueName"
    }

    assert dead == watched


def test_an_alarm_is_on_a_metric_that_is_told_and_reaches_who_looks_after_it() -> None:
    source = (ROOT / "layers/core/batchwatch/telemetry.py").read_text() + "".join(
        path.read_text() for path in (ROOT / "functions").glob("*.py")
    )
    for name, alarm in ALARMS.items():
        assert [action.value for action in alarm["AlarmActions"]] == ["Alarms"], name
        if alarm["Namespace"] == "batchwatch":
            assert f'"{alarm["MetricName"]}"' in source
            assert [d["Value"].value for d in alarm["Dimensions"]] == ["AWS::StackName"]


def test_every_alarm_has_a_runbook_and_every_metric_a_line() -> None:
    told = (ROOT / "docs/operations.md").read_text()
    telemetry = (ROOT / "layers/core/batchwatch/telemetry.py").read_text()

    assert set(re.findall(r"^### (\w+)$", told, re.MULTILINE)) == set(ALARMS)
    for metric in re.findall(r'(?:metric\(|\s)"([A-Z]\w+)"[,:]', telemetry):
        assert f"`{metric}`" in told, metric


def test_no_news_is_bad_news_of_polls_only() -> None:
    silent = {n for n, alarm in ALARMS.items() if alarm["TreatMissingData"] == "breaching"}

    assert silent == {"NoPolls"}


def test_the_bucket_refuses_what_is_not_encrypted_on_the_way() -> None:
    (statement,) = RESOURCES["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_resource_has_a_fixed_name_so_that_two_stacks_can_live_side_by_side() -> None:
    of_others = {"DisplayName", "MetricName", "FunctionName", "EventBusName"}
    for resource in RESOURCES.values():
        for key, value in resource["Properties"].items():
            if key.endswith("Name") and key not in of_others:
                assert "${AWS::StackName}" in value.value


def test_no_level_of_log_reaches_the_libraries_which_would_log_the_secret() -> None:
    assert SHARED["LoggingConfig"].keys() == {"LogGroup"}


def test_the_layer_is_pinned_by_hash_and_names_no_index() -> None:
    packages = pins(REQUIREMENTS)

    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", REQUIREMENTS)) >= len(packages)
    assert "://" not in REQUIREMENTS
    assert "boto3" not in packages


def test_tests_run_the_versions_that_are_deployed() -> None:
    packages = pins(REQUIREMENTS)
    constraints = pins("\n".join(PYPROJECT["tool"]["uv"]["constraint-dependencies"]))

    assert constraints == {"boto3": "1.44.5", **packages}
    assert {name: version(name) for name in packages} == packages


def test_a_template_survives_being_read_and_written() -> None:
    again = write_template(TEMPLATE)

    assert "!GetAtt Ledger.Arn" in again.replace("'", "")
    assert again.count("!Sub") == (ROOT / "template.yaml").read_text().count("!Sub")


def test_the_layer_is_found_by_a_parameter_and_an_output_and_binds_nobody() -> None:
    """An Export could not change while another stack uses it."""
    assert RESOURCES["LayerArn"]["Properties"]["Value"].value == "Core"
    assert (
        RESOURCES["LayerArn"]["Properties"]["Name"].value == "/batchwatch/${AWS::StackName}/layer"
    )
    assert TEMPLATE["Outputs"]["LayerArn"]["Value"].value == "Core"
    assert RESOURCES["Core"]["Properties"]["RetentionPolicy"] == "Retain"
    assert not [name for name, output in TEMPLATE["Outputs"].items() if "Export" in output]


def test_slack_gets_digests_and_alarms_and_lets_nobody_do_anything_from_there() -> None:
    channel = RESOURCES["SlackChannelOfChat"]["Properties"]

    assert [topic.value for topic in channel["SnsTopicArns"]] == ["Chat", "Alarms"]
    assert "Policies" not in RESOURCES["SlackRole"]["Properties"]
    assert channel["GuardrailPolicies"][0].value.endswith(":policy/AWSDenyAll")


def test_parameters_are_described_and_asked_for_in_groups_by_console_and_command_line_alike() -> (
    None
):
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    text = (ROOT / "template.yaml").read_text().split("\nRules:\n")[0]

    asked = [name for group in groups for name in group["Parameters"]]
    assert asked == list(TEMPLATE["Parameters"])
    labels = [group["Label"]["default"] for group in groups]
    assert re.findall(r"^  # ── (.+)$", text, re.MULTILINE) == labels
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"].endswith((".", "}")), name
        assert "Default" in parameter, name
        limits = {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter)
        assert limits, f"{name} takes anything"
        assert "AllowedPattern" not in limits or "ConstraintDescription" in parameter, name


def test_the_version_is_the_same_wherever_it_stands() -> None:
    current = PYPROJECT["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text()

    assert TEMPLATE["Outputs"]["Version"]["Value"] == current == version("batchwatch")
    assert re.findall(r"^## \[(\d[^]]*)\]", changes, re.MULTILINE)[0] == current


def test_other_accounts_may_subscribe_queues_and_functions_and_nothing_else() -> None:
    policy = RESOURCES["EventsPolicy"]["Properties"]["PolicyDocument"]
    (optional,) = [s.value for s in policy["Statement"] if isinstance(s, Tagged)]
    condition, allowed, otherwise = optional

    assert (condition, otherwise.value) == ("SubscribersOn", "AWS::NoValue")
    comma, accounts = allowed["Principal"]["AWS"].value
    assert (comma, accounts.value) == (",", "SubscriberAccounts")
    assert allowed["Action"] == "sns:Subscribe"
    assert allowed["Condition"] == {"StringEquals": {"sns:Protocol": ["sqs", "lambda"]}}


def test_what_the_bucket_keeps_for_good_can_be_told_to_expire_with_its_old_versions() -> None:
    source = (ROOT / "template.yaml").read_text().split("\n  Bucket:\n")[0]
    written = set(re.findall(r"\$\{Bucket\.Arn\}/([a-z-]+/)\*", source))
    rules = RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    plain = [r for r in rules if not isinstance(r, Tagged) and "Prefix" in r]
    expiring = {r["Prefix"]: "always" for r in plain} | {
        r.value[1]["Prefix"]: r.value[0] for r in rules if isinstance(r, Tagged)
    }

    assert set(expiring) == written
    assert {p for p, when in expiring.items() if when == "InboxExpires"} == {
        "inbox/",
        "inbox-rejected/",
    }
    for rule in [*plain, *(r.value[1] for r in rules if isinstance(r, Tagged))]:
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("NotifyOn", ["batch.failed", "batch.failed, batch.lost"], ["", "batch.fail", "failed"]),
        ("NotificationEmail", ["", "you@example.com"], ["you", "a@b c"]),
        ("Prices", ["", '{"m": {"input": 2}}'], ["{", "2", "[]"]),
        ("EventBus", ["", "default", "my.bus-2"], ["arn:aws:events:us-east-1:1:event-bus/b"]),
        ("Schedule", ["rate(1 minute)", "cron(0/5 * * * ? *)"], ["", "1 minute", "rate()"]),
        ("SubscriberAccounts", ["", "111122223333,444455556666"], ["1111", "*", "you"]),
        ("ArchiveExpiry", ["0", "30", "365", "9999"], ["", "1", "29", "-1", "030", "10000"]),
        ("InboxExpiry", ["0", "14", "30", "99"], ["", "1", "13", "099"]),
    ],
)
def test_a_parameter_that_cannot_work_is_refused_before_anything_is_deployed(
    parameter: str, good: list[str], bad: list[str]
) -> None:
    allowed = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])

    assert [text for text in [*good, *bad] if allowed.fullmatch(text)] == good
