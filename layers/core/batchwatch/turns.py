"""Whose turn it is, with nothing remembered: the minute says, and soon everybody has had one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
_GOLDEN = (5**0.5 - 1) / 2


def turn(now: float) -> float:
    """Where on a circle of length 1 this minute points; at any interval, it comes by everywhere."""
    return now // 60 * _GOLDEN % 1


def in_turn(items: Sequence[T], now: float) -> list[T]:
    """Begin elsewhere in each minute, such that even short polls soon come by everywhere."""
    start = int(turn(now) * len(items))
    return [*items[start:], *items[:start]]
