"""A copy that may be interrupted anywhere, and the object that comes of it in the end."""

from __future__ import annotations

import base64
import gc
import threading
import zlib
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest
from botocore.exceptions import ClientError

from batchwatch.archive import Archive, Stored
from batchwatch.copying import AT_ONCE, NOTE_EVERY, Copying
from batchwatch.errors import (
    BadUploadError,
    CutOffError,
    LostLeaseError,
    NoResumeError,
    OutOfTimeError,
    ShortDownloadError,
)
from batchwatch.record import Tally, Upload
from batchwatch.transfer import came_further

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World

PART = 5_000
CONTENT = b"".join(n.to_bytes(4) * 250 + b"\n" for n in range(21))  # four parts and a bit
PIECE = 1_000
KEY = "batches/b/output.jsonl"
PATIENCE = 10
"""Seconds that a part is held up at most, until what a test waits for has come."""


@dataclass
class Origin:
    """A source that gives the content from anywhere on, until something goes wrong at `trouble`."""

    content: bytes = CONTENT
    size: int | None = len(CONTENT)
    etag: str | None = None
    trouble: tuple[int, Exception] | None = None
    read_from: list[int] = field(default_factory=list)

    def read(self, start: int = 0) -> Iterator[bytes]:
        """Give the rest in small pieces."""
        self.read_from.append(start)
        for at in range(start, len(self.content), PIECE):
            if self.trouble and at >= self.trouble[0]:
                raise self.trouble[1]
            yield self.content[at : at + PIECE]


@dataclass
class Tries:
    """Copies of one file, each going on from what the one before has noted."""

    world: World
    noted: list[Upload | None] = field(default_factory=list)
    mine: bool = True
    late_at: float = float("inf")
    time_is_up: Event = field(default_factory=Event)

    @property
    def archive(self) -> Archive:
        """The bucket, with small parts."""
        return Archive(self.world.runtime.s3, "bucket", part_bytes=PART)

    @property
    def upload(self) -> Upload | None:
        """What the next try finds."""
        return self.noted[-1] if self.noted else None

    @property
    def left(self) -> int:
        """Uploads that nobody has finished or dropped."""
        return len(self.world.runtime.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []))

    def _note(self, upload: Upload | None) -> None:
        if not self.mine:
            raise LostLeaseError("another's")
        self.noted.append(upload)

    def _late(self) -> bool:
        self.world.clock.now += 1
        if self.world.clock.now < self.late_at:
            return False
        self.time_is_up.set()
        return True

    def copy(self, origin: Origin) -> Stored:
        """Make a try."""
        copying = Copying(self.archive, KEY, self._note, self._late)
        settled = copying.settle(self.upload) if self.upload else None
        return settled or copying.copy(origin, self.upload)

    def interrupted(self, origin: Origin, error: type[Exception]) -> bool:
        """Make a try that fails so; return whether it came further."""
        before = self.upload
        with pytest.raises(error):
            self.copy(origin)
        return came_further(before, self.upload)

    def body(self) -> bytes | None:
        """The object, if it is visible."""
        return self.world.objects().get(KEY)


@pytest.fixture
def tries(world: World, monkeypatch: pytest.MonkeyPatch) -> Tries:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    return Tries(world)


def whole(tries: Tries) -> None:
    """The object is there, as it is told."""
    assert tries.body() == CONTENT
    assert tries.left == 0


def test_the_upload_is_noted_before_its_first_part_and_before_it_is_completed(
    tries: Tries,
) -> None:
    stored = tries.copy(Origin())

    whole(tries)
    first, last = tries.noted[0], tries.noted[-1]
    assert first
    assert last
    assert (first.parts, last.parts, last.done.size) == (0, 5, len(CONTENT))
    assert (stored.size, stored.lines) == (len(CONTENT), CONTENT.count(b"\n"))
    assert stored.crc32 == f"{zlib.crc32(CONTENT):08x}"


@pytest.mark.parametrize("cut", [0, PIECE, PART, 2 * PART, 3 * PART + 7, 4 * PART])
def test_a_try_goes_on_with_the_parts_of_the_one_before(tries: Tries, cut: int) -> None:
    further = tries.interrupted(Origin(trouble=(cut, CutOffError("cut"))), CutOffError)

    assert further is (cut >= PART)
    assert tries.body() is None
    origin = Origin()
    tries.copy(origin)
    whole(tries)
    assert origin.read_from == [cut // PART * PART]


def test_a_try_ends_when_its_time_is_up_and_keeps_what_it_has(tries: Tries) -> None:
    tries.late_at = tries.world.clock.now + 12

    assert tries.interrupted(Origin(), OutOfTimeError)
    tries.late_at = float("inf")
    origin = Origin()
    tries.copy(origin)
    whole(tries)
    assert origin.read_from == [2 * PART]


def test_a_try_that_did_not_complete_a_part_came_no_further(tries: Tries) -> None:
    tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError)

    assert tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError) is False


def test_a_worker_that_is_killed_costs_no_more_than_the_parts_since_the_last_note(
    tries: Tries,
) -> None:
    class Killed(BaseException):
        pass

    parts = NOTE_EVERY + AT_ONCE  # the last of them gathered, but those under way not yet heard of
    long = Origin(content=b"x" * PART * (parts + 1), size=PART * (parts + 1))
    long.trouble = (PART * parts, Killed())  # type: ignore[assignment]
    with pytest.raises(Killed):
        tries.copy(long)

    long.trouble = None
    tries.copy(long)
    assert long.read_from == [0, NOTE_EVERY * PART]
    assert tries.body() == long.content


@pytest.mark.parametrize("error", [NoResumeError("no"), ShortDownloadError("no")])
def test_what_cannot_be_gone_on_with_is_dropped_and_begun_anew(
    tries: Tries, error: Exception
) -> None:
    tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError)
    tries.interrupted(Origin(trouble=(2 * PART, error)), type(error))

    assert (tries.upload, tries.left) == (None, 0)
    origin = Origin()
    tries.copy(origin)
    whole(tries)
    assert origin.read_from == [0]


@pytest.mark.parametrize("wrong", [-1, 1, 3 * PART])
@pytest.mark.parametrize("size", [10, 3 * PART])
def test_a_stream_of_the_wrong_length_never_becomes_an_object(
    tries: Tries, size: int, wrong: int
) -> None:
    origin = Origin(content=b"x" * (size + wrong), size=size)

    tries.interrupted(origin, ShortDownloadError)

    assert (tries.body(), tries.left) == (None, 0)


def test_more_than_the_file_has_is_not_read_for_ever(tries: Tries) -> None:
    class Endless(Origin):
        def read(self, start: int = 0) -> Iterator[bytes]:
            while True:
                yield b"x" * PIECE
                start += PIECE
                assert start < 4 * PART

    tries.interrupted(Endless(size=PART + 1), ShortDownloadError)


def test_a_file_that_has_another_size_by_now_is_begun_anew(tries: Tries) -> None:
    tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError)
    other = Origin(content=CONTENT + b"more", size=len(CONTENT) + 4)

    tries.copy(other)

    assert other.read_from == [0]
    assert (tries.body(), tries.left) == (other.content, 0)


def test_a_copy_that_is_begun_anew_each_time_comes_no_further(tries: Tries) -> None:
    cut = CutOffError("cut")
    tries.interrupted(Origin(trouble=(2 * PART, cut)), CutOffError)

    for size in (len(CONTENT) + 1, len(CONTENT), len(CONTENT) + 1):
        assert not tries.interrupted(Origin(size=size, trouble=(2 * PART, cut)), CutOffError)


def test_a_file_of_no_known_size_is_copied_in_one_go_or_anew(tries: Tries) -> None:
    cut = Origin(size=None, trouble=(3 * PART, CutOffError("cut")))
    tries.interrupted(cut, CutOffError)
    origin = Origin(size=None)

    tries.copy(origin)

    whole(tries)
    assert origin.read_from == [0]


@pytest.mark.parametrize("cut", [PIECE, 2 * PART])
def test_an_upload_that_s3_has_dropped_is_begun_anew(tries: Tries, cut: int) -> None:
    tries.interrupted(Origin(trouble=(cut, CutOffError("cut"))), CutOffError)
    if not tries.upload:
        tries.noted.append(Upload(id=tries.archive.begin(KEY), size=len(CONTENT)))
    assert tries.upload
    tries.archive.abort(KEY, tries.upload.id)
    origin = Origin()

    tries.copy(origin)

    whole(tries)
    assert origin.read_from == [0]


@pytest.mark.parametrize("all_noted", [False, True])
def test_parts_that_s3_does_not_have_are_not_built_on(tries: Tries, *, all_noted: bool) -> None:
    tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError)
    assert tries.upload
    more = Tally().add(CONTENT if all_noted else CONTENT[: 3 * PART])
    tries.noted.append(tries.upload.model_copy(update={"parts": 3, "done": more}))
    origin = Origin()

    if all_noted:
        tries.interrupted(origin, BadUploadError)
    tries.copy(origin)

    whole(tries)
    assert origin.read_from == [0]


def test_a_copy_that_lacks_only_its_completion_asks_openai_for_nothing(tries: Tries) -> None:
    class Killed(BaseException):
        pass

    def die(**_: object) -> None:
        raise Killed

    events = tries.world.runtime.s3.meta.events
    events.register("before-call.s3.CompleteMultipartUpload", die)
    with pytest.raises(Killed):
        tries.copy(Origin())
    events.unregister("before-call.s3.CompleteMultipartUpload", die)
    origin = Origin()

    stored = tries.copy(origin)

    whole(tries)
    assert stored.crc32 == f"{zlib.crc32(CONTENT):08x}"
    assert origin.read_from == []


@pytest.mark.parametrize(
    ("code", "status"),
    [("NoSuchUpload", 404), ("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)],
)
def test_a_completion_with_a_doubtful_answer_is_settled_by_the_object(
    tries: Tries, code: str, status: int
) -> None:
    tries.world.refuse("CompleteMultipartUpload", code, status=status)

    stored = tries.copy(Origin())

    whole(tries)
    assert stored.crc32 == f"{zlib.crc32(CONTENT):08x}"


def test_an_error_inside_a_success_is_settled_by_the_next_try(tries: Tries) -> None:
    tries.world.refuse("CompleteMultipartUpload", "InternalError", status=500)
    with pytest.raises(Exception, match="InternalError"):
        tries.copy(Origin())
    origin = Origin()

    stored = tries.copy(origin)

    whole(tries)
    assert (origin.read_from, stored.size) == ([], len(CONTENT))


@pytest.mark.parametrize("code", ["InvalidPart", "BadDigest", "EntityTooSmall", "InvalidRequest"])
def test_parts_that_s3_refuses_are_sent_anew(tries: Tries, code: str) -> None:
    tries.world.runtime.s3.meta.events.register_first(
        "before-call.s3.CompleteMultipartUpload",
        refusal := Refusal(code),  # type: ignore[arg-type]
    )

    tries.interrupted(Origin(), BadUploadError)

    assert (tries.upload, tries.left) == (None, 0)
    refusal.over = True
    tries.copy(Origin())
    whole(tries)


@dataclass
class Refusal:
    """S3 answers a call with an error, and does not do it."""

    code: str
    over: bool = False

    def __call__(self, **_: object) -> tuple[object, dict[str, object]] | None:
        """Answer in place of S3."""
        if self.over:
            return None
        status = type("Answer", (), {"status_code": 400, "headers": {}, "content": b""})()
        return status, {"Error": {"Code": self.code}, "ResponseMetadata": {"HTTPStatusCode": 400}}


@pytest.mark.parametrize("size", [10, len(CONTENT)])
def test_another_object_in_its_place_is_never_taken_for_the_file(tries: Tries, size: int) -> None:
    body = b"?" * size  # the right size is not enough
    crc32 = base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
    tries.world.runtime.s3.put_object(Bucket="bucket", Key=KEY, Body=body, ChecksumCRC32=crc32)

    tries.interrupted(Origin(content=CONTENT[:size], size=size), ShortDownloadError)

    assert (tries.upload, tries.left) == (None, 0)
    assert tries.body() == body


def test_a_dead_upload_is_not_left_in_the_note_by_a_worker_that_dies_while_it_forgets(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries.interrupted(Origin(trouble=(2 * PART, CutOffError("cut"))), CutOffError)
    with monkeypatch.context() as dying:
        dying.setattr(Archive, "abort", lambda *_: 1 / 0)
        tries.interrupted(Origin(trouble=(2 * PART, NoResumeError("no"))), ZeroDivisionError)

    assert tries.upload is None


@pytest.mark.parametrize("size", [10, len(CONTENT)])
def test_an_object_that_is_there_and_cannot_be_read_is_no_fault_of_the_file(
    tries: Tries, size: int
) -> None:
    body = CONTENT[:size]
    tries.world.runtime.s3.put_object(Bucket="bucket", Key=KEY, Body=body)
    tries.world.refuse("GetObject", "AccessDenied", status=403)

    tries.interrupted(Origin(content=body, size=size), ClientError)

    tries.copy(Origin(content=body, size=size))
    assert tries.body() == body


def test_a_worker_that_has_lost_its_lease_stops_before_it_sends_a_part(tries: Tries) -> None:
    tries.mine = False

    tries.interrupted(Origin(), LostLeaseError)

    assert tries.body() is None


def before_part(tries: Tries, number: int, do: Callable[[], object]) -> None:
    """Let something happen whenever a certain part is about to be sent."""

    def called(params: dict[str, Any], **_: object) -> None:
        if int(params["query_string"]["partNumber"]) == number:
            do()

    tries.world.runtime.s3.meta.events.register("before-call.s3.UploadPart", called)


@pytest.mark.parametrize("content", [CONTENT, CONTENT * 3], ids=["all sent by then", "not all"])
def test_a_part_that_is_refused_while_the_next_one_is_sent_is_where_the_next_try_begins(
    tries: Tries, content: bytes
) -> None:
    next_one, refusals = Event(), [ConnectionError("as the test wants")]
    before_part(tries, 4, next_one.set)

    def refuse() -> None:
        if refusals and next_one.wait(PATIENCE):
            raise refusals.pop()

    before_part(tries, 3, refuse)

    assert tries.interrupted(Origin(content, len(content)), ConnectionError)
    assert tries.upload
    assert (tries.upload.parts, tries.upload.done) == (2, Tally().add(content[: 2 * PART]))
    origin = Origin(content, len(content))
    tries.copy(origin)
    assert (tries.body(), tries.left) == (content, 0)
    assert origin.read_from == [2 * PART]


def test_parts_under_way_when_the_time_is_up_count_once_s3_has_them(tries: Tries) -> None:
    tries.late_at = tries.world.clock.now + 12  # the third part is being gathered
    before_part(tries, 1, lambda: tries.time_is_up.wait(PATIENCE))

    assert tries.interrupted(Origin(), OutOfTimeError)

    assert tries.time_is_up.is_set()
    assert tries.upload
    assert tries.upload.parts == 2


def test_a_part_that_had_to_wait_until_the_time_was_up_is_not_sent(tries: Tries) -> None:
    gathered = Event()

    class Watched(Origin):
        def read(self, start: int = 0) -> Iterator[bytes]:
            for number, piece in enumerate(super().read(start), 1):
                if number == (AT_ONCE + 1) * PART // PIECE:
                    gathered.set()
                yield piece

    def come_late() -> None:
        assert gathered.wait(PATIENCE)
        tries.late_at = 0

    before_part(tries, 1, come_late)
    content = CONTENT * 2

    assert tries.interrupted(Watched(content, len(content)), OutOfTimeError)

    assert tries.upload
    assert tries.upload.parts == AT_ONCE


def test_a_worker_that_has_lost_its_lease_notes_nothing_and_leaves_nothing_under_way(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchwatch.copying.NOTE_EVERY", 1)
    before_part(tries, 1, lambda: setattr(tries, "mine", False))

    tries.interrupted(Origin(), LostLeaseError)

    assert [upload.parts for upload in tries.noted if upload] == [0]
    assert tries.body() is None
    assert not [each for each in threading.enumerate() if each.name.startswith("part")]


def test_nothing_is_under_way_any_more_when_an_upload_is_dropped(tries: Tries) -> None:
    under_way: list[str] = []

    def look(**_: object) -> None:
        names = [thread.name for thread in threading.enumerate()]
        under_way.extend(name for name in names if name.startswith("part"))

    tries.world.runtime.s3.meta.events.register("before-call.s3.AbortMultipartUpload", look)

    tries.interrupted(Origin(size=PART + 1), ShortDownloadError)

    assert (under_way, tries.left) == ([], 0)


def test_a_try_that_failed_keeps_no_part_in_memory(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[ref[Exception]] = []

    class RefusedError(Exception):
        def __init__(self) -> None:
            refused.append(ref(self))

    def refuse(*_: object) -> None:
        raise RefusedError

    monkeypatch.setattr(Archive, "put_part", refuse)
    gc.collect()
    gc.disable()  # it comes by in its own time, which may be after the memory is used up
    try:
        tries.interrupted(Origin(), RefusedError)
        assert refused
        assert not [error for error in refused if error()]
    finally:
        gc.enable()


def test_an_upload_that_s3_drops_while_its_parts_are_sent_is_begun_anew(tries: Tries) -> None:
    tries.world.runtime.s3.meta.events.register_first(
        "before-call.s3.UploadPart",
        refusal := Refusal("NoSuchUpload"),  # type: ignore[arg-type]
    )

    tries.interrupted(Origin(), BadUploadError)

    assert (tries.upload, tries.left) == (None, 0)
    refusal.over = True
    tries.copy(Origin())
    whole(tries)


def test_the_parts_of_a_huge_file_are_as_large_as_they_must_be(tries: Tries) -> None:
    archive = Archive(tries.world.runtime.s3, "bucket")

    assert archive.part_bytes(5 * 2**30) == archive.part_bytes(None) == 8 * 2**20
    assert -(-(200 * 2**30) // archive.part_bytes(200 * 2**30)) <= 10_000
