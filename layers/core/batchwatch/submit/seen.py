"""Which custom_ids a file has had so far: about ten bytes for each, in memory.

A file has at most five million requests, which is 50 MB. That two ids of so many look the same by
chance happens in one such file of ten million. A table of SQLite was three times as slow, and the
disk that it needs may be full.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b

_KEPT = 7


class Seen:
    """A set of texts to which can only be added."""

    def __init__(self) -> None:
        self._digests: defaultdict[bytes, bytearray] = defaultdict(bytearray)

    def add(self, text: str) -> bool:
        """Take a text in; False if it was there."""
        digest = blake2b(text.encode(), digest_size=2 + _KEPT).digest()
        some, rest = self._digests[digest[:2]], digest[2:]  # 65,536 heaps, so that each is small
        if rest in some:
            return False
        some += rest
        return True
