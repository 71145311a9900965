"""The schemas under docs/events say what is announced, and keep their promises."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, make_event, moment
from batchwatch.job_events import JobEvent, JobPart, JobTotals, Waiting, read_event
from docs.events.compatible import breaks
from docs.events.examples import example, job_example
from docs.events.generate import ANY, ANY_BATCH, ANY_JOB, FOLDER, VERSION, differences, main, schema
from docs.events.types import BATCH_TYPES, JOB_TYPES, TYPES
from local.deploy import ROOT, read_template
from tests import consumer_1_0
from tests.builders import modest, odd_batches
from tests.schemas import schema_faults, versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASED = {"1.0": "8bf52700c2c8159e"}
"""Versions that are out, and what `fingerprint` says of their folders: they never change again."""
NAMES = [*ANY, *TYPES]


def fingerprint(folder: Path) -> str:
    """Say in a few digits what a folder holds."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


# What is there is what the code says


def test_what_is_published_is_what_the_models_say() -> None:
    wrong = differences()
    assert not wrong, f"uv run python -m docs.events.generate (first read its README): {wrong}"


def test_the_check_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("docs.events.generate.FOLDER", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    capsys.readouterr()
    assert main(["--check"]) == 0
    (tmp_path / VERSION / "batch.lost.schema.json").write_text("{}\n")
    (tmp_path / VERSION / "batch.found.schema.json").write_text("{}\n")
    assert main(["--check"]) == 1
    told = capsys.readouterr().out
    assert re.findall(r"batch\.\w+", told) == ["batch.found", "batch.lost"]


def test_every_type_that_the_code_can_announce_has_a_schema_and_no_other() -> None:
    sources = (ROOT / "layers/core/batchwatch").glob("*.py")
    code = "".join(path.read_text() for path in sources)
    told = re.findall(r"told\.tell\(\s*f?\"(batch\.[^\"]+)\"", code)
    assert len(told) == len(re.findall(r"told\.tell\(", code))
    spread = {
        "batch.{kept.status}": {f"batch.{s}" for s in Status if s is not Status.UNKNOWN},
        "batch.file_{file.state}": {"batch.file_gone", "batch.file_failed"},
    }
    announced = set().union(*(spread.get(each, {each}) for each in told))
    assert announced == set(BATCH_TYPES)


def test_every_type_stands_in_the_readme_and_people_can_be_told_of_it() -> None:
    table = (ROOT / "README.md").read_text().split("| type | when |\n")[1].split("\n\n")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines()[1:])
    assert sorted(re.findall(r"`(\S+)`", first)) == sorted(TYPES)
    notify_on = read_template()["Parameters"]["NotifyOn"]
    allowed = re.compile(notify_on["AllowedPattern"])
    assert [kind for kind in TYPES if not allowed.fullmatch(kind)] == []
    assert allowed.fullmatch(",".join(TYPES))
    assert not allowed.fullmatch("job.failed")
    assert set(notify_on["Default"].split(",")) <= set(TYPES)
    assert {*JOB_TYPES} - {*notify_on["Default"].split(",")} == {"job.submitted"}


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_tells_its_name_and_version_and_what_everything_means(
    name: str,
) -> None:
    made = json.loads((FOLDER / VERSION / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(made)
    assert made["$id"] == f"urn:batchwatch:schema:{name}:{made['version']}"
    event, data = made["properties"], made["properties"]["data"]["properties"]
    parts = [event, data]
    parts += [data[name]["properties"] for name in ("stalled", "waiting", "totals") if name in data]
    parts += [part["properties"] for part in made["$defs"].values()]
    assert made["description"]
    assert [n for part in parts for n, field in part.items() if not field["description"]] == []
    assert '"additionalProperties": false' not in json.dumps(made)


@pytest.mark.parametrize("kind", TYPES)
def test_an_example_keeps_what_its_schemas_promise(kind: str) -> None:
    text = (FOLDER / VERSION / f"examples/{kind}.json").read_text()
    assert schema_faults(text) == []
    assert json.loads(read_event(text).frozen()) == json.loads(text)
    if kind in BATCH_TYPES:
        assert consumer_1_0.read(text).type == kind


@pytest.mark.parametrize("kind", JOB_TYPES)
def test_a_program_that_knows_batches_only_takes_no_event_of_a_job_for_one(kind: str) -> None:
    text = example(kind).frozen()
    with pytest.raises(consumer_1_0.BrokenPromiseError, match="dataschema"):
        consumer_1_0.read(text)
    with pytest.raises(ValidationError):
        BatchEvent.model_validate_json(text)
    assert not Draft202012Validator(schema(ANY_BATCH)).is_valid(json.loads(text))


# What is announced keeps what is promised


texts = st.text(max_size=9)
sizes = st.integers(0, 2**45)
archived = st.builds(
    ArchivedFile,
    state=st.just("archived"),
    s3_uri=texts.map("s3://bucket/{}".format),
    bytes=sizes,
    lines=sizes,
    crc32=st.integers(0, 2**32 - 1).map("{:08x}".format),
)
elsewhere = st.builds(ArchivedFile, state=st.just("elsewhere"), location=st.none() | texts)
not_had = {
    state: st.builds(ArchivedFile, state=st.just(state), reason=texts)
    for state in ("gone", "failed")
}
any_file = archived | elsewhere | not_had["gone"] | not_had["failed"]


@st.composite
def events(draw: st.DrawFn) -> BatchEvent:
    """Give events of every type, of batches as odd as they come."""
    kind = draw(st.sampled_from(sorted(BATCH_TYPES)))
    guarantee = BATCH_TYPES[kind]
    files: dict[Role, ArchivedFile] | None = None
    if guarantee.files == "all":
        others = draw(st.dictionaries(st.sampled_from(Role), any_file))
        files = {**others, Role.RECORD: draw(any_file)}
    elif guarantee.files:
        files = {draw(st.sampled_from(Role)): draw(not_had[guarantee.files])}
    event = make_event(
        kind,
        Batch.read(draw(odd_batches())),
        source="urn:batchwatch:stack:default",
        account="default",
        status=guarantee.status or draw(st.sampled_from(Status)),
        previous_status=draw(st.none() | st.sampled_from(Status)),
        sequence=draw(st.integers(1, 99)),
        now=draw(st.floats(0, 4e9)),
        by=draw(st.sampled_from(["poller", "webhook", "archiver"])),
        files=files,
        stalled=Stalled(reason="overdue", seconds=7, usual="") if guarantee.has else None,
    )
    return draw(st.sampled_from([event, event.reduced()]))


counted = st.integers(0, 50_000)
parts = st.builds(
    JobPart,
    number=st.integers(1, 99),
    state=texts,
    endpoint=texts,
    model=texts,
    requests=counted,
    batch_id=st.none() | texts,
    status=st.none() | texts,
    completed=st.none() | counted,
    failed=st.none() | counted,
    reason=st.none() | texts,
)
any_data: dict[str, st.SearchStrategy[Any]] = {
    "account": st.sampled_from(["default", "unknown"]),
    "sequence": st.integers(1, 99),
    "object": st.text(),
    "version": st.none() | texts,
    "requests": counted,
    "rejected": counted,
    "report": st.none() | texts.map("s3://bucket/{}".format),
    "parts": st.lists(parts, max_size=3).map(tuple),
    "waiting": st.builds(Waiting, parts=st.integers(1, 9), since=st.just(moment(1e9))),
    "totals": st.builds(
        JobTotals, requests=counted, completed=counted, failed=counted, unfinished=counted
    ),
    "files": st.dictionaries(st.sampled_from(["output", "error"]), any_file),
    "reason": st.text(),
}


@st.composite
def jobs(draw: st.DrawFn) -> JobEvent:
    """Give events of jobs of every type, with whatever they may have."""
    kind = draw(st.sampled_from(sorted(JOB_TYPES)))
    made = job_example(kind)
    said = {name: draw(values) for name, values in any_data.items()}
    for name in ("waiting", "totals", "files", "reason"):
        if name not in JOB_TYPES[kind].has and draw(st.booleans()):
            said[name] = None
    event = made.model_copy(update={"data": made.data.model_copy(update=said)})
    return draw(st.sampled_from([event, event.reduced()]))


def grown(said: Any, name: str = "") -> Any:
    """Add a field that nobody has heard of at every level; `files` has roles, not fields."""
    if isinstance(said, list):
        return [grown(each) for each in said]
    if not isinstance(said, dict):
        return said
    more = {} if name == "files" else {"unheard_of": {"since": [1.1]}}
    return {**more, **{key: grown(value, key) for key, value in said.items()}}


@modest
@given(events())
def test_every_event_is_as_its_schemas_say_and_is_read_by_a_program_of_1_0(
    event: BatchEvent,
) -> None:
    for text in (event.frozen(), json.dumps(grown(json.loads(event.frozen())))):
        assert schema_faults(text) == []
        read = consumer_1_0.read(text)
        assert (str(read.id), read.time, read.sequence) == (
            event.id,
            event.time,
            event.data.sequence,
        )
        assert set(read.files) == set(event.data.files or {})
        assert BatchEvent.model_validate_json(text).id == event.id


@modest
@given(jobs())
def test_every_event_of_a_job_is_as_its_schemas_say_however_little_sns_takes(
    event: JobEvent,
) -> None:
    for text in (event.frozen(), json.dumps(grown(json.loads(event.frozen())))):
        assert schema_faults(text) == []
        read = read_event(text)
        assert isinstance(read, JobEvent)
        assert (read.id, read.outcome) == (event.id, event.outcome)
    if event.data.reduced:
        assert len(event.frozen()) < 10_000
        assert all(c.isprintable() for c in event.data.object)


def test_a_reduced_event_has_a_name_of_its_own_and_what_its_type_promises() -> None:
    whole = job_example("job.completed")
    odd = whole.model_copy(
        update={"data": whole.data.model_copy(update={"object": "inbox/a\uffff\x00\ud800é"})}
    )
    less = odd.reduced()
    assert less.id not in {whole.id, less.reduced().id}
    assert less.data.object == "inbox/a???é"
    assert (less.data.totals, less.data.files) == (whole.data.totals, whole.data.files)
    assert (less.data.parts, less.data.report, less.data.reduced) == ((), None, True)


def test_a_type_and_a_role_of_a_later_version_break_nobody() -> None:
    said = json.loads(example("batch.archived").frozen())
    said["data"]["files"]["input"] = said["data"]["files"]["output"]
    text = json.dumps(said)
    assert schema_faults(text) == []
    assert "input" in consumer_1_0.read(text).files
    assert "input" in (BatchEvent.model_validate_json(text).data.files or {})
    assert json.loads(BatchEvent.model_validate_json(text).frozen()) == said
    later = json.dumps(said | {"type": "batch.priced"})
    assert schema_faults(later) == [f"{VERSION} has no schema of batch.priced"]
    assert consumer_1_0.read(later).type == "batch.priced"


LIES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "no id": ("lost", lambda e: e.pop("id")),
    "another major": ("lost", lambda e: e.update(dataschema=f"{e['dataschema']}9")),
    "a null subject": ("lost", lambda e: e.update(subject=None)),
    "a number as a text": ("lost", lambda e: e["data"].update(sequence="3")),
    "no previous status": ("lost", lambda e: e["data"].pop("previous_status")),
    "a time of nowhere": ("lost", lambda e: e.update(time="2026-11-21T02:00:00")),
    "a batch without id": ("lost", lambda e: e["data"]["batch"].pop("id")),
    "a batch without status": ("lost", lambda e: e["data"]["batch"].pop("status")),
    "another status": ("completed", lambda e: e["data"].update(status="failed")),
    "archived, without files": ("archived", lambda e: e["data"].pop("files")),
    "archived, without record": ("archived", lambda e: e["data"]["files"].pop("record")),
    "archived nowhere": (
        "archived",
        lambda e: e["data"]["files"]["output"].update(s3_uri=None),
    ),
    "in an odd state": ("archived", lambda e: e["data"]["files"]["output"].update(state="half")),
    "gone, without files": ("file_gone", lambda e: e["data"].pop("files")),
    "gone, for no reason": ("file_gone", lambda e: e["data"]["files"]["error"].pop("reason")),
    "failed, but gone": (
        "file_failed",
        lambda e: e["data"]["files"]["output"].update(state="gone"),
    ),
    "stalled, nobody knows why": ("stalled", lambda e: e["data"].pop("stalled")),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_breaks_a_promise_is_seen_by_the_schemas_and_by_the_program(lie: str) -> None:
    kind, tell = LIES[lie]
    said = json.loads(example(f"batch.{kind}").frozen())
    tell(said)
    text = json.dumps(said)
    assert schema_faults(text)
    with pytest.raises((consumer_1_0.BrokenPromiseError, ValueError, KeyError)):
        consumer_1_0.read(text)


def test_one_schema_for_any_type_promises_what_that_of_the_type_does() -> None:
    validator = Draft202012Validator(schema(ANY_BATCH))
    for kind, tell in LIES.values():
        said = json.loads(example(f"batch.{kind}").frozen())
        tell(said)
        assert not validator.is_valid(said)


LIES_OF_JOBS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "no object": ("submitted", lambda e: e["data"].pop("object")),
    "an event of a batch": (
        "submitted",
        lambda e: e.update(dataschema="urn:batchwatch:schema:batch-event:1"),
    ),
    "another id": ("submitted", lambda e: e.update(subject="batch_1")),
    "another status": ("submitted", lambda e: e["data"].update(status="waiting")),
    "a part without a model": ("submitted", lambda e: e["data"]["parts"][0].pop("model")),
    "waiting, nobody knows why": ("waiting", lambda e: e["data"].pop("waiting")),
    "waiting for no time": ("waiting", lambda e: e["data"]["waiting"].pop("since")),
    "completed, without totals": ("completed", lambda e: e["data"].pop("totals")),
    "completed, without files": ("completed", lambda e: e["data"].pop("files")),
    "half a total": ("completed", lambda e: e["data"]["totals"].pop("unfinished")),
    "merged nowhere": ("completed", lambda e: e["data"]["files"]["output"].update(s3_uri=None)),
    "cancelled, without totals": ("cancelled", lambda e: e["data"].pop("totals")),
    "refused for no reason": ("refused", lambda e: e["data"].pop("reason")),
}


@pytest.mark.parametrize("lie", LIES_OF_JOBS)
def test_what_breaks_a_promise_about_a_job_is_seen_by_both_of_its_schemas(lie: str) -> None:
    kind, tell = LIES_OF_JOBS[lie]
    said = json.loads(example(f"job.{kind}").frozen())
    tell(said)
    assert schema_faults(json.dumps(said))
    for name in (ANY_JOB, f"job.{kind}"):
        assert not Draft202012Validator(schema(name)).is_valid(said)


# Versions


def test_a_version_breaks_none_before_it_within_its_major() -> None:
    majors = {path.name.split(".")[0] for path in FOLDER.glob("[0-9]*.[0-9]*")}
    assert VERSION.split(".")[0] in majors
    for major in majors:
        for old, new in pairwise(versions(major)):
            for before in old.glob("*.schema.json"):
                after = json.loads((new / before.name).read_text())
                assert breaks(json.loads(before.read_text()), after) == [], (old, new, before.name)


def test_a_version_that_is_out_is_never_changed() -> None:
    assert {name: fingerprint(FOLDER / name) for name in RELEASED} == RELEASED


def changed(change: Callable[[Any], object], kind: str = "batch.archived") -> list[str]:
    """Say what a change of a schema breaks."""
    new = copy.deepcopy(schema(kind))
    change(new)
    return breaks(schema(kind), new)


def data(said: Any) -> Any:
    """Give the fields of `data`."""
    return said["properties"]["data"]["properties"]


COMPATIBLE: dict[str, Callable[[Any], object]] = {
    "nothing": lambda _: None,
    "its version": lambda s: s.update(version="1.1", **{"$id": "urn:batchwatch:schema:x:1.1"}),
    "words": lambda s: data(s)["status"].update(description="Where it stands."),
    "an example": lambda s: data(s)["status"].update(examples=["completed"]),
    "a field": lambda s: data(s).update(cost={"type": "number"}),
    "a field of a file": lambda s: s["$defs"]["file"]["properties"].update(etag={"type": "string"}),
    "a name for a part": lambda s: s["$defs"].update(cost={"type": "number"}),
}


@pytest.mark.parametrize("change", COMPATIBLE)
def test_what_is_added_and_not_demanded_breaks_nothing(change: str) -> None:
    assert changed(COMPATIBLE[change]) == []


def test_a_new_type_with_a_rule_of_its_own_breaks_nothing() -> None:
    rule = {"if": {"properties": {"type": {"const": "batch.priced"}}}, "then": {"required": ["x"]}}
    assert changed(lambda s: s["allOf"].append(rule), ANY_BATCH) == []


FILE, IN_DATA = "/data/files/*", "/data"
BREAKING: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "a field is gone": (lambda s: data(s).pop("reduced"), ["/data/reduced is gone"]),
    "a promise is gone": (
        lambda s: s["properties"]["data"]["required"].remove("account"),
        ["/data/account is not promised any more"],
    ),
    "a new demand": (lambda s: s["required"].append("cost"), ["/cost is demanded now"]),
    "a type is narrower": (
        lambda s: data(s)["previous_status"].update(type="string"),
        ["/data/previous_status type: null is gone"],
    ),
    "a type is wider": (
        lambda s: data(s)["status"].update(type=["string", "null"]),
        ["/data/status type: null is new"],
    ),
    "a type is not told": (
        lambda s: data(s)["status"].pop("type"),
        ["/data/status type: string has become None"],
    ),
    "another type": (
        lambda s: data(s)["sequence"].update(type="string"),
        ["/data/sequence type: integer is gone", "/data/sequence type: string is new"],
    ),
    "a value of a closed list is gone": (
        lambda s: s["$defs"]["file"]["properties"]["state"]["enum"].remove("gone"),
        [f"{FILE}/state enum: gone is gone"],
    ),
    "a value of a closed list is new": (
        lambda s: s["$defs"]["file"]["properties"]["state"]["enum"].append("half"),
        [f"{FILE}/state enum: half is new"],
    ),
    "another constant": (
        lambda s: s["properties"]["specversion"].update(const="2.0"),
        ["/specversion const: 1.0 has become 2.0"],
    ),
    "a pattern": (
        lambda s: data(s)["account"].pop("pattern"),
        ["/data/account pattern: ^[a-z0-9][a-z0-9-]{0,31}$ has become None"],
    ),
    "a limit": (
        lambda s: data(s)["sequence"].update(minimum=0),
        ["/data/sequence minimum: 1 has become 0"],
    ),
    "unknown fields are refused": (
        lambda s: s["properties"]["data"].update(additionalProperties=False),
        ["/data/*: True has become False"],
    ),
    "a rule is gone": (
        lambda s: s["$defs"]["file"]["allOf"].pop(0),
        [f"{FILE}: the rule for archived is gone"],
    ),
    "a rule demands less": (
        lambda s: s["$defs"]["file"]["allOf"][0]["then"]["properties"].pop("crc32"),
        [f"{FILE}(archived)/crc32 is gone"],
    ),
    "a rule for all": (
        lambda s: s["$defs"]["file"]["allOf"].append({"required": ["etag"]}),
        [FILE + ": a new rule: {'required': ['etag']}"],
    ),
}


@pytest.mark.parametrize("change", BREAKING)
def test_what_a_program_would_stumble_over_is_named(change: str) -> None:
    made, told = BREAKING[change]
    assert changed(made) == told


def test_the_files_of_every_batch_are_held_against_the_version_they_name(tmp_path: Path) -> None:
    for name in ("1.10", "1.9", "2.0", "examples"):
        (tmp_path / name).mkdir()
    assert [path.name for path in versions("1", tmp_path)] == ["1.9", "1.10"]
