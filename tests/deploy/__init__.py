"""The way to a deployed stack, to the next version, and back: as whoever operates it goes it."""

import pytest

for each in ("beside", "keys", "readme", "sam", "aws"):  # whose assertions tell what they compared
    pytest.register_assert_rewrite(f"{__name__}.{each}")
