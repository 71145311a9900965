"""The local AWS itself, started so that it also writes down what its IAM decides.

Run by the emulator's own interpreter: `python observer.py FILE`. It decides nothing; what was not
decided before becomes a line of FILE, a list of JSON with the fields of `watched.Seen`.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_evaluator  # type: ignore[import-not-found]

_inside = threading.local()
_known: set[str] = set()
_evaluate, _evaluate_resource = iam_evaluator.evaluate, iam_evaluator.evaluate_resource_policy
_file = Path(sys.argv[1]).open("a", buffering=1)  # noqa: SIM115 - open as long as the process lives


def _note(context: Any, decision: str, by: str, policy: str) -> None:
    allowed = decision == "Allow"
    line = json.dumps([allowed, policy, by, context.action, context.resource_arn])
    if line not in _known:
        _known.add(line)
        print(line, file=_file)


def _watch(context: Any, *policies: Any) -> Any:
    """An identity's policies; and, within a look at one, those of a resource."""
    result = _evaluate(context, *policies)
    if not getattr(_inside, "resource", False):
        _note(context, result.decision, context.principal_arn, "identity")
    return result


def _watch_resource(policy: Any, context: Any, service: str | None = None, **how: Any) -> Any:
    _inside.resource = True
    try:
        result = _evaluate_resource(policy, context, service, **how)
    finally:
        _inside.resource = False
    _note(context, result.decision, service or context.principal_arn, "resource")
    return result


iam_evaluator.evaluate, iam_evaluator.evaluate_resource_policy = _watch, _watch_resource
sys.argv[1:] = []
app.main()
