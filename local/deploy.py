"""What `sam build` and `sam deploy` do, done here: the same template, the same sources.

Two things differ: the layer is built for this machine, and the bucket policy that demands TLS
stays out, as the emulator speaks plain HTTP on loopback.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from local.emulator import Emulator, EmulatorError, base_python, find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
_SOURCES = "sources"
_SELDOM = "aws_lambda_powertools/(event_handler|utilities)/"  # the larger half, of no use here


class Tagged:
    """A value behind a `!Tag` of CloudFormation, kept as written."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag, self.value = tag, value


# Compiled, where PyYAML has it: a template takes a tenth of the time.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_SafeLoader):  # type: ignore[misc]
    pass


class _Dumper(_SafeDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out: CloudFormation knows no anchors."""
        del data
        return True


def _read_tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Tagged:
    if isinstance(node, yaml.ScalarNode):
        return Tagged(f"!{tag}", loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Tagged(f"!{tag}", loader.construct_sequence(node, deep=True))
    return Tagged(f"!{tag}", loader.construct_mapping(node, deep=True))  # type: ignore[arg-type]


def _write_tagged(dumper: yaml.SafeDumper, data: Tagged) -> yaml.Node:
    if isinstance(data.value, str):
        return dumper.represent_scalar(data.tag, data.value)
    if isinstance(data.value, list):
        return dumper.represent_sequence(data.tag, data.value)
    return dumper.represent_mapping(data.tag, data.value)


_Loader.add_multi_constructor("!", _read_tagged)
_Dumper.add_representer(Tagged, _write_tagged)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Read a template; `!Ref` and its kin become `Tagged`."""
    return yaml.load(path.read_text(), _Loader)  # type: ignore[no-any-return]  # noqa: S506 - a SafeLoader


def write_template(template: dict[str, Any]) -> str:
    """Write a template read by `read_template`."""
    return yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=1000)


def build_layer(folder: Path, tree: Path = ROOT) -> Path:
    """Install a layer's pinned requirements for this machine and put the package beside them.

    `tree`: the sources of another release, if not these.
    """
    target = folder / "layer" / "python"
    source = tree / "layers" / "core"
    command = [
        *(find_uv(), "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"),
        *("--python", base_python(), "--target", str(target)),
        *("--requirements", str(source / "requirements.txt")),
    ]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    if built.returncode:
        raise EmulatorError(f"the layer could not be built:\n{built.stderr[-2000:]}")
    leave_out = shutil.ignore_patterns("__pycache__", "cli")
    shutil.copytree(source / "batchwatch", target / "batchwatch", ignore=leave_out)
    _compile(target)
    return target.parent


def _compile(folder: Path) -> None:
    """Compile what functions import once, not again in each process that unpacks it."""
    # By no time stamp, as unpacking makes new ones; by the interpreter that will run it.
    command = [base_python(), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    here = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}  # beside its source
    compiled = subprocess.run(
        [*command, "-x", _SELDOM, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=here,
    )
    if compiled.returncode:
        raise EmulatorError(f"the layer could not be compiled:\n{compiled.stdout[-2000:]}")


def deploy(  # noqa: PLR0913 - each may be another
    emulator: Emulator,
    layer: Path,
    *,
    stack: str = "batchwatch",
    parameters: Mapping[str, str] | None = None,
    template: dict[str, Any] | None = None,
    tree: Path = ROOT,
    update: bool = False,
) -> dict[str, str]:
    """Deploy our template, or a changed one of it, and return the outputs of its stack.

    `tree`: where another release lies, whose template and functions are deployed. `update`: the
    stack is there already.
    """
    template = template or read_template(tree / TEMPLATE.name)
    packaged = _package(emulator, stack, template, layer, tree)
    return _bring(emulator, stack, packaged, parameters or {}, "update" if update else "create")


def deploy_folder(
    emulator: Emulator, folder: Path, *, stack: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Deploy the template of a folder whose functions need no build; return the outputs."""
    template, put = read_template(folder / "template.yaml"), _sources(emulator, stack)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            code = folder / resource["Properties"]["CodeUri"]
            resource["Properties"]["CodeUri"] = put(f"{name}.zip", code)
    return _bring(emulator, stack, template, parameters, "create")


def _bring(
    emulator: Emulator,
    stack: str,
    template: dict[str, Any],
    parameters: Mapping[str, str],
    how: Literal["create", "update"],
) -> dict[str, str]:
    """Create or update a stack, wait for it, and return its outputs."""
    cloudformation, place = emulator.client("cloudformation"), f"{_SOURCES}-{stack}/template.yaml"
    bucket, _, key = place.partition("/")  # in a request, 51,200 bytes are the most
    emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=write_template(template).encode())
    getattr(cloudformation, f"{how}_stack")(
        StackName=stack,
        TemplateURL=f"{emulator.endpoint}/{place}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    waiter = cloudformation.get_waiter(f"stack_{how}_complete")
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except Exception as error:
        raise EmulatorError(f"the stack failed: {_reasons(cloudformation, stack)}") from error
    outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def _package(
    emulator: Emulator, stack: str, template: dict[str, Any], layer: Path, tree: Path
) -> dict[str, Any]:
    """Upload code and layer and let the template point there, as `sam package` does."""
    put = _sources(emulator, stack)
    template["Globals"]["Function"]["CodeUri"] = put("functions.zip", tree / "functions")
    template["Resources"]["Core"]["Properties"]["ContentUri"] = put("layer.zip", layer)
    template["Resources"].pop("BucketPolicy", None)
    return template


def _sources(emulator: Emulator, stack: str) -> Callable[[str, Path], str]:
    """Make a bucket for the sources of a stack; what is returned puts a folder there.

    Other content has another key, as an update changes nothing whose address has not changed.
    """
    s3, bucket = emulator.client("s3"), f"{_SOURCES}-{stack}"
    s3.create_bucket(Bucket=bucket)  # ours already: no error in this region

    def put(name: str, folder: Path) -> str:
        packed = _zip(folder)
        key = f"{hashlib.sha256(packed).hexdigest()[:16]}/{name}"
        s3.put_object(Bucket=bucket, Key=key, Body=packed)
        return f"s3://{bucket}/{key}"

    return put


def _zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [e for e in events if e["ResourceStatus"].endswith("FAILED")]
    return "; ".join(
        f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '?')}" for e in failed
    )
