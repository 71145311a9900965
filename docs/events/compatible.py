"""Whether one version of a schema may follow another within a major version.

Both ways must hold: who knows the old reads what is announced by the new; who knows the new reads
what was kept of the old. So nothing but additions that are not demanded is compatible.
"""

from typing import Any

_WORDS = {"$schema", "$id", "$defs", "$comment", "title", "version", "description", "examples"}
"""What no program checks."""


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name what a program built on either schema would stumble over, by its place; none: []."""
    return _breaks(old, new, "", (old, new))


Roots = tuple[dict[str, Any], dict[str, Any]]


def _breaks(old: Any, new: Any, place: str, roots: Roots) -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [f"{place}: {old} has become {new}"]
    old, new = _followed(old, roots[0]), _followed(new, roots[1])
    found: list[str] = []
    for word in sorted({*old, *new} - _WORDS):
        before, now = old.get(word), new.get(word)
        match word:
            case "required":
                found += _demands(before or [], now or [], place)
            case "properties":
                found += _fields(before or {}, now or {}, place, roots)
            case "type" | "enum":
                found += _choices(before, now, f"{place} {word}")
            case "allOf":
                found += _rules(before or [], now or [], place, roots)
            case "additionalProperties":
                was, allowed = (True if each is None else each for each in (before, now))
                found += _breaks(was, allowed, f"{place}/*", roots)
            case _ if before != now:
                found.append(f"{place} {word}: {before} has become {now}")
    return found


def _followed(said: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in said:
        return said
    meant = root["$defs"][said["$ref"].removeprefix("#/$defs/")]
    return {**meant, **{word: value for word, value in said.items() if word != "$ref"}}


def _demands(before: list[str], now: list[str], place: str) -> list[str]:
    gone = [f"{place}/{name} is not promised any more" for name in before if name not in now]
    return gone + [f"{place}/{name} is demanded now" for name in now if name not in before]


def _fields(before: Any, now: Any, place: str, roots: Roots) -> list[str]:
    found = [f"{place}/{name} is gone" for name in before if name not in now]
    for name in [name for name in before if name in now]:
        found += _breaks(before[name], now[name], f"{place}/{name}", roots)
    return found


def _choices(before: Any, now: Any, place: str) -> list[str]:
    old, new = (
        None if each is None else set(each if isinstance(each, list) else [each])
        for each in (before, now)
    )
    if old is None or new is None:
        return [] if old == new else [f"{place}: {before} has become {now}"]
    found = [f"{place}: {value} is new" for value in sorted(new - old)]
    return [f"{place}: {value} is gone" for value in sorted(old - new)] + found


def _rules(before: list[Any], now: list[Any], place: str, roots: Roots) -> list[str]:
    """Compare what holds for each type of event; a type that was not there may come with a rule."""
    old, new = ({_type_of(rule): rule for rule in rules} for rules in (before, now))
    found = [f"{place}: the rule for {kind} is gone" for kind in old if kind not in new]
    found += [f"{place}: a new rule: {new[None]}" for kind in new if kind is None]
    for kind in [kind for kind in old if kind in new]:
        found += _breaks(old[kind].get("then"), new[kind].get("then"), f"{place}({kind})", roots)
    return found


def _type_of(rule: Any) -> str | None:
    """Say for which type of event, or state of a file, a rule holds."""
    condition = rule.get("if", {}).get("properties", {}) if isinstance(rule, dict) else {}
    said = [field.get("const") for field in condition.values()]
    return said[0] if len(said) == 1 else None
