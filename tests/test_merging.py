"""The results of parts as one file: each line once, in the order of the parts, resumed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.archive import LEAST_PART, Archive
from batchwatch.batch import Role
from batchwatch.errors import LostLeaseError, OutOfTimeError
from batchwatch.record import File, FileState
from batchwatch.submit.job import Job, Piece
from batchwatch.submit.merging import Joined, Merging, merged_key
from tests.builders import modest
from tests.plans import job, part
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World

KEY = "jobs/account=default/created=1970-01-01/job_1/output.jsonl"
LINE = b'{"custom_id": "%d"}'


class Kept(Archive):
    """Objects in memory, read as those of the bucket are."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(client("s3"), "bucket")
        self._objects = objects

    def read(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Read in small pieces."""
        body = self._objects[key][start:]
        return (body[at : at + 3] for at in range(0, len(body), 3))


class Bench:
    """A job with the files of its parts in a bucket, and what is noted of its merged ones."""

    def __init__(self, world: World, outputs: list[bytes | None], *, errors: bytes = b"") -> None:
        self.s3, self.job = world.runtime.s3, Job(job_id="job_1", key="inbox/a.jsonl", arrived=0)
        parts = []
        for number, content in enumerate(outputs, 1):
            pieces = {}
            for role, body in ((Role.OUTPUT, content), (Role.ERROR, errors or None)):
                if body is not None:
                    key = f"batches/{number}/{role}.jsonl"
                    self.s3.put_object(Bucket="bucket", Key=key, Body=body)
                    pieces[role] = Piece(key=key, size=len(body))
            parts.append(part(state="ended", pieces=pieces))
        self.job = job("job_1", *parts)
        self.notes: list[File] = []

    def merge(self, late: Callable[[], bool] = lambda: False) -> None:
        """Merge as a worker does, which keeps each note."""
        archive = Archive(self.s3, "bucket", part_bytes=LEAST_PART)
        Merging(archive, self.job, self.note, late).merge()

    def note(self, role: Role, file: File) -> None:
        """Keep what is known of a merged file."""
        self.notes.append(file)
        self.job = self.job.but(merged={**self.job.merged, role: file})

    def content(self, key: str = KEY) -> bytes:
        """Return a merged file."""
        body: bytes = self.s3.get_object(Bucket="bucket", Key=key)["Body"].read()
        return body


def test_files_come_in_the_order_of_their_parts_each_line_on_its_own(world: World) -> None:
    bench = Bench(world, [b"1\n2\n", b"3", b"", None, b"4\n", b"5"], errors=b"e\n")
    bench.merge()
    assert bench.content() == b"1\n2\n3\n4\n5\n"
    assert bench.content(KEY.replace("output", "error")) == b"e\n" * 6
    output = bench.job.merged[Role.OUTPUT]
    assert (output.state, output.bytes, output.lines) == (FileState.ARCHIVED, 10, 5)
    assert output.crc32 == f"{zlib.crc32(bench.content()):08x}"
    assert output.s3_uri == f"s3://bucket/{KEY}"


def test_of_nothing_there_is_no_file(world: World) -> None:
    bench = Bench(world, [None, None], errors=b"e")
    bench.merge()
    assert set(bench.job.merged) == {Role.ERROR}
    there = [
        found["Key"]
        for found in bench.s3.list_objects_v2(Bucket="bucket", Prefix="jobs/")["Contents"]
    ]
    assert there == [KEY.replace("output", "error")]


def test_a_key_that_may_not_be_used_for_now_loses_no_results(world: World) -> None:
    """S3 answers 403 as for an object that is gone; only its words tell what was denied."""
    bench = Bench(world, [b"1\n"])
    denied = "User: batchwatch is not authorized to perform: kms:Decrypt on resource: a key"
    world.refuse("GetObject", "AccessDenied", status=403, message=denied)

    with pytest.raises(ClientError, match="kms:Decrypt"):
        bench.merge()
    assert bench.job.merged.get(Role.OUTPUT, File(state=FileState.PENDING)).reason is None
    bench.merge()
    assert bench.content() == b"1\n"


def test_an_object_that_is_gone_ends_the_merging_of_it(world: World) -> None:
    bench = Bench(world, [b"1\n"])
    world.refuse("GetObject", "AccessDenied", status=403)

    bench.merge()
    assert bench.job.merged[Role.OUTPUT].state is FileState.FAILED


def large(lines: int, first: int) -> bytes:
    """Give lines of 16 KiB each, without an end to the last."""
    return b"\n".join((LINE % n).ljust(16 * 1024 - 1) for n in range(first, first + lines))


def test_what_was_merged_when_the_time_was_up_is_gone_on_with(world: World) -> None:
    bench = Bench(world, [large(200, 0), large(500, 200), b"", large(100, 700)])
    asked = iter(range(10_000))
    with pytest.raises(OutOfTimeError):
        bench.merge(late=lambda: next(asked) >= 9)
    noted = bench.job.merged[Role.OUTPUT]
    assert noted.upload is not None
    assert noted.upload.parts == 1  # of 5 MiB, within the second file
    world.calls.clear()
    bench.merge()
    whole = bench.content()
    assert [line.strip() for line in whole.splitlines()] == [LINE % n for n in range(800)]
    assert world.calls.count("s3.UploadPart") == 2
    # and once more, by who does not know that it is done
    bench.note(Role.OUTPUT, bench.notes[-2])
    bench.merge()
    assert bench.content() == whole
    assert world.calls.count("s3.UploadPart") == 2


def test_a_merging_that_died_before_its_note_ends_as_the_same_file(world: World) -> None:
    bench = Bench(world, [b"1\n", b"2"])
    bench.merge()
    bench.job = bench.job.but(merged={})
    bench.merge()
    assert bench.content() == b"1\n2\n"
    assert bench.job.merged[Role.OUTPUT].state is FileState.ARCHIVED


def test_who_has_lost_the_lease_writes_nothing_more(world: World) -> None:
    bench = Bench(world, [large(700, 0)])

    def lost(_: Role, __: File) -> None:
        raise LostLeaseError("gone")

    archive = Archive(bench.s3, "bucket", part_bytes=LEAST_PART)
    with pytest.raises(LostLeaseError):
        Merging(archive, bench.job, lost, lambda: False).merge()
    assert "s3.UploadPart" not in world.calls


def test_the_day_of_a_merged_file_is_that_of_the_dropped_one() -> None:
    assert merged_key(job("job_1", arrived=86_400 * 31 - 1), Role.OUTPUT).split("/")[2] == (
        "created=1970-01-31"
    )


contents = st.lists(
    st.sampled_from([b"", b"a", b"bc\n", b"\n", b"d\n\ne", b"fghijk\n"]), max_size=6
)


@modest
@given(contents)
def test_wherever_reading_begins_the_rest_is_that_of_the_whole(bodies: list[bytes]) -> None:
    objects = {f"{n}": body for n, body in enumerate(bodies)}
    pieces = [Piece(key=key, size=len(body)) for key, body in objects.items()]
    joined = Joined(Kept(objects), pieces)
    whole = b"".join(joined.read())
    assert joined.size == len(whole)
    assert whole == b"".join(b if b.endswith(b"\n") else b + b"\n" for b in bodies if b)
    for start in range(len(whole) + 1):
        assert b"".join(joined.read(start)) == whole[start:]
