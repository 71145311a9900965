"""How long Lambda would take for what was measured here: a share of a processor, and waiting."""

from __future__ import annotations

A_CALL = 0.01
"""Seconds that a call of AWS is assumed to take, from within its network."""
_OF_A_PROCESSOR = 1.769
"""Gigabytes of memory for which Lambda gives a function a whole one."""


def share(gigabytes: float) -> float:
    """What part of a processor a function has that has so much memory, and one thread of Python."""
    return min(1, gigabytes / _OF_A_PROCESSOR)
