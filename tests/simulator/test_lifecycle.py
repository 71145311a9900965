"""What a simulated batch looks like in time, and what its files hold."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from local.simulator.content import lines
from local.simulator.lifecycle import Script, batch_id, cancelled, file_id, snapshot

START = 1_800_000_000.0
BATCH = batch_id(START, 7)
CHAT = "/v1/chat/completions"
COMPLETED = Script(name="nightly", endpoint=CHAT, requests=10, ends="completed", failed=2)
EXPIRED = replace(COMPLETED, ends="expired", endpoint="/v1/responses", unfinished=3)
CANCELLED = replace(EXPIRED, ends="cancelled", endpoint="/v1/embeddings")
FAILED = replace(COMPLETED, ends="failed")
NEVER_STARTED = replace(CANCELLED, running=0)
ALL_REFUSED = replace(COMPLETED, failed=10)
ANSWERED = [COMPLETED, EXPIRED, CANCELLED]
SCRIPTS = [*ANSWERED, FAILED, NEVER_STARTED, ALL_REFUSED]


def life(script: Script, cancelled_at: float | None = None) -> list[dict[str, Any]]:
    """Look at a batch each quarter of a second until long after its end."""
    moments = (START + quarter / 4 for quarter in range(60))
    return [snapshot(script, BATCH, START, now, cancelled_at) for now in moments]


def statuses(views: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(view["status"] for view in views))


def read(script: Script, role: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(script, BATCH, role)]


# What a batch looks like at a given moment


@pytest.mark.parametrize(
    ("script", "chain", "counts", "roles"),
    [
        (COMPLETED, "validating in_progress finalizing completed", (10, 8, 2), ["output", "error"]),
        (EXPIRED, "validating in_progress finalizing expired", (10, 5, 2), ["output", "error"]),
        (CANCELLED, "validating in_progress cancelling cancelled", (10, 5, 2), ["output", "error"]),
        (ALL_REFUSED, "validating in_progress finalizing completed", (10, 0, 10), ["error"]),
        (NEVER_STARTED, "validating cancelling cancelled", (0, 0, 0), []),
        (FAILED, "validating failed", (0, 0, 0), []),
    ],
)
def test_a_batch_ends_as_its_script_says(
    script: Script, chain: str, counts: tuple[int, ...], roles: list[str]
) -> None:
    views = life(script)
    assert statuses(views) == chain.split()
    assert tuple(views[-1]["request_counts"].values()) == counts
    for role in ("output", "error"):
        assert views[-1][f"{role}_file_id"] == (file_id(BATCH, role) if role in roles else None)
        assert bool(read(script, role)) == (role in roles)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_batch_never_takes_back_what_it_showed(script: Script) -> None:
    for earlier, later in pairwise(life(script)):
        for name, at in earlier.items():
            if name.endswith("_at") and at is not None:
                assert later[name] == at
        for name, count in earlier["request_counts"].items():
            assert later["request_counts"][name] >= count


def test_a_batch_fills_in_as_it_runs() -> None:
    first, half = (snapshot(COMPLETED, BATCH, START, START + age) for age in (0, 3.5))
    assert (first["model"], half["model"]) == (None, "gpt-4o-mini-2024-07-18")
    assert first["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert half["request_counts"] == {"total": 10, "completed": 4, "failed": 1}
    assert half["output_file_id"] is half["error_file_id"] is None


def test_a_batch_expires_after_a_day_or_when_an_expired_one_stops_running() -> None:
    last = life(EXPIRED)[-1]
    assert life(COMPLETED)[0]["expires_at"] == START + 86_400
    assert last["expires_at"] == last["finalizing_at"] == START + 6
    assert last["expired_at"] == START + 7


def test_only_a_failed_batch_tells_why() -> None:
    assert set(life(FAILED)[-1]["errors"]["data"][0]) == {"code", "line", "message", "param"}
    assert life(FAILED)[0]["errors"] is life(COMPLETED)[-1]["errors"] is None


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 3.5, 6.0, 6.5])
def test_a_batch_can_be_cancelled_at_any_moment_before_its_end(moment: float) -> None:
    at = START + moment
    views, outcome = life(COMPLETED, cancelled_at=at), cancelled(COMPLETED, START, at)
    last, counts = views[-1], views[-1]["request_counts"]
    assert statuses(views)[-2:] == ["cancelling", "cancelled"]
    assert (last["cancelling_at"], last["cancelled_at"]) == (int(at), int(at + 1))
    assert bool(last["finalizing_at"]) == (moment >= 6)
    assert counts == snapshot(COMPLETED, BATCH, START, at)["request_counts"]
    assert len(read(outcome, "output")) == counts["completed"]
    assert len(read(outcome, "error")) == counts["total"] - counts["completed"]
    assert bool(last["error_file_id"]) == bool(counts["total"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_batch_at_its_end_cannot_be_cancelled(script: Script) -> None:
    assert life(script, cancelled_at=START + 7) == life(script)


def test_an_id_starts_with_the_time_of_creation_and_is_unique() -> None:
    ids = {batch_id(START, number) for number in range(100)}
    assert len(ids) == 100
    assert {(name[:14], len(name)) for name in ids} == {(f"batch_{int(START):08x}", 38)}


@pytest.mark.parametrize(
    "change",
    [{"failed": 11}, {"unfinished": 1}, {"ends": "in_progress"}, {"endpoint": "/v1/nothing"}],
)
def test_a_script_that_no_batch_can_follow_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(COMPLETED, **change)


# What its files hold


@pytest.mark.parametrize("script", ANSWERED)
def test_every_request_is_in_one_file_once_and_out_of_order(script: Script) -> None:
    asked, succeeded, others = (
        [line["custom_id"] for line in read(script, role)] for role in ("input", "output", "error")
    )
    assert sorted(succeeded + others) == sorted(asked)
    assert succeeded != [name for name in asked if name in succeeded]
    assert read(script, "output") == read(script, "output")


@pytest.mark.parametrize("script", ANSWERED)
def test_usage_is_the_sum_over_the_answers(script: Script) -> None:
    usages = [line["response"]["body"]["usage"] for line in read(script, "output")]
    early, last = life(script)[10]["usage"], life(script)[-1]["usage"]
    assert last["total_tokens"] == sum(usage["total_tokens"] for usage in usages) > 0
    assert early["total_tokens"] == 0


def test_an_error_line_tells_a_refusal_from_a_request_never_run() -> None:
    told = read(EXPIRED, "error")
    refused = [line["response"] for line in told if line["error"] is None]
    unfinished = [line["error"]["code"] for line in told if line["response"] is None]
    assert all(response["status_code"] >= 400 for response in refused)
    assert all(response["body"]["error"]["message"] for response in refused)
    assert (len(refused), unfinished) == (2, ["batch_expired"] * 3)
    assert read(CANCELLED, "error")[-1]["error"]["code"] == "batch_cancelled"


@pytest.mark.parametrize("script", ANSWERED)
def test_an_output_file_is_padded_to_about_the_size_wanted(script: Script) -> None:
    padded = replace(script, output_bytes=300_000)
    assert sum(map(len, lines(padded, BATCH, "output"))) == pytest.approx(300_000, rel=0.01)
    assert len(read(padded, "output")) == len(read(script, "output"))


def test_a_line_ends_only_where_its_bytes_say_so() -> None:
    content = b"".join(lines(COMPLETED, BATCH, "output"))
    assert content.count(b"\n") == 8 < len(content.decode().splitlines())
