"""What a release must not do to the one before: a look at both templates, from the history."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import ROOT, read_template
from tests.deploy.releases import COMMITS, LATEST, file_of
from tests.deploy.template_changes import faults, untold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = "the present tree"
NEIGHBOURS = [*pairwise([*COMMITS, NOW])]
OURS = read_template()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def template(version: str, folder: Path) -> dict[str, Any]:
    if version == NOW:
        return OURS
    path = folder / f"{version}.yaml"
    path.write_text(file_of(version, "template.yaml"))
    return read_template(path)


@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_an_update_between_neighbours_replaces_nothing_that_holds_something(
    before: str, after: str, tmp_path: Path
) -> None:
    was, now = template(before, tmp_path), template(after, tmp_path)

    assert faults(was, now) == []
    assert faults(now, was) == [f for f in faults(now, was) if f.startswith("output ")]  # back


@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_no_parameter_is_gone_or_has_another_default_without_a_word_in_the_changelog(
    before: str, after: str, tmp_path: Path
) -> None:
    since = CHANGELOG.partition(f"## [{before}]")[0]

    assert untold(template(before, tmp_path), template(after, tmp_path), since) == []


def ledger(made: dict[str, Any]) -> dict[str, Any]:
    return dict(made["Resources"]["Ledger"])["Properties"]  # type: ignore[no-any-return]


def _rename_key(made: dict[str, Any]) -> None:
    ledger(made)["KeySchema"][1]["AttributeName"] = "id"


def _project_less(made: dict[str, Any]) -> None:
    ledger(made)["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"].remove("outbox")


def _index_twice(made: dict[str, Any]) -> None:
    index = ledger(made)["GlobalSecondaryIndexes"][0]
    ledger(made)["GlobalSecondaryIndexes"] += [{**index, "IndexName": n} for n in ("a", "b")]


def _type(made: dict[str, Any]) -> None:
    ledger(made)["AttributeDefinitions"][3]["AttributeType"] = "S"


def _rename(made: dict[str, Any]) -> None:
    made["Resources"]["Everything"] = made["Resources"].pop("Events")


def _name_the_queue(made: dict[str, Any]) -> None:
    made["Resources"]["InboxQueue"]["Properties"]["QueueName"] = "inbox"


def _describe_the_secret(made: dict[str, Any]) -> None:
    made["Resources"]["Keys"]["Properties"]["Description"] = "Keys."


def _let_the_bucket_go(made: dict[str, Any]) -> None:
    del made["Resources"]["Bucket"]["DeletionPolicy"]


def _drop_an_output(made: dict[str, Any]) -> None:
    del made["Outputs"]["EventsTopic"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_rename_key, "Ledger: KeySchema is another"),
        (_project_less, "Ledger: Projection of index open is another"),
        (_index_twice, "Ledger: more than one index"),
        (_type, "Ledger: attribute created_at is of another type"),
        (_rename, "Events: gone"),
        (_name_the_queue, "InboxQueue: QueueName is another"),
        (_describe_the_secret, "Keys: a property is another"),
        (_let_the_bucket_go, "Bucket: DeletionPolicy is no longer Retain"),
        (_drop_an_output, "output EventsTopic is gone"),
    ],
)
def test_what_an_update_must_not_do_is_told(
    change: Callable[[dict[str, Any]], None], told: str
) -> None:
    changed = deepcopy(OURS)
    change(changed)

    (fault,) = faults(OURS, changed)

    assert fault.startswith(told)


def test_a_parameter_that_changes_is_to_be_told_of() -> None:
    changed = deepcopy(OURS)
    changed["Parameters"]["Grace"]["Default"] = 700
    changed["Parameters"]["Webhooks"]["AllowedValues"] = ["on"]
    changed["Parameters"]["Taste"] = {"Type": "String"}
    del changed["Parameters"]["Backfill"]
    names = ("Backfill", "Grace", "Webhooks")

    told = untold(OURS, changed, "")

    assert [line.split()[1] for line in told] == sorted(["Taste", *names])
    said = " ".join(f"`{name}`" for name in names)
    assert untold(OURS, changed, said) == ["parameter Taste is new and has no default"]


def test_a_version_that_is_out_is_not_made_again() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert [int(n) for n in version.split(".")] >= [int(n) for n in LATEST.split(".")]
