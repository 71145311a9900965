"""A large file whose downloads are always cut: it arrives, or it is given up in good time."""

from __future__ import annotations

import hashlib
import json

import pytest

from local.simulator import Script
from tests.whole.stack import Stack, deployed

TRIES = 3
SIZES = pytest.mark.parametrize(
    ("size", "cut_every"),
    [
        pytest.param(60_000_000, 25_000_000, id="60MB", marks=pytest.mark.full),
        pytest.param(1_000_000_000, 100_000_000, id="1GB", marks=pytest.mark.full),
    ],
)


def watch_a_large_one(stack: Stack, size: int, cut_every: int) -> str:
    """Let a batch end with an output file of `size` bytes, and everything settle."""
    script = Script(name="large", endpoint="/v1/embeddings", requests=500, ends="completed",
                    running=1, output_bytes=size)  # fmt: skip
    stack.openai.fault("/content", cut_after=cut_every, times=-1)
    batch_id = stack.watch(script)
    with stack.ticking():
        assert stack.settle(240) == []
    return batch_id


def stored_outputs(stack: Stack) -> list[str]:
    return [key for key in stack.service.stored() if key.endswith("output.jsonl")]


@SIZES
def test_a_file_that_is_cut_again_and_again_arrives_at_the_price_of_once(
    size: int, cut_every: int
) -> None:
    with deployed() as stack:
        batch_id = watch_a_large_one(stack, size, cut_every)

        (key,) = stored_outputs(stack)
        file = stack.openai.file(str(stack.openai.batch(batch_id)["output_file_id"]))
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        assert stack.service.fetch(key).sha256 == sha256
        assert stack.openai.served < 1.1 * file.stat().st_size
        assert stack.uploads() == 0


@pytest.mark.full
@SIZES
def test_a_file_that_is_always_cut_and_never_gone_on_with_is_given_up(
    size: int, cut_every: int
) -> None:
    with deployed(ArchiveTries=str(TRIES)) as stack:
        stack.openai.ranges = False
        watch_a_large_one(stack, size, cut_every)

        assert stored_outputs(stack) == []
        types = [json.loads(message)["type"] for message in stack.messages]
        assert types[-2:] == ["batch.file_failed", "batch.archived"]
        assert stack.openai.served < (TRIES + 1) * cut_every
        assert stack.uploads() == 0
