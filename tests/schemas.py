"""Messages held against every schema that was ever published for their major version."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from docs.events.generate import FOLDER, VERSION

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = re.compile(r"urn:batchwatch:schema:(batch-event|job-event):(\d+)")


def versions(major: str, folder: Path = FOLDER) -> list[Path]:
    """Return the folders of the published versions of a major, the oldest first."""
    there = [path for path in folder.glob(f"{major}.*") if path.is_dir()]
    return sorted(there, key=lambda path: int(path.name.split(".")[1]))


def schema_faults(message: str) -> list[str]:
    """Say where a message is not what its version and its type promise; none: [].

    It must hold for every version of its major: programs were built by each of them.
    """
    said = json.loads(message)
    kind, named = said["type"], SCHEMA.fullmatch(said["dataschema"])
    covering, major = named.groups() if named else ("", "")
    folders = versions(major) if named else []
    faults = [] if folders else [f"no schema of version {said['dataschema']}"]
    for folder in folders:
        own = _validator(folder, kind)
        if own is None and folder.name == VERSION:
            faults.append(f"{folder.name} has no schema of {kind}")
        for validator in (_validator(folder, covering), own):
            faults += _faults(validator, said, folder.name) if validator else []
    return faults


def _faults(validator: Draft202012Validator, said: Any, version: str) -> list[str]:
    title = validator.schema["title"]
    return [f"{version} {title} {e.json_path}: {e.message}" for e in validator.iter_errors(said)]


@functools.cache
def _validator(folder: Path, kind: str) -> Draft202012Validator | None:
    path = folder / f"{kind}.schema.json"
    return Draft202012Validator(json.loads(path.read_text())) if path.exists() else None
