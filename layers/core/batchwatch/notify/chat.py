"""A digest as a custom notification of Amazon Q Developer in chat applications. Pure.

Source: docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html. It goes on to Slack or
Teams, in whose formatting the texts are; what escapes it on the way is not told, so that foreign
text holds nothing to escape.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from batchwatch.notify.blocks import IN_FULL, cut, headline, literal, others, summary

if TYPE_CHECKING:
    from batchwatch.notify.digest import Digest, Entry

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batchwatch:chat")
# Less than what is allowed: a description becomes one section of Slack, of 3,000 characters.
_DESCRIPTION, _LINE, _STEP, _KEYWORD, _ID = 2800, 250, 300, 60, 200
_STEPS = 5
_NUMBERS = ("Requests", "Parts", "Took", "Tokens")
_TOLD = ("Lost", "Reason", "Status", "Since", "Usual", "Rejected", "Files")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def chat_message(digest: Digest) -> str:
    """Return the JSON to publish to the topic `Chat`; anything else there is not shown."""
    told = _that_fit(digest)
    texts = [*map(_description, told), others(digest, len(told), _harmless)]
    content: dict[str, Any] = {
        "textType": "client-markdown",
        "title": headline(digest, _harmless),
        "description": "\n\n".join(filter(None, texts)) or "-",
        "keywords": [cut(said, _KEYWORD, _harmless) for said in [*digest.counts][:5]],
    }
    if steps := list(dict.fromkeys(step for entry in told for step in _next(entry))):
        content["nextSteps"] = steps[:_STEPS]
    metadata = {
        "threadId": _thread(digest),
        "summary": cut(f"{headline(digest, _harmless)}; {digest.totals}", _STEP, _harmless),
        "eventType": "batchwatch.digest",
        "relatedResources": [cut(entry.subject, _ID) for entry in told],
        "additionalContext": {"stack": cut(digest.stack, _ID), "bucket": cut(digest.bucket, _ID)},
    }
    message = {
        "version": "1.0",
        "source": "custom",
        "id": _name(digest),
        "content": {name: said for name, said in content.items() if said},
        "metadata": {name: said for name, said in metadata.items() if said},
    }
    return json.dumps(message, ensure_ascii=False)


def _that_fit(digest: Digest) -> list[Entry]:
    told: list[Entry] = []
    left = _DESCRIPTION - len(others(digest, 0, _harmless))
    for entry in digest.entries[:IN_FULL]:
        left -= len(_description(entry)) + 2
        if left < 0:
            break
        told.append(entry)
    return told


def _description(entry: Entry) -> str:
    lines = [f"• {summary(entry, _harmless)}"]
    numbers = " · ".join(filter(None, (_line(entry, name) for name in _NUMBERS)))
    return "\n".join(filter(None, [*lines, numbers, *(_line(entry, name) for name in _TOLD)]))


def _line(entry: Entry, name: str) -> str:
    """The first fact of that name."""
    text = next((fact.text for fact in entry.facts if fact.name == name), "")
    return f"*{name}* {literal(text, _LINE, _harmless)}" if text else ""


def _next(entry: Entry) -> list[str]:
    texts = [fact.text for fact in entry.facts if fact.name == "Next"]
    return [cut(f"{entry.happened}: {text}", _STEP, _harmless) for text in texts]


def _thread(digest: Digest) -> str:
    """The batch or job, so that all that is told of it stands together; else what is told here."""
    ids = {entry.subject for entry in digest.entries}
    alone = next(iter(ids)) if len(ids) == 1 else ""
    return alone if 0 < len(alone) <= _ID else _name(digest)


def _name(digest: Digest) -> str:
    """Return the same for the same events."""
    events = [event.id for entry in digest.entries for event in entry.events]
    return str(uuid.uuid5(_NAMESPACE, "/".join([digest.stack, *events])))


def _harmless(text: str) -> str:
    """Text without what could begin a mention, a link or an entity."""
    return _ENTITY.sub("\uff06", text).replace("<", "\u2039").replace(">", "\u203a")
