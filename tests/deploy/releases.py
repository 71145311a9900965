"""Releases of the past, and their sources, from the project's own history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from local.deploy import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = {"0.1.0": "a81e3e10a9741f366e3b897d082a223ef0981d35"}
"""Every release that is out, the latest last, and the commit that it was made of."""
LATEST = [*COMMITS][-1]


def file_of(version: str, path: str) -> str:
    """Give a text file of a release; the test is skipped where there is no history."""
    return _git("show", f"{COMMITS[version]}:{path}").decode()


def sources_of(version: str, folder: Path, *paths: str) -> Path:
    """Unpack the sources of a release, or some of its paths, into a folder, and return that."""
    packed = _git("archive", COMMITS[version], *paths)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*command: str) -> bytes:
    """Ask the history; skip where it is not here, fail where it has not what is asked for."""
    try:
        _run("cat-file", "-e", f"{COMMITS[LATEST]}^{{commit}}")
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the history is not here (no git, a tarball or a shallow clone): {error}")
    return _run(*command)


def _run(*command: str) -> bytes:
    git = ["git", *command]
    return subprocess.run(git, cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603 - the git of whoever has the history
