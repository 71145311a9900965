"""Hold what checkov found, read from stdin as its JSON, against .ci/checkov.yaml.

Exit code 1: something was found that has no reason there, or a reason is there of what is found no
more; so the list is neither too short nor too long.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

LISTED = Path(__file__).with_name("checkov.yaml")


def found(report: dict[str, Any]) -> dict[str, set[str]]:
    """Return the names of the resources found at fault, by check."""
    said: dict[str, set[str]] = {}
    for each in report["results"]["failed_checks"]:
        said.setdefault(each["check_id"], set()).add(each["resource"].rpartition(".")[2])
    return said


def differences(said: dict[str, set[str]], listed: dict[str, dict[str, Any]]) -> list[str]:
    """Say, a line each, what is found but not listed, or listed but not found."""
    lines = []
    for check in sorted({*said, *listed}):
        resources, entry = said.get(check, set()), listed.get(check, {})
        expected = set(entry.get("only", resources if entry.get("because") else ()))
        lines += [f"{check}: {name}: found, without a reason" for name in resources - expected]
        lines += [f"{check}: {name}: listed, but not found" for name in expected - resources]
        if entry and not resources and "only" not in entry:
            lines.append(f"{check}: listed, but not found")
    return sorted(lines)


def main() -> int:
    """Compare, print what differs."""
    report = json.load(sys.stdin)
    if isinstance(report, list) or not report["summary"]["resource_count"]:
        print("checkov looked at nothing")
        return 1
    if report["summary"]["parsing_errors"]:
        print("checkov could not read a template")
        return 1
    lines = differences(found(report), yaml.safe_load(LISTED.read_text()))
    count = report["summary"]["failed"]
    print("\n".join(lines) or f"checkov: {count} findings, each with a reason")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
