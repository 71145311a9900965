"""Numbers, times and foreign text as people read them."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.notify.wording import about, clean, duration, number, plural, size
from tests.builders import modest


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("two\nlines\r\n\tand  more", "two lines and more"),
        ("bell\x07 null\x00 \x1b[31mred\x85end", "bell null [31mred end"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u2066\u200b\ufeff\u2069", ""),
        ("a\u2028b\u2029c", "a b c"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("नमस्ते\u200d <!channel> & *bold*", "नमस्ते\u200d <!channel> & *bold*"),
        (None, "None"),
        (12, "12"),
    ],
)
def test_foreign_text_becomes_one_harmless_line(said: object, told: str) -> None:
    assert clean(said) == told


def test_a_long_text_ends_in_an_ellipsis_at_its_limit() -> None:
    assert clean("word " * 20_000, 12) == "word word w…"
    assert clean("exactly ten"[:10], 10) == "exactly te"


@given(st.text(), st.integers(1, 40))
@modest
def test_no_text_breaks_a_line_or_its_limit(text: str, limit: int) -> None:
    line = clean(text, limit)
    assert len(line) <= limit
    assert line == " ".join(line.split())
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Zl", "Zp"} for c in line)
    line.encode()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12000, "3 h 20 min"),
        (86399, "23 h 59 min"),
        (86_400, "1 d"),
        (10**400, "11574074074 d 1 h"),
        (187200, "2 d 4 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (93210, "93.2 kB"),
        (1200000000.0, "1.2 GB"),
        (5000000000000000.0, "1000.0 TB"),
    ],
)
def test_a_size_has_a_unit_that_suits_it(count: float, told: str) -> None:
    assert size(count) == told


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("0", "about $0.00"),
        ("1204.5", "about $1,204.50"),
        ("0.01", "about $0.01"),
        ("0.0032", "about $0.0032"),
        ("0.00009", "under $0.0001"),
        ("0.015", "about $0.02"),
    ],
)
def test_dollars_have_the_digits_that_count(amount: str, told: str) -> None:
    assert about(Decimal(amount)) == told


def test_numbers_are_grouped_counted_and_never_endless() -> None:
    assert (plural(1, "batch"), plural(2, "batch")) == ("1 batch", "2 batches")
    assert (plural(0, "line"), plural(1200, "request")) == ("0 lines", "1,200 requests")
    assert number(10**4400) == "countless"
    assert plural(10**15, "token") == "countless tokens"
