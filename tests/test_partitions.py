"""Nothing names a partition of AWS, nor an address in one: they go by where the stack is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from local.deploy import ROOT, Tagged, read_template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTITION = re.compile(r"arn:aws[a-z-]*:")
ADDRESS = re.compile(r"[\w.{}-]*\.(?:amazonaws\.com|aws\.amazon\.com|api\.aws|on\.aws)\b")
VIA = ".amazonaws.com"
"""Of `kms:ViaService`, which names services so in every partition."""
SERVICES = ("lambda", "events", "sns", "chatbot", "cloudwatch", "scheduler")
DOCUMENTS = "docs.aws.amazon.com"
TEMPLATES = [ROOT / "template.yaml", *sorted(ROOT.glob("examples/*/template.yaml"))]
CODE = [
    path
    for folder in ("functions", "layers/core/batchwatch", "examples")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".j2", ".js", ".json"}
]
DOCS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/*.md"))]


def texts(said: object) -> Iterator[str]:
    if isinstance(said, Tagged):
        said = said.value
    if isinstance(said, dict):
        for value in said.values():
            yield from texts(value)
    elif isinstance(said, list):
        for value in said:
            yield from texts(value)
    elif isinstance(said, str):
        yield said


def principals(said: object) -> Iterator[str]:
    if isinstance(said, dict):
        if "Service" in said.get("Principal", ()):
            yield said["Principal"]["Service"]
        for value in said.values():
            yield from principals(value)
    elif isinstance(said, list):
        for value in said:
            yield from principals(value)


def test_no_partition_is_named() -> None:
    """But in sample events and tests, which nobody deploys."""
    for path in [*TEMPLATES, *CODE, *DOCS]:
        assert PARTITION.findall(path.read_text()) == [], path


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.parent.name)
def test_a_template_names_services_and_no_address(path: Path) -> None:
    """A service's own name is the same everywhere, also where addresses end in .com.cn."""
    template = read_template(path)
    named = {address for text in texts(template) for address in ADDRESS.findall(text)}

    assert named - {VIA} == set(principals(template))
    assert named - {VIA} <= {f"{service}.amazonaws.com" for service in SERVICES}


def test_code_leaves_addresses_to_the_sdk() -> None:
    for path in CODE:
        assert set(ADDRESS.findall(path.read_text())) <= {DOCUMENTS}, path
