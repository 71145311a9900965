"""What reaches the bucket: whole files, once; and what becomes of a file that cannot be had."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.archive import PART_BYTES
from batchwatch.batch import Role
from batchwatch.record import FileState, Tally, Upload
from batchwatch.transfer import Shift
from local.simulator import Script
from local.verdict import chain_faults
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from tests.world import World

MB = 1_000_000


def ended(world: World, **changes: object) -> str:
    """A batch that has just been announced as completed, with an order in the archive queue."""
    plain: dict[str, object] = {"name": "b", "endpoint": "/v1/embeddings", "requests": 50}
    batch_id = world.batch(Script(**{**plain, "ends": "completed", **changes}))  # type: ignore[arg-type]
    world.poll(after=60)
    return batch_id


def archived(world: World, batch_id: str, name: str = "output.jsonl") -> bytes | None:
    found = [v for k, v in world.objects().items() if k.endswith(f"{batch_id}/{name}")]
    return found[0] if found else None


def source(world: World, batch_id: str, role: str = "output") -> bytes:
    return world.openai.file(str(world.openai.batch(batch_id)[f"{role}_file_id"])).read_bytes()


def state(world: World, batch_id: str, role: Role = Role.OUTPUT) -> FileState:
    return world.record(batch_id).files[role].state


def ranges(world: World) -> list[str | None]:
    """What each download asked for, in order; None: the whole."""
    asked = [r for r in world.openai.requests if r.path.endswith("/content")]
    return [request.headers.get("range") for request in asked]


def unfinished_uploads(world: World) -> int:
    return len(world.runtime.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []))


def test_what_is_sent_has_a_checksum_and_is_not_hashed_for_its_signature(world: World) -> None:
    seen: list[Any] = []
    events = world.runtime.s3.meta.events
    events.register("before-send.s3.*", lambda request, **_: seen.append(request.headers))
    world.runtime.archive.put("batches/any.json", b"{}")

    (headers,) = seen
    assert headers["x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD"
    assert headers["x-amz-checksum-crc32"]


def test_a_file_of_many_parts_arrives_byte_for_byte(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)

    world.archive()

    content = source(world, batch_id)
    file = world.record(batch_id).files[Role.OUTPUT]
    assert archived(world, batch_id) == content
    assert (file.bytes, file.lines) == (len(content), 50)
    assert file.crc32 == f"{zlib.crc32(content):08x}"


@pytest.mark.parametrize("cut_after", [0, 1, 3_000])
def test_a_short_download_never_becomes_an_object_and_is_tried_again(
    world: World, cut_after: int
) -> None:
    batch_id = ended(world)
    world.openai.fault("GET /v1/files/.*/content", cut_after=cut_after)

    (report,) = world.archive()

    assert report.again is not None
    assert archived(world, batch_id) is None
    world.archive()
    assert archived(world, batch_id) == source(world, batch_id)


@pytest.mark.parametrize(
    "cut_after",
    [9 * MB, *(pytest.param(at * MB, marks=pytest.mark.full) for at in (2, 39))],
)
def test_a_download_that_is_cut_goes_on_where_it_was_cut(world: World, cut_after: int) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    world.openai.fault("/content", cut_after=cut_after, times=-1)

    (report,) = world.archive()

    assert report.problems == []
    assert archived(world, batch_id) == source(world, batch_id)
    first, second, *_ = ranges(world)
    assert (first, second) == (None, f"bytes={cut_after}-")
    assert unfinished_uploads(world) == 0


def test_a_copy_whose_time_is_up_goes_on_in_the_next_invocation(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    world.openai.fault("/content", cut_after=17 * MB)
    world.openai.fault("/content", cut_after=0)

    (report,) = world.archive()

    assert (report.again, report.further) == (2, True)
    upload = world.record(batch_id).files[Role.OUTPUT].upload
    assert upload
    assert (upload.parts, upload.done.size) == (2, 2 * PART_BYTES)
    assert world.record(batch_id).files[Role.OUTPUT].tries == 0
    world.restart()
    world.archive()
    assert archived(world, batch_id) == source(world, batch_id)
    assert ranges(world)[-1] == f"bytes={2 * PART_BYTES}-"
    assert unfinished_uploads(world) == 0


def test_an_origin_without_ranges_is_asked_for_the_whole_only_so_often(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    world.openai.ranges = False
    world.openai.fault("/content", cut_after=17 * MB, times=-1)

    for _ in range(10):
        world.archive()

    assert state(world, batch_id) is FileState.FAILED
    assert archived(world, batch_id) is None
    assert unfinished_uploads(world) == 0
    assert [r is None for r in ranges(world)] == [True, False] * 3
    assert not world.record(batch_id).open


def test_a_size_that_contradicts_the_metadata_is_refused(world: World) -> None:
    batch_id = ended(world)
    world.openai.fault("GET /v1/files/[^/]*$", edit=lambda said: said.update(bytes=7))

    world.archive()

    assert archived(world, batch_id) is None
    assert state(world, batch_id) is FileState.COPYING


def test_a_file_that_never_comes_whole_ends_as_failed_and_the_batch_is_finished(
    world: World,
) -> None:
    batch_id = ended(world, failed=2)
    world.openai.fault("/content", cut_after=10, times=6)

    for _ in range(3):
        world.archive()

    messages = world.messages()
    types = [json.loads(m)["type"] for m in messages]
    assert types.count("batch.file_failed") == 2
    assert chain_faults(messages, "completed") == []
    assert state(world, batch_id, Role.RECORD) is FileState.ARCHIVED
    assert archived(world, batch_id) is None
    assert "cut off" in str(world.record(batch_id).files[Role.OUTPUT].reason)
    assert not world.record(batch_id).open


def test_trouble_at_openai_or_with_the_key_is_no_fault_of_the_file(world: World) -> None:
    batch_id = ended(world)
    world.openai.fault("GET /v1/files/", status=503, times=-1)

    for _ in range(10):
        world.archive()
    world.openai.faults.clear()
    world.archive()

    assert archived(world, batch_id) == source(world, batch_id)


def test_a_missing_file_is_waited_for_and_then_told_as_gone(world: World) -> None:
    batch_id = ended(world)
    world.openai.delete_file(str(world.openai.batch(batch_id)["output_file_id"]))

    world.archive()
    assert state(world, batch_id) is FileState.COPYING
    world.clock.now += 601
    world.archive()

    messages = world.messages()
    types = [json.loads(m)["type"] for m in messages]
    assert types[-2:] == ["batch.file_gone", "batch.archived"]
    assert chain_faults(messages, "completed") == []
    assert not world.record(batch_id).open


def test_one_missing_file_does_not_hold_up_the_others(world: World) -> None:
    batch_id = ended(world, failed=2)
    world.openai.delete_file(str(world.openai.batch(batch_id)["output_file_id"]))

    world.archive()

    assert archived(world, batch_id, "error.jsonl") == source(world, batch_id, "error")
    assert archived(world, batch_id, "batch.json") is not None


def test_an_empty_file_is_archived_as_an_empty_object(world: World) -> None:
    batch_id = ended(world)
    world.openai.file(str(world.openai.batch(batch_id)["output_file_id"])).write_bytes(b"")

    world.archive()

    assert archived(world, batch_id) == b""


def test_the_same_order_twice_changes_nothing_and_announces_nothing_more(world: World) -> None:
    batch_id = ended(world)
    world.archive()
    world.messages()
    before, objects = world.record(batch_id), world.objects()

    world.runtime.orders.give(ACCOUNT, batch_id)
    world.archive()

    assert world.record(batch_id) == before
    assert world.objects() == objects
    assert world.messages() == []


def test_a_second_archiver_leaves_a_file_alone_and_comes_back_when_the_lease_ends(
    world: World,
) -> None:
    batch_id = ended(world)
    record, now = world.record(batch_id), world.clock.now
    for role in record.files:
        world.runtime.ledger.claim(record, role, owner="other", now=now, until=now + 40)

    (report,) = world.archive()

    assert report.again == 40
    assert world.objects() == {k: v for k, v in world.objects().items() if k.startswith("events/")}
    world.clock.now += 41
    world.archive()
    assert not world.record(batch_id).open


def test_a_file_whose_archiver_always_dies_ends_as_failed_after_its_tries(world: World) -> None:
    batch_id = ended(world)
    ledger = world.runtime.ledger
    sent = world.calls.count("sqs.SendMessage")
    for death in range(3):
        assert state(world, batch_id) in {FileState.PENDING, FileState.COPYING}
        record, now = world.record(batch_id), world.clock.now
        assert ledger.claim(record, Role.OUTPUT, owner=str(death), now=now, until=now + 900)
        for _ in range(16):
            world.poll(after=60)

    world.archive()

    assert state(world, batch_id) is FileState.FAILED
    assert not world.record(batch_id).open
    assert world.calls.count("sqs.SendMessage") - sent <= 1


def test_an_object_that_an_earlier_try_left_is_kept_and_counts(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    key = f"batches/account={ACCOUNT}/created=2026-11-18/{batch_id}/output.jsonl"
    world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=source(world, batch_id))
    version = world.runtime.s3.head_object(Bucket="bucket", Key=key)["LastModified"]

    world.archive()

    assert state(world, batch_id) is FileState.ARCHIVED
    assert world.runtime.s3.head_object(Bucket="bucket", Key=key)["LastModified"] == version
    assert unfinished_uploads(world) == 0


@pytest.mark.parametrize("size", [0, pytest.param(40 * MB, marks=pytest.mark.full)])
def test_an_object_that_is_not_the_file_is_never_taken_for_it(world: World, size: int) -> None:
    batch_id = ended(world, output_bytes=size)
    key = f"batches/account={ACCOUNT}/created=2026-11-18/{batch_id}/output.jsonl"
    world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=b"something else")

    for _ in range(3):
        world.archive()

    assert state(world, batch_id) is FileState.FAILED


def test_a_completed_upload_whose_answer_was_lost_counts(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    world.refuse("CompleteMultipartUpload", "NoSuchUpload", status=404)

    world.archive()

    assert state(world, batch_id) is FileState.ARCHIVED
    assert archived(world, batch_id) == source(world, batch_id)


def test_a_write_that_meets_another_is_repeated_and_finds_what_is_there(world: World) -> None:
    batch_id = ended(world)
    world.refuse("PutObject", "ConditionalRequestConflict", status=409, times=2)

    (report,) = world.archive()

    assert report.problems == []
    assert not world.record(batch_id).open


def test_trouble_with_the_bucket_is_told_and_tried_again_and_holds_up_no_other_file(
    world: World,
) -> None:
    batch_id = ended(world, failed=2, output_bytes=40 * MB)
    world.refuse("PutObject", "SlowDown", status=400)  # of the record, which comes first

    (report,) = world.archive()

    assert report.again is not None
    assert [problem.batch_id for problem in report.problems] == [batch_id]
    for role in (Role.ERROR, Role.OUTPUT):
        assert state(world, batch_id, role) is FileState.ARCHIVED
    assert state(world, batch_id, Role.RECORD) is FileState.COPYING
    world.archive()
    assert not world.record(batch_id).open


def test_a_message_whose_wait_cannot_be_changed_is_told_with_what_went_wrong(world: World) -> None:
    batch_id = ended(world)
    world.openai.fault("GET /v1/files/", status=503, times=-1)
    (order,) = world.drop_orders()
    message = {"receiptHandle": "expired", "body": json.dumps(order)}

    report = world.runtime.archiver.work(message, Shift("worker", world.clock.now + 60))

    assert report.again is not None
    assert [p.batch_id for p in report.problems] == [batch_id, None]


def test_a_batch_that_openai_has_forgotten_keeps_its_last_known_record(world: World) -> None:
    batch_id = ended(world)
    world.openai.fault(f"GET /v1/batches/{batch_id}", status=404, times=-1)

    world.archive()

    assert json.loads(archived(world, batch_id, "batch.json") or b"") == world.openai.batch(
        batch_id
    )


def test_the_record_holds_all_that_openai_says_also_what_an_event_must_leave_out(
    world: World,
) -> None:
    entries = [{"code": "invalid_json_line", "line": n, "message": "x" * 90} for n in range(2000)]
    world.openai.listing.edit_row = lambda row: row | {"errors": {"data": entries}}
    world.openai.fault(
        "GET /v1/batches/", times=-1, edit=lambda said: said.update(errors={"data": entries})
    )
    batch_id = ended(world)

    world.archive()

    said = json.loads(archived(world, batch_id, "batch.json") or b"")
    assert said["errors"]["data"] == entries
    for message in world.messages():
        told = json.loads(message)["data"]["batch"]["errors"]
        assert told["truncated"]
        assert (told["total"], told["data"]) == (2000, entries[: len(told["data"])])
        assert len(message.encode()) < 64_000


def test_an_id_that_could_lead_elsewhere_is_not_fetched(world: World) -> None:
    batch_id = world.batch(
        Script(name="b", endpoint="/v1/embeddings", requests=5, ends="completed")
    )
    world.openai.listing.edit_row = lambda row: row | {"output_file_id": "../../v1/models"}
    world.poll(after=60)

    world.archive()

    assert state(world, batch_id) is FileState.FAILED
    assert not any("models" in request.path for request in world.openai.requests)


def test_a_record_that_is_there_and_cannot_be_read_is_not_told_as_archived(world: World) -> None:
    batch_id = ended(world)
    key = f"batches/account={ACCOUNT}/created=2026-11-18/{batch_id}/batch.json"
    world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=b"{}")
    world.refuse("GetObject", "AccessDenied", status=403)

    world.archive()

    assert state(world, batch_id, Role.RECORD) is FileState.COPYING
    world.archive()
    assert world.record(batch_id).files[Role.RECORD].bytes == 2


def test_a_stray_404_long_after_the_end_does_not_end_a_file(world: World) -> None:
    batch_id = ended(world)
    file_id = world.openai.batch(batch_id)["output_file_id"]
    world.clock.now += 50_000
    world.openai.fault(f"/files/{file_id}", status=404)

    world.archive()
    assert state(world, batch_id) is FileState.COPYING
    world.clock.now += 5000
    world.openai.fault(f"/files/{file_id}", status=503, times=3)  # it is no 404 in a row
    world.archive()
    world.openai.fault(f"/files/{file_id}", status=404)
    world.archive()
    world.archive()

    assert archived(world, batch_id) == source(world, batch_id)


def test_a_404_is_waited_for_and_not_counted_as_a_try(world: World) -> None:
    batch_id = ended(world)
    world.openai.fault("GET /v1/files/", status=404, times=5)

    for _ in range(6):
        world.archive()

    assert archived(world, batch_id) == source(world, batch_id)


@pytest.mark.parametrize(
    "then",
    [
        {"status": 429, "headers": {"retry-after": "5"}},
        *(pytest.param(t, marks=pytest.mark.full) for t in ({"status": 503}, {"reset": True})),
    ],
)
def test_what_came_before_a_refusal_is_kept(world: World, then: dict[str, Any]) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    for _ in range(2):
        world.openai.fault("/content", cut_after=17 * MB)
        world.openai.fault("/content", **then)

    reports = [world.archive()[0] for _ in range(3)]

    assert [report.further for report in reports] == [True, True, False]
    assert archived(world, batch_id) == source(world, batch_id)
    assert world.openai.served < 1.3 * 40 * MB


def test_what_came_before_trouble_with_the_bucket_is_kept(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    refusals = [ConnectionError("as the test wants")]

    def slow_down(params: dict[str, Any], **_: Any) -> None:
        if int(params["query_string"]["partNumber"]) == 3 and refusals:
            raise refusals.pop()

    world.runtime.s3.meta.events.register("before-call.s3.UploadPart", slow_down)

    world.archive()

    assert world.record(batch_id).files[Role.OUTPUT].parts == 2
    world.archive()
    assert archived(world, batch_id) == source(world, batch_id)


@pytest.mark.parametrize("how", [{"chunked": True}, pytest.param({}, marks=pytest.mark.full)])
def test_a_file_of_no_told_size_is_not_fetched_for_ever(world: World, how: dict[str, Any]) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    file_id = world.openai.batch(batch_id)["output_file_id"]
    world.openai.fault(f"/files/{file_id}$", edit=lambda said: said.pop("bytes"), times=-1)
    world.openai.ranges = not how
    world.openai.fault("/content", cut_after=17 * MB, times=-1, **how)

    for _ in range(10):
        world.archive()

    assert world.openai.served < 4 * 18 * MB
    if how:
        assert state(world, batch_id) is FileState.FAILED
    else:
        assert archived(world, batch_id) == source(world, batch_id)


def test_a_file_for_which_no_time_is_left_is_not_begun_and_not_counted(world: World) -> None:
    batch_id = ended(world)
    message = {"receiptHandle": "r", "body": json.dumps(world.drop_orders()[0])}
    now = world.clock.now

    for _ in range(4):
        report = world.runtime.archiver.work(message, Shift("worker", now + 60, stop_at=now))
        assert report.again is not None

    assert {file.tries for file in world.record(batch_id).files.values()} == {0}
    assert state(world, batch_id) is FileState.PENDING


@pytest.mark.parametrize(("noted", "end"), [(1, FileState.ARCHIVED), (0, FileState.FAILED)])
def test_a_worker_that_is_killed_counts_as_a_try_unless_it_came_further(
    world: World, noted: int, end: FileState
) -> None:
    batch_id = ended(world)
    ledger = world.runtime.ledger
    for death in range(3):
        record, now = world.record(batch_id), world.clock.now
        claimed = ledger.claim(record, Role.OUTPUT, owner=f"{death}", now=now, until=now + 60)
        assert claimed
        upload = Upload(id="gone", size=10**9, parts=noted * (death + 1))
        assert ledger.note_upload(claimed, Role.OUTPUT, upload, owner=f"{death}")
        world.clock.now += 61

    world.archive()

    assert state(world, batch_id) is end


def test_what_the_last_worker_completed_before_it_was_killed_counts(world: World) -> None:
    batch_id = ended(world, output_bytes=40 * MB)
    content = source(world, batch_id)
    key = f"batches/account={ACCOUNT}/created=2026-11-18/{batch_id}/output.jsonl"
    world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=content)
    ledger, now = world.runtime.ledger, world.clock.now
    upload = Upload(id="completed", size=len(content), parts=5, done=Tally().add(content))
    record = ledger.claim(world.record(batch_id), Role.OUTPUT, owner="a", now=now, until=now + 60)
    assert record
    ledger.note_upload(record, Role.OUTPUT, upload, owner="a")
    for _ in range(5):
        ledger.give_back(record, Role.OUTPUT, owner="a", until=now, tried=True)
        ledger.claim(record, Role.OUTPUT, owner="a", now=now + 61, until=now + 120)

    world.clock.now += 121
    world.archive()

    assert state(world, batch_id) is FileState.ARCHIVED
