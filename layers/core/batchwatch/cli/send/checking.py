"""A file looked at before it is sent: as the service will, but where it costs nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.trouble import Code, CommandError
from batchwatch.errors import RefusedJobError
from batchwatch.notify.wording import plural
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.limits import LIMITS
from batchwatch.submit.options import Options, read_options
from batchwatch.submit.preflight import Problem, check
from batchwatch.submit.reading import looks_like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SUFFIX, SIDECAR = ".jsonl", ".options.json"
_PIECE = 1024 * 1024
_DIFFERS = re.compile(r"the option (?P<name>\w+) is another one in the options beside")
_OURS = re.compile(r"the option batchwatch-(?=[a-z])")
_TOLD = 10
_LONGEST_KEY = 900  # bytes, as the report about it has a longer one
_MOST_METADATA = 1900  # bytes; S3 takes 2,048, and some are ours


class Letter(NamedTuple):
    """A file that is to be sent, as `key` of the bucket.

    `sidecar`: the options beside it. `metadata`: those of the command line, as S3 has them.
    `options`: what both mean; with `on_bad_lines` refuse, unless quarantine is asked for.
    """

    path: Path
    key: str
    size: int
    sidecar: bytes | None
    metadata: Mapping[str, str]
    options: Options

    @property
    def sidecar_key(self) -> str:
        """Where its options lie in the bucket."""
        return self.key[: -len(SUFFIX)] + SIDECAR


class Checked(NamedTuple):
    """Lines that can be sent, those that cannot, the first of them; and why the whole cannot."""

    good: int
    bad: int
    first: tuple[tuple[int, str], ...]
    refusal: str | None = None


def letters(paths: Sequence[Path], called: str | None, metadata: Mapping[str, str]) -> list[Letter]:
    """Look at files from outside; CommandError where one cannot be sent.

    `called`: a name for the only one, or a folder with `/` at its end, below `inbox/`.
    """
    if called and not called.endswith("/") and len(paths) > 1:
        raise CommandError(Code.USAGE, "--as NAME is for one file; for several, a folder: NAME/")
    found = [_letter(path, called, metadata) for path in paths]
    keys = [letter.key for letter in found]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        cause = f"two files would be {twice}; the later would replace the other"
        raise CommandError(Code.USAGE, cause, "send one of them alone, with --as NAME")
    return found


def object_metadata(said: Mapping[str, object]) -> dict[str, str]:
    """Spell options as the metadata of an object; those that are None are left out."""
    texts = {
        f"batchwatch-{name.replace('_', '-')}": v if isinstance(v, str) else json.dumps(v)
        for name, v in said.items()
        if v is not None
    }
    if sum(len(name) + len(text.encode()) for name, text in texts.items()) > _MOST_METADATA:
        way_out = "put them into NAME.options.json beside NAME.jsonl"
        raise CommandError(Code.USAGE, "the options are more than an object of S3 takes", way_out)
    if odd := [name for name, text in texts.items() if not text.isascii()]:
        raise CommandError(
            Code.USAGE, f"--{odd[0].removeprefix('batchwatch-')} has letters that S3 does not take"
        )
    return texts


def check_file(letter: Letter, progress: Callable[[int], None]) -> Checked:
    """Read a whole file as the service will; `progress` is told of further bytes."""
    good = bad = 0
    first: list[tuple[int, str]] = []
    begins, refusal = b"", None
    try:
        for found in check(_chunks(letter.path, progress), endpoint=letter.options.endpoint):
            if not isinstance(found, Problem):
                good += 1
                continue
            bad += 1
            begins = begins if first else found.begins
            if len(first) < _TOLD:
                first.append((found.number, found.reason))
    except RefusedJobError as error:
        refusal = str(error)
    if not good and not refusal:
        refusal = f"no line of it is a request{looks_like(begins)}" if bad else "it is empty"
    return Checked(good, bad, tuple(first), refusal)


def complaint(letter: Letter, checked: Checked) -> list[str]:
    """Say why a file is not sent; nothing where it is."""
    name, bad = letter.path.name, checked.bad
    asked_for = letter.options.on_bad_lines == "quarantine"
    if not checked.refusal and (not bad or asked_for):
        return []
    of = plural(checked.good + bad, "line")
    head = checked.refusal or f"{bad} of {of} cannot be sent"
    lines = [f"  line {number}: {reason}" for number, reason in checked.first]
    more = [f"  … and {bad - len(lines)} more"] if bad > len(lines) else []
    return [f"{name}: {head}", *lines, *more]


def _letter(path: Path, called: str | None, metadata: Mapping[str, str]) -> Letter:
    if not path.name.lower().endswith(SUFFIX):
        way_out = "one request a line, as the Batch API has them, in NAME.jsonl"
        raise CommandError(Code.USAGE, f"{path}: only *.jsonl is sent", way_out)
    if not path.is_file():
        raise CommandError(Code.NOT_FOUND, f"{path}: no such file")
    size = path.stat().st_size
    if not size:
        raise CommandError(Code.BAD_NEWS, f"{path}: the file is empty")
    if size > LIMITS.object_bytes:
        raise CommandError(
            Code.BAD_NEWS, f"{path}: has more than {LIMITS.object_bytes} bytes", "divide it"
        )
    try:
        key = _key(path, called)
    except UnicodeEncodeError as error:
        way_out = "send it by another name: --as NAME"
        raise CommandError(Code.USAGE, f"{path}: its name is not UTF-8", way_out) from error
    beside = path.with_name(path.name[: -len(SUFFIX)] + SIDECAR)
    sidecar = beside.read_bytes() if beside.exists() else None
    if sidecar and len(sidecar) > LIMITS.sidecar_bytes:
        raise CommandError(Code.BAD_NEWS, f"{beside}: has more than {LIMITS.sidecar_bytes} bytes")
    try:
        options = read_options(sidecar, metadata, on_bad_lines="refuse")
    except RefusedJobError as error:
        cause = _as_typed(str(error), beside.name, sidecar, metadata)
        raise CommandError(Code.USAGE, f"{path}: {cause}") from error
    return Letter(path, key, size, sidecar, metadata, options)


def _as_typed(refusal: str, beside: str, sidecar: bytes | None, metadata: Mapping[str, str]) -> str:
    """Say of options what is wrong by the names that they have on the command line."""
    if sidecar and (differs := _DIFFERS.match(refusal)):
        name = differs["name"]
        option = name.replace("_", "-")
        there = json.loads(sidecar.decode("utf-8-sig"))[name]
        said = there if isinstance(there, str) else json.dumps(there)
        typed = metadata.get(f"batchwatch-{option}", "")
        return f"--{option} {typed}, but {beside} says {said}; leave one of them out"
    return _OURS.sub("--", refusal)


def _key(path: Path, called: str | None) -> str:
    name = path.name if not called else called + path.name if called.endswith("/") else called
    name = name.removeprefix(INBOX)
    if not name.lower().endswith(SUFFIX) or any(
        part in {"", ".", ".."} for part in name.split("/")
    ):
        raise CommandError(Code.USAGE, f"--as {called}: not a name below {INBOX} with {SUFFIX}")
    if len(name.encode()) > _LONGEST_KEY:
        raise CommandError(Code.USAGE, f"--as: longer than {_LONGEST_KEY} bytes")
    return INBOX + name


def _chunks(path: Path, progress: Callable[[int], None]) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_PIECE):
            yield chunk
            progress(len(chunk))
