"""A digest as a message for Slack: Block Kit, a colour for each batch, the worst first. Pure.

What others wrote is shown as they wrote it: `&`, `<` and `>` are escaped, so that nothing is a
mention or a link; and what could be formatting stands as code, where nothing is.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from batchwatch.notify.digest import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchwatch.notify.digest import Digest, Entry, Fact

Block = dict[str, Any]

COLOURS = {
    Tone.BAD: "#d0342c",
    Tone.WARNING: "#e8a317",
    Tone.GOOD: "#2eb67d",
    Tone.NEUTRAL: "#8d9297",
}
IN_FULL = 10
"""At most so many batches and jobs are told in full; the others are counted."""
_SIZE = 9000
"""Characters of JSON: Slack refuses blocks of some 13,000 in all, without documenting it."""
_HEADER, _NUMBER, _LINE, _SECTION = 150, 200, 400, 2900
_BESIDE = {"Requests", "Parts", "Took", "Tokens"}
"""Facts short enough to share a line."""
_ELSEWHERE = {"Batch", "Job", "Events"}
"""Facts below the others, in small, and those that the email has."""
_FORMATTING = re.compile(r"[*_~`@#]|:\S+:|://|www\.|\]\(")


def slack_message(digest: Digest) -> dict[str, Any]:
    """Return what to post to an incoming webhook; `text` is for where blocks are not shown."""
    attachments: list[Block] = []
    for entry in digest.entries[:IN_FULL]:
        attachment = _attachment(entry)
        if _size([*attachments, attachment]) > _SIZE:
            break
        attachments.append(attachment)
    told = len(attachments)
    text = [headline(digest), *(f"• {summary(entry)}" for entry in digest.entries[:told])]
    if rest := others(digest, told):
        text.append(rest)
        more = {"color": COLOURS[Tone.NEUTRAL], "blocks": [_context(rest)]}
        attachments.append(more)
    return {
        "text": "\n".join(text),
        "blocks": _heading(digest),
        "attachments": attachments,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """What Slack shows as `text`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(text: str, limit: int = _LINE, escape: Callable[[str], str] = escaped) -> str:
    """Foreign text for a place where formatting is read; at most so many characters, escaped."""
    if not _FORMATTING.search(text):
        return cut(text, limit, escape)
    code = text.replace("`", "'")
    return f"`{cut(code, limit - 2, escape)}`"


def cut(text: str, limit: int, escape: Callable[[str], str] = escaped) -> str:
    """Escape text, of which so much is left out at its end that it has `limit` characters."""
    if len(whole := escape(text)) <= limit:
        return whole
    kept = text[: limit - 1]
    while len(shown := escape(kept.rstrip())) >= limit:
        kept = kept[:-1]
    return f"{shown}…"


def headline(digest: Digest, escape: Callable[[str], str] = escaped) -> str:
    """`Batches: 1 failed, 8 completed`."""
    return f"Batches: {literal(digest.heading or 'none', _HEADER - 9, escape)}"


def summary(entry: Entry, escape: Callable[[str], str] = escaped) -> str:
    """One line of a batch or a job: what became of it, its name, its account."""
    said = literal(entry.happened, 80, escape)
    account = literal(entry.account, 60, escape)
    return f"{said}: {literal(entry.title, 160, escape)} ({account})"


def others(digest: Digest, told: int, escape: Callable[[str], str] = escaped) -> str:
    """Count those not told in full, and say where they are; nothing if there are none."""
    rest = digest.entries[told:]
    if not rest:
        return ""
    kinds = digest._replace(entries=rest).heading
    where = literal(f"s3://{digest.bucket}/events/", 120, escape)
    more = literal(kinds, 300, escape)
    return f"… and {len(rest):,} more: {more}; {where} has them all"


def _heading(digest: Digest) -> list[Block]:
    text = cut(f"Batches: {digest.heading or 'none'}", _HEADER)
    header = {"type": "plain_text", "text": text, "emoji": False}
    below = " · ".join(part for part in (digest.totals, f"stack {digest.stack}") if part)
    return [{"type": "header", "text": header}, _context(literal(below))]


def _attachment(entry: Entry) -> Block:
    beside = [fact for fact in entry.facts if fact.name in _BESIDE]
    below = [fact for fact in entry.facts if fact.name not in {*_BESIDE, *_ELSEWHERE}]
    numbers = " · ".join(f"*{fact.name}* {literal(fact.text, _NUMBER)}" for fact in beside[:6])
    lines = [
        f"{_title(entry)} · {literal(entry.happened, 200)}",
        *filter(None, [numbers]),
        *_lines(below),
    ]
    return {
        "color": COLOURS[entry.tone],
        "blocks": [_section("\n".join(_fitting(lines))), _context(*_whose(entry))],
    }


def _title(entry: Entry) -> str:
    title = literal(entry.title)
    return title if title.startswith("`") else f"*{title}*"


def _lines(facts: Sequence[Fact]) -> Iterator[str]:
    """`*Next* …`; facts of one name as a list below it."""
    for name, group in groupby(facts, key=lambda fact: fact.name):
        texts = [_pieces(fact.text) for fact in group]
        label = f"*{cut(name, 40)}*"
        if len(texts) == 1:
            yield f"{label} {texts[0]}"
        else:
            yield label
            yield from (f"• {text}" for text in texts)


def _pieces(text: str) -> str:
    """Two spaces part a place from what is there: each stands for itself."""
    place, gap, rest = text.partition("  ")
    return literal(place) + (f"  {literal(rest)}" if gap else "")


def _fitting(lines: Sequence[str]) -> Sequence[str]:
    """Leave out last lines, until the others are not too long for a section."""
    while sum(len(line) + 1 for line in lines) > _SECTION:
        lines = lines[:-1]
    return lines


def _whose(entry: Entry) -> list[str]:
    about = [literal(fact.text) for fact in entry.facts if fact.name == entry.noun]
    return [*about[:1], f"`{cut(entry.subject, 600)}`"] if entry.named or not about else about[:1]


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _context(*texts: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))
