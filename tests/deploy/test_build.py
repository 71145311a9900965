"""What `sam build` makes is what Lambda can run, and the check of that notices when it is not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.deploy.sam import Project

pytestmark = pytest.mark.deploy
LAYER = Path(".aws-sam/build/Core/python")
MODULE = LAYER / "pydantic_core/_pydantic_core.cpython-313-aarch64-linux-gnu.so"


def test_the_build_holds_what_lambda_runs_and_nothing_else(build: Path) -> None:
    checked = Project(build).check_build()

    assert checked.returncode == 0, checked.stderr
    said = re.fullmatch(
        r"layer: ([\d.]+) MB unzipped \(.+\), ([\d.]+) MB zipped, .+\n", checked.stdout
    )
    assert said
    assert float(said[2]) < float(said[1]) < 50


def test_whatever_does_not_belong_there_is_noticed(
    build: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    folder = tmp_path / "batchwatch"
    shutil.copytree(build, folder, symlinks=True)
    layer, pinned = folder / LAYER, folder / "layers/core/requirements.txt"
    good, wheel = (folder / MODULE).read_bytes(), next(layer.glob("pydantic_core-*/WHEEL"))
    spoilt = {
        "not compiled for arm64": (folder / MODULE, good[:18] + b"\x3e\x00" + good[20:]),
        "not for Lambda's Python": (layer / "x.cpython-311-x86_64-linux-gnu.so", good),
        "a wheel for something else": (wheel, wheel.read_bytes().replace(b"aarch64", b"x86_64")),
        "installed (>) differ: > pytest=9": (layer / "pytest-9.dist-info/RECORD", b""),
        "in the layer (>) differ: > notes.txt": (layer / "notes.txt", b"x"),
        "pinned (<) and": (pinned, pinned.read_bytes() + b"left-out==1.0 \\\n"),
        "our sources (<)": (layer / "batchwatch/more.py", b""),
        "holds more than its file": (folder / ".aws-sam/build/Poller/more.py", b""),
        "a fifth of Lambda's": (folder / ".aws-sam/build/Core/data", bytes(60_000_000)),
    }
    for complaint, (path, content) in spoilt.items():
        with subtests.test(complaint):
            before = path.read_bytes() if path.exists() else None
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            checked = Project(folder).check_build()
            if before is None:
                path.unlink()
                if path.parent.name == "pytest-9.dist-info":
                    path.parent.rmdir()
            else:
                path.write_bytes(before)
            assert checked.returncode == 1
            assert complaint in checked.stderr
