"""A file dropped into S3 is read once, whole and as it was named, or no batch is made of it."""

from __future__ import annotations

import io
import json
import tracemalloc
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.response import StreamingBody

from batchwatch.archive import Archive
from batchwatch.errors import CutOffError, OutOfTimeError, RefusedJobError
from batchwatch.submit.inbox import Arrival, Inbox, Rewritten, is_sidecar, rejected_key
from batchwatch.submit.limits import LIMITS, Limits
from batchwatch.submit.options import Options
from batchwatch.submit.reading import (
    Destination,
    Plan,
    RefusedReadingError,
    Report,
    read_into_parts,
    write_report,
)
from tests.world import aws_in_memory, client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.submit.parts import PlannedPart

KEY = "inbox/team/a b.jsonl"
LINES = "inbox-rejected/team/a b.jsonl/job_1/lines.jsonl"
PART = 5_000
CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
OTHER = "gpt-5"


def line(custom_id: object, model: str = "gpt-5-mini", url: str = CHAT, **body: Any) -> bytes:
    """Give a request as a line."""
    said = {"custom_id": f"{custom_id}", "method": "POST", "url": url}
    return json.dumps({**said, "body": {"model": model, **body}}).encode() + b"\n"


def many(count: int) -> bytes:
    before, after = line("?").split(b"?")
    return b"".join(b"%s%d%s" % (before, n, after) for n in range(count))


def key(number: int) -> str:
    return f"inbox-parts/job_1/1/{number:04d}.jsonl"


@dataclass
class Dropping:
    """A bucket into which things are dropped, and what is read of it."""

    s3: Any
    limits: Limits = LIMITS
    late: Callable[[], bool] = lambda: False
    undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def inbox(self) -> Inbox:
        """What is tested."""
        return Inbox(self.s3, "bucket", self.limits)

    @property
    def rewritten(self) -> Rewritten:
        """Where bad lines and reports go."""
        return Rewritten(self.s3, "bucket", part_bytes=PART)

    def drop(self, body: bytes, name: str = KEY, **metadata: str) -> Arrival:
        """Put an object; return what the event says of it."""
        put = self.s3.put_object(Bucket="bucket", Key=name, Body=body, Metadata=metadata)
        return Arrival(name, put.get("VersionId"), len(body))

    def read(self, what: bytes | Arrival, **wanted: Any) -> Plan:
        """Read a file, as the submitter does."""
        arrival = self.drop(what) if isinstance(what, bytes) else what
        archive = Archive(self.s3, "bucket", part_bytes=PART)
        desk = Destination(archive, self.rewritten, key, LINES, self.late, self.limits)
        with self.inbox.open(arrival) as dropped:
            return read_into_parts(dropped, Options(**wanted), desk)

    def refused(self, what: bytes | Arrival, **wanted: Any) -> str:
        """Read a file of which no batch is made; return what its owner is told."""
        with pytest.raises(RefusedJobError) as error:
            self.read(what, **wanted)
        assert self.under_way == 0
        return str(error.value)

    def body(self, name: str) -> bytes:
        """Read an object."""
        return bytes(self.s3.get_object(Bucket="bucket", Key=name)["Body"].read())

    def bodies(self, plan: Plan) -> list[bytes]:
        """Read all parts, each of which must be what the plan says of it."""
        bodies = [self.body(part.key) for part in plan.parts]
        for number, (part, body) in enumerate(zip(plan.parts, bodies, strict=True), 1):
            assert (part.number, part.key) == (number, key(number))
            assert (part.size, part.requests) == (len(body), body.count(b"\n"))
            assert part.crc32 == f"{zlib.crc32(body):08x}"
        return bodies

    def aside(self) -> list[dict[str, Any]]:
        """Read the bad lines."""
        return [json.loads(each) for each in self.body(LINES).splitlines()]

    @property
    def under_way(self) -> int:
        """Uploads that nobody has finished or dropped."""
        return len(self.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []))

    def on(self, event: str, do: Callable[..., Any]) -> None:
        """Let something happen at a call of S3."""
        self.s3.meta.events.register(event, do)
        self.undo.append(lambda: self.s3.meta.events.unregister(event, do))

    def refuse(self, code: str, message: str = "as the test wants", *, after: int = 0) -> None:
        """Let S3 refuse to give an object, after so many that it gave."""
        calls = [0]

        def spoil(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
            calls[0] += 1
            if calls[0] > after:
                http_response.status_code = 403
                parsed["Error"] = {"Code": code, "Message": message}

        self.on("after-call.s3.GetObject", spoil)

    def cut(self, at: list[int], error: Exception | None) -> list[str]:
        """Let answers break off after so many bytes, one after the other; return what was asked."""
        asked: list[str] = []

        def note(params: dict[str, Any], **_: Any) -> None:
            asked.append(params["headers"].get("Range", ""))

        def spoil(parsed: dict[str, Any], **_: Any) -> None:
            if at and "Body" in parsed:
                parsed["Body"] = Broken(parsed["Body"].read()[: at.pop(0)], error)

        self.on("before-call.s3.GetObject", note)
        self.on("after-call.s3.GetObject", spoil)
        return asked


class Broken(StreamingBody):
    """A body that ends too early, with an error or, as it may be, without."""

    def __init__(self, content: bytes, error: Exception | None) -> None:
        super().__init__(io.BytesIO(content), None)  # type: ignore[arg-type]
        self._error = error

    def read(self, amt: int | None = None) -> bytes:
        """Give a little, then break."""
        piece = bytes(super().read(min(amt or 300, 300)))
        if not piece and self._error:
            raise self._error
        return piece


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dropping]:
    """A bucket with versions, and small parts."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    with aws_in_memory():
        s3 = client("s3")
        s3.create_bucket(Bucket="bucket")
        versions = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration=versions)
        dropping = Dropping(s3)
        yield dropping
        for undo in dropping.undo:
            undo()
        assert dropping.under_way == 0


def of(part: PlannedPart) -> tuple[str, str, int]:
    return part.endpoint, part.model, part.requests


def test_a_small_file_is_one_part_and_byte_by_byte_the_same(dropping: Dropping) -> None:
    plan = dropping.read(many(3))

    assert dropping.bodies(plan) == [many(3)]
    assert [of(part) for part in plan.parts] == [(CHAT, "gpt-5-mini", 3)]
    assert plan == Plan(plan.parts, accepted=3)


def test_sixty_thousand_lines_are_two_parts(dropping: Dropping) -> None:
    dropping.limits = LIMITS
    body = many(60_000)
    archive = Archive(dropping.s3, "bucket")
    desk = Destination(archive, dropping.rewritten, key, LINES, dropping.late)

    with dropping.inbox.open(dropping.drop(body)) as dropped:
        plan = read_into_parts(dropped, Options(), desk)

    assert [part.requests for part in plan.parts] == [50_000, 10_000]
    assert b"".join(dropping.bodies(plan)) == body


def test_a_part_has_no_more_bytes_than_openai_takes(dropping: Dropping) -> None:
    dropping.limits = LIMITS._replace(part_bytes=20_000)
    body = many(600)

    plan = dropping.read(body)

    assert b"".join(dropping.bodies(plan)) == body
    *full, _ = plan.parts
    assert len(full) == len(body) // 20_000
    assert all(20_000 - len(line(100)) < part.size <= 20_000 for part in full)


def test_a_part_of_embeddings_has_no_more_inputs_than_openai_takes(dropping: Dropping) -> None:
    dropping.limits = LIMITS._replace(inputs=10)
    counts = [4, 6, 1, 10, 9, 2]
    lines = [line(n, url=EMBEDDINGS, input=["x"] * count) for n, count in enumerate(counts)]

    plan = dropping.read(b"".join(lines))

    bodies = [lines[:2], lines[2:3], lines[3:4], lines[4:5], lines[5:]]
    assert dropping.bodies(plan) == [b"".join(each) for each in bodies]


def test_each_endpoint_and_model_has_parts_of_its_own_in_the_order_of_the_file(
    dropping: Dropping,
) -> None:
    lines = [
        line(1),
        line(2, OTHER),
        line(3, url=EMBEDDINGS, input="x"),
        line(4, OTHER),
        line(5),
        line(6),
        line(7, OTHER),
    ]

    plan = dropping.read(b"".join(lines), part_requests=2)

    assert dropping.bodies(plan) == [
        lines[0] + lines[4],
        lines[1] + lines[3],
        lines[2],
        lines[5],
        lines[6],
    ]
    assert [of(part)[:2] for part in plan.parts] == [
        (CHAT, "gpt-5-mini"),
        (CHAT, OTHER),
        (EMBEDDINGS, "gpt-5-mini"),
        (CHAT, "gpt-5-mini"),
        (CHAT, OTHER),
    ]


def test_an_id_that_was_used_in_another_part_is_set_aside(dropping: Dropping) -> None:
    plan = dropping.read(many(4) + line(0, OTHER) + line(1), part_requests=2)

    assert [part.requests for part in plan.parts] == [2, 2]
    assert plan.first == ((5, "custom_id: used before"), (6, "custom_id: used before"))


def test_too_many_parts_are_refused(dropping: Dropping) -> None:
    dropping.limits = LIMITS._replace(parts=3)

    assert dropping.refused(many(400), part_requests=100) == (
        "the file makes more than 3 parts of up to 100 requests;"
        " divide it, or allow more requests in a part"
    )
    dropping.s3.delete_object(Bucket="bucket", Key=key(3))
    assert LIMITS.parts == 100


def test_too_many_models_are_refused(dropping: Dropping) -> None:
    dropping.limits = LIMITS._replace(groups=2)
    body = many(80) + line("a", OTHER) + line("b", "gpt-4.1")

    assert dropping.refused(body) == (
        "the file has more than 2 combinations of endpoint and model; divide it by model"
    )
    assert LIMITS.groups == 16


BAD = b'{"custom_id": "' + "é".encode() * 40_000 + b"\n" + b"\xff\n"


def test_bad_lines_are_set_aside_with_number_and_reason_and_the_rest_goes_on(
    dropping: Dropping,
) -> None:
    plan = dropping.read(line(0) + BAD + b"\n" + line(1, OTHER, stream=True) + line(2))

    assert dropping.bodies(plan) == [line(0) + line(2)]
    reasons = ["the line is not JSON", "the line is not UTF-8"]
    stream = "body.stream: a batch cannot stream; leave it out"
    assert plan == Plan(
        plan.parts, 2, 3, f"s3://bucket/{LINES}", ((2, reasons[0]), (3, reasons[1]), (5, stream))
    )
    giant, broken, streaming = dropping.aside()
    assert giant["truncated"]
    assert len(giant.pop("text").encode()) in range(64 * 1024 - 1, 64 * 1024 + 3)
    assert giant == {"line": 2, "reason": reasons[0], "truncated": True}
    assert broken == {"line": 3, "reason": reasons[1], "text": "\ufffd"}
    text = line(1, OTHER, stream=True).decode()[:-1]
    assert streaming == {"line": 5, "reason": stream, "text": text}


def test_if_so_wanted_one_bad_line_refuses_all_and_every_one_is_told(dropping: Dropping) -> None:
    bad = b"".join(line(0, OTHER) + b"?\n" for _ in range(50))

    text = dropping.refused(many(200) + bad + line("z"), on_bad_lines="refuse")

    assert text == (
        "100 of its 301 lines have problems: line 201: custom_id: used before; line 202: the line"
        " is not JSON; line 203: custom_id: used before; correct them, or let on_bad_lines be"
        " quarantine"
    )
    assert [each["line"] for each in dropping.aside()] == list(range(201, 301))


def test_a_refusal_knows_what_was_read(dropping: Dropping) -> None:
    with pytest.raises(RefusedReadingError) as error:
        dropping.read(line(0) + b"?\n", on_bad_lines="refuse")

    assert error.value.plan == Plan(
        (), 1, 1, f"s3://bucket/{LINES}", ((2, "the line is not JSON"),)
    )


def test_a_file_without_one_good_line_is_refused(dropping: Dropping) -> None:
    text = dropping.refused(b"a,b\n" * 7)

    said = "; ".join(f"line {n}: the line is not JSON" for n in (1, 2, 3))
    hint = "it is to have one JSON object a line"
    assert text == f"none of its 7 lines is a request ({hint}): {said}"


@pytest.mark.parametrize(
    ("begins", "hint"),
    [
        (b"\x1f\x8b\x08", "packed by gzip; unpack it"),
        (b"PK\x03\x04", "a zip or a spreadsheet"),
        ("{}".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"[\n{},\n", "one JSON array; jq -c '.[]' makes lines of it"),
    ],
)
def test_what_is_known_by_its_beginning_is_named(
    dropping: Dropping, begins: bytes, hint: str
) -> None:
    assert f"a request (it seems to be {hint})" in dropping.refused(begins)


def test_what_is_no_jsonl_at_all_is_refused_early(dropping: Dropping) -> None:
    assert dropping.refused(b"a,b\n" * 2_000) == (
        "none of the first 1000 lines is a request; is this JSONL, one object a line?"
    )
    assert len(dropping.aside()) == 1_000


def test_after_too_many_problems_a_file_is_refused_and_they_are_all_there(
    dropping: Dropping,
) -> None:
    dropping.limits = LIMITS._replace(problems=500)

    text = dropping.refused(many(100) + b"?\n" * 2_000)

    assert text == "500 lines have problems, and the rest was not looked at"
    assert [each["line"] for each in dropping.aside()] == list(range(101, 601))


def test_a_file_of_one_giant_line_is_refused(dropping: Dropping) -> None:
    dropping.limits = LIMITS._replace(line_bytes=1_000)

    assert dropping.refused(line(0, input="x" * 3_000_000)) == (
        "none of its 1 lines is a request: line 1: the line is longer than 1000 bytes"
    )


def test_a_file_without_a_request_is_refused(dropping: Dropping) -> None:
    assert dropping.refused(b"") == "the file is empty"
    for blank in (b"\n", b"\xef\xbb\xbf", b" \r\n\n"):
        assert dropping.refused(blank) == "the file has nothing but blank lines"


def test_what_is_too_large_is_refused_before_it_is_read(dropping: Dropping) -> None:
    text = dropping.refused(Arrival(KEY, None, 5_000_000_001))

    assert text == "the file has more than 5000000000 bytes; divide it"


@pytest.mark.parametrize("name", ["inbox/a.json", "inbox/a.jsonl.gz", "inbox/jsonl", "inbox/a/"])
def test_what_is_not_jsonl_by_its_name_is_refused(dropping: Dropping, name: str) -> None:
    text = dropping.refused(dropping.drop(many(1), name))

    assert text == (
        "only *.jsonl is sent; the options of questions.jsonl are questions.options.json"
    )


def test_a_name_in_capitals_is_fine(dropping: Dropping) -> None:
    arrival = dropping.drop(many(1), "inbox/A.JSONL")
    dropping.drop(b"{}", "inbox/A.options.json")

    assert dropping.read(arrival).accepted == 1
    assert dropping.inbox.sidecar("inbox/A.JSONL") == b"{}"


DELETED = "the file was deleted before it was read; drop it again, if it is to be sent"
REPLACED = "the file was replaced before it was read; the newer one is sent by itself"


def test_a_file_that_was_deleted_is_not_read(dropping: Dropping) -> None:
    arrival = dropping.drop(many(1))
    dropping.s3.delete_object(Bucket="bucket", Key=KEY)
    assert dropping.refused(arrival) == DELETED

    arrival = dropping.drop(many(1), "inbox/b.jsonl")
    version = {"VersionId": arrival.version}
    dropping.s3.delete_object(Bucket="bucket", Key="inbox/b.jsonl", **version)
    assert dropping.refused(arrival) == DELETED


@pytest.mark.parametrize("code", ["AccessDenied", "403", "NoSuchKey", "NoSuchVersion", "404"])
def test_however_s3_says_that_there_is_nothing_it_is_understood(
    dropping: Dropping, code: str
) -> None:
    arrival = dropping.drop(many(1))
    listing = "User: arn is not authorized to perform: s3:ListBucket on resource: arn"
    dropping.refuse(code, listing)

    assert dropping.refused(arrival) == DELETED
    assert dropping.inbox.sidecar(KEY) is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDenied", "User: arn is not authorized to perform: kms:Decrypt on resource: arn"),
        ("AccessDenied", "User: arn is not authorized to perform: s3:GetObject on resource: arn"),
        ("InternalError", "We encountered an internal error. Please try again."),
        ("SlowDown", "Please reduce your request rate."),
    ],
)
def test_what_is_wrong_with_us_or_s3_does_not_pass_for_a_deleted_file_or_no_options(
    dropping: Dropping, code: str, message: str
) -> None:
    arrival = dropping.drop(many(1))
    dropping.refuse(code, message)

    with pytest.raises(ClientError):
        dropping.read(arrival)
    with pytest.raises(ClientError):
        dropping.inbox.sidecar(KEY)


def test_a_file_that_was_replaced_is_left_to_its_successor(dropping: Dropping) -> None:
    older, newer = dropping.drop(many(2)), dropping.drop(many(2))

    assert dropping.refused(older) == REPLACED
    assert dropping.read(newer).accepted == 2


def test_without_versions_another_size_tells_that_a_file_was_replaced(dropping: Dropping) -> None:
    arrival = dropping.drop(many(2))._replace(version=None)

    assert dropping.read(arrival).accepted == 2
    assert dropping.refused(arrival._replace(size=arrival.size - 1)) == REPLACED


BODY = many(100)
ERRORS = [
    ReadTimeoutError(endpoint_url="s3"),
    ResponseStreamingError(error="cut"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ConnectionResetError("cut"),
    None,  # it ends, and nobody says a word
]


@pytest.mark.parametrize("error", ERRORS)
def test_what_breaks_off_is_gone_on_with_where_it_broke(
    dropping: Dropping, error: Exception | None
) -> None:
    asked = dropping.cut([1_000, 0, 777, len(BODY) - 1_778], error)

    plan = dropping.read(BODY)

    assert asked == ["", *[f"bytes={at}-" for at in (1_000, 1_000, 1_777, len(BODY) - 1)]]
    assert b"".join(dropping.bodies(plan)) == BODY


@pytest.mark.parametrize("error", ERRORS)
def test_half_a_file_is_never_a_plan(dropping: Dropping, error: Exception | None) -> None:
    dropping.cut([len(line(0)) * 2] * 9, error)

    with pytest.raises(CutOffError):
        dropping.read(BODY)

    assert dropping.under_way == 0


def test_the_whole_in_place_of_the_rest_is_never_a_plan(dropping: Dropping) -> None:
    dropping.cut([1_000], ERRORS[0])
    unheeded = {"Range": ""}
    dropping.on("before-call.s3.GetObject", lambda params, **_: params["headers"].update(unheeded))

    with pytest.raises(CutOffError):
        dropping.read(BODY)


def test_a_file_with_another_checksum_is_never_a_plan(dropping: Dropping) -> None:
    wrong = FlexibleChecksumError(error_msg="Expected checksum a did not match")
    dropping.cut([len(BODY)], wrong)

    with pytest.raises(CutOffError):
        dropping.read(BODY)


@pytest.mark.parametrize(("same", "versions"), [(True, True), (False, True), (False, False)])
def test_a_file_that_is_replaced_while_it_is_read_is_not_read_half_and_half(
    dropping: Dropping, *, same: bool, versions: bool
) -> None:
    arrival = dropping.drop(BODY)
    arrival = arrival if versions else arrival._replace(version=None)

    def replace() -> bool:
        if not replaced:
            replaced.append(dropping.drop(BODY if same else BODY[::-1]))
        return False

    replaced: list[Arrival] = []
    dropping.late = replace
    dropping.cut([1_000], ERRORS[0])

    assert dropping.refused(arrival) == REPLACED


def test_a_reading_ends_when_its_time_is_up(dropping: Dropping) -> None:
    left = [3]

    def late() -> bool:
        left[0] -= 1
        return left[0] < 0

    dropping.late = late
    dropping.cut([len(BODY)], None)  # in small pieces

    with pytest.raises(OutOfTimeError):
        dropping.read(BODY)


def test_what_s3_does_not_take_leaves_nothing_under_way(dropping: Dropping) -> None:
    body = many(90) + b"".join(line(f"o{n}", OTHER) for n in range(90)) + b"?\n" * 300
    calls = []

    def spoil(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        calls.append(1)
        if len(calls) > 3:
            http_response.status_code = 403
            parsed["Error"] = {"Code": "AccessDenied", "Message": "as the test wants"}

    dropping.on("after-call.s3.UploadPart", spoil)

    with pytest.raises(ClientError):
        dropping.read(body)
    assert len(calls) == 4


def test_options_lie_beside_the_file_or_nowhere(dropping: Dropping) -> None:
    arrival = dropping.drop(many(1), account="no", **{"batchwatch-account": "team"})
    assert dropping.inbox.sidecar(KEY) is None

    dropping.drop(b'{"account": "a"}', "inbox/team/a b.options.json")
    assert dropping.inbox.sidecar(KEY) == b'{"account": "a"}'
    with dropping.inbox.open(arrival) as dropped:
        assert dropped.metadata == {"account": "no", "batchwatch-account": "team"}

    dropping.drop(b" " * 65_537, "inbox/team/a b.options.json")
    with pytest.raises(RefusedJobError, match="options beside the file have more than 65536 bytes"):
        dropping.inbox.sidecar(KEY)


@pytest.mark.parametrize(("at", "error"), [(3, None), (0, ERRORS[0]), (0, ERRORS[3])])
def test_half_of_the_options_are_no_options(
    dropping: Dropping, at: int, error: Exception | None
) -> None:
    dropping.drop(b'{"account": "a"}', "inbox/team/a b.options.json")
    dropping.cut([at], error)

    with pytest.raises(CutOffError):
        dropping.inbox.sidecar(KEY)


def test_options_are_known_by_their_name() -> None:
    names = [
        "inbox/a.options.json",
        "inbox/b/A.Options.JSON",
        "inbox/a.jsonl",
        "inbox/options.json",
    ]

    assert [is_sidecar(name) for name in names] == [True, True, False, False]


def test_a_report_lies_where_the_file_lay_also_if_its_name_is_long() -> None:
    assert rejected_key(KEY, "job_1", "lines.jsonl") == LINES
    long = rejected_key("inbox/" + "é" * 509, "job_" + "0" * 24, "report.json")
    assert len(long.encode()) < 1024
    assert long.endswith("é/job_000000000000000000000000/report.json")


def test_a_report_tells_what_became_of_a_file(dropping: Dropping) -> None:
    where = rejected_key(KEY, "job_1", "report.json")
    uri = f"s3://bucket/{KEY}"
    plan = dropping.read(line(0) + b"?\n" * 12)

    refused = Report(uri, None, "job_1", "the file is empty")
    assert write_report(dropping.rewritten, where, refused) == f"s3://bucket/{where}"
    assert json.loads(dropping.body(where)) == {
        "object": uri,
        "version": None,
        "job": "job_1",
        "outcome": "refused",
        "reason": "the file is empty",
        "accepted": 0,
        "rejected": 0,
        "lines": None,
        "first": [],
    }
    write_report(dropping.rewritten, where, Report(uri, "v1", "job_1", None, plan))
    assert json.loads(dropping.body(where)) == {
        "object": uri,
        "version": "v1",
        "job": "job_1",
        "outcome": "quarantined",
        "reason": "12 lines have problems and were left out; the other 1 are sent",
        "accepted": 1,
        "rejected": 12,
        "lines": f"s3://bucket/{LINES}",
        "first": [{"line": n, "reason": "the line is not JSON"} for n in range(2, 12)],
    }


@pytest.mark.parametrize("count", [2, 900])
def test_bad_lines_of_an_earlier_reading_are_written_over(dropping: Dropping, count: int) -> None:
    dropping.refused(line("a") + b"?\n" * 5, on_bad_lines="refuse")
    dropping.refused(line("b") + b"?!\n" * count, on_bad_lines="refuse")

    assert [each["text"] for each in dropping.aside()] == ["?!"] * count


class FreeS3:
    """S3 at no cost: it gives lines that are made as they are read, and takes anything."""

    def __init__(self, make: Callable[[int], bytes], size: int) -> None:
        self.make = make
        self.size = size
        self.taken = 0

    def get_object(self, **_: Any) -> dict[str, Any]:
        """Give the file."""
        return {"ETag": "e", "ContentLength": self.size, "Body": self}

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Give pieces of about a size."""
        left, n = self.size, 0
        while left:
            piece = b"".join(self.make(n + k) for k in range(size // len(self.make(n))))[:left]
            n += size // len(self.make(n))
            left -= len(piece)
            yield piece

    def close(self) -> None:
        """End reading."""

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        """Begin an upload."""
        return {"UploadId": "u"}

    def upload_part(self, Body: bytes, **_: Any) -> dict[str, str]:  # noqa: N803 - S3's name
        """Take a part."""
        self.taken += len(Body)
        return {"ETag": "e"}

    def put_object(self, Body: bytes, **_: Any) -> None:  # noqa: N803 - S3's name
        """Take an object."""
        self.taken += len(Body)

    def complete_multipart_upload(self, **_: Any) -> None:
        """Complete an upload."""


def test_a_large_file_needs_no_more_memory_than_its_buffers() -> None:
    text = "x" * 15_900
    count = 4_000  # 64 MB, to two models
    models = ("gpt-5-mini-2025-08-07", "gpt-5-nano-2025-08-07")

    def make(n: int) -> bytes:
        return line(f"{n:07d}", models[n % 2], input=text)

    size = len(make(0)) * count
    s3: Any = FreeS3(make, size)
    archive = Archive(s3, "bucket", part_bytes=5 * 2**20)
    desk = Destination(archive, Rewritten(s3, "bucket"), key, LINES, lambda: False)

    tracemalloc.start()
    try:
        with Inbox(s3, "bucket").open(Arrival(KEY, None, size)) as dropped:
            plan = read_into_parts(dropped, Options(), desk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (plan.accepted, s3.taken) == (count, size)
    assert peak < 24 * 2**20  # two buffers, one of them being sent, and a few pieces


@pytest.mark.full
def test_a_quarter_of_a_gigabyte_is_two_parts() -> None:
    text = "x" * 24_900
    each = len(line(f"{0:05d}", input=text))
    s3: Any = FreeS3(lambda n: line(f"{n:05d}", input=text), each * 10_000)
    desk = Destination(Archive(s3, "bucket"), Rewritten(s3, "bucket"), key, LINES, lambda: False)

    with Inbox(s3, "bucket").open(Arrival(KEY, None, s3.size)) as dropped:
        plan = read_into_parts(dropped, Options(), desk)

    first = 200_000_000 // each
    assert [part.requests for part in plan.parts] == [first, 10_000 - first]
    assert [part.size for part in plan.parts] == [first * each, (10_000 - first) * each]
    assert s3.taken == s3.size
