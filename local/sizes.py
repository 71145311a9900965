"""Sizes as people write them, in units of a thousand."""

import re

_UNITS = ("B", "kB", "MB", "GB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", re.IGNORECASE)


def read_size(text: str) -> int:
    """Read `200MB` as bytes; raise ValueError where it is no size."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"not a size: {text!r}; try 200MB")
    thousands: int = 1000 ** " kmg".index(match[2].lower() or " ")
    return round(float(match[1]) * thousands)


def show_size(count: float) -> str:
    """Write bytes for people."""
    for unit in _UNITS[:-1]:
        if count < 1000:  # noqa: PLR2004 - SI
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} {_UNITS[-1]}"
