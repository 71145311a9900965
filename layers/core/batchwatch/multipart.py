"""A form with a file, as the official SDK sends it: of known length, never whole in memory."""

from collections.abc import Callable, Iterable, Iterator

import httpx

from batchwatch.errors import OpenAIError


class Form:
    """The body of an upload; can be sent again, and then begins with fresh chunks.

    httpx writes what is around the file, but could not send a file that it can neither hold nor
    measure: so it is given an empty one, and the chunks take its place.
    """

    def __init__(
        self,
        fields: dict[str, str],
        filename: str,
        size: int,
        chunks: Callable[[], Iterable[bytes]],
    ) -> None:
        file = (filename, b"", "application/octet-stream")
        empty = httpx.Request("POST", "https://localhost", data=fields, files={"file": file})
        kind = empty.headers["Content-Type"]
        around = empty.read()
        end = len(around) - len(f"\r\n--{kind.partition('boundary=')[2]}--\r\n")
        self._head, self._tail = around[:end], around[end:]
        self._size, self._chunks = size, chunks
        self.headers = {"Content-Type": kind, "Content-Length": str(len(around) + size)}

    def __iter__(self) -> Iterator[bytes]:
        """Give the body from its first byte; OpenAIError where the file is not of its size."""
        yield self._head
        left = self._size
        for chunk in self._chunks():
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            raise OpenAIError(f"POST files: not the {self._size} bytes that were to be sent")
        yield self._tail
