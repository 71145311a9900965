"""Writes the JSON Schemas of all events, and an example of each, from the models of the package.

    uv run python -m docs.events.generate            # writes docs/events/VERSION/
    uv run python -m docs.events.generate --check    # 1 if what is there differs

Structure comes from `batchwatch.events`, words from `meanings`, what a type guarantees from
`types`. Each schema is whole in itself, so that one file is all that a program needs.
"""

import functools
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from batchwatch.batch import Batch
from batchwatch.events import SCHEMA, ArchivedFile, BatchEvent, BatchEventData, Stalled
from docs.events import meanings
from docs.events.examples import example
from docs.events.types import TYPES, Files, Guarantee

VERSION = "1.0"
"""Of the schemas; docs/events/README.md tells when which part of it is raised."""
FOLDER = Path(__file__).parent
ANY = "batch-event"

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$"
_BATCH_ID = "^[A-Za-z0-9][A-Za-z0-9._=:-]{0,511}$"
_FILE: Schema = {"$ref": "#/$defs/file"}
_NARROWER: dict[str, dict[str, Schema]] = {
    "BatchEvent": {
        "id": {"format": "uuid"},
        "source": {"pattern": "^urn:batchwatch:[^:]+:[^:]+$"},
        "type": {"pattern": "^batch\\.[a-z_]+$"},
        "subject": {"pattern": _BATCH_ID},
        "time": {"pattern": _MOMENT},
        "dataschema": {"const": SCHEMA},
    },
    "BatchEventData": {
        "account": {"pattern": "^[a-z0-9][a-z0-9-]{0,31}$"},
        "observed_at": {"pattern": _MOMENT},
        "sequence": {"minimum": 1},
        "files": {"type": "object", "additionalProperties": _FILE},
    },
    "ArchivedFile": {
        "s3_uri": {"pattern": "^s3://"},
        "bytes": {"minimum": 0},
        "lines": {"minimum": 0},
        "crc32": {"pattern": "^[0-9a-f]{8}$"},
    },
    "Stalled": {"seconds": {"minimum": 0}},
}
"""What is true beyond the types of the models."""
_MAYBE = {"files", "stalled", "reduced", "location"}
"""Left out where it says nothing."""


def schema(kind: str = ANY) -> Schema:
    """Make the schema of a type of event, or the one that covers any."""
    event = _object(BatchEvent, meanings.EVENT)
    data = _object(BatchEventData, meanings.DATA)
    data["properties"]["batch"] |= {"$ref": "#/$defs/batch"}
    data["properties"]["stalled"] |= _object(Stalled, meanings.STALLED)
    event["properties"]["data"] |= data
    made = {
        "$schema": _DIALECT,
        "$id": f"urn:batchwatch:schema:{kind}:{VERSION}",
        "title": kind,
        "version": VERSION,
        "description": "Any event of batchwatch.",
        **event,
        "$defs": {"batch": _batch(), "file": _file()},
    }
    if kind == ANY:
        more = {each: _guaranteed(guarantee) for each, guarantee in TYPES.items()}
        return made | {
            "allOf": [{"if": _of(each), "then": more[each]} for each in TYPES if more[each]]
        }
    made["description"] = TYPES[kind].when
    return _merged(_merged(made, _of(kind)), _guaranteed(TYPES[kind]))


def files() -> dict[str, str]:
    """Return every generated file: its path within the folder of the version, and its text."""
    made = {f"{kind}.schema.json": _text(schema(kind)) for kind in (ANY, *TYPES)}
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
    narrower = _NARROWER.get(model.__name__, {})
    return {
        "type": "object",
        "required": [name for name in fields if name not in _MAYBE],
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
    said = example("batch.completed").data.batch.said
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
    data: Schema = {"required": ["files"] if guarantee.files else []}
    data["required"] += ["stalled"] if guarantee.stalled else []
    data["properties"] = {"files": _of_files(guarantee.files)} if guarantee.files else {}
    if guarantee.status:
        data["properties"]["status"] = {"const": guarantee.status.value}
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
