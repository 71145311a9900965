"""What .ci makes of what tools say is no more than they said; NOTICE names what is shipped."""

from __future__ import annotations

import importlib.util
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local import emulator
from local.deploy import ROOT
from tests.permissions.grants import grants

if TYPE_CHECKING:
    from types import ModuleType


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


findings, audit, notices = script("findings"), script("audit"), script("notices")
PINS = {"httpx": "0.28.1", "idna": "3.20"}
COMPATIBLE = {"Apache-2.0", "MIT", "BSD-3-Clause", "PSF-2.0", "MPL-2.0"}
"""What may be shipped beside code under Apache-2.0; of MPL-2.0, unchanged files."""


@pytest.mark.parametrize(
    ("said", "listed", "told"),
    [
        ({"A": {"x"}}, {"A": {"because": "…"}}, []),
        ({"A": {"x"}}, {"A": {"only": ["x"], "because": "…"}}, []),
        ({"A": {"x"}}, {}, ["A: x: found, without a reason"]),
        ({"A": {"x"}}, {"A": {"because": ""}}, ["A: x: found, without a reason"]),
        ({"A": {"x", "y"}}, {"A": {"only": ["x"]}}, ["A: y: found, without a reason"]),
        ({}, {"A": {"because": "…"}}, ["A: listed, but not found"]),
        ({"A": {"x"}}, {"A": {"only": ["x", "y"]}}, ["A: y: listed, but not found"]),
    ],
)
def test_a_finding_without_a_reason_and_a_reason_without_a_finding_are_told(
    said: dict[str, set[str]], listed: dict[str, Any], told: list[str]
) -> None:
    assert findings.differences(said, listed) == told


def test_every_exception_has_its_reason() -> None:
    for check, entry in yaml.safe_load(findings.LISTED.read_text()).items():
        assert entry.keys() <= {"only", "because"}, check
        assert len(entry["because"]) > 40, check


def answered(**vulnerable: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "version": version,
            "vulns": [{"id": i, "fix_versions": ["9"]} for n, i in vulnerable.items() if n == name],
        }
        for name, version in PINS.items()
    ]


SKIPPED = {"name": "httpx", "skip_reason": "Dependency not found on PyPI"}
"""Printed by pip-audit 2.10.1 of an index without its API, with exit code 0."""


@pytest.mark.parametrize(
    ("dependencies", "verdict"),
    [
        (answered(), "CLEAN"),
        (answered(idna="PYSEC-1"), "VULNERABLE"),
        ([SKIPPED, answered()[1]], "NOT_ASKED"),
        ([SKIPPED, answered(idna="PYSEC-1")[1]], "VULNERABLE"),
        (answered()[:1], "NOT_ASKED"),
        ([answered()[0], answered()[1] | {"version": "3.19"}], "NOT_ASKED"),
        ([], "NOT_ASKED"),
    ],
)
def test_only_what_was_said_of_each_package_is_clean(
    dependencies: list[dict[str, Any]], verdict: str
) -> None:
    printed = json.dumps({"dependencies": dependencies, "fixes": []})

    assert audit.judge(printed, PINS)[0].name == verdict


@pytest.mark.parametrize("printed", ["", "Traceback", "[]", "{}", '{"dependencies": [{}]}'])
def test_what_is_no_result_is_not_clean(printed: str) -> None:
    assert audit.judge(printed, PINS)[0].name == "NOT_ASKED"


def test_the_notice_names_each_package_of_the_layer_with_its_licence() -> None:
    assert (ROOT / "NOTICE").read_text() == notices.notice(), (
        "uv run python .ci/notices.py > NOTICE"
    )


def test_no_licence_forbids_to_ship_the_layer() -> None:
    assert {licence for _, licence in notices.licences().values()} <= COMPATIBLE


def test_the_layer_takes_our_licence_and_notice_along() -> None:
    for name in ("LICENSE", "NOTICE"):
        assert (ROOT / "layers/core" / name).resolve() == ROOT / name


def test_the_layer_is_built_of_nothing_but_wheels_with_the_hash_of_their_pin() -> None:
    """So an index that serves something else fails the build."""
    makefile = (ROOT / "layers/core/Makefile").read_text()
    requirements = (ROOT / "layers/core/requirements.txt").read_text()
    pinned = re.split(r"^(?=[a-z])", requirements, flags=re.MULTILINE)[1:]

    assert makefile.count("uv pip install") == 1
    assert "--require-hashes --only-binary :all:" in makefile
    assert len(pinned) == len(notices.licences())
    assert all(re.search(r"==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", each) for each in pinned)


def test_every_tool_is_pinned_to_a_version() -> None:
    """For tools, uv knows no hashes: a version is what can be said."""
    said = "".join((ROOT / ".ci" / name).read_text() for name in ("run", "check-templates"))
    named = re.findall(r"--(?:from|with) (\S+)", said)

    assert named
    assert all("==" in each or each == '"$translator"' for each in named)
    assert '"$translator"' in named
    assert emulator.SAM_TRANSLATOR.count("==") == emulator.MINISTACK.count("==") == 1


def test_what_the_threat_model_names_is_there() -> None:
    said = (ROOT / "docs/security.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"`(test_\w+)`", said))

    assert len(named) > 40
    assert [n for n in named if n not in files and f"def {n}(" not in tests] == []
    assert all((ROOT / path).exists() for path in re.findall(r"`(\.ci/[\w.-]+)`", said))


def test_readers_change_nothing_and_nobody_of_the_people_reads_a_secret() -> None:
    given = {p: {g.action for g in grants() if g.policy == p} for p in ("Readers", "Operators")}
    looking = re.compile(r"\w+:(Get|BatchGet|List|Describe|Query|Filter|Receive)\w*")

    assert {a for a in given["Readers"] if not looking.fullmatch(a)} == {
        "sqs:ChangeMessageVisibility",  # to show again at once what was looked at
        "kms:Decrypt",  # to read what lies there encrypted
    }
    for action in given["Readers"] | given["Operators"]:
        assert action.partition(":")[0] not in {"secretsmanager", "iam", "sts"}, action
