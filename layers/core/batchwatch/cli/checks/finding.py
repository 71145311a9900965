"""What a check is, what it finds, and what it means when it cannot look."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.trouble import Code, is_denied, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from batchwatch.cli.checks.visit import Visit

_RIGHT = re.compile(r"perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)")
_POLICY = "the stack's ReadersPolicy has all but secretsmanager:GetSecretValue"


class State(StrEnum):
    """How it is with what was looked at; only a problem makes the exit code 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


class Finding(NamedTuple):
    """One line: what was looked at, how it is, and how to mend it.

    `right`: the right that the caller lacks, where that is why it was not checked.
    """

    check: str
    state: State
    found: str
    way_out: str = ""
    right: str = ""


class Check(NamedTuple):
    """A look at one subject. `mend`: what to do where AWS refuses to tell of it."""

    name: str
    look: Callable[[Visit], Iterable[Finding]]
    mend: str = ""


def examined(check: Check, visit: Visit) -> list[Finding]:
    """Make a check; what keeps it from its end is a finding, too."""
    findings: list[Finding] = []
    try:
        findings.extend(check.look(visit))
    except Exception as error:  # noqa: BLE001 - no check holds up the others
        findings.append(_kept_from(check, error))
    return findings


def _kept_from(check: Check, error: Exception) -> Finding:
    if is_denied(error):
        right = _right(error)
        found = f"you have no right to {right}"
        return Finding(check.name, State.NOT_CHECKED, found, _POLICY, right)
    trouble = trouble_of(error)
    if trouble is None:
        found = f"this check is broken: {type(error).__name__}: {error}"
        return Finding(
            check.name, State.PROBLEM, found, "that is a defect of batchwatch: report it"
        )
    passing = trouble.code in {Code.DENIED, Code.LATER}
    state = State.NOT_CHECKED if passing else State.PROBLEM
    return Finding(check.name, state, str(trouble), trouble.way_out or check.mend)


def _right(error: Exception) -> str:
    """Return the action that AWS names, or at least the operation that was asked for."""
    named = _RIGHT.search(str(error))
    return named[1] if named else str(getattr(error, "operation_name", "it"))
