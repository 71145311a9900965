"""Code of the release before reads what the present code writes: what a rollback relies on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from docs.events.examples import example, job_example
from docs.events.types import BATCH_TYPES, TYPES
from local.deploy import ROOT
from tests.deploy.lived import lived
from tests.deploy.releases import LATEST, sources_of
from tests.deploy.reread import kept, lost

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full

_READ = """
import json, sys
from batchwatch.job_events import read_event
json.dump([read_event(text).frozen() for text in json.load(sys.stdin)], sys.stdout)
"""


def by_old_code(folder: Path, *program: str, given: Any) -> Any:
    """Run a program on the package of the release before; exchange JSON with it."""
    package = sources_of(LATEST, folder, "layers") / "layers/core"
    said = subprocess.run(  # noqa: S603 - our own
        [sys.executable, *program],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    return json.loads(said.stdout)


def test_old_code_reads_every_item_that_new_code_writes_and_would_lose_nothing_of_it(
    tmp_path: Path,
) -> None:
    items = lived()

    read = by_old_code(tmp_path, "-m", "tests.deploy.reread", given=items)

    assert len(items) > 50
    assert [lost(kept(a), b) for a, b in zip(items, read, strict=True)] == [[]] * len(items)


def test_a_layer_of_the_release_before_reads_the_events_of_this_one(tmp_path: Path) -> None:
    made = [example(k) if k in BATCH_TYPES else job_example(k) for k in TYPES]
    texts = [event.frozen() for event in made]

    assert by_old_code(tmp_path, "-c", _READ, given=texts) == texts
