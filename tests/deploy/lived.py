"""What a version writes into its tables in the life of a few batches and a job, write by write.

`python -m tests.deploy.lived` prints it; see docs/releases.md, "Make a release".
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from local.simulator import Pace, Script, SimulatedOpenAI
from local.simulator.lifecycle import file_id
from tests.dropped import CHAT, MODEL, asked, minute
from tests.world import KEY, Clock, aws_in_memory, build

if TYPE_CHECKING:
    from tests.world import World

Item = dict[str, Any]


def lived() -> list[Item]:
    """Let batches and a job live; return their items as they were on the way, one of each shape."""
    clock = Clock()
    with aws_in_memory(), SimulatedOpenAI(key=KEY, clock=clock) as openai:
        world = build(openai, clock)
        items: dict[str, Item] = {}

        def note(parsed: dict[str, Any], **_: Any) -> None:
            item = parsed.get("Attributes") or parsed.get("Item") or {}
            if item and item.get("batch_id") != {"S": "#account"}:
                items.setdefault(_shape(item), item)

        for operation in ("UpdateItem", "GetItem"):
            event = f"after-call.dynamodb.{operation}"
            world.runtime.dynamodb.meta.events.register(event, note)
        _live(world)
        world.stop()
        return [*items.values()]


def _shape(item: Item) -> str:
    """Tell items apart that differ in more than numbers: by states, and by what is there."""
    files = {
        role: [file["M"]["state"], sorted(file["M"])]
        for role, file in item.get("files", {}).get("M", {}).items()
    }
    parts = json.loads(item.get("job", {}).get("S", "{}")).get("parts", [])
    states = sorted({str(part.get("state")) for part in parts})
    told = bool(item.get("outbox", {}).get("M"))
    return json.dumps([item.get("status"), item.get("stage"), sorted(item), told, files, states])


def _live(world: World) -> None:
    world.openai.pace = Pace(validating=50, running=100, finalizing=50)
    world.openai.enqueued_batches = 1
    usual: dict[str, Any] = {
        "endpoint": CHAT,
        "requests": 10,
        "validating": 50,
        "running": 130,
        "finalizing": 50,
    }
    kinds: list[dict[str, Any]] = [
        {"ends": "completed", "failed": 2, "output_bytes": 9_000_000},
        {"ends": "cancelled", "unfinished": 3},
        {"ends": "failed"},
        {"ends": "completed"},
    ]
    cut, _, _, gone = (world.batch(Script(**usual, name="n", **kind)) for kind in kinds)
    world.openai.fault(f"GET /v1/files/{_output(cut)}/content", cut_after=8_500_000)
    world.openai.fault(f"GET /v1/files/{_output(cut)}/content", times=2, cut_after=1000)
    world.openai.fault(f"GET /v1/files/{_output(gone)}/content", times=-1, status=404)
    metadata = {"batchwatch-part-requests": "2", "batchwatch-metadata": '{"team": "search"}'}
    world.drop("questions.jsonl", asked(5, MODEL), **metadata)
    world.submit()
    world.poll()
    for _ in range(25):
        minute(world)


def _output(batch_id: str) -> str:
    return file_id(batch_id, "output")


if __name__ == "__main__":
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    lines = [json.dumps(item, separators=(",", ":"), sort_keys=True) for item in lived()]
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")
