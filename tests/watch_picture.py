"""A picture of `batchwatch watch`, of the service in memory as it watches a simulated OpenAI.

`uv run python -m tests.watch_picture` renews docs/watch.svg. It needs nothing from elsewhere to
be shown: no font, no address.
"""

from __future__ import annotations

import os
import re
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from batchwatch.cli.follow.following import Shown
from batchwatch.cli.follow.pace import Paces
from batchwatch.cli.follow.progress import in_order
from batchwatch.cli.follow.screen import Picture
from batchwatch.cli.follow.watched import Everything
from batchwatch.cli.stack import Stack
from local.simulator import Pace, Script, SimulatedOpenAI
from tests.command_line import Deployed
from tests.dropped import asked, minute
from tests.world import KEY, REGION, Clock, World, aws_in_memory, build

PICTURE = Path(__file__).parents[1] / "docs" / "watch.svg"
_WIDTH, _MINUTE = 110, 60
_ELSEWHERE = re.compile(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", re.DOTALL)
_FONT = "Menlo, Consolas, 'Liberation Mono', monospace"


class _Begins(NamedTuple):
    """A batch, and after how many minutes it begins."""

    after: int
    script: Script


def _script(name: str, requests: int, minutes: int, **more: object) -> Script:
    return Script(
        name=name,
        endpoint="/v1/responses",
        requests=requests,
        running=minutes * _MINUTE,
        **{"ends": "completed", **more},  # type: ignore[arg-type]
    )


_BATCHES = (
    _Begins(0, _script("product-descriptions", 50_000, 200, failed=310)),
    _Begins(20, _script("nightly-summaries", 12_000, 90, failed=24)),
    _Begins(70, _script("review-labels", 3_000, 30)),
    _Begins(95, _script("translations-fr", 8_000, 240)),
    _Begins(100, _script("old-format", 400, 1, ends="failed", validating=90)),
    _Begins(108, _script("eval-judge", 1_500, 60)),
)
_OUTPUTS = {
    "LedgerTable": "BATCHWATCH_TABLE",
    "JobsTable": "BATCHWATCH_JOBS",
    "BucketName": "BATCHWATCH_BUCKET",
}
_DROPPED, _NOW = 90, 110  # minutes after the first


def picture(world: World) -> str:
    """Let a run happen, and draw what a terminal shows in the midst of it."""
    source, paces, drawn = Everything(Stack("batchwatch")), Paces(10), Picture()
    for number in range(_NOW + 1):
        for each in _BATCHES:
            if each.after == number:
                world.batch(each.script)
        if number == _DROPPED:
            world.openai.pace = Pace(running=30 * _MINUTE)
            world.drop("questions.jsonl", asked(900), **{"batchwatch-part-requests": "300"})
            world.submit()
        minute(world)
        if number % 10 == 0 or number > _DROPPED:
            seen, now = in_order(source.look()), world.clock.now
            drawn.rows = [Shown(each, paces.of(each.runs, now)) for each in seen]
            drawn.now = now
    console = Console(record=True, width=_WIDTH, height=20, file=StringIO(), force_terminal=True)
    console.print("$ batchwatch watch", style="bold", highlight=False)
    console.print(drawn)
    plain = _ELSEWHERE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, monospace", _FONT)
    return console.export_svg(title="batchwatch", code_format=plain, unique_id="watch")


def main() -> None:
    """Renew the picture."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    clock = Clock()
    with aws_in_memory(), SimulatedOpenAI(key=KEY, clock=clock) as openai:
        world = build(openai, clock)
        names = {name: world.environment[variable] for name, variable in _OUTPUTS.items()}
        with Deployed("batchwatch", names):
            PICTURE.write_text(picture(world))
        world.stop()


if __name__ == "__main__":
    main()
