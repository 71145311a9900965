"""How large a dropped file and its parts may be."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """What OpenAI takes in one batch, and what we take in one file.

    requests, inputs, part_bytes  of a part: OpenAI's own; inputs are those of embeddings
    parts, groups                 of a file; a group is an endpoint with a model, which has a buffer
    problems                      after so many bad lines the file is refused, whatever was asked
    hopeless                      the same, if it begins with so many bad lines and no good one
    line_bytes                    of one line, the only thing that must be held whole
    model                         characters of the name of a model
    object_bytes, sidecar_bytes   of what lies in the inbox
    """

    requests: int = 50_000
    inputs: int = 50_000
    part_bytes: int = 200_000_000
    parts: int = 100
    groups: int = 16
    problems: int = 10_000
    hopeless: int = 1_000
    line_bytes: int = 16 * 1024 * 1024
    model: int = 128
    object_bytes: int = 5_000_000_000
    sidecar_bytes: int = 64 * 1024


LIMITS = Limits()
