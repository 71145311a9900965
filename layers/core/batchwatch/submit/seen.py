"""Which custom_ids a file has had so far: 9 bytes and a bit for each, in memory.

A file has at most ten million requests, which is 100 MB. Of digests of 72 bits, two among so many
are the same by chance in one file of a hundred million. A table of SQLite on disk was three times
as slow, and a disk may be full.
"""

from __future__ import annotations

from hashlib import blake2b

_KEPT = 7
_BUCKETS = 65_536  # the first two bytes of a digest say which; so they need not be kept


class Seen:
    """A set of texts to which can only be added."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(_BUCKETS)]

    def add(self, text: str) -> bool:
        """Take a text in; False if it was there."""
        digest = blake2b(text.encode(), digest_size=2 + _KEPT).digest()
        bucket, rest = self._buckets[digest[0] << 8 | digest[1]], digest[2:]
        at = bucket.find(rest)
        while at % _KEPT and at > 0:  # the end of one and the beginning of the next
            at = bucket.find(rest, at + 1)
        if at >= 0:
            return False
        bucket += rest
        return True
