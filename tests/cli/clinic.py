"""A deployed stack in memory with all that `doctor` looks at, each part to be put out of order."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import formatdate
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from tests.cli.conftest import _OUTPUTS
from tests.command_line import Deployed, _session
from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

_LIST = "before-call.cloudformation.ListStackResources"
_HEARD = "before-call.sns.ListSubscriptionsByTopic"
_TARGET = {
    "Arn": "arn:aws:lambda:us-east-1:123456789012:function:poller",
    "RoleArn": "arn:aws:iam::123456789012:role/schedule",
}
_BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
YOU = "you@example.com"


class Clinic(Deployed):
    """The world as the stack `batchwatch`: in order, and polled just now.

    status   of the stack
    skew     seconds by which the clock of AWS is behind ours
    parts    physical ids by type and logical name
    pending  topics whose subscriber has not confirmed
    """

    def __init__(self, world: World) -> None:
        outputs = {name: world.environment[variable] for name, variable in _OUTPUTS.items()}
        super().__init__("batchwatch", outputs)
        self.world = world
        self.status, self.skew = "CREATE_COMPLETE", 0.0
        self.parts: dict[tuple[str, str], str] = {}
        self.pending: set[str] = set()
        self._handlers: list[tuple[str, Any]] = [(_LIST, self._list), (_HEARD, self._unconfirmed)]
        self._schedules()
        self._topics()
        self._alarm("NoPolls")
        client("s3").put_public_access_block(
            Bucket=self.outputs["BucketName"],
            PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKED, True),
        )
        client("logs").create_log_group(logGroupName="log")
        client("logs").create_log_stream(logGroupName="log", logStreamName="stream")
        self.outputs |= {"LogGroup": "log", "Version": version("batchwatch")}
        self.log("polled", open=0)

    def __enter__(self) -> Self:
        for event, handler in self._handlers:
            _session().events.register(event, handler)
        return super().__enter__()

    def __exit__(self, *about: object) -> None:
        for event, handler in self._handlers:
            _session().events.unregister(event, handler)
        super().__exit__(*about)

    def log(self, message: str, *, ago: float = 5, **more: object) -> None:
        """Let a function say something in the log, some seconds ago."""
        line = json.dumps({"message": message, **more})
        client("logs").put_log_events(
            logGroupName="log",
            logStreamName="stream",
            logEvents=[{"timestamp": int((time.time() - ago) * 1000), "message": line}],
        )

    def forget_log(self) -> None:
        """Let nothing be in the log."""
        client("logs").delete_log_stream(logGroupName="log", logStreamName="stream")
        client("logs").create_log_stream(logGroupName="log", logStreamName="stream")

    def own_all_subscriptions(self) -> None:
        """Let everybody who listens to events be the service itself."""
        said = client("sns").list_subscriptions_by_topic(TopicArn=self.outputs["EventsTopic"])
        for number, each in enumerate(said["Subscriptions"]):
            self.parts["AWS::SNS::Subscription", f"Own{number}"] = each["SubscriptionArn"]

    def refuse(self, operation: str, code: str, message: str = "") -> None:
        """Let AWS refuse an operation, such as `sns.ListSubscriptionsByTopic`, from now on."""
        action = operation.replace(".", ":")
        said = message or f"User: me is not authorized to perform: {action} on resource: it"

        def refused(**_: Any) -> Any:
            answer = {"Error": {"Code": code, "Message": said}, **self._dated()}
            return SimpleNamespace(status_code=400), answer

        event = f"before-call.{operation}"
        self._handlers.append((event, refused))
        _session().events.register_first(event, refused)

    def _schedules(self) -> None:
        for logical in ("PollerTick", "SubmitterTick"):
            name = f"batchwatch-{logical}"
            self.parts["AWS::Scheduler::Schedule", logical] = name
            self.schedule(name, "ENABLED")

    def schedule(self, name: str, state: str) -> None:
        """Turn a schedule on or off."""
        scheduler, there = client("scheduler"), client("scheduler").list_schedules()["Schedules"]
        known = any(each["Name"] == name for each in there)
        (scheduler.update_schedule if known else scheduler.create_schedule)(
            Name=name,
            State=state,
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=_TARGET,
        )

    def _topics(self) -> None:
        sns = client("sns")
        for name in ("Notifications", "Alarms", "Chat"):
            topic = sns.create_topic(Name=name)["TopicArn"]
            self.outputs[f"{name}Topic"] = topic
            if name != "Chat":
                sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=YOU)
        said = sns.list_subscriptions_by_topic(TopicArn=self.outputs["EventsTopic"])
        archive = next(s for s in said["Subscriptions"] if "ArchiveQueue" in s["Endpoint"])
        self.parts["AWS::SNS::Subscription", "EndedBatches"] = archive["SubscriptionArn"]
        self.parameters["NotificationEmail"] = YOU

    def _alarm(self, logical: str) -> None:
        name = f"batchwatch-{logical}"
        self.parts["AWS::CloudWatch::Alarm", logical] = name
        client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            AlarmDescription="No poll came to its end.",
            Namespace="batchwatch",
            MetricName="OpenBatches",
            Statistic="SampleCount",
            Period=60,
            EvaluationPeriods=15,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
        )

    def _describe(self, params: dict[str, Any], **_: Any) -> Any:
        http, said = super()._describe(params)
        return http, {**said, **self._dated()}

    def _dated(self) -> dict[str, Any]:
        date = formatdate(time.time() - self.skew, usegmt=True)
        return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _stack(self) -> dict[str, Any]:
        made = datetime(2026, 1, 1, tzinfo=UTC)
        return {**super()._stack(), "StackStatus": self.status, "CreationTime": made}

    def _list(self, **_: Any) -> Any:
        told = [
            {"ResourceType": kind, "LogicalResourceId": logical, "PhysicalResourceId": physical}
            for (kind, logical), physical in self.parts.items()
        ]
        return SimpleNamespace(status_code=200), {"StackResourceSummaries": told}

    def _unconfirmed(self, params: dict[str, Any], **_: Any) -> Any:
        topic = params["body"]["TopicArn"]
        if topic not in self.pending:
            return None
        told = {"Protocol": "email", "Endpoint": YOU, "SubscriptionArn": "PendingConfirmation"}
        return SimpleNamespace(status_code=200), {"Subscriptions": [told]}
