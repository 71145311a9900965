"""Three ways of a file from OpenAI to S3; `python -m benchmarks.transfer_ways` is a child."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.child import answer, peak_bytes, timed
from benchmarks.transfer_origin import FILE, KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

BUCKET = "bucket"
TRIES = 3
"""As many as the archiver counts against a file, before it gives it up."""
_NOTE_SECONDS = 0.01  # what DynamoDB takes for a write


class Ours:
    """The archiver's copy, noting after each few parts; gone on with where it came to."""

    def __init__(self, base_url: str, s3: S3Client) -> None:
        from batchwatch.archive import Archive  # noqa: PLC0415 - not for the others' memory
        from batchwatch.openai import Account, OpenAI  # noqa: PLC0415 - ditto

        self._archive = Archive(s3, BUCKET)
        self._openai = OpenAI(Account("default", KEY, base_url))
        self._noted: str | None = None
        self.close = self._openai.close

    def copy(self, key: str) -> None:
        """Make one try."""
        from batchwatch.copying import Copying  # noqa: PLC0415 - ditto
        from batchwatch.download import Source  # noqa: PLC0415 - ditto
        from batchwatch.record import Upload  # noqa: PLC0415 - ditto

        def note(upload: Upload | None) -> None:
            time.sleep(_NOTE_SECONDS)
            self._noted = upload.model_dump_json() if upload else None

        upload = Upload.model_validate_json(self._noted) if self._noted else None
        copying = Copying(self._archive, key, note, lambda: False)
        copying.copy(Source(self._openai, self._openai.file(FILE)), upload)
        self._noted = None


class Streaming:
    """The simplest stream: what comes is handed to boto3 with its defaults."""

    def __init__(self, base_url: str, s3: S3Client) -> None:
        import httpx  # noqa: PLC0415 - not for the others' memory

        self._http = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {KEY}"})
        self.close = self._http.close
        self._s3 = s3

    def copy(self, key: str) -> None:
        """Make one try."""
        with self._http.stream("GET", f"files/{FILE}/content") as answer:
            answer.raise_for_status()
            body: Any = _Readable(answer.iter_bytes())
            self._s3.upload_fileobj(body, BUCKET, key)


class Whole:
    """The SDK's helper: all of it in memory, and then sent."""

    def __init__(self, base_url: str, s3: S3Client) -> None:
        from openai import OpenAI  # noqa: PLC0415 - not for the others' memory

        self._openai = OpenAI(api_key=KEY, base_url=base_url)
        self.close = self._openai.close
        self._s3 = s3

    def copy(self, key: str) -> None:
        """Make one try."""
        content = self._openai.files.content(FILE).read()
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=content)


WAYS: dict[str, Callable[[str, S3Client], Any]] = {
    "ours": Ours,
    "streaming": Streaming,
    "whole": Whole,
}


class _Readable:
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = bytearray()

    def read(self, size: int = -1) -> bytes:
        wanted = size if size >= 0 else sys.maxsize
        while len(self._rest) < wanted and (chunk := next(self._chunks, None)) is not None:
            self._rest += chunk
        piece = bytes(self._rest[:wanted])
        del self._rest[:wanted]
        return piece


def store(endpoint: str) -> S3Client:
    """Return a client with the patience of the archiver's.

    Nobody signs what is sent, as over TLS: boto3's streams do not there, nor does the archiver.
    """
    return boto3.client(
        "s3",
        "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=Config(
            connect_timeout=3,
            read_timeout=20,
            s3={"addressing_style": "path", "payload_signing_enabled": False},
        ),
    )


def try_until_done(copy: Callable[[str], None], key: str, tries: int = TRIES) -> list[str]:
    """Try so often at most; return the names of the errors, one for each try that failed."""
    errors: list[str] = []
    while len(errors) < tries:
        try:
            copy(key)
        except Exception as error:  # noqa: BLE001 - told
            errors.append(type(error).__name__)
        else:
            break
    return errors


def main() -> None:
    """Copy when asked."""
    who, base_url, endpoint = sys.argv[1:4]
    way = WAYS[who](base_url, store(endpoint))

    def copy(key: str) -> dict[str, Any]:
        before = time.process_time()
        errors, seconds = timed(lambda: try_until_done(way.copy, key))
        busy = time.process_time() - before
        return {"seconds": seconds, "busy": busy, "peak_bytes": peak_bytes(), "errors": errors}

    answer(copy=copy)


if __name__ == "__main__":
    main()
