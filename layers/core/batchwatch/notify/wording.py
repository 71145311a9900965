"""Numbers, times and foreign text as people read them. Pure."""

import unicodedata
from decimal import Decimal

_LONGEST = 300
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_ABSURD = 10**15  # nothing that is counted here comes near
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SHOWN = frozenset("\u00ad\u200c\u200d")  # scripts need them, and they do no harm


def clean(text: object, limit: int = _LONGEST) -> str:
    """One line of what somebody else wrote: no control characters, none that turn the direction.

    Longer text is cut, with "…" as its last character.
    """
    kept = "".join(map(_harmless, str(text)[: 8 * limit]))
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def harmless(text: str) -> str:
    """Return text as it is, lines included, without what would move or colour a terminal."""
    return "".join(each if each == "\n" else _harmless(each) for each in text)


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" or character in _SHOWN:
        return character
    return "" if category == "Cf" else " "


def number(count: int) -> str:
    """`1,200`; Python refuses to spell what is of thousands of digits."""
    return f"{count:,}" if count < _ABSURD else "countless"


def plural(count: int, noun: str) -> str:
    """`1 batch`, `1,200 requests`."""
    if count == 1:
        return f"1 {noun}"
    return f"{number(count)} {noun}{'es' if noun.endswith('ch') else 's'}"


def duration(seconds: float) -> str:
    """Two units at most: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(min(max(0, seconds), _ABSURD))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"


def size(count: float) -> str:
    """`850 bytes`, `93.2 kB`, `1.2 GB`: in units of a thousand."""
    count = min(count, _ABSURD)
    for unit in _UNITS[:-1]:
        if count < 1000:  # noqa: PLR2004 - SI
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def about(amount: Decimal) -> str:
    """`about $1,204.50`; of small sums `about $0.0032`, `under $0.0001`."""
    if amount and amount < Decimal("0.01"):
        return f"about ${amount:.4f}" if amount >= Decimal("0.0001") else "under $0.0001"
    return f"about ${amount:,.2f}"
