"""Every line of a dropped file is either a request that can be sent, or a problem with a reason."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.creating import ENDPOINTS
from batchwatch.errors import RefusedJobError
from batchwatch.submit.limits import LIMITS
from batchwatch.submit.preflight import SHOWN, Problem, Request, check
from batchwatch.submit.seen import Seen
from tests.builders import json_values, modest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
BOM = b"\xef\xbb\xbf"


def asked(custom_id: str = "a", **changes: Any) -> dict[str, Any]:
    """Give a request as OpenAI wants it."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hé"}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **changes}


def line(custom_id: str = "a", **changes: Any) -> bytes:
    """Give such a request as a line."""
    return json.dumps(asked(custom_id, **changes), ensure_ascii=False).encode() + b"\n"


def embed(inputs: Any, custom_id: str = "a") -> bytes:
    return line(
        custom_id, url=EMBEDDINGS, body={"model": "text-embedding-3-small", "input": inputs}
    )


def found(*pieces: bytes, **wanted: Any) -> list[Request | Problem]:
    """Check a file that comes in these pieces."""
    return list(check(pieces, **wanted))


def told(*pieces: bytes, **wanted: Any) -> list[tuple[int, str] | str]:
    """Give number and reason of each problem, and of each request its first field."""
    return [
        (each.number, each.reason) if isinstance(each, Problem) else each.line.decode()[14:17]
        for each in found(*pieces, **wanted)
    ]


def why(text: bytes, **wanted: Any) -> str:
    """Give the reason why a file of one line is no good."""
    (problem,) = found(text, **wanted)
    assert isinstance(problem, Problem)
    assert problem.number == 1
    assert text.startswith(problem.begins)
    return problem.reason


def in_pieces(text: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted({*cuts, len(text)}):
        yield text[at:cut]
        at = cut


@pytest.mark.parametrize("url", ENDPOINTS)
def test_a_good_line_is_a_request_byte_by_byte(url: str) -> None:
    text = line(url=url, body={"model": "m", "input": "x", "stream": False})

    (request,) = found(text)

    assert request == Request(text, url, "m", 1 if url == EMBEDDINGS else 0)


def test_marks_line_ends_and_blank_lines_of_other_systems_are_fine() -> None:
    a, b, c = line("a"), line("b"), line("c")
    crlf = (a + b + c).replace(b"\n", b"\r\n")

    for text in (a + b + c, BOM + a + b + c, crlf, BOM + crlf, (a + b + c)[:-1], a + b + c + b"\n"):
        assert [r.line for r in found(text) if isinstance(r, Request)] == [a, b, c]
        assert len(found(text)) == 3


def test_blank_lines_are_counted_so_that_numbers_are_those_of_an_editor() -> None:
    assert told(BOM + b"\r\n", b"  \n\t\n\n", b"?\n", b"\n", line("b"), b"!") == [
        (5, "the line is not JSON"),
        '"b"',
        (8, "the line is not JSON"),
    ]


def test_nothing_but_a_line_feed_ends_a_line() -> None:
    content = "a\u2028b\u2029c\x85d\x7f"
    text = line(body={"model": "m", "input": content})

    (request,) = found(text)

    assert isinstance(request, Request)
    assert request.line == text
    assert told(line("a")[:-1] + b"\r" + line("b")) == [(1, "the line is not JSON")]


def test_a_mark_that_is_not_at_the_start_is_no_mark() -> None:
    assert told(line("a"), BOM + line("b")) == ['"a"', (2, "the line is not JSON")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"custom_id,prompt", "the line is not JSON"),
        (line()[:-2], "the line is not JSON"),
        (line()[:-1] + line(), "the line is not JSON"),
        (line()[:-1] + b",", "the line is not JSON"),
        (line()[:-2] + b',"n":NaN}', "the line is not JSON"),
        (line()[:-2] + b',"n":-Infinity}', "the line is not JSON"),
        (line()[:-2] + b',"n":' + b"9" * 5_000 + b"}", "the line is not JSON"),
        (line()[:-2] + b',"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the line is not JSON"),
        (line()[:-2] + b',"n":"\\ud800"}', "the line is not JSON"),
        (line().replace("é".encode(), b"\xe9"), "the line is not UTF-8"),
        (line()[:-1].decode().encode("utf-16"), "the line is not UTF-8"),
        (line().replace("é".encode(), b"\xed\xa0\x80"), "the line is not UTF-8"),
        (b"[" + line()[:-1] + b"]", "the line is not a JSON object"),
        (b"null", "the line is not a JSON object"),
        (b"{}", "custom_id: must be a text that is not empty"),
        (line(""), "custom_id: must be a text that is not empty"),
        (line(custom_id=7), "custom_id: must be a text that is not empty"),  # type: ignore[arg-type]
        (line(method="GET"), "method: must be POST"),
        (line(method="post"), "method: must be POST"),
        (line(method=None), "method: must be POST"),
        (line(url="/v1/files"), f"url: must be one of {', '.join(ENDPOINTS)}"),
        (line(url="https://api.openai.com" + CHAT), f"url: must be one of {', '.join(ENDPOINTS)}"),
        (line(url=None), f"url: must be one of {', '.join(ENDPOINTS)}"),
        (line(url=[CHAT]), f"url: must be one of {', '.join(ENDPOINTS)}"),
        (line(body=None), "body: must be an object"),
        (line(body="{}"), "body: must be an object"),
        (line(body={}), "body.model: must be a text of 1 to 128 characters"),
        (line(body={"model": ""}), "body.model: must be a text of 1 to 128 characters"),
        (line(body={"model": 5}), "body.model: must be a text of 1 to 128 characters"),
        (line(body={"model": "m" * 129}), "body.model: must be a text of 1 to 128 characters"),
        (
            line(body={"model": "m", "stream": True}),
            "body.stream: a batch cannot stream; leave it out",
        ),
        (embed(None), "body.input: must be a text, or a list of texts or of tokens"),
        (embed([]), "body.input: must be a text, or a list of texts or of tokens"),
        (embed(["a", 1]), "body.input: must be a text, or a list of texts or of tokens"),
        (embed([True]), "body.input: must be a text, or a list of texts or of tokens"),
        (embed({"a": 1}), "body.input: must be a text, or a list of texts or of tokens"),
        (embed(["a"] * 50_001), "body.input: has more than 50000, the most in a batch"),
    ],
)
def test_a_line_that_is_no_good_has_one_sentence_that_names_the_field(
    text: bytes, reason: str
) -> None:
    assert why(text) == reason


@pytest.mark.parametrize(
    ("inputs", "count"),
    [("a", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2), (["a"] * 50_000, 50_000)],
)
def test_the_inputs_of_an_embedding_are_counted(inputs: Any, count: int) -> None:
    (request,) = found(embed(inputs))

    assert isinstance(request, Request)
    assert request.inputs == count


def test_an_endpoint_of_the_options_is_the_only_one() -> None:
    assert why(line(), endpoint="/v1/responses") == "url: must be /v1/responses, as the options say"
    assert told(line(), endpoint=CHAT) == ['"a"']


def test_an_id_is_used_once_in_the_whole_file_however_it_is_spelled() -> None:
    again = line("a").replace(b'"a"', b'"\\u0061"')
    others = [line(str(n)) for n in range(2_000)]

    assert told(line("a"), *others, again)[-1] == (2_002, "custom_id: used before")
    assert told(line("a"), line("A"), line("a "), line("b"), embed("x", "a"))[-1] == (
        5,
        "custom_id: used before",
    )


def test_the_id_of_a_line_that_is_not_sent_is_free() -> None:
    assert told(line("a", method="GET"), line("a")) == [(1, "method: must be POST"), '"a"']


def test_ids_by_the_ten_thousand_are_told_apart() -> None:
    seen = Seen()

    for n in range(70_000):  # more than one in a place
        assert seen.add(f"request-{n}")
    assert not any(seen.add(f"request-{n}") for n in range(70_000))


def test_a_giant_line_is_a_problem_that_is_not_held_in_memory() -> None:
    megabyte = 2**20

    def chunks() -> Iterator[bytes]:
        yield line("a")
        for _ in range(100):
            yield b"x" * megabyte
        yield b"\n" + line("b")

    tracemalloc.start()
    try:
        first, problem, last = check(chunks())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    reason = "the line is longer than 16777216 bytes"
    assert problem == Problem(2, reason, b"x" * SHOWN, 100 * megabyte)
    assert (type(first), type(last)) == (Request, Request)
    assert peak < 40 * megabyte  # what may be held of a line, and once more to put it together


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_a_line_may_be_as_long_as_allowed_and_not_a_byte_longer(mark: bytes, end: bytes) -> None:
    text = line()[:-1]
    limits = LIMITS._replace(line_bytes=len(text))

    for size in range(1, len(text)):
        pieces = list(in_pieces(mark + text + end, range(0, len(text), size)))
        assert [type(each) for each in found(*pieces, limits=limits)] == [Request]
    (problem,) = found(mark + b" " + text + end, limits=limits)
    assert isinstance(problem, Problem)
    assert problem.reason == f"the line is longer than {len(text)} bytes"


def test_a_line_that_only_begins_blank_is_not_skipped() -> None:
    limits = LIMITS._replace(line_bytes=500)

    assert why(b" " * 600 + line(), limits=limits) == "the line is longer than 500 bytes"


def keep(each: Iterator[Request | Problem], given: list[Request | Problem]) -> None:
    for one in each:
        given.append(one)  # noqa: PERF402 - also what comes before an error


def test_too_many_problems_end_the_reading_after_all_of_them_were_told() -> None:
    limits = LIMITS._replace(problems=5)
    each = check([line(), b"?\n" * 4, line("b"), b"?\n", line("c")], limits=limits)
    given: list[Request | Problem] = []

    with pytest.raises(RefusedJobError, match="5 lines have problems, and the rest was not looked"):
        keep(each, given)
    assert [type(one) for one in given] == [Request, *[Problem] * 4, Request, Problem]
    assert LIMITS.problems == 10_000
    assert len(found(line(), b"?\n" * 4, limits=limits)) == 5


def test_a_file_that_begins_with_nothing_but_problems_is_no_jsonl() -> None:
    csv = b"id,prompt\n" * 1_000

    with pytest.raises(RefusedJobError, match="none of the first 1000 lines is a request; is this"):
        found(csv)
    assert len(found(csv[:-10])) == 999
    assert len(found(line(), csv)) == 1_001


fields = st.dictionaries(
    st.sampled_from(["custom_id", "method", "url", "body", "model"]), json_values, max_size=2
)
ends = st.sampled_from([b"", b"\r", b" "])
requests = st.builds(
    lambda n, changes, end: json.dumps({**asked(str(n)), **changes}).encode() + end,
    st.integers(0, 3),
    st.just({}) | fields,
    ends,
)
other_lines = st.binary(max_size=30) | st.sampled_from([b"", b"\r", b" ", BOM, b"\x0b", b"{}"])
some_lines = st.lists(requests | other_lines, max_size=8).map(b"\n".join)
files = st.sampled_from([b"", BOM]).flatmap(lambda mark: some_lines.map(mark.__add__))
small = LIMITS._replace(line_bytes=150)


@modest
@given(files, st.lists(st.integers(0, 400), max_size=12))
def test_whatever_the_bytes_each_line_is_accounted_for_once(text: bytes, cuts: list[int]) -> None:
    results = found(text, limits=small)

    theirs = text.removeprefix(BOM).split(b"\n")
    wanted = {n: t.removesuffix(b"\r") for n, t in enumerate(theirs, 1) if t.strip()}
    problems = {each.number: each for each in results if isinstance(each, Problem)}
    good = [each.line for each in results if isinstance(each, Request)]
    assert good == [wanted[n] + b"\n" for n in wanted if n not in problems]
    assert set(problems) <= set(wanted)
    for n, problem in problems.items():
        assert problem.size == len(wanted[n]) or problem.size > small.line_bytes
        assert wanted[n].startswith(problem.begins)
    ids = [json.loads(each)["custom_id"] for each in good]
    assert len(ids) == len(set(ids))
    assert found(*in_pieces(text, cuts), limits=small) == results
    assert found(*(bytes([byte]) for byte in text), limits=small) == results


@modest
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_bytes_whatever_are_too_much(pieces: list[bytes]) -> None:
    for each in found(*pieces):
        assert isinstance(each, Problem)
