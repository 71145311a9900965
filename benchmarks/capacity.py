"""What DynamoDB would charge: item sizes and capacity units, by its published rules.

Emulators do not tell them. "DynamoDB item sizes and formats" and "Capacity unit consumption" in the
developer guide; all sizes in bytes.
"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

_READ, _WRITE = 4096, 1024  # what one unit covers
_CONTAINER, _ELEMENT = 3, 1  # overhead of a list or map, and of each thing in it


class Entry(NamedTuple):
    """An item as an index holds it; `content` differs where anything in it does."""

    key: int
    content: int
    size: int


def item_size(item: dict[str, Any]) -> int:
    """Size of an item as a boto3 client gives it: `{"v": {"N": "1"}}`."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def read_units(size: int, *, consistent: bool) -> float:
    """Units of one page of a query or scan, or of one item."""
    return max(1, ceil(size / _READ)) * (1 if consistent else 0.5)


def write_units(before: int, after: int) -> int:
    """Units of one write to a table; the larger one of old and new item counts."""
    return max(1, ceil(max(before, after) / _WRITE))


def index_units(before: Entry | None, after: Entry | None) -> int:
    """Units that the same write costs in an index; none where the index shows no change."""
    if before is None and after is None:
        return 0
    if before is None or after is None:
        return write_units(0, (before or after or Entry(0, 0, 0)).size)
    if before.key != after.key:  # taken out there, put in here
        return write_units(0, before.size) + write_units(0, after.size)
    return 0 if before.content == after.content else write_units(before.size, after.size)


def _size(value: dict[str, Any]) -> int:
    ((kind, plain),) = value.items()
    match kind:
        case "S" | "B":
            return len(plain.encode() if kind == "S" else plain)
        case "N":
            return _number(plain)
        case "SS" | "NS" | "BS":
            return sum(_size({kind[0]: each}) for each in plain)
        case "M":
            return _CONTAINER + item_size(plain) + _ELEMENT * len(plain)
        case "L":
            return _CONTAINER + sum(_size(each) + _ELEMENT for each in plain)
        case _:  # BOOL, NULL
            return 1


def _number(text: str) -> int:
    """One byte, and one more for each two significant digits and for a minus."""
    digits = text.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")
    return 1 + ceil(len(digits) / 2) + text.startswith("-")
