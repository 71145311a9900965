"""The CRC32 of two pieces one after another, from the CRC32 of each. Pure.

Bits stand for a polynomial, the highest power in the lowest bit, modulo that of CRC32; as in zlib,
which has it since 1.2.12, though Python does not show it.
"""

from functools import lru_cache

_MODULUS = 0xEDB88320
_ONE = 1 << 31


def combined(first: int, second: int, length: int) -> int:
    """Return the CRC32 of both pieces; `length`: bytes of the second."""
    return _times(_moved(length), first) ^ second


@lru_cache(maxsize=16)  # nearly all parts have the same length
def _moved(length: int) -> int:
    """What a piece is multiplied with that so many bytes follow: x to the power of their bits."""
    power, square = _ONE, _ONE >> 8
    while length:
        if length & 1:
            power = _times(power, square)
        square, length = _times(square, square), length >> 1
    return power


def _times(left: int, right: int) -> int:
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (_MODULUS if right & 1 else 0)
    return product
