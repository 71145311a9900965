"""Every call to AWS that this process makes, counted by botocore's own events.

Keeps numbers only, so that it does not weigh on the memory that is measured beside it.
"""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import botocore.session

from benchmarks.capacity import Entry, index_units, item_size, read_units, write_units

if TYPE_CHECKING:
    from collections.abc import Iterable

READS = ("GetItem", "BatchGetItem", "Query", "Scan")
WRITES = ("PutItem", "UpdateItem", "DeleteItem")


class Index(NamedTuple):
    """What an index takes from an item: its own key, and all that it shows; None: everything."""

    key: tuple[str, ...]
    shown: frozenset[str] | None


class Counts(NamedTuple):
    """Calls by service and operation, and DynamoDB's units by operation."""

    calls: dict[str, int]
    units: dict[str, float]

    def of(self, operations: Iterable[str]) -> tuple[int, float]:
        """Calls and units of some of DynamoDB's operations."""
        named = [*operations]
        calls = sum(self.calls.get(f"dynamodb.{name}", 0) for name in named)
        return calls, sum(self.units.get(name, 0) for name in named)


class Meter:
    """Counts what is called with clients of boto3's default session, which it replaces.

    A write that returns nothing of the item is charged by the size last seen, and not for an index.
    What is read through a projection is charged by what is seen of it. Items of
    another table, without the key of this one, pass for one and the same, and for no index.
    """

    def __init__(self, key: tuple[str, ...], indexes: Iterable[Index]) -> None:
        self._key, self._indexes = key, [*indexes]
        self._lock = Lock()
        self.busy = 0.0
        """Seconds of a processor that counting itself has taken."""
        self._sizes: dict[int, int] = {}
        self._entries: dict[tuple[int, int], Entry | None] = {}
        self._calls: Counter[str] = Counter()
        self._units: dict[str, float] = {}
        session = botocore.session.get_session()
        session.register("before-parameter-build", self._remember)
        session.register("after-call", self._count)
        boto3.setup_default_session(botocore_session=session)

    def take(self) -> Counts:
        """Return what was counted since the last time."""
        with self._lock:
            counts = Counts(dict(self._calls), dict(self._units))
            self._calls.clear()
            self._units.clear()
        return counts

    def largest_item(self) -> int:
        """Size of the largest item as it is now, among those seen."""
        return max(self._sizes.values(), default=0)

    def _remember(self, **call: Any) -> None:
        call["context"]["asked"] = call["params"]

    def _count(self, **call: Any) -> None:
        began = time.thread_time()
        service, operation = call["model"].service_model.service_name, call["model"].name
        with self._lock:
            self._calls[f"{service}.{operation}"] += 1
            if service == "dynamodb":
                units = self._charged(operation, call["context"]["asked"], call["parsed"])
                self._units[operation] = self._units.get(operation, 0) + units
            self.busy += time.thread_time() - began

    def _charged(self, operation: str, asked: dict[str, Any], answer: dict[str, Any]) -> float:
        consistent = asked.get("ConsistentRead", False)
        match operation:
            case "Query" | "Scan":
                size = sum(item_size(item) for item in answer.get("Items", []))
                return read_units(size, consistent=consistent)
            case "GetItem":
                item = answer.get("Item", {})
                self._see(self._name(asked["Key"]), item)
                return read_units(item_size(item), consistent=consistent)
            case "BatchGetItem":
                return self._batch(asked["RequestItems"], answer.get("Responses", {}))
            case "PutItem":
                return self._written(self._name(asked["Item"]), asked["Item"])
            case "UpdateItem" | "DeleteItem":
                # What a refusal brings back is unchanged: charged by its size, and no index.
                item = answer.get("Attributes") or answer.get("Item")
                return self._written(self._name(asked["Key"]), item)
            case _:
                return 0

    def _batch(self, asked: dict[str, Any], answer: dict[str, Any]) -> float:
        """Each item is charged by itself, those that are not there too."""
        units = 0.0
        for table, wanted in asked.items():
            consistent = wanted.get("ConsistentRead", False)
            found = answer.get(table, [])
            missing = max(0, len(wanted["Keys"]) - len(found))
            sizes = [*map(item_size, found), *[0] * missing]
            units += sum(read_units(size, consistent=consistent) for size in sizes)
        return units

    def _written(self, name: int, item: dict[str, Any] | None) -> float:
        before = self._sizes.get(name, 0)
        if item is None:
            return write_units(before, before)
        entries = [self._entries.get((name, number)) for number, _ in enumerate(self._indexes)]
        self._see(name, item)
        units: float = write_units(before, self._sizes[name])
        for number, entry in enumerate(entries):
            units += index_units(entry, self._entries[name, number])
        return units

    def _see(self, name: int, item: dict[str, Any]) -> None:
        self._sizes[name] = item_size(item)
        for number, index in enumerate(self._indexes):
            self._entries[name, number] = _entry(index, item)

    def _name(self, item: dict[str, Any]) -> int:
        return _fingerprint(item, self._key)


def key_and_indexes(table: dict[str, Any]) -> tuple[tuple[str, ...], list[Index]]:
    """Read the key of a table and its indexes, from a description or the template's properties."""
    key = _names(table["KeySchema"])
    indexes = []
    for index in table.get("GlobalSecondaryIndexes", []):
        own = _names(index["KeySchema"])
        named = frozenset((*key, *own, *index["Projection"].get("NonKeyAttributes", [])))
        everything = index["Projection"]["ProjectionType"] == "ALL"
        indexes.append(Index(own, None if everything else named))
    return key, indexes


def _names(schema: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in schema)


def _entry(index: Index, item: dict[str, Any]) -> Entry | None:
    """Return what the index holds of an item; None where it lacks the index's key."""
    if any(name not in item for name in index.key):
        return None
    wanted = item.keys() if index.shown is None else index.shown
    shown = {name: value for name, value in item.items() if name in wanted}
    return Entry(
        _fingerprint(item, index.key), _fingerprint(shown, sorted(shown)), item_size(shown)
    )


def _fingerprint(item: dict[str, Any], names: Iterable[str]) -> int:
    return hash(tuple((name, repr(item.get(name))) for name in names))
