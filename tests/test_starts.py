"""A function that starts imports what all need, and no more: it is waited for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from local.deploy import ROOT

OWN = {
    "poller": {"account_poll", "discovery", "poll", "sweep"},
    "webhook": {"webhook"},
    "archiver": {"copying", "download", "transfer"},
    "notifier": {"notify"},
    "relay": {"relay"},
    "submitter": {"copying", "download", "submit", "transfer"},
}
"""Modules and packages that only some functions need."""
NOT_DEPLOYED = {"openai", "jinja2", "rich", "typer", "yaml", "moto"}
_TELL = """
import json, sys
imported = {}
for name in sys.argv[1:]:
    for module in [each for each in sys.modules if each.partition(".")[0] == "batchwatch"]:
        del sys.modules[module]
    __import__(name)
    imported[name] = sorted(sys.modules)
print(json.dumps(imported))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Import each function, each with our package afresh; tell the modules that are there then."""
    names = [path.stem for path in (ROOT / "functions").glob("*.py")]
    told = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", _TELL, *names],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT / "functions",
    )
    return {name: {*modules} for name, modules in json.loads(told.stdout).items()}


def test_a_function_imports_nothing_that_only_others_need(imported: dict[str, set[str]]) -> None:
    ours = {
        name: {module.split(".")[1] for module in modules if module.startswith("batchwatch.")}
        for name, modules in imported.items()
    }

    assert ours.keys() == OWN.keys()
    only_some = set().union(*OWN.values())
    assert {name: (modules & only_some) - OWN[name] for name, modules in ours.items()} == {
        name: set() for name in OWN
    }


def test_no_function_imports_what_is_not_deployed(imported: dict[str, set[str]]) -> None:
    everything = {module.partition(".")[0] for modules in imported.values() for module in modules}

    assert not everything & NOT_DEPLOYED
