"""Requests and answers side by side: each value as it was spelled, everything else counted."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.cli.fetch.joining import Joined, join, join_files, members
from tests.builders import json_values, modest

if TYPE_CHECKING:
    from pathlib import Path

ASKED = {"method": "POST", "url": "/v1/responses"}


def request(custom_id: str, text: Any = "?") -> dict[str, Any]:
    """Ask something."""
    return {"custom_id": custom_id, **ASKED, "body": {"input": text}}


def answer(custom_id: str, body: Any = None) -> dict[str, Any]:
    """Answer it."""
    said = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": said, "error": None}


def file(*lines: dict[str, Any]) -> bytes:
    """Write lines as OpenAI does."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def joined(requests: bytes, *answers: bytes) -> tuple[bytes, Joined]:
    """Join in memory."""
    result = io.BytesIO()
    found = join(io.BytesIO(requests), [io.BytesIO(each) for each in answers], result.write)
    return result.getvalue(), found


def read(raw: bytes) -> list[dict[str, Any]]:
    """Read lines."""
    return [json.loads(line) for line in raw.split(b"\n") if line]


def test_requests_come_in_their_order_with_answers_and_errors_beside_them() -> None:
    error = {"code": "batch_expired", "message": "too late"}
    failed = {"id": "batch_req_2", "custom_id": "a", "response": None, "error": error}
    raw, found = joined(
        file(request("b", 1), request("a", 2)), file(answer("b", {"n": 1})), file(failed)
    )

    assert found.whole
    assert read(raw) == [
        {
            "custom_id": "b",
            "request": {**ASKED, "body": {"input": 1}},
            "response": answer("b", {"n": 1})["response"],
            "error": None,
        },
        {
            "custom_id": "a",
            "request": {**ASKED, "body": {"input": 2}},
            "response": None,
            "error": error,
        },
    ]


texts = st.sampled_from(["a", "é", "\U0001f600", "\ud800", "a b", "", "{", '"', "\x00"])


@modest
@given(st.lists(st.tuples(texts, json_values)), st.lists(st.tuples(texts, json_values)), st.data())
def test_every_request_is_one_line_and_everything_is_counted(
    asked: list[tuple[str, Any]], answered: list[tuple[str, Any]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(answered)))
    answers = [file(*(answer(*each) for each in some)) for some in (answered[:cut], answered[cut:])]
    raw, found = joined(file(*(request(*each) for each in asked)), *answers)

    lines = read(raw)
    first = dict(reversed(answered))
    assert [(line["custom_id"], line["request"]["body"]["input"]) for line in lines] == asked
    for line in lines:
        custom_id = line["custom_id"]
        expected = answer(custom_id, first[custom_id]) if custom_id in first else {}
        assert line["response"] == expected.get("response")
        assert line["error"] is None
    ids = [custom_id for custom_id, _ in asked]
    assert found.requests == len(asked)
    assert found.unanswered.count == sum(each not in first for each in ids)
    assert found.unasked.count == len(first.keys() - {*ids})
    assert found.asked_again.count == len(ids) - len({*ids})
    assert found.answered_again.count == len(answered) - len(first)
    assert sum(found.unreadable) == 0


def test_values_are_copied_as_they_are_spelled() -> None:
    value = '{"a": 1.00, "b": 1e999, "c": "\\u00e9\\ud800", "d":  [1 ,2], "e": ' + "9" * 5000 + "}"
    asked = f'{{"custom_id": "x", "body": {value}}}\n'.encode()
    answered = f' {{ "custom_id" :"\\u0078" , "response":{value},"error":null }} '.encode()
    raw, found = joined(asked, answered)

    assert found.whole
    assert raw.decode() == (
        f'{{"custom_id": "x", "request": {{"body": {value}}}, "response": {value}, '
        '"error": null}\n'
    )


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    raw, found = joined(
        b'\xef\xbb\xbf{"custom_id": "x", "body": "\xff"}', b'{"custom_id": "x", "response": "\xfe"}'
    )

    assert found.whole
    assert raw == (
        b'{"custom_id": "x", "request": {"body": "\xff"}, "response": "\xfe", "error": null}\n'
    )


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b"1",
        b"\xff",
        b"[" * 100_000,
        b'{"custom_id": 1}',
        b'{"custom_id": "\xff"}',
        b'{"a": "custom_id"}',
        b'{"custom_id": "x"',
        b'{"custom_id": "x",}',
        b'{"custom_id" "x"}',
        b'{"custom_id": "x"} {}',
    ],
)
def test_lines_that_cannot_be_read_are_counted_and_hold_up_no_others(line: bytes) -> None:
    asked, answered = file(request("a")), file(answer("a"))
    raw, found = joined(b"\n \n" + line + b"\n" + asked, answered + line)

    (only,) = read(raw)
    assert only["custom_id"] == "a"
    assert only["response"]
    assert found.unreadable == [1, 1]
    assert not found.whole


def plain(text: str) -> dict[str, Any]:
    """Read the members of an object as those of JSON are."""
    said = members(text.encode().decode("latin-1"))
    for member in said.values():
        assert text.encode().decode("latin-1")[member.begins :].startswith(member.value)
    spelled = [f"{each.name}:{each.value}".encode("latin-1") for each in said.values()]
    return dict(json.loads(b"{" + b",".join(spelled) + b"}"))


@modest
@given(st.dictionaries(st.text(), json_values), st.sampled_from([None, 1]))
def test_members_are_those_of_the_object(said: dict[str, Any], indent: int | None) -> None:
    assert plain(json.dumps(said, indent=indent)) == said
    assert plain(json.dumps(said, indent=indent, ensure_ascii=False)) == said


@modest
@given(st.text(alphabet='{}[]",: \\a1\n', max_size=12))
def test_what_is_no_object_is_refused(text: str) -> None:
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if isinstance(said, dict):
        assert plain(text) == said
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - of JSON or ours
            members(text)


def test_another_join_in_its_place_is_left_alone_unless_forced(tmp_path: Path) -> None:
    asked, answered, to = tmp_path / "in", tmp_path / "out", tmp_path / "joined.jsonl"
    asked.write_bytes(file(request("a")))
    answered.write_bytes(file(answer("a")))
    to.write_text("mine")

    assert join_files(asked, [answered], to) is None
    assert to.read_text() == "mine"
    assert join_files(asked, [answered], to, force=True)
    assert join_files(asked, [answered], to)  # the same again
    assert json.loads(to.read_text())["custom_id"] == "a"
    assert {each.name for each in tmp_path.iterdir()} == {"in", "out", "joined.jsonl"}


@pytest.mark.parametrize(
    ("lines", "each"),
    [(500, 40_000), pytest.param(50_000, 4_000, marks=pytest.mark.full)],
)
def test_memory_does_not_grow_with_what_was_answered(tmp_path: Path, lines: int, each: int) -> None:
    asked, answered, to = tmp_path / "in", tmp_path / "out", tmp_path / "joined.jsonl"
    with asked.open("wb") as requests, answered.open("wb") as answers:
        for number in range(lines):
            requests.write(file(request(f"request-{number}")))
            answers.write(file(answer(f"request-{lines - 1 - number}", "a" * each)))

    tracemalloc.start()
    try:
        found = join_files(asked, [answered], to)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found is not None
    assert found.whole
    assert to.stat().st_size > lines * each
    assert peak < 2_000_000  # and 20 MB, or 200 MB, were answered
