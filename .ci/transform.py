"""Write what CloudFormation makes of the templates by the macro of SAM, as JSON, without AWS.

    uv run --isolated --no-project --with aws-sam-translator==… --with pyyaml==… \
        python .ci/transform.py FOLDER

Each comes with every option on: no resource has a condition. `elsewhere.json` is ours as for a
partition that lacks some types of resources (docs/security.md names them).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

CONFIG = Path(__file__).with_name("cfnlint.yaml")
CODE = "s3://sources/code.zip"  # what `sam package` would have uploaded
ELSEWHERE_UNKNOWN = ("AWS::Chatbot::SlackChannelConfiguration", "AWS::Lambda::Url")
REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]
NOT_SEEN = {
    "ES1001": "takes a queue for a stream, as it sees no ARN before there is one",
    "W1030": "misses the conditions, of which resources have none any more",
    "W8001": "misses them too",
}
"""Rules that cannot see what there is, by what a linter is told to pass over, and why."""


class NoManagedPolicies:
    """Names of managed policies to ARNs, which are asked of IAM; the templates name none."""

    def load(self) -> dict[str, str]:
        """Return none."""
        return {}


def transformed(path: Path) -> dict[str, Any]:
    """Return a template without macros and conditions on resources."""
    template = yaml_parse(path.read_text())
    functions = template.get("Globals", {}).get("Function", {})
    for properties in [functions, *(r["Properties"] for r in template["Resources"].values())]:
        properties.update(dict.fromkeys({"CodeUri", "ContentUri"} & properties.keys(), CODE))
    made: dict[str, Any] = transform(template, {}, NoManagedPolicies())
    for resource in made["Resources"].values():
        resource.pop("Condition", None)
    return made


def without(made: dict[str, Any], types: tuple[str, ...]) -> dict[str, Any]:
    """Return a template without resources of these types, and the outputs that tell of them."""
    gone = {name for name, r in made["Resources"].items() if r["Type"] in types}
    return made | {
        "Resources": {n: r for n, r in made["Resources"].items() if n not in gone},
        "Outputs": {
            n: o
            for n, o in made["Outputs"].items()
            if not any(f'"{name}"' in json.dumps(o["Value"]) for name in gone)
        },
    }


def told(made: dict[str, Any]) -> dict[str, Any]:
    """Return a template that tells cfn-lint what to make of it, so that one run will do for all."""
    ignored = yaml.safe_load(CONFIG.read_text())["ignore_checks"]  # a template's own replace it
    config = {"regions": REGIONS, "ignore_checks": [*ignored, *NOT_SEEN]}
    return made | {"Metadata": made.get("Metadata", {}) | {"cfn-lint": {"config": config}}}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    ours = transformed(Path("template.yaml"))
    example = transformed(Path("examples/react-to-completed/template.yaml"))
    elsewhere = told(without(ours, ELSEWHERE_UNKNOWN))
    example = told(example)
    for name, made in [("template", ours), ("example", example), ("elsewhere", elsewhere)]:
        (folder / f"{name}.json").write_text(json.dumps(made, indent=1))
