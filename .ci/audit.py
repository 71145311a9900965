"""Ask OSV whether anything that the layer ships has a known vulnerability, by pip-audit.

Exit code: 0 clean; 1 vulnerable; 3 could not ask, which is not clean: the database was not
reached, or did not answer for each package. (pip-audit itself finds "no known vulnerabilities" in
what it has skipped.)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

PIP_AUDIT = "pip-audit==2.10.1"
OSV = "https://api.osv.dev/v1/query"
REQUIREMENTS = Path(__file__).parent.parent / "layers/core/requirements.txt"
_PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\\s]+)", re.MULTILINE)


class Verdict(IntEnum):
    """What can be said of the layer; its value is the exit code."""

    CLEAN = 0
    VULNERABLE = 1
    NOT_ASKED = 3


def judge(printed: str, pins: dict[str, str]) -> tuple[Verdict, list[str]]:
    """Return what can be said by pip-audit's JSON of packages with their versions, and why."""
    try:
        said = {each["name"]: each for each in json.loads(printed)["dependencies"]}
    except (ValueError, KeyError, TypeError):
        return Verdict.NOT_ASKED, ["pip-audit came to no result"]
    known = [
        f"{name} {pins.get(name, '')}: {found['id']}, mended in {found['fix_versions'] or 'none'}"
        for name, each in said.items()
        for found in each.get("vulns", [])
    ]
    if known:
        return Verdict.VULNERABLE, known
    unknown = [
        f"{name} {version}: nothing was said of it"
        for name, version in pins.items()
        if "vulns" not in said.get(name, {}) or said[name].get("version") != version
    ]
    return (Verdict.NOT_ASKED, unknown) if unknown else (Verdict.CLEAN, [])


def ask(url: str) -> subprocess.CompletedProcess[str]:
    """Run pip-audit against a database of OSV's form."""
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    command = [
        *(uv, "tool", "run", "--quiet", "--from", PIP_AUDIT, "pip-audit"),
        *("--requirement", str(REQUIREMENTS), "--require-hashes", "--disable-pip"),
        *("--vulnerability-service", "osv", "--osv-url", url, "--timeout", "10"),
        *("--format", "json", "--desc", "off", "--progress-spinner", "off"),
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def main(url: str = OSV) -> int:
    """Ask, say what came of it, loudest where nothing did."""
    pins = dict(_PIN.findall(REQUIREMENTS.read_text()))
    answer = ask(url)
    verdict, lines = judge(answer.stdout, pins)
    if verdict is Verdict.CLEAN:
        print(f"audit: {len(pins)} packages of the layer, no known vulnerability")
    elif verdict is Verdict.VULNERABLE:
        print("audit: VULNERABLE", *lines, sep="\n  ")
    else:
        cause = answer.stderr.strip().splitlines()[-1:]
        print("audit: COULD NOT ASK; this says nothing of the layer", *lines, *cause, sep="\n  ")
    return verdict


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
