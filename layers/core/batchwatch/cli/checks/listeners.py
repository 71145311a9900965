"""Whether anybody hears of anything: the topics' subscriptions, by mail and otherwise."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from batchwatch.accounts import read_slack_url
from batchwatch.cli.checks.finding import Finding, State
from batchwatch.errors import BatchwatchError
from batchwatch.notify.wording import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.cli.checks.visit import Visit

_PENDING = "PendingConfirmation"
_DELETED = "Deleted"  # listed for some days more
_CONFIRM = "open its mail from AWS Notifications and confirm, within two days; or for a new one: "


def email(visit: Visit) -> Iterator[Finding]:
    """Look whether the addresses that digests are mailed to have confirmed."""
    topic = visit.stack.output("NotificationsTopic")
    wanted = visit.stack.parameters.get("NotificationEmail", "")
    mails = [each for each in _subscriptions(visit, topic) if each["Protocol"] == "email"]
    confirmed = [each["Endpoint"] for each in mails if each["SubscriptionArn"] != _PENDING]
    pending = [each["Endpoint"] for each in mails if each["SubscriptionArn"] == _PENDING]
    for address in pending:
        state = State.PROBLEM if address == wanted else State.WARNING
        found = f"{clean(address)} has not confirmed: no mail is sent there"
        yield Finding("email", state, found, _CONFIRM + _subscribe(topic, address))
    if wanted and wanted not in confirmed + pending:
        found = f"{clean(wanted)} is not subscribed (any more): no mail is sent there"
        yield Finding("email", State.PROBLEM, found, _subscribe(topic, wanted))
    elif confirmed:
        found = f"confirmed: {', '.join(map(clean, confirmed))}"
        yield Finding("email", State.OK, found)
    elif not pending:
        yield Finding("email", State.OK, "none is wanted")


def alarms(visit: Visit) -> Iterator[Finding]:
    """Look whether anybody hears the alarms."""
    topic, name = visit.stack.output("AlarmsTopic"), "alarms' listeners"
    found = list(_subscriptions(visit, topic))
    pending = [each["Endpoint"] for each in found if each["SubscriptionArn"] == _PENDING]
    for address in pending:
        text = f"{clean(address)} has not confirmed"
        yield Finding(name, State.WARNING, text, _CONFIRM + _subscribe(topic, address))
    if len(found) > len(pending):
        yield Finding(name, State.OK, str(len(found) - len(pending)))
    elif not pending:
        way_out = _subscribe(topic, "you@example.com")
        yield Finding(name, State.WARNING, "nobody hears when an alarm rings", way_out)


def events(visit: Visit) -> Iterator[Finding]:
    """Look whether anybody besides the service itself hears of events, in whatever way."""
    own = {part.physical for part in visit.resources("AWS::SNS::Subscription")}
    by = [
        f"{plural(count, 'subscriber')} of {topic}"
        for topic, ours in (("Events", own), ("Notifications", set()), ("Chat", set()))
        if (count := _count(visit, topic, ours))
    ]
    by += ["the bus"] if visit.stack.parameters.get("EventBus") else []
    if not by and _slack(visit):  # asked last, as it needs the right to read the secret
        by = ["Slack"]
    if by:
        yield Finding("listeners", State.OK, ", ".join(by))
    else:
        subscribe = _subscribe(visit.stack.output("NotificationsTopic"), "you@example.com")
        found = "nobody listens: no one will hear that a batch has ended"
        yield Finding("listeners", State.WARNING, found, subscribe)


def _count(visit: Visit, topic: str, ours: set[str]) -> int:
    """Count those who have confirmed, besides the service's own."""
    found = _subscriptions(visit, visit.stack.output(f"{topic}Topic"))
    return sum(each["SubscriptionArn"] not in {*ours, _PENDING} for each in found)


def _slack(visit: Visit) -> bool:
    """Whether the secret has an address of Slack; the check of the secret tells of its troubles."""
    try:
        return read_slack_url(visit.secret()) is not None
    except BatchwatchError:
        return False


def _subscribe(topic: str, address: str) -> str:
    to = f"--topic-arn {topic} --protocol email --notification-endpoint {quote(clean(address))}"
    return f"aws sns subscribe {to}"


def _subscriptions(visit: Visit, topic: str) -> Iterator[dict[str, Any]]:
    pages = visit.stack.client("sns").get_paginator("list_subscriptions_by_topic")
    for page in pages.paginate(TopicArn=topic):
        yield from (s for s in page["Subscriptions"] if s["SubscriptionArn"] != _DELETED)
