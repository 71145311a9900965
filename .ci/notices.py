"""Print NOTICE: what is ours, and whose packages the layer ships, by their own metadata.

uv run python .ci/notices.py > NOTICE
"""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "layers/core/requirements.txt"
_PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\\s]+)", re.MULTILINE)
_OURS = """\
batchwatch
Copyright 2026 the authors of batchwatch

Licensed under the Apache License, Version 2.0; see LICENSE.

The layer that `sam build` makes ships these packages, unchanged, each with the text of its licence
in its folder *.dist-info; what is compiled into pydantic-core is named in its folder sboms there.
The source of certifi, under the Mozilla Public License, is at https://github.com/certifi/python-certifi.

"""


def licences() -> dict[str, tuple[str, str]]:
    """Return version and licence of each package; installed must be that version."""
    found = {}
    for name, version in _PIN.findall(REQUIREMENTS.read_text()):
        said = metadata(name)
        if said["Version"] != version:
            raise SystemExit(f"{name} {version} is not installed; run uv sync")
        found[name] = version, said["License-Expression"] or said["License"]
    return found


def notice() -> str:
    """Return the text of NOTICE."""
    rows = [f"{name:<24}{version:<12}{licence}" for name, (version, licence) in licences().items()]
    return _OURS + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(notice(), end="")
