"""Checksums of pieces add up to that of the whole."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from batchwatch.crc32 import combined
from batchwatch.record import Tally
from tests.builders import modest


@modest
@given(st.lists(st.binary(max_size=300)))
def test_tallies_of_pieces_add_up_to_that_of_the_whole(pieces: list[bytes]) -> None:
    together = sum((Tally().add(piece) for piece in pieces), Tally())

    assert together == Tally().add(b"".join(pieces))


def test_parts_of_many_megabytes_add_up_too() -> None:
    first, second = b"one\n" * 100_000, bytes(range(256)) * 20_000

    both = combined(zlib.crc32(first), zlib.crc32(second), len(second))

    assert both == zlib.crc32(first + second)
