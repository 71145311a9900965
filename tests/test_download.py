"""A file of OpenAI read to its end, whatever happens on the way; or a clear no."""

from __future__ import annotations

import gzip
import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.download import Source
from batchwatch.errors import (
    BadAnswerError,
    CutOffError,
    NoResumeError,
    NotFoundError,
    ShortDownloadError,
)
from batchwatch.openai import Account, OpenAI, RemoteFile
from tests.builders import OUTPUT, modest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST = 1000
CONTENT = bytes(range(256)) * 12  # some three times as much
ETAG = '"one"'


@dataclass
class Origin:
    """Serves one file by Range, each answer cut after `cuts` bytes as long as there are any."""

    content: bytes = CONTENT
    etag: str | None = ETAG
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as an origin does that honours Range and If-Range."""
        self.asked.append(request.headers.get("range"))
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        same = request.headers.get("if-range", self.etag) == self.etag
        if wanted and same and self.ranges:
            start = int(wanted[1])
        size, rest = len(self.content), self.content[start:]
        headers = {"content-length": str(len(rest))} | ({"etag": self.etag} if self.etag else {})
        if start:
            headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
        headers |= self.headers
        return httpx.Response(206 if start else 200, headers=headers, content=self._cut(rest))

    def _cut(self, rest: bytes) -> Iterator[bytes]:
        if not self.cuts:
            yield rest
            return
        yield rest[: self.cuts.pop(0)]
        raise httpx.ReadError("cut")


@pytest.fixture(autouse=True, scope="module")
def small_scale() -> Iterator[None]:
    """A kilobyte for a megabyte."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchwatch.download.LEAST", LEAST)
        yield


def source(
    origin: Callable[[httpx.Request], httpx.Response],
    size: int | None = len(CONTENT),
    **known: Any,
) -> Source:
    transport = httpx.MockTransport(origin)
    openai = OpenAI(Account("default", "sk-1"), transport=transport, sleep=lambda _: None)
    return Source(openai, RemoteFile(OUTPUT, size), **known)


def read(source: Source, start: int = 0) -> bytes:
    with closing(source._openai):
        return b"".join(source.read(start))


@modest
@given(st.lists(st.integers(LEAST // 2, 2 * LEAST), max_size=5), st.integers(0, len(CONTENT) - 1))
def test_a_file_that_is_cut_anywhere_is_read_to_its_end_or_as_far_as_it_came(
    cuts: list[int], start: int
) -> None:
    came, whole = start, False
    for cut in cuts:
        brought = min(cut, len(CONTENT) - came)
        came += brought
        whole = came == len(CONTENT)
        if whole or brought < LEAST:
            break
    else:
        came, whole = len(CONTENT), True
    got = bytearray()
    file = source(Origin(cuts=list(cuts)))

    with closing(file._openai), suppress(CutOffError):
        for chunk in file.read(start):
            got += chunk
        assert whole

    assert got == CONTENT[start:came]


def test_each_answer_goes_on_where_the_one_before_was_cut() -> None:
    origin = Origin(cuts=[LEAST, LEAST + 7])

    assert read(source(origin)) == CONTENT
    assert origin.asked == [None, f"bytes={LEAST}-", f"bytes={2 * LEAST + 7}-"]


def test_an_answer_that_brings_next_to_nothing_ends_the_try() -> None:
    origin = Origin(cuts=[LEAST, 10])

    with pytest.raises(CutOffError):
        read(source(origin))
    assert len(origin.asked) == 2


def test_a_file_that_has_changed_is_not_mixed_with_what_it_was() -> None:
    with pytest.raises(NoResumeError):
        read(source(Origin(etag='"two"'), etag=ETAG), start=9)


def test_an_origin_that_ignores_ranges_is_not_taken_for_the_rest() -> None:
    with pytest.raises(NoResumeError):
        read(source(Origin(ranges=False, cuts=[LEAST])))


@pytest.mark.parametrize(
    "headers",
    [
        {"content-range": f"bytes 8-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"content-range": f"bytes 9-{len(CONTENT) - 1}/{len(CONTENT) + 1}"},
        {"content-range": f"bytes 9-{len(CONTENT) - 1}/*"},
        {"content-range": "bytes */7"},
        {"content-range": ""},
        {"content-encoding": "gzip"},
        {"etag": '"two"'},
    ],
)
def test_a_part_that_is_not_what_was_asked_for_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(NoResumeError):
        read(source(Origin(headers=headers), etag=ETAG), start=9)


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(206, headers={"content-range": "bytes 5-6/7"}, content=b"56")

    with pytest.raises(NoResumeError):
        read(source(answer, 7))


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_size_and_place_must_do(etag: str | None) -> None:
    origin = Origin(etag=etag, cuts=[LEAST])

    assert read(source(origin)) == CONTENT
    assert read(source(Origin(etag=etag)), start=7) == CONTENT[7:]


def test_a_part_without_a_validator_does_not_make_the_next_one_valid() -> None:
    origin = Origin(cuts=[LEAST, LEAST])

    def silent_once(request: httpx.Request) -> httpx.Response:
        answer = origin(request)
        if len(origin.asked) == 2:
            del answer.headers["etag"]
            origin.etag = '"two"'
        return answer

    with pytest.raises(NoResumeError):
        read(source(silent_once))


def test_a_page_of_html_is_no_file() -> None:
    with pytest.raises(BadAnswerError):
        read(source(Origin(headers={"content-type": "text/html; charset=utf-8"})))


@pytest.mark.parametrize(
    ("declared", "encoding", "size"),
    [(7, None, 7), (None, None, 7), (7, "gzip", 7), (None, "gzip", None)],
)
def test_the_size_of_a_file_is_what_anybody_says_of_it(
    declared: int | None, encoding: str | None, size: int | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        body = gzip.compress(b"0123456") if encoding else b"0123456"
        headers = {"content-encoding": encoding} if encoding else {}
        return httpx.Response(200, headers=headers, content=body)

    file = source(answer, declared)

    assert read(file) == b"0123456"
    assert file.size == size


def test_a_file_whose_sizes_disagree_is_not_begun() -> None:
    with pytest.raises(ShortDownloadError):
        read(source(Origin(), len(CONTENT) + 1))


def test_a_file_whose_end_nobody_tells_is_not_begun() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        content = httpx.Response(200, content=iter([b'{"cut":']))
        del content.headers["transfer-encoding"]
        return content

    with pytest.raises(ShortDownloadError):
        read(source(answer, None))


def test_a_file_of_no_known_size_is_not_gone_on_with() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        def cut() -> Iterator[bytes]:
            yield b"x" * 2 * LEAST
            raise httpx.ReadError("cut")

        return httpx.Response(200, content=cut())

    with pytest.raises(CutOffError):
        read(source(answer, None))


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}])
def test_a_file_that_is_gone_is_not_found(headers: dict[str, str]) -> None:
    with pytest.raises(NotFoundError):
        read(source(lambda _: httpx.Response(404, headers=headers)))
