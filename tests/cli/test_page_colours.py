"""The colours of the status page can be told from their ground, in light and dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

_SCHEME = re.compile(r":root \{(.*?)\}", re.DOTALL)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_marks_have_the_contrast_that_wcag_asks_for(dark: bool) -> None:  # noqa: FBT001 - a parameter
    style = files("batchwatch.cli.page").joinpath("style.css").read_text()
    light_one, dark_one = (
        dict(re.findall(r"--([\w-]+): (#\w+)", each)) for each in _SCHEME.findall(style)[:2]
    )
    colours = light_one | (dark_one if dark else {})

    for text in ("ink", "soft", "accent"):
        for ground in ("page", "sunk", "raised"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for mark in ("well", "errors", "cut", "failed", "edge", "accent"):
        assert _contrast(colours[mark], colours["page"]) >= 3, mark
    for one, beside in (("errors", "errors-dot"), ("cut", "cut-gap")):
        assert _contrast(colours[one], colours[beside]) >= 3, one


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
