"""What a message for Slack looks like: as a picture, and as lines for a terminal.

`uv run python -m local.slack_view` renews the picture in docs/.
"""

import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple

from batchwatch.notify.blocks import slack_message

Json = dict[str, Any]

DOCS = Path(__file__).parents[1] / "docs"
_WIDTH, _LEFT, _RIGHT = 760, 76, 24
_SMALL, _NORMAL, _LARGE = 13, 15, 18
_SANS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_MONO = "Menlo, Consolas, 'Liberation Mono', monospace"
_INK, _GREY, _CODE = "#1d1c1d", "#616061", "#c0255f"
_MARKUP = re.compile(r"`([^`]+)`|\*([^*]+)\*|_([^_]+)_|~([^~]+)~")
_STYLES = ("", "code", "bold", "plain", "plain")
_WIDE = {
    "plain": 0.56,
    "bold": 0.61,
    "code": 0.6,
}  # of a character; rather too much than too little


class Run(NamedTuple):
    """Text of one style: `plain`, `bold` or `code`."""

    text: str
    style: str = "plain"

    def width(self, size: int) -> float:
        """How wide it is at most, nearly."""
        return len(self.text) * _WIDE[self.style] * (_SMALL if self.style == "code" else size)


def _lines(text: Json) -> Iterator[list[Run]]:
    """Read a text as far as our messages use formatting."""
    for line in text["text"].split("\n"):
        runs, at = [], 0
        for found in _MARKUP.finditer(line) if text["type"] == "mrkdwn" else ():
            style = _STYLES[found.lastindex or 0]
            runs.append(Run(unescape(line[at : found.start()])))
            runs.append(Run(unescape(found[found.lastindex or 0]), style))
            at = found.end()
        yield [run for run in [*runs, Run(unescape(line[at:]))] if run.text]


def _context(block: Json) -> list[Run]:
    elements = [[run for line in _lines(e) for run in line] for e in block["elements"]]
    return [run for element in elements for run in (*element, Run("   "))][:-1]


def as_lines(payload: Json) -> list[str]:
    """Show a message as plain text, each attachment behind a bar."""
    lines = list(_plain(payload["blocks"]))
    for attachment in payload["attachments"]:
        lines += ["", *(f"▌ {line}" for line in _plain(attachment["blocks"]))]
    return lines


def _plain(blocks: list[Json]) -> Iterator[str]:
    for block in blocks:
        for line in _lines(block["text"]) if "text" in block else ():
            yield "".join(run.text for run in line)
        if block["type"] == "context":
            yield "".join(run.text for run in _context(block))


class _Drawing:
    """Lines of text from the top down."""

    def __init__(self, y: float) -> None:
        self.y = y
        self.parts: list[str] = []

    def blocks(self, blocks: list[Json], x: float) -> None:
        for block in blocks:
            self.y += 4
            if block["type"] == "context":
                self.line(_context(block), x, size=_SMALL, colour=_GREY)
            elif block["type"] == "header":
                text = "".join(run.text for run in next(_lines(block["text"])))
                self.line([Run(text, "bold")], x, size=_LARGE)
            elif "text" in block:
                for line in _lines(block["text"]):
                    self.line(line, x)

    def line(self, runs: list[Run], x: float, *, size: int = _NORMAL, colour: str = _INK) -> None:
        """Write one line, on as many as it takes."""
        for row in _wrapped(runs, size, _WIDTH - _RIGHT - x):
            self.y += round(size * 1.45)
            place = f'x="{x:.0f}" y="{self.y:.0f}" font-size="{size}" fill="{colour}"'
            spans = "".join(map(_span, row))
            self.parts.append(f'<text {place} xml:space="preserve">{spans}</text>')


def _span(run: Run) -> str:
    style = {
        "plain": "",
        "bold": ' font-weight="bold"',
        "code": f' font-family="{_MONO}" font-size="{_SMALL - 0.5}" fill="{_CODE}"',
    }[run.style]
    return f"<tspan{style}>{escape(run.text, quote=False)}</tspan>"


def _wrapped(runs: list[Run], size: int, width: float) -> Iterator[list[Run]]:
    """Break a line between words, or within one that is too long."""
    row: list[Run] = []
    left = width
    for run in runs:
        for word in re.findall(r"\s*[^\s/]{1,80}/*|\s*/+|\s+$", run.text):
            piece = Run(word, run.style)
            if row and piece.width(size) > left:
                yield row
                row, left, piece = [], width, Run(word.lstrip(), run.style)
            if row and row[-1].style == run.style:
                row[-1] = Run(row[-1].text + piece.text, run.style)
            else:
                row.append(piece)
            left -= piece.width(size)
    yield row


def as_svg(payload: Json) -> str:
    """Draw a message nearly as Slack does."""
    drawing = _Drawing(40)
    drawing.blocks(payload["blocks"], _LEFT)
    for attachment in payload["attachments"]:
        drawing.y += 12
        top = drawing.y
        drawing.blocks(attachment["blocks"], _LEFT + 16)
        drawing.y += 6
        size = f'y="{top:.0f}" width="4" height="{drawing.y - top:.0f}"'
        drawing.parts.append(f'<rect x="{_LEFT}" {size} rx="2" fill="{attachment["color"]}"/>')
    height = round(drawing.y) + 20
    return "\n".join([_FRAME.format(height=height), *drawing.parts, "</svg>", ""])


_FRAME = f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{{height}}" \
viewBox="0 0 {_WIDTH} {{height}}" font-family="{_SANS}">
<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{{height}}" rx="8" fill="#fff" stroke="#ddd"/>
<rect x="20" y="20" width="40" height="40" rx="8" fill="#3a3f5c"/>
<text x="40" y="47" fill="#fff" font-size="21" font-weight="bold" text-anchor="middle">b</text>
<text x="{_LEFT}" y="35" fill="{_INK}" font-size="15" font-weight="bold">batchwatch</text>
<rect x="178" y="23" width="30" height="15" rx="3" fill="#e8e8e8"/>
<text x="193" y="34" fill="{_GREY}" font-size="10" text-anchor="middle">APP</text>
<text x="216" y="35" fill="{_GREY}" font-size="12">9:41</text>"""


if __name__ == "__main__":
    from tests.sample_digest import sample_digest, short_digest

    for name, digest in {"slack": sample_digest(), "slack-short": short_digest()}.items():
        (DOCS / f"{name}.svg").write_text(as_svg(slack_message(digest)))
