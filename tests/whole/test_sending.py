"""Files sent by way of the deployed inbox: divided, sent, merged, each request once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.__main__ import _parser
from local.screen import Lines
from local.sending import answer_faults
from local.simulator import Script, SimulatedOpenAI
from local.submissions import Submissions
from tests.whole.stack import Stack, deployed
from tests.whole.test_killed import workers
from tests.whole.test_local import run
from tests.world import KEY

if TYPE_CHECKING:
    from batchwatch.submit.job import Job

MB = 1_000_000
URL = "/v1/chat/completions"


def request(number: int, size: int = 0) -> dict[str, object]:
    """A request whose line has some `size` bytes."""
    said = [{"role": "user", "content": "x" * max(1, size - 170)}]
    body = {"model": "gpt-5-mini", "messages": said}
    return {"custom_id": f"request-{number:09}", "method": "POST", "url": URL, "body": body}


def written(path: Path, requests: int, size: int = 0) -> Path:
    with path.open("w") as file:
        for number in range(requests):
            file.write(json.dumps(request(number, size)) + "\n")
    return path


class Sending:
    """A file sent through a stack, and how much memory the processes of Submitter have taken."""

    def __init__(self, stack: Stack, path: Path) -> None:
        self._stack = stack
        self.peak = 0
        self.submissions = Submissions(stack.service.inbox(), [path])
        stack.service.tick()
        self.submissions.put(Lines())

    def to_the_end(self, seconds: float) -> list[str]:
        """Tick, as the schedules do, until it has ended; return what is not as promised."""
        deadline = time.monotonic() + seconds
        while not self.submissions.done:
            assert time.monotonic() < deadline, self.submissions.files[0].status
            self._stack.service.tick()
            self._stack.service.look_after_jobs()
            self.submissions.look()
            for message in self._stack.listener.news():
                if json.loads(message)["type"].startswith("job."):
                    self.submissions.take(message, Lines())
            self.peak = max([self.peak, *map(peak_bytes, workers(self._stack, "Submitter"))])
        return self.submissions.conclude(Lines())

    @property
    def job(self) -> Job:
        """What became of it."""
        job = self.submissions.files[0].job
        assert job
        return job

    @property
    def told(self) -> list[str]:
        """The types of its events."""
        return [event.type for event in self.submissions.files[0].events]


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.full
def test_a_large_file_is_answered_request_by_request_in_little_memory(tmp_path: Path) -> None:
    file = written(tmp_path / "large.jsonl", 120_000, 2_500)
    assert file.stat().st_size > 290 * MB
    with deployed() as stack:
        sending = Sending(stack, file)

        assert sending.to_the_end(1200) == []
        assert [part.requests for part in sending.job.parts] == [50_000, 50_000, 20_000]
        assert len(stack.openai.created) == 3
        print(f"peak {sending.peak / MB:.0f} MB")  # noqa: T201 - shown by -s; for the documents
        assert sending.peak < 256 * MB


@pytest.mark.full
def test_ten_parts_go_through_a_limit_of_two_at_a_time_by_themselves(tmp_path: Path) -> None:
    file = written(tmp_path / "many.jsonl", 20)
    (tmp_path / "many.options.json").write_text('{"part_requests": 2}')
    with deployed() as stack:
        stack.openai.enqueued_batches = 2
        sending = Sending(stack, file)

        assert sending.to_the_end(900) == []
        assert len(sending.job.parts) == 10
        assert "job.waiting" in sending.told
        assert sending.told[-1] == "job.completed"
        assert len(stack.openai.uploads) == 10  # no file is uploaded again for nothing


def test_an_answer_that_is_missing_doubled_or_of_nobody_is_told() -> None:
    assert answer_faults({"a", "b"}, ["b", "a"]) == []
    missing, doubled, foreign = answer_faults({"a", "b", "c"}, ["c", "c", "a", "d"])
    assert "1 are missing, such as 'b'" in missing
    assert "1 are there more than once, such as 'c'" in doubled
    assert "1 are of no request, such as 'd'" in foreign


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("absent.jsonl", "No such file"),
        ("folder.jsonl", "Is a directory"),
        ("a.csv", "only *.jsonl"),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_command_line(
    file: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "a.csv").touch()

    with pytest.raises(SystemExit):
        _parser().parse_args(["--submit", str(tmp_path / file)])

    assert why in capsys.readouterr().err


@pytest.mark.full
def test_a_file_sent_to_an_api_is_all_that_is_watched_there(tmp_path: Path) -> None:
    file = written(tmp_path / "few.jsonl", 3)
    with SimulatedOpenAI(key=KEY) as openai:
        openai.add(Script(name="other", endpoint=URL, requests=3, ends="completed"))

        ran = run("--base-url", openai.base_url, "--api-key", KEY, "--submit", str(file))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "3 of 3 requests in 1 part succeeded" in ran.stdout
    assert "events of 1 batches received" in ran.stdout


@pytest.mark.full
def test_a_key_that_may_only_read_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    file = written(tmp_path / "few.jsonl", 3)
    with SimulatedOpenAI(key=KEY) as openai:
        openai.fault("POST", status=403, times=-1)
        ran = run("--base-url", openai.base_url, "--api-key", KEY, "--submit", str(file))

    assert ran.returncode == 1
    assert "few.jsonl: it did not come to its end" in ran.stderr
    assert "forbidden" in ran.stderr


@pytest.mark.full
def test_a_file_that_is_refused_makes_the_run_fail_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "prose.jsonl").write_text("Dear OpenAI,\nhow are you?\n")

    ran = run("--submit", str(tmp_path / "prose.jsonl"))

    assert ran.returncode == 1
    assert "prose.jsonl: the job was refused: none of its 2 lines is a request" in ran.stderr
