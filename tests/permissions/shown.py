"""Which run must show that a grant is used; and why none can, where that is so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.permissions.grants import Grant

RUNS = {
    "rehearsal": "tests/whole/test_permissions.py::"
    "test_with_all_that_is_allowed_the_rehearsal_succeeds_and_each_right_is_used",
    "commands": "tests/whole/test_cli.py::test_every_command_does_what_its_help_says",
    "runbooks": "tests/whole/test_runbooks.py::"
    "test_the_commands_of_the_runbooks_find_the_trouble_and_mend_it",
    "example": "tests/whole/test_example.py::"
    "test_every_batch_has_its_result_once_and_whoever_repeats_an_event_gets_no_second",
}
"""Each run on the local AWS, and the test that plays it."""
PEOPLE = ("Readers", "Operators")
_QUEUE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}


def run_of(grant: Grant) -> str:
    """The run that must show a grant."""
    if grant.example:
        return "example"
    if grant.policy not in PEOPLE:
        return "rehearsal"
    return "runbooks" if grant.action.startswith("sqs:") else "commands"


def why_unseen(grant: Grant) -> str | None:
    """The note of words.yaml on why no run can show it, if none can."""
    policy, action = grant.policy, grant.action
    if grant.kind == "function":
        return "address"
    if grant.kind == "trust":
        return {"TickRole": "tick", "SlackRole": "slack"}.get(policy, "starts")
    if action.startswith("kms:"):
        return "key"
    if grant.kind == "resource":
        return _unseen_of_a_thing(grant)
    if policy in PEOPLE:
        return "group" if (action, grant.resource) == ("logs:FilterLogEvents", "Logs") else None
    notes = dict.fromkeys(_QUEUE, "queue") | dict.fromkeys(_LOG, "log")
    return "tick" if policy == "TickRole" else notes.get(action)


def _unseen_of_a_thing(grant: Grant) -> str | None:
    if grant.action == "sns:Publish":
        return "alarm"
    if grant.action.startswith("sns:"):
        return "others" if grant.policy.endswith("/SubscriberAccounts") else "account"
    if grant.policy == "InboxQueuePolicy":
        return "rule"
    return "dead" if grant.resource.endswith("DeadLetters") else None
