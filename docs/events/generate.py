"""Writes the JSON Schemas of all events, and an example of each, from the models of the package.

    uv run python -m docs.events.generate            # writes docs/events/VERSION/
    uv run python -m docs.events.generate --check    # 1 if what is there differs

Structure comes from `batchwatch.events` and `job_events`, words from `meanings`, what a type
guarantees from `types`. Each schema is whole in itself, so that one file is all that a program
needs.
"""

import functools
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from batchwatch.batch import Batch
from batchwatch.events import SCHEMA, ArchivedFile, BatchEvent, BatchEventData, Stalled
from batchwatch.job_events import SCHEMA as JOB_SCHEMA
from batchwatch.job_events import JobEvent, JobEventData, JobPart, JobTotals, Waiting
from docs.events import meanings
from docs.events.examples import batch_example, example
from docs.events.types import BATCH_TYPES, JOB_TYPES, TYPES, Files, Guarantee

VERSION = "1.0"
"""Of the schemas; docs/events/README.md tells when which part of it is raised."""
FOLDER = Path(__file__).parent
ANY_BATCH, ANY_JOB = "batch-event", "job-event"
ANY = {ANY_BATCH: BATCH_TYPES, ANY_JOB: JOB_TYPES}
"""The schemas that cover any event of batches, or of jobs."""

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$"
_ACCOUNT = "^[a-z0-9][a-z0-9-]{0,31}$"
_JOB_ID = "^job_[0-9a-f]{24}$"
_BATCH_ID = "^[A-Za-z0-9][A-Za-z0-9._=:-]{0,511}$"
_FILE: Schema = {"$ref": "#/$defs/file"}
_FILES: Schema = {"type": "object", "additionalProperties": _FILE}
_COUNT: Schema = {"minimum": 0}
_ENVELOPE: dict[str, Schema] = {
    "id": {"format": "uuid"},
    "source": {"pattern": "^urn:batchwatch:[^:]+:[^:]+$"},
    "time": {"pattern": _MOMENT},
}
_ANY_DATA: dict[str, Schema] = {
    "account": {"pattern": _ACCOUNT},
    "observed_at": {"pattern": _MOMENT},
    "sequence": {"minimum": 1},
    "files": _FILES,
}
_NARROWER: dict[type[BaseModel], dict[str, Schema]] = {
    BatchEvent: {
        **_ENVELOPE,
        "type": {"pattern": "^batch\\.[a-z_]+$"},
        "subject": {"pattern": _BATCH_ID},
        "dataschema": {"const": SCHEMA},
    },
    JobEvent: {
        **_ENVELOPE,
        "type": {"pattern": "^job\\.[a-z_]+$"},
        "subject": {"pattern": _JOB_ID},
        "dataschema": {"const": JOB_SCHEMA},
    },
    BatchEventData: {**_ANY_DATA, "attempt": {"minimum": 2}},
    JobEventData: {
        **_ANY_DATA,
        "requests": _COUNT,
        "rejected": _COUNT,
        "report": {"type": "string", "pattern": "^s3://"},
        "reason": {"type": "string"},
    },
    JobPart: {
        "number": {"minimum": 1},
        "requests": _COUNT,
        "completed": _COUNT,
        "failed": _COUNT,
    },
    JobTotals: dict.fromkeys(("requests", "completed", "failed", "unfinished"), _COUNT),
    Waiting: {"since": {"pattern": _MOMENT}, "parts": {"minimum": 1}},
    ArchivedFile: {
        "s3_uri": {"pattern": "^s3://"},
        "bytes": _COUNT,
        "lines": _COUNT,
        "crc32": {"pattern": "^[0-9a-f]{8}$"},
    },
    Stalled: {"seconds": _COUNT},
}
"""What is true beyond the types of the models."""
_MAYBE: dict[type[BaseModel], set[str]] = {
    BatchEventData: {"files", "stalled", "attempt", "reduced"},
    JobEventData: {"waiting", "totals", "files", "reason", "report", "reduced"},
    ArchivedFile: {"location"},
}
"""Left out where it says nothing."""


def schema(kind: str = ANY_BATCH) -> Schema:
    """Make the schema of a type of event, or one of those that cover any."""
    of_job = kind == ANY_JOB or kind in JOB_TYPES
    made = {
        "$schema": _DIALECT,
        "$id": f"urn:batchwatch:schema:{kind}:{VERSION}",
        "title": kind,
        "version": VERSION,
        "description": f"Any event of a {'job' if of_job else 'batch'}.",
        **(_of_job() if of_job else _of_batch()),
    }
    if kind in ANY:
        more = {each: _guaranteed(guarantee) for each, guarantee in ANY[kind].items()}
        return made | {
            "allOf": [{"if": _of(each), "then": more[each]} for each in more if more[each]]
        }
    made["description"] = TYPES[kind].when
    return _merged(_merged(made, _of(kind)), _guaranteed(TYPES[kind]))


def _of_batch() -> Schema:
    event = _object(BatchEvent, meanings.EVENT)
    data = _object(BatchEventData, meanings.DATA)
    data["properties"]["batch"] |= {"$ref": "#/$defs/batch"}
    data["properties"]["stalled"] |= _object(Stalled, meanings.STALLED)
    event["properties"]["data"] |= data
    return event | {"$defs": {"batch": _batch(), "file": _file()}}


def _of_job() -> Schema:
    event = _object(JobEvent, meanings.EVENT)
    data = _object(JobEventData, meanings.JOB_DATA)
    data["properties"]["parts"] |= {"items": {"$ref": "#/$defs/part"}}
    data["properties"]["waiting"] |= _object(Waiting, meanings.WAITING)
    data["properties"]["totals"] |= _object(JobTotals, meanings.TOTALS)
    event["properties"]["data"] |= data
    return event | {"$defs": {"part": _object(JobPart, meanings.JOB_PART), "file": _file()}}


def files() -> dict[str, str]:
    """Return every generated file: its path within the folder of the version, and its text."""
    made = {f"{kind}.schema.json": _text(schema(kind)) for kind in (*ANY, *TYPES)}
    return made | {f"examples/{k}.json": _text(json.loads(example(k).frozen())) for k in TYPES}


def differences(folder: Path = FOLDER / VERSION) -> list[str]:
    """Name the files that are missing, too many, or not what the models say."""
    there = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    made = files()
    return sorted(name for name in {*there, *made} if there.get(name) != made.get(name))


def _object(model: type[BaseModel], described: dict[str, str]) -> Schema:
    """Describe a model, one field after the other; whatever is not in it is allowed, too."""
    fields = _fields(model)
    if set(fields) != set(described):
        raise ValueError(f"{model.__name__}: {set(fields) ^ set(described)} in meanings.py?")
    narrower, maybe = _NARROWER.get(model, {}), _MAYBE.get(model, set())
    return {
        "type": "object",
        "required": [name for name in fields if name not in maybe],
        "properties": {
            name: {"description": described[name], **_plain(field), **narrower.get(name, {})}
            for name, field in fields.items()
        },
        "additionalProperties": True,
    }


@functools.cache
def _fields(model: type[BaseModel]) -> dict[str, Schema]:
    return dict(model.model_json_schema(mode="validation")["properties"])


def _plain(field: Schema) -> Schema:
    """Say the same in fewer words: no titles, no defaults, `null` as one of two types."""
    options = [option for option in field.get("anyOf", [field]) if "$ref" not in option]
    types = [option["type"] for option in options if "type" in option]
    said = {k: v for option in options for k, v in option.items() if k not in {"title", "default"}}
    said.pop("anyOf", None)
    return said | ({"type": types[0] if len(types) == 1 else types} if types else {})


def _batch() -> Schema:
    """Describe the provider's object, of which little is certain; so the rest has no types."""
    said = batch_example("batch.completed").data.batch.said
    made = _object(Batch, meanings.BATCH)
    fields = {
        name: {"description": field["description"]}
        | ({"examples": [said[name]]} if said.get(name) is not None else {})
        for name, field in made["properties"].items()
    }
    fields["id"] |= {"type": "string", "pattern": _BATCH_ID}
    return made | {"required": ["id", "status"], "properties": fields}


def _file() -> Schema:
    made = _object(ArchivedFile, meanings.FILE)
    made["properties"]["location"]["type"] = "string"
    whole = {
        "s3_uri": {"type": "string"},
        "bytes": {"type": "integer"},
        "lines": {"type": "integer"},
        "crc32": {"type": "string"},
    }
    why = {"reason": {"type": "string"}}
    return made | {
        "allOf": [
            {"if": _in_state("archived"), "then": {"properties": whole}},
            {"if": _in_state("gone"), "then": {"properties": why}},
            {"if": _in_state("failed"), "then": {"properties": why}},
        ]
    }


def _in_state(state: str) -> Schema:
    return {"properties": {"state": {"const": state}}}


def _of(kind: str) -> Schema:
    return {"properties": {"type": {"const": kind}}}


def _guaranteed(guarantee: Guarantee) -> Schema:
    """Say what events of a type have beyond all others."""
    data: Schema = {"required": [*(["files"] if guarantee.files else []), *guarantee.has]}
    data["properties"] = {"files": _of_files(guarantee.files)} if guarantee.files else {}
    if guarantee.status:
        data["properties"]["status"] = {"const": str(guarantee.status)}
    data = {name: said for name, said in data.items() if said}
    return {"properties": {"data": data}} if data else {}


def _of_files(told: Files) -> Schema:
    if told == "all":
        return {"required": ["record"]}
    return {"minProperties": 1, "maxProperties": 1, "additionalProperties": _in_state(told)}


def _merged(said: Schema, more: Schema) -> Schema:
    """Put two schemas into one that demands what both do."""
    made = dict(said)
    for name, value in more.items():
        there = made.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            made[name] = _merged(there, value)
        else:
            made[name] = [*there, *value] if isinstance(there, list) else value
    return made


def _text(said: Schema) -> str:
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the folder of the version; return the exit code."""
    folder = FOLDER / VERSION
    if arguments == ["--check"]:
        for name in (differing := differences(folder)):
            print(f"{folder / name} is not what the models say")
        return 1 if differing else 0
    for name, text in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
