"""A digest as an email: a subject, and plain text. Pure."""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.notify.digest import Tone, counted
from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from batchwatch.notify.digest import Digest, Entry

_LONGEST_SUBJECT = 99  # SNS: under 100 characters of ASCII
_LONGEST_LEAD = 40
_MOST_BYTES = 230_000  # of the entries; SNS takes 262,144 of all
_MOST_WHOLE, _WHOLE_BYTES = 30, 100_000
_COLUMNS = 78
_LABEL = 12  # `  Requests  `
_USUAL_STACK, _USUAL_ACCOUNT = "batchwatch", "default"
_TELLING = ("Reason", "Since", "Lost", "Requests")
"""Facts, one of which says most in a few words."""


class Email(NamedTuple):
    """What SNS sends. `subject`: under 100 characters of ASCII; `text`: under 240,000 bytes."""

    subject: str
    text: str


def email(digest: Digest, *, prices: str) -> Email:
    """Put a digest into words; `prices`: by which prices costs were estimated."""
    parts = [
        *_head(digest),
        *_body(digest),
        *_foot(digest, prices),
    ]
    return Email(_subject(digest), "\n".join(parts) + "\n")


# Subject


def _subject(digest: Digest) -> str:
    stack = _ascii(clean(digest.stack, _LONGEST_LEAD)) or _USUAL_STACK
    if len(digest.entries) == 1:
        entry = digest.entries[0]
        lead = "" if stack == _USUAL_STACK else f"{stack}: "
        return _of_one(entry, lead)
    return _of_many(digest, f"{stack}: ")


def _of_one(entry: Entry, lead: str) -> str:
    """`nightly-summaries: completed, 388 of 400 succeeded`."""
    what = _ascii(entry.happened) or "unknown"
    detail = _ascii(_detail(entry))
    if "completed" in entry.said:
        detail = detail.partition(", ")[0]
    said = f": {what}, {detail}" if detail else f": {what}"
    name = lead + _ascii_name(entry)
    said = _cut(said, _LONGEST_SUBJECT - min(len(name), _LONGEST_LEAD))
    return _cut(name, _LONGEST_SUBJECT - len(said)) + said


def _of_many(digest: Digest, lead: str) -> str:
    """`batchwatch: 1 failed, 1 expired, 8 completed`, as many kinds as have room."""
    counts = list(digest.counts.items())
    for kinds in range(len(counts), 0, -1):
        parts = [_ascii(counted(said, count)) for said, count in counts[:kinds]]
        rest = sum(count for _, count in counts[kinds:])
        told = lead + ", ".join([*parts, f"{rest:,} more"] if rest else parts)
        if len(told) <= _LONGEST_SUBJECT:
            return told
    return lead + digest.size


def _detail(entry: Entry) -> str:
    facts = {fact.name: fact.text for fact in reversed(entry.facts)}
    detail = next((facts[name] for name in _TELLING if name in facts), "")
    return detail.partition(", ")[2] if entry.said.endswith("without success") else detail


def _ascii_name(entry: Entry) -> str:
    """The title if ASCII can spell it, else the id."""
    name = _ascii(entry.title)
    return (
        name
        if 2 * len(name) > len(entry.title)
        else _ascii(entry.subject) or f"a {entry.noun.lower()}"
    )


def _ascii(text: str) -> str:
    spelled = unicodedata.normalize("NFKD", text.replace("…", "..."))
    return " ".join(spelled.encode("ascii", "ignore").decode().split())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


# Text


def _head(digest: Digest) -> Iterator[str]:
    if len(digest.entries) == 1:
        return
    yield from _wrapped(f"{digest.size}: {_cut(digest.heading, 1000)}.")
    if digest.totals:
        yield from _wrapped(f"In all {digest.totals}.")
    yield ""


def _body(digest: Digest) -> Iterator[str]:
    """Entries whole, then in a line each, then counted: as they have room."""
    used = whole = 0
    short = False
    for index, entry in enumerate(digest.entries):
        text = "\n".join(_whole(entry)) + "\n"
        if not short and whole < _MOST_WHOLE and used + _size(text) <= _WHOLE_BYTES:
            whole += 1
        else:
            text = ("" if short else "The others, in a line each:\n\n") + _line(entry)
            short = True
        used += _size(text) + 1
        if used > _MOST_BYTES:
            yield from _rest(digest.entries[index:], digest.bucket)
            return
        yield text
    if short:
        yield ""


def _size(text: str) -> int:
    return len(text.encode())


def _whole(entry: Entry) -> Iterator[str]:
    what = entry.happened
    yield f"{what.upper() if entry.tone is Tone.BAD else what.capitalize()}: {entry.title}"
    label = ""
    for name, text in _rows(entry):
        mark = "→ " if name == "Next" else "  "
        margin = f"{mark}{'' if name == label else name}".ljust(_LABEL)
        label = name
        yield from _wrapped(text, margin, " " * _LABEL)


def _rows(entry: Entry) -> Iterator[tuple[str, str]]:
    """The facts; those of good news in few lines."""
    if entry.named:
        whose = "" if entry.account == _USUAL_ACCOUNT else f" · account {entry.account}"
        yield entry.noun, entry.subject + (whose if entry.tone is Tone.GOOD else "")
    if entry.tone is Tone.GOOD:
        yield from _in_short(entry)
        return
    for name, text in entry.facts:
        yield name, text
        if name == entry.noun and len(entry.events) > 1:
            kinds = [clean(event.type.partition(".")[2]) for event in entry.events]
            yield "Events", " → ".join(kinds)


def _in_short(entry: Entry) -> Iterator[tuple[str, str]]:
    took = next((f" in {fact.text}" for fact in entry.facts if fact.name == "Took"), "")
    for name, text in entry.facts:
        if name == "Requests":
            yield name, text + took
        elif name not in {entry.noun, "Took"} or (name == entry.noun and not entry.named):
            yield name, text


def _line(entry: Entry) -> str:
    detail = _cut(_detail(entry), 60)
    name = f"{_cut(entry.title, 40)} ({entry.subject})" if entry.named else entry.subject
    account = "" if entry.account == _USUAL_ACCOUNT else f", account {entry.account}"
    return f"- {entry.happened}: {name}{account}" + (f", {detail}" if detail else "")


def _rest(entries: Sequence[Entry], bucket: str) -> Iterator[str]:
    counts = Counter(entry.said for entry in entries)
    more = ", ".join(counted(said, count) for said, count in counts.items())
    yield ""
    yield from _wrapped(
        f"And {len(entries):,} more, for which there is no room here: {_cut(more, 1000)}."
    )
    yield from _wrapped(f"Every event of them lies under s3://{clean(bucket)}/events/")
    yield ""


def _foot(digest: Digest, prices: str) -> Iterator[str]:
    yield "—"
    yield from _wrapped(
        f"Told by the stack {clean(digest.stack)}. Its parameter NotifyOn chooses what is told."
    )
    if any(entry.cost for entry in digest.entries):
        yield from _wrapped(
            f"Costs are estimated from tokens and {clean(prices)}, of which a batch costs half."
        )


def _wrapped(text: str, first: str = "", then: str = "") -> Iterable[str]:
    """Lines of at most 78 columns, but where an id or an address is longer."""
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
