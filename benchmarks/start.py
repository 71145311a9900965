"""One start of a function, told in a line of JSON: its import, and its first call.

Run by its path in a bare Python, so that nothing but what the function needs is imported; hence it
imports nothing of ours. Arguments: folders to import from, then the module. The event is on stdin.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "coldstart"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:coldstart"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Tell the time left."""
        return 60_000


def start(module: str, event: Any) -> dict[str, Any]:
    """Import the module and call its handler; seconds count from the beginning of the import."""
    before, began = set(sys.modules), _clocks()
    handler = importlib.import_module(module).handler
    imported, modules = _clocks(), len(set(sys.modules) - before)
    result = handler(event, Context())
    answered = _clocks()
    peak = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return {
        "imported": imported[0] - began[0],
        "imported_busy": imported[1] - began[1],
        "answered": answered[0] - began[0],
        "answered_busy": answered[1] - began[1],
        "modules": modules,
        "peak_bytes": peak,
        "result": result,
    }


def _clocks() -> tuple[float, float]:
    """Seconds, and seconds that this process has had of a processor."""
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    *sys.path[:0], name = sys.argv[1:]
    print(json.dumps(start(name, json.load(sys.stdin))))
