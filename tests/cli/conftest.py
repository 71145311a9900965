"""A deployed stack in memory, for the command line to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.command_line import Deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

_OUTPUTS = {
    "LedgerTable": "BATCHWATCH_TABLE",
    "JobsTable": "BATCHWATCH_JOBS",
    "BucketName": "BATCHWATCH_BUCKET",
    "EventsTopic": "BATCHWATCH_TOPIC",
    "KeysSecret": "BATCHWATCH_SECRET",
    "ArchiveQueueUrl": "BATCHWATCH_ARCHIVE_QUEUE",
    "ArchiveDeadLettersUrl": "BATCHWATCH_ARCHIVE_DEAD_LETTERS",
    "InboxQueueUrl": "BATCHWATCH_INBOX_QUEUE",
    "InboxDeadLettersUrl": "BATCHWATCH_INBOX_DEAD_LETTERS",
}


@pytest.fixture
def stack(world: World) -> Iterator[Deployed]:
    """The world as the stack `batchwatch`."""
    outputs = {name: world.environment[variable] for name, variable in _OUTPUTS.items()}
    outputs["OperatorsPolicy"] = "arn:aws:iam::123456789012:policy/operators"
    with Deployed("batchwatch", outputs) as deployed:
        yield deployed
