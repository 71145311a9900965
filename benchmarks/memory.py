"""Peak memory of the deployed archiver, by the size of the file it archives.

`uv run python -m benchmarks memory 10MB 1GB`: a fresh local AWS for each size, then the high-water
mark that the kernel kept for the function's process. Linux only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from local.deploy import build_layer, deploy
from local.emulator import Emulator
from local.run import PARAMETERS
from local.service import Service
from local.simulator import Script, SimulatedOpenAI
from local.sizes import read_size, show_size

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


def main() -> None:
    """Measure each size named, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("size", nargs="*", type=read_size, help="such as 10MB (10MB 1GB)")
    sizes = parser.parse_args().size or [read_size("10MB"), read_size("1GB")]
    print(f"{'file':>10}  {'peak memory':>12}  {'seconds':>8}")
    for size in sizes:
        most, seconds = peak(size)
        print(f"{show_size(size):>10}  {show_size(most):>12}  {seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
