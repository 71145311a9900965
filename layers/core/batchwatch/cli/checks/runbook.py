"""What to do about an alarm, in a line: docs/operations.md has it all, but may not be at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchwatch.cli.checks.visit import Visit

ALARM_OF = {
    "archive": "OrdersDead",
    "inbox": "DroppedDead",
    "notify": "NoticesDead",
    "relay": "RelaysDead",
}
"""The alarm that rings on the dead letters of a queue."""
_SET_ASIDE = "--since 1d --filter-pattern '\"set aside\"'"
LINES = {
    "NoPolls": "--since 1h --filter-pattern '?ERROR ?Task'",
    "AccountRefused": "--since 1h --filter-pattern '\"set aside\"'",
    "FilesPending": _SET_ASIDE,
    "OrdersDead": _SET_ASIDE,
    "DroppedDead": _SET_ASIDE,
    "NoticesDead": _SET_ASIDE,
    "RelaysDead": "--since 1d --filter-pattern '\"EventBridge did not take\"'",
    "EventReduced": "--since 1h --filter-pattern reduced",
    "WebhooksRefused": "--since 1h --filter-pattern '\"refused\"'",
}
"""The lines of log that tell why an alarm rings, as its runbook asks for them."""


def why(visit: Visit, alarm: str) -> str:
    """Tell how to see what an alarm rings about, and where it is told what to do."""
    log = visit.stack.outputs.get("LogGroup", "LOG_GROUP")
    lines = f"see why: aws logs tail {log} {LINES.get(alarm, '--since 1h')}"
    dead = [queue for queue, of in ALARM_OF.items() if of == alarm]
    shown = f"see what: {visit.stack.command('redrive', *dead)}; " if dead else ""
    return f"{shown}{lines}; what to do: docs/operations.md, {alarm}"
