"""`batchwatch submit`."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from batchwatch.cli.follow.following import Until, follow, paces_of
from batchwatch.cli.follow.screen import Lines
from batchwatch.cli.follow.watched import Put, Submitted
from batchwatch.cli.output import Output
from batchwatch.cli.send.checking import letters
from batchwatch.cli.send.putting import put
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import CommandError
from batchwatch.submit.job import job_id_of
from tests.command_line import Said, batchwatch, hooked
from tests.dropped import asked, minute
from tests.world import client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BUCKET = "bucket"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes a file in, as a rule."""
    monkeypatch.setattr("batchwatch.cli.send.taking.PATIENCE", 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three requests."""
    path = tmp_path / "questions.jsonl"
    path.write_bytes(asked(3))
    return path


def versions(key: str) -> list[str]:
    """Every version of an object."""
    said = client("s3").list_object_versions(Bucket=BUCKET, Prefix=key)
    return [each["VersionId"] for each in said.get("Versions", []) if each["Key"] == key]


def uploads() -> list[Any]:
    """Multipart uploads that were left behind."""
    said: list[Any] = client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return said


def test_a_file_becomes_the_job_that_its_version_names_with_the_options_as_metadata(
    file: Path,
) -> None:
    said = batchwatch("submit", str(file), "--no-watch", "--as", "team/", "-a", "research",
                      "-m", "team=søk", "--part-requests", "2")  # fmt: skip

    (version,) = versions("inbox/team/questions.jsonl")
    there = client("s3").get_object(Bucket=BUCKET, Key="inbox/team/questions.jsonl")
    assert (said.code, said.out) == (
        0,
        job_id_of(BUCKET, "inbox/team/questions.jsonl", version) + "\n",
    )
    assert "is not taken in yet" in said.err
    assert there["Body"].read() == file.read_bytes()
    ours = {k: v for k, v in there["Metadata"].items() if k.startswith("batchwatch-")}
    assert ours == {
        "batchwatch-account": "research",
        "batchwatch-metadata": '{"team": "s\\u00f8k"}',
        "batchwatch-part-requests": "2",
    }


def test_options_beside_the_file_go_along(file: Path) -> None:
    file.with_name("questions.options.json").write_text('{"part_requests": 1}')

    said = batchwatch("submit", str(file), "--no-watch", "--json")

    beside = client("s3").get_object(Bucket=BUCKET, Key="inbox/questions.options.json")
    assert json.load(beside["Body"]) == {"part_requests": 1}
    assert [o["key"] for o in said.objects] == ["inbox/questions.jsonl"]
    two = batchwatch("submit", str(file), "--part-requests", "15")
    assert "--part-requests 15, but questions.options.json says 1; leave one" in two.err
    file.with_name("questions.options.json").unlink()
    again = batchwatch("submit", str(file), "--no-watch")
    assert (again.code, again.out) == (1, "")
    assert 's3://bucket/inbox/questions.options.json: {"part_requests": 1}' in again.err
    assert "--yes; if not: aws s3 rm s3://" in again.err
    assert len(versions("inbox/questions.jsonl")) == 1
    agreed = batchwatch("submit", str(file), "--no-watch", "--yes")
    assert agreed.code == 0
    assert "name and size was put into the inbox" in agreed.err
    assert "paid twice" in agreed.err


def test_of_bad_lines_each_is_told_before_anything_is_sent(file: Path) -> None:
    file.write_bytes(asked(2) + b"nonsense\n" + asked(1) + b"{}\n")

    refused = batchwatch("submit", str(file))
    wanted = batchwatch("submit", str(file), "--no-watch", "--on-bad-lines", "quarantine")

    assert refused.code == 1
    assert "3 of 5 lines cannot be sent" in refused.err
    for line in ("line 3: the line is not JSON", "line 4: custom_id: used before", "line 5:"):
        assert line in refused.err
    assert wanted.code == 0
    assert len(versions("inbox/questions.jsonl")) == 1


_NOT_SENT: list[tuple[str, bytes | None, list[str], tuple[int, str]]] = [
    ("a.txt", b"x", [], (2, "only *.jsonl")),
    ("a.jsonl", None, [], (3, "no such file")),
    ("a.jsonl", b"", [], (1, "empty")),
    ("a.jsonl", b"\n\n", [], (1, "empty")),
    ("a.jsonl", b"[1,\n2]", ["--on-bad-lines", "quarantine"], (1, "jq -c")),
    ("a.jsonl", asked(1), ["--part-requests", "0"], (2, ": --part-requests must be a")),
    ("a.jsonl", asked(1), ["-m", "team"], (2, "KEY=VALUE")),
    ("a.jsonl", asked(1), ["-m", f"a={'x' * 600}"], (2, "512")),
    ("a.jsonl", asked(1), [f"-m{n}={'x' * 500}" for n in "abcd"], (2, "options.json")),
    ("a.jsonl", asked(1), ["--as", "../a.jsonl"], (2, "--as")),
    ("a.jsonl", asked(1), ["--endpoint", "/v1/embeddings"], (1, "url: must be /v1/embeddings")),
]


def test_what_cannot_be_sent_is_not_and_says_why(tmp_path: Path) -> None:
    for number, (name, content, options, (code, says)) in enumerate(_NOT_SENT):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / name
        if content is not None:
            path.write_bytes(content)

        said = batchwatch("submit", str(path), "--no-watch", *options)

        assert (said.code, said.out) == (code, ""), said.err
        assert says in said.err
        assert "on-bad-lines" not in said.err
    assert not versions("inbox/a.jsonl")


@pytest.mark.parametrize("name", [b"\x1b[2J\xe2\x80\xae.jsonl", b"\xff.jsonl", b"\xff"])
def test_no_name_of_a_file_is_a_command_to_the_terminal_or_too_much(
    tmp_path: Path, name: bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"nonsense")

    said = batchwatch("submit", str(path), "--no-watch")

    assert said.code in {1, 2}
    assert not {"\x1b", "\u202e"} & {*said.err}


def test_two_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "q.jsonl").write_bytes(asked(1))

    said = batchwatch("submit", str(tmp_path / "a/q.jsonl"), str(tmp_path / "b/q.jsonl"))

    assert said.code == 2
    assert "--as" in said.err


def test_it_is_shown_from_the_inbox_to_the_merged_answers(
    world: World, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = world.drop(file.name, file.read_bytes())
    stack = Stack("batchwatch")
    source = Submitted(stack, [Put("inbox/questions.jsonl", world.clock.now, job_id)])

    (seen,) = follow(source, Lines(Output()), Until(every=1), paces_of(stack),
                     sleep=lambda _: minute(world, seconds=20), clock=world.clock)  # fmt: skip

    lines = capsys.readouterr().out.splitlines()
    assert "uploaded" in lines[0]
    assert lines[-1].endswith("completed 3/3, merged")
    assert seen.said["files"]["output"]["s3_uri"].endswith(f"{job_id}/output.jsonl")
    assert seen.good


def test_a_file_that_nobody_takes_in_is_told_of_after_a_while(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack("batchwatch")
    source = Submitted(stack, [Put("inbox/q.jsonl", world.clock.now, "job_" + "0" * 24)])

    def sleep(_: float) -> None:
        world.clock.now += 31

    with pytest.raises(CommandError, match="1 of 1 still open after 2 min"):
        follow(source, Lines(Output()), Until(1, timeout=120), paces_of(stack),
               sleep=sleep, clock=world.clock)  # fmt: skip

    said = capsys.readouterr().err
    assert said.count("Submitter has not taken in q.jsonl") == 1
    assert "batchwatch doctor" in said
    assert "dead letters" in said


def test_an_upload_whose_last_answer_is_lost_is_no_second_job(file: Path) -> None:
    s3 = client("s3")
    lost: list[bool] = []

    def lose(**_: Any) -> None:
        lost.append(True)
        raise ReadTimeoutError(endpoint_url="https://s3")

    (letter,) = letters([file], None, {})
    s3.meta.events.register("after-call.s3.CompleteMultipartUpload", lose, unique_id="lose")
    try:
        sent = put(s3, BUCKET, letter, lambda _: None)
    finally:
        s3.meta.events.unregister("after-call.s3.CompleteMultipartUpload", unique_id="lose")

    (version,) = versions("inbox/questions.jsonl")
    assert lost
    assert sent.job_id == job_id_of(BUCKET, "inbox/questions.jsonl", version)


def test_somebody_elses_file_of_that_name_is_not_taken_for_ours(file: Path) -> None:
    s3 = client("s3")
    (letter,) = letters([file], None, {})

    def be_first(**_: Any) -> None:
        s3.put_object(Bucket=BUCKET, Key="inbox/questions.jsonl", Body=b"theirs")

    s3.meta.events.register("after-call.s3.CompleteMultipartUpload", be_first, unique_id="first")
    try:
        sent = put(s3, BUCKET, letter, lambda _: None)
    finally:
        s3.meta.events.unregister("after-call.s3.CompleteMultipartUpload", unique_id="first")

    theirs, ours = versions("inbox/questions.jsonl")
    assert sent.job_id == job_id_of(BUCKET, "inbox/questions.jsonl", ours)
    assert ours != theirs


@pytest.mark.parametrize("how", ["broken off", "changed"])
def test_an_upload_that_does_not_come_to_its_end_leaves_nothing(file: Path, how: str) -> None:
    s3 = client("s3")
    file.with_name("questions.options.json").write_text('{"account": "research"}')
    (letter,) = letters([file], None, {})

    def disturb(_: int) -> None:
        if how == "broken off":
            raise ConnectionError(how)
        with file.open("ab") as more:
            more.write(asked(1, first=9))

    with pytest.raises((ConnectionError, CommandError), match=how):
        put(s3, BUCKET, letter, disturb)

    assert not versions("inbox/questions.jsonl")
    assert not versions("inbox/questions.options.json")
    assert not uploads()


def test_ctrl_c_when_the_file_is_already_there_does_not_say_that_nothing_was_sent(
    file: Path, tmp_path: Path
) -> None:
    another = tmp_path / "z.jsonl"
    another.write_bytes(asked(1))

    lost: list[bool] = []

    def lose(**_: Any) -> None:
        lost.append(True)
        raise ReadTimeoutError(endpoint_url="https://s3")

    def stop(**_: Any) -> None:
        if lost:  # not yet where one of that name is looked for
            raise KeyboardInterrupt

    def press(**_: Any) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def send() -> Said:
        return batchwatch("submit", str(file), str(another), "--no-watch")

    # While the last answer is awaited; and where that is lost, and S3 asked whether it has arrived.
    with hooked("before-call.s3.CompleteMultipartUpload", press):
        late = send()
    (version,) = versions("inbox/questions.jsonl")
    with (
        hooked("after-call.s3.CompleteMultipartUpload", lose),
        hooked("before-call.s3.HeadObject", stop),
    ):
        unknown = send()

    assert late.code == unknown.code == 130
    assert "nothing of" not in late.err + unknown.err
    assert f"batchwatch cancel {job_id_of(BUCKET, 'inbox/questions.jsonl', version)}" in late.err
    assert "would be paid twice" in unknown.err
    assert not versions("inbox/z.jsonl")
