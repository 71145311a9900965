"""What one would write with the official SDK: three ways to look at open batches."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from openai import OpenAI

from benchmarks.child import answer, peak_bytes, timed
from benchmarks.server import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 20
PAGE = 100


class Sdk:
    """A client with all its defaults."""

    def __init__(self, base_url: str) -> None:
        self._client = OpenAI(api_key=key_of(0), base_url=base_url)

    def connect(self) -> int:
        """Make the first connection."""
        return len(self._client.batches.list(limit=1).data)

    def loop(self, ids: list[str]) -> dict[str, Any]:
        """Retrieve one after another."""
        return _told(lambda: [self._status(batch_id) for batch_id in ids])

    def threads(self, ids: list[str]) -> dict[str, Any]:
        """Retrieve with 20 threads."""

        def retrieve() -> list[str]:
            with ThreadPoolExecutor(THREADS) as pool:
                return [*pool.map(self._status, ids)]

        return _told(retrieve)

    def list(self, ids: list[str]) -> dict[str, Any]:
        """Read the whole list, which shows more than the open ones."""
        wanted = {*ids}

        def read() -> dict[str, str]:
            listed = self._client.batches.list(limit=PAGE)
            return {batch.id: batch.status for batch in listed if batch.id in wanted}

        return _told(read)

    def _status(self, batch_id: str) -> str:
        return self._client.batches.retrieve(batch_id).status


def _told(deed: Callable[[], Any]) -> dict[str, Any]:
    seen, seconds = timed(deed)
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "seen": len(seen)}


if __name__ == "__main__":
    sdk = Sdk(sys.argv[1])
    answer(connect=sdk.connect, loop=sdk.loop, threads=sdk.threads, list=sdk.list)
