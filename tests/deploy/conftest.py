"""One build of `sam build` for all tests of a run."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.deploy.sam import Project, let_run_here, once_built
from tests.whole.terminal import why_not

if TYPE_CHECKING:
    from pathlib import Path

WHY_NOT = why_not()


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the project lies in which `sam build` has run; not to be written to."""
    of_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own in that of the run
        of_run = of_run.parent
    with once_built(of_run / "built") as folder:
        return folder


@pytest.fixture
def project(build: Path, tmp_path: Path) -> Project:
    """A copy of the project and its build, which runs in the emulator, too."""
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    shutil.copytree(build, tmp_path / "batchwatch", symlinks=True)
    project = Project(tmp_path / "batchwatch")
    let_run_here(project)
    return project
