"""What lies about undone: dead letters, ringing alarms, files that are not in the bucket."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from batchwatch.cli.checks.finding import Check, Finding, State
from batchwatch.cli.checks.runbook import ALARM_OF, why
from batchwatch.notify.wording import clean, duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchwatch.cli.checks.visit import Visit
    from batchwatch.cli.stack import Stack
    from batchwatch.record import Record

_DEAD = "DeadLettersUrl"
_VISIBLE = "ApproximateNumberOfMessages"
_TAKEN = "ApproximateNumberOfMessagesNotVisible"
_AT_ONCE = 50  # alarms that one answer has at most
_SOON = 3600
"""Seconds after the end in which files are still on their way, and nothing is amiss."""


def queues(stack: Stack) -> list[Check]:
    """Return a check for each dead-letter queue that the stack has."""
    outputs = sorted(output for output in stack.outputs if output.endswith(_DEAD))
    return [
        Check(f"dead letters of {output.removesuffix(_DEAD).lower()}", partial(_dead, output))
        for output in outputs
    ]


def _dead(output: str, visit: Visit) -> Iterator[Finding]:
    """Count the messages that were given up."""
    queue = output.removesuffix(_DEAD).lower()
    name = f"dead letters of {queue}"
    said = visit.stack.client("sqs").get_queue_attributes(
        QueueUrl=visit.stack.output(output), AttributeNames=[_VISIBLE, _TAKEN]
    )["Attributes"]
    count = int(said[_VISIBLE]) + int(said[_TAKEN])
    if count:
        way_out = why(visit, ALARM_OF[queue])
        yield Finding(name, State.PROBLEM, plural(count, "message"), way_out)
    else:
        yield Finding(name, State.OK, "none")


def alarms(visit: Visit) -> Iterator[Finding]:
    """Name the alarms that ring."""
    parts = sorted(visit.resources("AWS::CloudWatch::Alarm"))
    logical = {physical: name for name, physical in parts}
    said = [
        alarm
        for at in range(0, len(parts), _AT_ONCE)
        for alarm in visit.stack.client("cloudwatch").describe_alarms(
            AlarmNames=[part.physical for part in parts[at : at + _AT_ONCE]]
        )["MetricAlarms"]
    ]
    silent = [logical[a["AlarmName"]] for a in said if not a.get("ActionsEnabled", True)]
    for alarm in (alarm for alarm in said if alarm["StateValue"] == "ALARM"):
        name = logical[alarm["AlarmName"]]
        found = f"{name} rings: {alarm.get('AlarmDescription', '')}"
        yield Finding("alarms", State.PROBLEM, found, why(visit, name))
    if silent:
        enable = " ".join(a["AlarmName"] for a in said if not a.get("ActionsEnabled", True))
        way_out = f"aws cloudwatch enable-alarm-actions --alarm-names {enable}"
        yield Finding("alarms", State.WARNING, f"silenced: {', '.join(silent)}", way_out)
    if not any(alarm["StateValue"] == "ALARM" for alarm in said):
        yield Finding("alarms", State.OK, f"none of {len(said)} rings")


def archive(visit: Visit) -> Iterator[Finding]:
    """Look for batches that ended over an hour ago, and whose files are not at their end."""
    catalogue = visit.stack.catalogue
    rows = list(catalogue.with_work_left(catalogue.accounts()))
    unreadable = [row.known.batch_id for row in rows if row.trouble]
    if unreadable:
        found = f"{plural(len(unreadable), 'row')} of the table cannot be read: "
        way_out = "mend or delete that item of the table"
        yield Finding("archive", State.PROBLEM, found + clean(unreadable[0]), way_out)
    yield _judged(
        _waiting((row.known for row in rows if not row.trouble), time.time()),
        visit.seconds("PendingAlarm", 93_600),
    )


def _waiting(known: Iterable[Record], now: float) -> list[tuple[float, str]]:
    """Return for how long each waits that has ended, the longest first, with its id."""
    ended = [each for each in known if each.terminal and not each.archived]
    waits = ((now - _ended_at(each), each.batch_id) for each in ended)
    return sorted((wait for wait in waits if wait[0] > _SOON), reverse=True)


def _ended_at(known: Record) -> float:
    return (known.batch and known.batch.status_at) or known.moved_at


def _judged(waiting: list[tuple[float, str]], allowed: float) -> Finding:
    if not waiting:
        return Finding("archive", State.OK, "no batch has waited over an hour for its files")
    longest, batch_id = waiting[0]
    one = len(waiting) == 1
    found = f"{number(len(waiting))} {'batch waits' if one else 'batches wait'} for files, "
    found += f"{clean(batch_id)} for {duration(longest)}"
    state = State.PROBLEM if longest > allowed else State.WARNING
    return Finding("archive", state, found, f"batchwatch archive {clean(batch_id)}")
