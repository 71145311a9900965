"""Requests and their answers, side by side by `custom_id`. Pure: files in, a file out.

Each line of the result is `{"custom_id", "request", "response", "error"}`, in the order of the
requests: `request` is the line asked without its `custom_id`; `response` and `error` are those of
the answer, null where there is none. Values are copied as they are spelled, never written anew.

Memory is that of the longest lines: where each answer lies is kept by an index on disk.
"""

from __future__ import annotations

import filecmp
import json
import re
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_FIRST = 3
_INDEX_MEMORY = 32_768  # KiB; what is more goes to disk
_MARK = b"\xef\xbb\xbf"  # which some editors put at the beginning of a file
_SPACE = re.compile(r"[ \t\r\n]*")
# Numbers are passed over only, so they are not to be converted: some are too long for that.
_passed = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_INDEX = """
    CREATE TABLE seen (
        custom_id BLOB PRIMARY KEY, asked INTEGER,
        file INTEGER, response INTEGER, response_size INTEGER, error INTEGER, error_size INTEGER
    ) WITHOUT ROWID
"""  # where an answer lies: a file, and the places of its two values there, in bytes
_NOTHING = b"null"


@dataclass
class Some:
    """A number of custom_ids, and the first few of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, custom_id: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.first) < _FIRST:
            self.first.append(custom_id)


@dataclass
class Joined:
    """How a join came out.

    requests          lines asked, each a line of the result
    unanswered        requests without an answer
    unasked           answers without a request; they are not in the result
    asked_again       requests whose custom_id had come before; each has the same answer
    answered_again    answers whose custom_id had come before; they are not in the result
    unreadable        lines that are no JSON object with a custom_id, blank ones aside, by file:
                      requests first, then as the answers were given
    """

    requests: int = 0
    unanswered: Some = field(default_factory=Some)
    unasked: Some = field(default_factory=Some)
    asked_again: Some = field(default_factory=Some)
    answered_again: Some = field(default_factory=Some)
    unreadable: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether each request has its answer, and each answer its request."""
        return not (self.unanswered.count or self.unasked.count or sum(self.unreadable))


class Member(NamedTuple):
    """A member of a JSON object: its name and its value as they are spelled, and where that is."""

    name: str
    begins: int
    value: str


class _Line(NamedTuple):
    """A line of a file that could be read, and where it begins."""

    at: int
    custom_id: str
    members: Mapping[str, Member]

    @property
    def key(self) -> bytes:
        """The id as the index holds it; half characters are characters."""
        return self.custom_id.encode("utf-8", "surrogatepass")

    def place(self, name: str) -> tuple[int, int]:
        """Return where in the file the value of a member lies, and its size; (0, 0): nowhere."""
        member = self.members.get(name)
        return (self.at + member.begins, len(member.value)) if member else (0, 0)


def join_files(
    requests: Path, answers: Sequence[Path], to: Path, *, force: bool = False
) -> Joined | None:
    """Write the join of files to another one, whole or not at all.

    None: `to` is there, and is another one, which is overwritten by `force` only.
    """
    part = to.with_name(f"{to.name}.part")
    try:
        with ExitStack() as files, part.open("wb") as result:
            opened = [files.enter_context(path.open("rb")) for path in (requests, *answers)]
            found = join(opened[0], opened[1:], result.write)
        if to.exists() and not force and not filecmp.cmp(to, part, shallow=False):
            return None
        part.replace(to)
        return found
    finally:
        part.unlink(missing_ok=True)


def join(
    requests: BinaryIO, answers: Sequence[BinaryIO], write: Callable[[bytes], object]
) -> Joined:
    """Join files that can be sought in; of answers to one `custom_id`, the first one counts."""
    found = Joined(unreadable=[0] * (1 + len(answers)))
    with closing(sqlite3.connect("", isolation_level=None)) as index:  # "": a file of its own
        index.execute("PRAGMA journal_mode = OFF")
        index.execute(f"PRAGMA cache_size = -{_INDEX_MEMORY}")
        index.execute(_INDEX)
        index.execute("BEGIN")
        for number, file in enumerate(answers):
            for line in _lines(file, found, 1 + number):
                _note(index, number, line, found)
        for line in _lines(requests, found, 0):
            found.requests += 1
            answer = _answer(index, answers, line, found)
            write(_side_by_side(line, answer))
        left = "FROM seen WHERE NOT asked"
        (found.unasked.count,) = index.execute(f"SELECT count(*) {left}").fetchone()
        some = index.execute(f"SELECT custom_id {left} LIMIT {_FIRST}")
        found.unasked.first = [key.decode("utf-8", "surrogatepass") for (key,) in some]
    return found


def _note(index: sqlite3.Connection, number: int, line: _Line, found: Joined) -> None:
    row = (line.key, number, *line.place("response"), *line.place("error"))
    if not index.execute("INSERT OR IGNORE INTO seen VALUES (?, 0, ?, ?, ?, ?, ?)", row).rowcount:
        found.answered_again.add(line.custom_id)


def _answer(
    index: sqlite3.Connection, answers: Sequence[BinaryIO], line: _Line, found: Joined
) -> tuple[bytes, bytes]:
    """Return response and error of the answer to a request, as they are spelled."""
    rows = index.execute("SELECT * FROM seen WHERE custom_id = ?", (line.key,))
    _, asked, number, *places = rows.fetchone() or (None,) * 7
    if asked:
        found.asked_again.add(line.custom_id)
    elif asked is None:
        index.execute("INSERT INTO seen (custom_id, asked) VALUES (?, 1)", (line.key,))
    else:
        index.execute("UPDATE seen SET asked = 1 WHERE custom_id = ?", (line.key,))
    if number is None:
        found.unanswered.add(line.custom_id)
        return _NOTHING, _NOTHING
    return _value(answers[number], *places[:2]), _value(answers[number], *places[2:])


def _value(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size) if size else _NOTHING


def _lines(file: BinaryIO, found: Joined, place: int) -> Iterator[_Line]:
    """Read the lines that have a custom_id; count those that have none, but are not blank."""
    file.seek(0)
    at = 0
    for raw in file:
        if raw.strip():
            line = _read(at, raw)
            if line:
                yield line
            else:
                found.unreadable[place] += 1
        at += len(raw)


def _read(at: int, raw: bytes) -> _Line | None:
    begins = len(_MARK) if raw.startswith(_MARK) else 0
    try:
        said = members(raw[begins:].decode("latin-1"))
        custom_id = json.loads(said["custom_id"].value.encode("latin-1"))
    except (ValueError, KeyError, RecursionError):
        return None
    return _Line(at + begins, custom_id, said) if isinstance(custom_id, str) else None


def _side_by_side(line: _Line, answer: tuple[bytes, bytes]) -> bytes:
    asked = ", ".join(
        f"{member.name}: {member.value}"
        for name, member in line.members.items()
        if name != "custom_id"
    )
    begins = f'{{"custom_id": {line.members["custom_id"].value}, "request": {{{asked}}}'
    return b'%s, "response": %s, "error": %s}\n' % (begins.encode("latin-1"), *answer)


def members(text: str) -> dict[str, Member]:
    """Return the members of a JSON object by name; ValueError: it is none.

    Text of one byte a character, whatever it stands for, so that places are those of bytes. Of two
    members of one name the last one counts, as it does in Python.
    """
    said: dict[str, Member] = {}
    at = _after(text, 0, "{")
    while not text.startswith("}", at):
        at = _after(text, at, ",") if said else at
        if not text.startswith('"', at):
            raise ValueError("no name where one is due")
        name, ends = _passed(text, at)
        begins = _after(text, ends, ":")
        spelled = text[at:ends]
        _, at = _passed(text, begins)
        said[name] = Member(spelled, begins, text[begins:at])
        at = _space(text, at)
    if text[at + 1 :].strip(" \t\r\n"):
        raise ValueError("more than one object")
    return said


def _after(text: str, at: int, sign: str) -> int:
    """Return where what follows a sign begins, blanks before and behind it aside."""
    at = _space(text, at)
    if not text.startswith(sign, at):
        raise ValueError(f"no {sign} where one is due")
    return _space(text, at + 1)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
