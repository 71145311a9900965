"""docs/permissions.md: what is granted, what for, and which run was seen to use it."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from local.deploy import ROOT
from tests.permissions.grants import everything
from tests.permissions.shown import RUNS, why_unseen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.permissions.grants import Key

DOCUMENT = ROOT / "docs/permissions.md"
NOTHING = "nothing"
WORDS = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text())


def noted() -> list[str]:
    """The notes on what cannot be shown, in the order in which they come; each has a number."""
    return [*dict.fromkeys(note for grant in everything() if (note := why_unseen(grant)))]


def render(shown: Mapping[Key, str]) -> str:
    """The document; `shown`: the run that was seen to use a grant."""
    parts = [WORDS["head"], "\nRuns:\n\n"]
    parts += [f"- **{name}**: `{test}`\n" for name, test in RUNS.items()]
    notes = noted()
    for policy, some in groupby(everything(), lambda grant: grant.key[0]):
        parts.append(f"\n## {policy}\n\n| On | Action | For | Shown by |\n|---|---|---|---|\n")
        rows: dict[tuple[str, str], list[str]] = {}  # actions, by the thing and what shows them
        for grant in some:
            note = why_unseen(grant)
            by = f"({notes.index(note) + 1})" if note else shown.get(grant.key, NOTHING)
            rows.setdefault((grant.resource, by), []).append(f"`{grant.action}`")
        parts += [
            f"| `{thing}` | {', '.join(actions)} | {_reason(policy, thing)} | {by} |\n"
            for (thing, by), actions in rows.items()
        ]
    parts.append("\n## Not to be shown on the local AWS\n\n")
    parts += [f"{number}. {WORDS['notes'][name]}\n" for number, name in enumerate(notes, 1)]
    return "".join(parts)


def _reason(policy: str, thing: str) -> str:
    return str(WORDS["reasons"].get(policy, {}).get(thing, "?"))


def recorded(text: str) -> dict[Key, str]:
    """By what each grant of a document is shown: a run, the number of a note, or nothing."""
    found, policy = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            policy = line.removeprefix("## ")
        elif row := re.fullmatch(r"\| `(.+?)` \| (.+?) \| .* \| (\S+) \|", line):
            for action in re.findall("`(.+?)`", row[2]):
                found[policy, action, row[1]] = row[3]
    return found
