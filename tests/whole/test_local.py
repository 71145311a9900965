"""`python -m local` as a person starts it: the deployed template, IAM enforced, real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.__main__ import main
from local.deploy import ROOT
from local.scenario import scenario
from local.simulator import Script, SimulatedOpenAI
from local.verdict import chain_faults
from tests.consumer_1_0 import read
from tests.schemas import schema_faults

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-simulated"
PATIENCE = 150


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "local", *options]


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        command(*options),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def received(file: Path) -> dict[str, list[str]]:
    """The lines of an events file by batch."""
    by_batch: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        by_batch.setdefault(json.loads(line)["subject"], []).append(line)
    return by_batch


def test_the_main_job_takes_every_batch_of_the_scenario_to_its_end(tmp_path: Path) -> None:
    """To the end, each told to people too, and every event what the schema of 1.0 promises."""
    ran = run("--json", "--notify", "--events", str(tmp_path / "events.jsonl"))

    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    result = lines[-2] if lines[-1]["kind"] == "note" else lines[-1]
    assert (ran.returncode, ran.stderr, result["ok"]) == (0, "", True)
    assert result["found"] == len(scenario())
    batches = {line["name"]: line for line in lines if line["kind"] == "batch"}
    events = received(tmp_path / "events.jsonl")
    for script in scenario():
        batch = batches[script.name]
        assert batch["status"] == script.ends
        assert chain_faults(events[batch["id"]], script.ends) == []
        for event in events[batch["id"]]:
            assert schema_faults(event) == []
            assert read(event).subject == batch["id"]
    notices = next(line for line in lines if line["kind"] == "notices")
    mails = [line for line in lines if line["kind"] == "mail"]
    # The local AWS may lose the last line of log of a process; there are two at most.
    assert 0 < notices["mails"] == len(mails) <= notices["invocations"] + 2
    ends = [(name, batch["id"]) for name, batch in batches.items()]
    assert all(any(name in m["text"] and of in m["text"] for m in mails) for name, of in ends)


@pytest.mark.full
def test_a_file_is_sent_in_parts_beside_the_batches_of_the_scenario(tmp_path: Path) -> None:
    file = a_file_to_send(tmp_path)
    archive = ("--archive", str(tmp_path / "archive"))

    ran = run("--json", "--submit", str(file), "--scenario", *archive)

    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 1
    assert "questions.jsonl: 1 line was not sent; s3://" in ran.stderr
    assert sum(line["kind"] == "batch" for line in lines) == len(scenario()) + 2
    (job,) = (line for line in lines if line["kind"] == "job")
    assert (job["status"], len(job["faults"]), job["data"]["rejected"]) == ("completed", 1, 1)
    assert [part["requests"] for part in job["data"]["parts"]] == [3, 2]
    assert sorted(answered(tmp_path / "archive")) == [f"request-{n}" for n in range(5)]


def a_file_to_send(folder: Path) -> Path:
    """Five requests in two parts, and a line that is none."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
    said = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    lines = [json.dumps({"custom_id": f"request-{n}", **said}) for n in range(5)]
    file = folder / "questions.jsonl"
    file.write_text("\n".join([*lines[:2], "no request", *lines[2:]]))
    (folder / "questions.options.json").write_text('{"part_requests": 3}')
    return file


def answered(archive: Path) -> list[str]:
    """The custom_id of each line of the merged files."""
    files = archive.glob("jobs/*/*/*/*.jsonl")
    return [json.loads(line)["custom_id"] for f in files for line in f.read_bytes().splitlines()]


@pytest.mark.full
def test_tracked_batches_are_watched_alone_and_their_files_arrive_byte_for_byte(
    tmp_path: Path,
) -> None:
    scripts = [
        Script(name="now", endpoint="/v1/responses", requests=9, ends="completed", failed=2),
        Script(name="large", endpoint="/v1/embeddings", requests=80, ends="expired",
               unfinished=20, running=2, output_bytes=40_000_000),
    ]  # fmt: skip
    with SimulatedOpenAI(key=KEY) as openai:
        ids = [openai.add(script) for script in scripts]
        long_ago = Script(name="old", endpoint="/v1/responses", requests=3, ends="completed")
        ids.append(openai.add(long_ago, created_at=time.time() - 90_000))
        openai.add(replace(long_ago, running=5000))  # nobody asked for this one

        ran = run(
            *("--base-url", openai.base_url, "--api-key", KEY, "--every", "1"),
            *(option for batch_id in ids for option in ("--track", batch_id)),
            *("--events", str(tmp_path / "events.jsonl"), "--archive", str(tmp_path / "archive")),
        )

        assert (ran.returncode, ran.stderr) == (0, "")
        events = received(tmp_path / "events.jsonl")
        assert events.keys() == {*ids}
        for batch_id in ids:
            assert chain_faults(events[batch_id], openai.scripts[batch_id].ends) == []
            for role in ("output", "error"):
                file_id = openai.batch(batch_id)[f"{role}_file_id"]
                (*found,) = (tmp_path / "archive").rglob(f"{batch_id}/{role}.jsonl")
                expected = [openai.file(str(file_id)).read_bytes()] if file_id else []
                assert [path.read_bytes() for path in found] == expected


@pytest.mark.full
def test_what_an_api_has_or_gets_is_found_and_may_still_be_open_in_the_end(tmp_path: Path) -> None:
    brief = Script(name="b", endpoint="/v1/responses", requests=9, ends="completed", running=1)
    slow = replace(brief, running=5000)
    with SimulatedOpenAI(key=KEY) as openai, ThreadPoolExecutor(1) as pool:
        openai.add(brief, created_at=time.time() - 5000)  # has ended, so nobody hears of it
        running = openai.add(slow, created_at=time.time() - 100)
        watching = pool.submit(
            run,
            *("--base-url", openai.base_url, "--api-key", KEY, "--every", "1", "--for", "12"),
            *("--events", str(tmp_path / "events.jsonl")),
        )
        wait_until(lambda: bool(openai.requests) or watching.done())
        begun = openai.add(brief)
        ran = watching.result()

    assert (ran.returncode, ran.stderr) == (0, "")
    events = received(tmp_path / "events.jsonl")
    assert events.keys() == {running, begun}
    assert chain_faults(events[running], None) == []
    assert chain_faults(events[begun], "completed") == []
    assert "(still open)" in ran.stdout
    assert "of 2 batches received, 2 of them found by themselves; 1 batches archived" in ran.stdout


@pytest.mark.full
def test_a_batch_whose_file_is_lost_makes_the_run_fail_with_the_reason() -> None:
    with SimulatedOpenAI(key=KEY) as openai:
        script = Script(name="b", endpoint="/v1/responses", requests=9, ends="completed")
        batch_id = openai.add(script, created_at=time.time() - 5000)
        openai.delete_file(str(openai.batch(batch_id)["output_file_id"]))

        ran = run("--base-url", openai.base_url, "--api-key", KEY, "--track", batch_id)

    assert ran.returncode == 1
    assert f"{batch_id}): output is gone" in ran.stderr


@pytest.mark.full
def test_a_key_that_is_refused_is_shown_and_makes_the_run_fail() -> None:
    with SimulatedOpenAI(key=KEY) as openai:
        ran = run("--base-url", openai.base_url, "--api-key", "sk-wrong", "--for", "5")

    assert ran.returncode == 1
    assert "set aside  default: GET batches" in ran.stdout
    assert "the first poll failed: default: GET batches" in ran.stderr
    assert "sk-wrong" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--track", "b"], "--api-key"),
        (["--size", "huge"], "200MB"),
        (["--every", "nan"], "seconds"),
        (["--api-key", KEY, "--track", "b", "--base-url", "http://a.example"], "https"),
        (["--api-key", KEY, "--track", "../b"], "not a usable id"),
        (["--help"], "--archive"),
    ],
)
def test_an_unusable_command_line_says_what_to_do(
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "argv", command(*options)[2:])

    with pytest.raises(SystemExit):
        main()

    assert said in "".join(capsys.readouterr())


@pytest.fixture
def marked() -> dict[str, str]:
    """An environment by which every process of a run can be found."""
    return {**os.environ, "BATCHWATCH_TEST_RUN": uuid.uuid4().hex}


@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.full)]
)
def test_ctrl_c_stops_everything_that_was_started(
    marked: dict[str, str], how: signal.Signals
) -> None:
    process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - our own program
        command(), cwd=ROOT, env=marked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if "batch.in_progress" in line:
            break
    assert len(alive(marked)) > 2

    process.send_signal(how)
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (
        130,
        "stopping …\nstopped; nothing is left running here\n",
    )
    assert alive(marked) == []


def alive(marked: dict[str, str]) -> list[Any]:
    """The processes that have inherited the mark."""
    mark = f"BATCHWATCH_TEST_RUN={marked['BATCHWATCH_TEST_RUN']}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # gone, or not ours
            continue
    return found
