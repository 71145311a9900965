"""Whether it is deployed and runs: stack, version, schedules, the last poll, log, bucket."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from batchwatch.cli.checks.finding import Finding, State
from batchwatch.cli.checks.runbook import why
from batchwatch.cli.checks.visit import LONGEST_SKEW, off
from batchwatch.notify.wording import clean, duration, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.cli.checks.visit import Visit

_BACK = 82_800  # seconds; a point a minute, of which AWS gives 1,440 at most
_SETTLING = 300
"""Seconds after a deployment in which a first poll may be yet to come."""
_MOST_LINES = 1000
_OPEN_TO_NOBODY = (
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
)


def clock(visit: Visit) -> Iterator[Finding]:
    """Compare the time here with AWS's own."""
    name, skew = "clock", visit.skew
    if skew is None:
        yield Finding(name, State.NOT_CHECKED, "AWS did not tell its time")
    elif abs(skew) > LONGEST_SKEW:
        yield Finding(name, State.PROBLEM, f"{off(skew)}: signatures are refused", "set it by NTP")
    else:
        yield Finding(
            name, State.OK, "as AWS has it" if abs(skew) < LONGEST_SKEW / 5 else off(skew)
        )


def deployed(visit: Visit) -> Iterator[Finding]:
    """Judge the status of the stack."""
    name, status = "stack", visit.status
    events = f"aws cloudformation describe-stack-events --stack-name {visit.stack.name}"
    if status.endswith("_FAILED") or status.startswith("DELETE_") or status == "ROLLBACK_COMPLETE":
        yield Finding(name, State.PROBLEM, status, f"see why: {events}; then sam deploy")
    elif status.endswith("_ROLLBACK_COMPLETE"):
        found = f"{status}: the last deployment failed, the one before it runs"
        yield Finding(name, State.WARNING, found, f"see why: {events}; then sam deploy")
    elif status.endswith("_IN_PROGRESS"):
        yield Finding(name, State.WARNING, f"{status}: being deployed", "wait, and ask again")
    else:
        yield Finding(name, State.OK, f"{visit.stack.name}: {status}")


def release(visit: Visit) -> Iterator[Finding]:
    """Compare the version that is deployed with that of this command."""
    ours, theirs = version("batchwatch"), visit.stack.outputs.get("Version")
    if theirs == ours:
        yield Finding("version", State.OK, f"{ours}, as this command")
    else:
        found = f"the stack has {theirs or 'one before 0.2.0'}, this command is {ours}"
        yield Finding("version", State.WARNING, found, "update the older one: docs/releases.md")


def schedules(visit: Visit) -> Iterator[Finding]:
    """Look whether what ticks is turned on."""
    found = sorted(visit.resources("AWS::Scheduler::Schedule"))
    if not found:
        yield Finding("schedule", State.PROBLEM, "the stack has none", "sam build && sam deploy")
    for logical, name in found:
        said = visit.stack.client("scheduler").get_schedule(Name=name)
        check = f"schedule of {logical.removesuffix('Tick')}"
        if said.get("State") == "ENABLED":
            yield Finding(check, State.OK, f"on, {said.get('ScheduleExpression', '')}")
        else:
            way_out = f"enable {name} in the console, EventBridge, Schedules"
            yield Finding(check, State.PROBLEM, "turned off", way_out)


def last_poll(visit: Visit) -> Iterator[Finding]:
    """Find out when a poll last came to its end: by the metric of each, or else by the log."""
    name, now, allowed = "last poll", time.time(), visit.seconds("SilenceAlarm", 15, 60)
    at = _by_metric(visit, now)
    if at is None or now - at > allowed:
        at = max((line[0] for line in _lines(visit, "polled", now - allowed)), default=at)
    way_out = why(visit, "NoPolls")
    if at is not None and now - at <= allowed:
        yield Finding(name, State.OK, f"{duration(now - at)} ago")
    elif now - visit.deployed_at < _SETTLING:
        yield Finding(name, State.WARNING, "none yet since the deployment", "ask again in a minute")
    else:
        since = duration(now - at) if at is not None else duration(allowed)
        yield Finding(name, State.PROBLEM, f"none for {since}", way_out)


def set_aside(visit: Visit) -> Iterator[Finding]:
    """Look for what could not be done of late."""
    name, allowed = "log", visit.seconds("SilenceAlarm", 15, 60)
    lines = list(_lines(visit, "set aside", time.time() - allowed))
    if not lines:
        yield Finding(name, State.OK, f"nothing was set aside for {duration(allowed)}")
        return
    said = max(lines, key=lambda line: line[0])[1]
    about = said.get("batch_id") or said.get("account") or "the secret"
    found = f"{plural(len(lines), 'line')} `set aside`, lately {clean(about)}: "
    log = visit.stack.output("LogGroup")
    way_out = f"aws logs tail {log} --since 1h --filter-pattern '\"set aside\"'"
    yield Finding(name, State.WARNING, found + clean(said.get("reason", "?")), way_out)


def bucket(visit: Visit) -> Iterator[Finding]:
    """Look whether the bucket keeps versions, and keeps the public out."""
    s3, name = visit.stack.client("s3"), visit.stack.bucket
    versions = s3.get_bucket_versioning(Bucket=name).get("Status")
    change = f"aws s3api put-{{}} --bucket {name} --{{}} {{}}"
    if versions == "Enabled":
        yield Finding("bucket's versions", State.OK, "kept")
    else:
        how = change.format("bucket-versioning", "versioning-configuration", "Status=Enabled")
        yield Finding("bucket's versions", State.PROBLEM, "not kept: files may be lost", how)
    if _closed(s3, name):
        yield Finding("bucket's access", State.OK, "closed to the public")
    else:
        block = "public-access-block", "public-access-block-configuration", _OPEN_TO_NOBODY
        found = "could be opened to the public"
        yield Finding("bucket's access", State.PROBLEM, found, change.format(*block))


def _closed(s3: Any, name: str) -> bool:
    try:
        said = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    except Exception as error:
        if "NoSuchPublicAccessBlockConfiguration" in str(error):
            return False
        raise
    kinds = [each.partition("=")[0] for each in _OPEN_TO_NOBODY.split(",")]
    return all(said.get(kind) for kind in kinds)


def _by_metric(visit: Visit, now: float) -> float | None:
    """Return the latest minute in which a poll was counted, of the last 23 hours."""
    said = visit.stack.client("cloudwatch").get_metric_statistics(
        Namespace="batchwatch",
        MetricName="OpenBatches",
        Dimensions=[{"Name": "service", "Value": visit.stack.name}],
        StartTime=datetime.fromtimestamp(now - _BACK, tz=UTC),
        EndTime=datetime.fromtimestamp(now, tz=UTC),
        Period=60,
        Statistics=["SampleCount"],
    )
    return max((each["Timestamp"].timestamp() for each in said["Datapoints"]), default=None)


def _lines(visit: Visit, message: str, since: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """Return the lines of log that say this, each with its time in seconds since 1970."""
    pages = (
        visit.stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=visit.stack.output("LogGroup"),
            filterPattern=f'"{message}"',
            startTime=int(since * 1000),
            PaginationConfig={"MaxItems": _MOST_LINES},
        )
    )
    for page in pages:
        for event in page["events"]:
            try:
                said = json.loads(event["message"])
            except ValueError:
                continue
            if isinstance(said, dict) and said.get("message") == message:
                yield event["timestamp"] / 1000, said
