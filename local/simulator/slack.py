"""Slack's incoming webhook on loopback: it takes messages, within the limits that Slack publishes.

Sources: docs.slack.dev/reference/block-kit (blocks and their limits) and
docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (its refusals).
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Self

from local.simulator.wire import Answer, HangUpError, Request, serving, whole_answer

Json = dict[str, Any]

PATH = "/services/T0SIMULATED/B0SIMULATED/simulatedSimulatedSimulat"
_BLOCKS, _ATTACHMENTS, _TOGETHER = 50, 20, 13_000  # the last as others have found it
_TEXTS = {"header": 150, "section": 3000}
_MANY = {"fields": 10, "elements": 10}
_MESSAGE = 40_000
_BARE = re.compile(r"&(?!(amp|lt|gt);)|[<>]")


@dataclass(slots=True)
class Refusal:
    """What is answered instead of `ok`: a status and a word; with `hang`, nothing."""

    status: int = 500
    word: str = "rollup_error"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


class SimulatedSlack:
    """A channel with an incoming webhook, for as long as the context lasts."""

    def __init__(self) -> None:
        self.url = ""  # known once entered
        self.messages: list[Json] = []  # as they would be shown
        self.posts: list[Json] = []  # all that came, taken or refused
        self.refusals: list[Refusal] = []  # for the next posts, one each
        self.problems: list[str] = []  # what was wrong with messages
        self.errors: list[BaseException] = []  # the simulator's own mistakes
        self._open = ExitStack()
        self._closing = Event()

    def __enter__(self) -> Self:
        origin = self._open.enter_context(serving(self._answer, self.errors, self._closing))
        self.url = f"{origin}{PATH}"
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def refuse(self, status: int, word: str = "", times: int = 1, **headers: str) -> None:
        """Refuse the next messages; `retry_after="30"` becomes a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals += [Refusal(status, word, named)] * times

    def hang(self, times: int = 1) -> None:
        """Leave the next messages without an answer."""
        self.refusals += [Refusal(hang=True)] * times

    def _answer(self, request: Request, body: bytes) -> Answer:
        if (request.method, request.path) != ("POST", PATH):
            return _say(404, "no_service")
        try:
            message = json.loads(body)
        except ValueError:
            return _say(400, "invalid_payload")
        self.posts.append(message)
        if self.refusals:
            return self._refused(self.refusals.pop(0))
        if wrong := list(problems(message)):
            self.problems += wrong
            return _say(400, "invalid_blocks")
        self.messages.append(message)
        return _say(200, "ok")

    def _refused(self, refusal: Refusal) -> Answer:
        if refusal.hang:
            self._closing.wait()
            raise HangUpError
        answer = _say(refusal.status, refusal.word)
        answer.headers |= refusal.headers
        return answer


def _say(status: int, word: str) -> Answer:
    answer = whole_answer(status, word.encode())
    answer.headers["content-type"] = "text/html"
    return answer


def problems(message: Json) -> Iterator[str]:
    """Tell what Slack would refuse, and what it would take for a mention or a link."""
    attachments = message.get("attachments", [])
    blocks = [*message.get("blocks", []), *(b for a in attachments for b in a["blocks"])]
    if not (message.get("text") or blocks):
        yield "no_text"
    if len(blocks) > _BLOCKS or len(attachments) > _ATTACHMENTS:
        yield f"{len(blocks)} blocks, {len(attachments)} attachments"
    if (size := len(json.dumps(blocks, ensure_ascii=False))) > _TOGETHER:
        yield f"msg_blocks_too_long: {size}"
    if len(message.get("text", "")) > _MESSAGE:
        yield "msg_too_long"
    if message.get("link_names") or message.get("parse"):
        yield "names become mentions"
    yield from _special(message.get("text", ""))
    for block in blocks:
        yield from _block(block)


def _block(block: Json) -> Iterator[str]:
    kind = block["type"]
    if kind not in {"header", "section", "context"}:
        yield f"no block: {kind}"
    if kind == "header" and block["text"]["type"] != "plain_text":
        yield "a header with formatting"
    if kind == "section" and not ("text" in block or block.get("fields")):
        yield "an empty section"
    if kind == "context" and not block["elements"]:
        yield "an empty context"
    if "text" in block:
        yield from _text(block["text"], _TEXTS[kind])
    for name, most in _MANY.items():
        if len(block.get(name, [])) > most:
            yield f"{len(block[name])} {name}"
        for text in block.get(name, []):
            yield from _text(text, 2000)


def _text(text: Json, longest: int) -> Iterator[str]:
    if text["type"] not in {"plain_text", "mrkdwn"}:
        yield f"no text: {text['type']}"
    if not 1 <= len(text["text"]) <= longest:
        yield f"{len(text['text'])} characters of {longest}"
    yield from _special(text["text"])


def _special(text: str) -> Iterator[str]:
    if _BARE.search(text):
        yield f"not escaped: {text}"
