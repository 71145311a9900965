"""Each command of docs/operations.md, typed as it stands after the trouble that it is for."""

from __future__ import annotations

import io
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.errors import BusError
from batchwatch.events import make_event
from batchwatch.report import Problem, Report
from batchwatch.telemetry import logger, metrics, tell
from local.service import ACCOUNT
from tests.builders import read
from tests.documents import filled_in, names_of, questions, runbooks
from tests.handlers import sample
from tests.permissions.watched import Watched, unused
from tests.signed import SECRET, webhook
from tests.whole.stack import deployed
from tests.whole.terminal import Typed, aws_cli, why_not
from tests.whole.test_cli import BRIEF, Person
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.whole.stack import Stack

WHY_NOT = why_not()
NOT_HERE = {
    "aws sqs start-message-move-task --source-arn ARCHIVE_DEAD_LETTERS_ARN"
    " --destination-arn ARCHIVE_QUEUE_ARN": "Debian's CLI and the local AWS do not know it",
    "aws sqs purge-queue --queue-url RELAY_DEAD_LETTERS_URL": "others are looked for in it",
    "batchwatch doctor --webhook": "the local AWS has the address of a function for its name only",
}
"""What cannot be run here, and why."""
ONLY_PARSED = "'?ERROR ?Task'"
"""The local AWS looks for lines with both; in CloudWatch, one of them is enough."""
FOUND = {
    '"polled"': '"message":"polled"',
    '"accounts_refused"': '"accounts_refused":["broken"]',
    '"set aside"': '"error":"AccessError"',
    '"notified"': '"unconfirmed":',
    '"EventBridge did not take"': "AccessDeniedException",
    "reduced": '"message":"reduced"',
    '"refused"': '"reason":"Clock"',
    '"heard"': '"known":false',
}
"""What is found in the log by each pattern, once there has been the trouble."""
BAD_NEWS = {
    "batchwatch doctor",  # something rings
    "batchwatch redrive",
    "batchwatch redrive archive",
    "batchwatch redrive archive --send-back",  # one of them nobody can read
    "batchwatch redrive inbox",
    "batchwatch redrive inbox --send-back",
    "batchwatch redrive notify",
    "batchwatch redrive notify --send-back",
    "batchwatch redrive relay",
    "batchwatch redrive relay --send-back",
}
"""What ends with exit code 1, as something is wrong."""
POLICIES = ("ReadersPolicy", "OperatorsPolicy")
MORE = (
    "aws lambda",
    "aws sns",
    "aws dynamodb",
    "aws scheduler",
    "aws sqs",
    "aws cloudwatch get-dashboard",
)
"""What takes more than the two policies of the stack."""
OWNER = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


def test_what_cannot_be_run_is_in_the_runbooks() -> None:
    typed = runbooks()

    assert {*NOT_HERE, *BAD_NEWS} <= {*typed}
    assert any(ONLY_PARSED in command for command in typed)
    assert [more for more in MORE if not any(c.startswith(more) for c in typed)] == []


@pytest.mark.deploy
@pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT)
def test_the_commands_of_the_runbooks_find_the_trouble_and_mend_it(
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr("batchwatch.cli.mend.mailbox.WAIT", 0)  # the local SQS is one server
    everything = {"Webhooks": "on", "EventBus": "default", "Dashboard": "on"}
    with (
        deployed(Watched, **everything) as stack,
        aws_cli(stack.emulator.endpoint) as aws,
        ThreadPoolExecutor(1) as beside,
    ):
        batch = trouble(stack)
        person, names = Person(stack, "operator", POLICIES), placeholders(stack, batch)
        lines = {each: filled_in(each, names) for each in runbooks() if each not in NOT_HERE}
        assert set(re.findall(r"\b[A-Z_]{4,}\b", " ".join(lines.values()))) <= {"ERROR", "ALARM"}
        typed = {
            command: beside.submit(
                aws, line, OWNER if line.startswith(MORE) else person.environment
            )
            for command, line in lines.items()
            if line.startswith("aws ")
        }
        for command, line in lines.items():
            with subtests.test(command):
                said = typed[command].result() if command in typed else by_hand(person, line)
                judge(command, said)
        with subtests.test("what was sent back is done"):
            # There is no such job, of which Submitter was told.
            assert dead_letters(stack).keys() <= {"InboxDeadLettersUrl"}
        with subtests.test("the dashboard"):
            show(stack)
        with subtests.test("the log"):
            ask(stack, batch)
        with subtests.test("each right on queues was used"):
            assert unused(stack.emulator, "runbooks", record_property) == []


def by_hand(person: Person, line: str) -> Typed:
    """Type a command of ours; nobody is there to say yes."""
    asks = re.search("--(send-back|drop)", line) is not None
    said = person(line.removeprefix("batchwatch ") + " --yes" * asks)
    return Typed(said.code, said.out + said.err)


def judge(command: str, typed: Typed) -> None:
    """Whether it ended as it should, and found what it looks for."""
    assert typed.code == (command in BAD_NEWS), typed.text
    pattern = re.search(r"--filter-pattern '?(.+?)'?$", command)
    if pattern and ONLY_PARSED not in command:
        assert FOUND[pattern[1]] in typed.text
    if "describe-alarms" in command:
        assert re.search(r"^batchwatch-OrdersDead\S*\tas the test wants$", typed.text, re.MULTILINE)
    if "list-schedules" in command:
        assert re.findall(r"\t(\w+)\n", typed.text) == ["ENABLED", "ENABLED"]
    if "lambda invoke" in command:
        assert '"open": 0' in typed.text


def placeholders(stack: Stack, batch: str) -> dict[str, str]:
    """Give each name in capitals its value: an output of the stack, or what the document says."""
    said = {"STACK": "batchwatch", "BATCH_ID": batch, "ID": batch, "ACCOUNT": "gone"}
    return said | names_of(stack.service.outputs)


def trouble(stack: Stack) -> str:
    """Let happen what the runbooks are for; return a batch that has ended well."""
    secrets = stack.emulator.client("secretsmanager")
    good = {"api_key": KEY, "base_url": stack.openai.base_url, "webhook_secrets": [SECRET]}
    bad = {"api_key": "sk-not-this-one", "base_url": stack.openai.base_url}
    secrets.put_secret_value(
        SecretId=stack.service.outputs["KeysSecret"],
        SecretString=json.dumps({"accounts": {ACCOUNT: good, "broken": bad}}),
    )
    batch = stack.watch(BRIEF)
    with stack.ticking():
        call(stack, "Webhook", sample("webhook"))
        call(stack, "Webhook", webhook("batch_of_a_test", time.time()))
        call(stack, "Notifier", sample("notifier"))
        assert stack.settle(60) == []
    die(stack, batch)
    log(stack, batch)
    alarms = stack.emulator.client("cloudwatch")
    names = [alarm["AlarmName"] for alarm in alarms.describe_alarms()["MetricAlarms"]]
    (dead,) = [name for name in names if "OrdersDead" in name]
    alarms.set_alarm_state(AlarmName=dead, StateValue="ALARM", StateReason="as the test wants")
    return batch


def call(stack: Stack, function: str, event: Any) -> None:
    name = stack.service.outputs[f"{function}Function"]
    client = stack.emulator.client("lambda", patience=180)
    client.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"].read()


def die(stack: Stack, batch: str) -> None:
    """Put dead letters into each queue, also such as nobody can read."""
    stack.messages += stack.listener.news()
    event = stack.messages[0]
    order = json.dumps({"subject": batch, "data": {"account": ACCOUNT}})
    letters = {"Archive": [order], "Inbox": [json.dumps({"job": "job_gone"})]}
    letters |= {"Notify": [event], "Relay": [event]}
    for queue, bodies in letters.items():
        for body in [*bodies, "?"]:
            url = stack.service.outputs[f"{queue}DeadLettersUrl"]
            stack.sqs.send_message(QueueUrl=url, MessageBody=body)


def log(stack: Stack, batch: str) -> None:
    """Log, as the functions do, what the local AWS cannot be brought to."""
    how: dict[str, Any] = {"source": "s", "account": ACCOUNT, "by": "poller", "now": time.time()}
    event = make_event(
        "batch.completed", read("completed"), status="completed", previous_status=None,
        sequence=1, **how,
    )  # fmt: skip
    refused = BusError("EventBridge did not take batch.completed: AccessDeniedException")
    report = Report.of([event.reduced()]) + Report(problems=[Problem(refused, ACCOUNT, batch)])
    lines = io.StringIO()
    logger.registered_handler.setStream(lines)  # type: ignore[attr-defined]
    tell(report, "relayed")
    metrics.clear_metrics()
    logs, group = stack.emulator.client("logs"), stack.service.outputs["LogGroup"]
    logs.create_log_stream(logGroupName=group, logStreamName="test")
    now = round(time.time() * 1000)
    texts = [*lines.getvalue().splitlines(), "… Task timed out after 120.00 seconds"]
    said = [{"timestamp": now, "message": text} for text in texts]
    logs.put_log_events(logGroupName=group, logStreamName="test", logEvents=said)


def dead_letters(stack: Stack) -> Counter[str]:
    """How many lie in each queue."""
    found: Counter[str] = Counter()
    for name, url in stack.service.outputs.items():
        if name.endswith("DeadLettersUrl"):
            found[name] = len(stack._bodies(url))
    return +found


def show(stack: Stack) -> None:
    """The dashboard names what is there, and nothing else."""
    cloudwatch = stack.emulator.client("cloudwatch")
    name = stack.service.outputs["DashboardName"]
    widgets = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]
    alarms = {alarm["AlarmArn"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    (shown,) = [each["properties"]["alarms"] for each in widgets if each["type"] == "alarm"]
    group = f"SOURCE '{stack.service.outputs['LogGroup']}' | "
    asked = [each["properties"]["query"] for each in widgets if each["type"] == "log"]
    functions = {*named(widgets, "FunctionName")}

    assert name == "batchwatch-us-east-1"
    assert {*shown} == alarms
    assert [query for query in asked if not query.startswith(group)] == []
    outputs = stack.service.outputs
    assert functions >= {value for key, value in outputs.items() if key.endswith("Function")}
    assert not [value for value in functions if not value.startswith("batchwatch-")]
    queues = {outputs[key].rpartition("/")[2] for key in outputs if key.endswith("Url")}
    assert {*named(widgets, "QueueName")} <= queues


def named(widgets: list[dict[str, Any]], dimension: str) -> Iterator[str]:
    for each in widgets:
        for metric in each["properties"].get("metrics", []):
            if metric[2] == dimension:
                yield metric[3]


def ask(stack: Stack, batch: str) -> None:
    """Of Logs Insights, the local AWS knows `filter @message like`, and no more."""
    logs, group = stack.emulator.client("logs"), stack.service.outputs["LogGroup"]
    found = {}
    for question in questions():
        if "filter @message like" in question.query:
            query = logs.start_query(
                logGroupName=group, startTime=0, endTime=round(time.time()) + 1,
                queryString=question.query.replace("BATCH_ID", batch),
            )["queryId"]  # fmt: skip
            rows = logs.get_query_results(queryId=query)["results"]
            found[question.title] = [
                field["value"] for row in rows for field in row if field["field"] == "@message"
            ]

    assert found.keys() == {"All of one batch", "What broke off"}
    assert all(batch in line for line in found["All of one batch"])
    for kind in ("batch.completed", "batch.archived"):
        assert any(f'"type":"{kind}"' in line for line in found["All of one batch"])
    assert found["What broke off"]
