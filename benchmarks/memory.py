"""Peak memory of the deployed archiver, by the size of the file it archives.

A fresh local AWS for each size, then the high-water mark that the kernel kept for the function's
process. Linux only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tables import print_table
from local.deploy import build_layer, deploy
from local.emulator import Emulator
from local.run import PARAMETERS
from local.service import Service
from local.simulator import Script, SimulatedOpenAI
from local.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "sk-simulated"


def peak(size: int) -> tuple[int, float]:
    """Archive a file of about `size` bytes; return the peak in bytes, and the seconds it took."""
    script = Script(
        name="large", endpoint="/v1/embeddings", requests=2000, ends="completed", output_bytes=size
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Emulator(Path(folder)) as emulator,
        SimulatedOpenAI(key=KEY, directory=Path(folder) / "openai") as openai,
    ):
        outputs = deploy(emulator, build_layer(Path(folder)), parameters=PARAMETERS)
        service = Service(emulator, outputs)
        service.put_key(KEY, openai.base_url)
        batch_id = openai.add(script, created_at=time.time() - 5000)
        openai.file(
            str(openai.batch(batch_id)["output_file_id"])
        )  # written before the clock starts
        service.track(batch_id)
        service.tick()
        started = time.monotonic()
        while service.record(batch_id).open:
            time.sleep(0.2)
        return _high_water_mark("Archiver"), time.monotonic() - started


def _high_water_mark(function: str) -> int:
    """Bytes that the process of a function has held at most."""
    marks = [
        int(line.split()[1]) * 1024
        for process in Path("/proc").glob("[0-9]*")
        if _runs(process, function)
        for line in (process / "status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(marks)


def _runs(process: Path, function: str) -> bool:
    try:
        environment = (process / "environ").read_bytes()
    except OSError:  # gone, or not ours
        return False
    return f"AWS_LAMBDA_FUNCTION_NAME=batchwatch-{function}-".encode() in environment


def measure(sizes: Sequence[int]) -> list[dict[str, float]]:
    """Archive a file of about each size, in bytes."""
    figures = []
    for size in sizes:
        print(f"a file of {show_size(size)}", file=sys.stderr, flush=True)
        most, seconds = peak(size)
        figures.append({"bytes": size, "peak_bytes": most, "seconds": round(seconds, 1)})
    return figures


def show(figures: Sequence[dict[str, float]]) -> None:
    """Print a line for each size."""
    rows = [
        (show_size(each["bytes"]), show_size(each["peak_bytes"]), f"{each['seconds']:.1f}")
        for each in figures
    ]
    print_table(("file", "peak memory", "seconds"), [rows], words=())
