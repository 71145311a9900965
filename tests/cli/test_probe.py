"""`batchwatch doctor --probe`: what the API shows is what the answers say, whatever it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.account import Account
from batchwatch.batch import Batch
from batchwatch.cli.checks.meaning import Pair, Seen, agreement, etags, if_range, length, ranges
from batchwatch.cli.checks.probe import Probe
from local.simulator import Script, SimulatedOpenAI
from tests.command_line import batchwatch
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


@pytest.fixture
def openai() -> Iterator[SimulatedOpenAI]:
    """An API with a batch that has ended, and one that goes on."""
    now = 1_795_000_000.0
    with SimulatedOpenAI(key=KEY, clock=lambda: now) as openai:
        openai.add(BRIEF, created_at=now - 86_000)
        openai.add(BRIEF, created_at=now)
        yield openai
        assert openai.errors == []


def _asked(openai: SimulatedOpenAI) -> dict[str, str]:
    """Ask everything of the output of the older batch; return the answers by question."""
    with Probe(Account("default", KEY, openai.base_url), sleep=lambda _: None) as probe:
        ended = probe._openai.page().batches[-1]
        said = {each.question: each.answer for each in probe.answers(ended.output_file_id)}
        assert probe.bytes < 1_000_000
    assert {request.method for request in openai.requests} == {"GET"}
    return said


def test_an_api_that_does_all_is_told_so(openai: SimulatedOpenAI) -> None:
    said = _asked(openai)

    assert said["content answers Range"].startswith("yes: 206, bytes ")
    assert said["strong ETag"].startswith('yes: "')
    assert said["ETag stays the same"] == "yes"
    assert said["If-Range holds"] == "yes: 206 for its ETag, 200 for another"
    assert said["Content-Length is the size"] == "yes"
    assert said["compressed unasked"] == "no"
    assert said["list agrees with retrieve"] == "yes: in every field of the newest 2"
    assert said["list lags behind"] == "not seen: all of 2 were up to date"
    assert said["after= an unknown id"].startswith("refused: GET batches: 400")
    assert said["headers of rate limits"] == "none"


def test_an_api_that_does_nothing_of_it_is_told_so(openai: SimulatedOpenAI) -> None:
    openai.ranges = openai.etags = False
    openai.fault("/content", times=-1, gzip=True, headers={"x-ratelimit-limit": "7"})

    said = _asked(openai)

    assert said["content answers Range"] == "no: 200, from the first byte"
    assert said["strong ETag"] == "no: none"
    assert said["If-Range holds"] == "not to be told: no strong ETag"
    assert said["Content-Length is the size"].startswith("no: ")
    assert said["compressed unasked"] == "yes: gzip"
    assert said["headers of rate limits"] == "x-ratelimit-limit"


def test_an_api_that_answers_wrongly_is_found_out(openai: SimulatedOpenAI) -> None:
    openai.fault("/content", times=-1, early=3, headers={"etag": 'W/"1"'})
    openai.fault("after=", status=404)
    openai.listing.stands_still = 1_795_000_000 - 85_995  # before the older one has ended

    said = _asked_of_older(openai)

    assert said["content answers Range"] == "wrongly: other bytes than those of the whole file"
    assert said["strong ETag"] == 'no: a weak one, W/"1"'
    assert said["If-Range holds"] == "not to be told: no strong ETag"
    assert "status (1)" in said["list agrees with retrieve"]
    assert "output_file_id (1)" in said["list agrees with retrieve"]
    assert said["list lags behind"] == "more than 10 s"
    assert said["after= an unknown id"].startswith("refused: GET batches: 404")


def _asked_of_older(openai: SimulatedOpenAI) -> dict[str, str]:
    with Probe(Account("default", KEY, openai.base_url), sleep=lambda _: None) as probe:
        ended = probe._openai.retrieve(probe._openai.page().batches[-1].id)
        return {each.question: each.answer for each in probe.answers(ended.output_file_id)}


def test_a_list_that_catches_up_is_timed(openai: SimulatedOpenAI) -> None:
    openai.listing.stands_still = 1_795_000_000 - 85_995

    def catch_up(_: float) -> None:
        openai.listing.stands_still = None

    with Probe(Account("default", KEY, openai.base_url), sleep=catch_up) as probe:
        said = {each.question: each for each in probe.answers(None)}

    assert said["list lags behind"].answer.startswith("under ")
    assert len(said["list lags behind"].details["late"]) == 1


def test_a_file_that_is_gone_leaves_the_other_questions(openai: SimulatedOpenAI) -> None:
    with Probe(Account("default", KEY, openai.base_url)) as probe:
        said = {each.question: each.answer for each in probe.answers("file-none")}

    assert said["content answers Range"].startswith("not to be told: GET files/file-none: 404")
    assert said["list agrees with retrieve"].startswith("yes")


@pytest.mark.usefixtures("stack")
def test_the_output_of_a_small_batch_is_found_and_no_key_is_shown(world: World) -> None:
    world.batch(BRIEF)
    world.poll()
    world.poll(after=1000)
    world.archive()

    said = batchwatch("doctor", "--probe", "--json")

    assert said.code == 0
    assert "costs nothing" in said.err
    assert len(said.objects) == 10
    assert all(set(each) == {"question", "answer", "details"} for each in said.objects)
    assert said.objects[0]["answer"].startswith("yes: 206")
    assert KEY not in said.out + said.err

    table = batchwatch("doctor", "--probe", "--file", "file-none")
    assert "not to be told" in table.out
    other = batchwatch("doctor", "--probe", "--account", "other")
    assert (other.code, "there are: default" in other.err) == (3, True)
    wrong = {"default": {"api_key": "sk-wrong", "base_url": world.openai.base_url}}
    world.put_secret(json.dumps({"accounts": wrong}))
    refused = batchwatch("doctor", "--probe")
    assert (refused.code, "batchwatch doctor tells" in refused.err) == (4, True)
    assert batchwatch("doctor", "--account", "default").code == 2


def test_a_range_of_another_place_is_wrong() -> None:
    part = Seen(206, {"content-range": "bytes 1-9/10"}, b"123456789")

    assert ranges(Seen(200, {}, b"0123456789"), part, 5, 10).answer.startswith("wrongly: bytes 1-9")


def test_an_etag_that_changes_is_no_use() -> None:
    first, second = Seen(200, {"etag": '"a"'}), Seen(200, {"etag": '"b"'})

    assert etags(first, second)[1].answer == 'no: "a", then "b"'


@pytest.mark.parametrize(
    ("same", "other", "answer"),
    [
        (206, 206, "no: a part is given whatever the ETag"),
        (200, 200, "no: 200 for its ETag, 200 else"),
        (206, 200, "yes: 206 for its ETag, 200 for another"),
    ],
)
def test_if_range_holds_if_only_the_file_that_is_meant_is_given_in_part(
    same: int, other: int, answer: str
) -> None:
    assert if_range('"a"', Seen(same), Seen(other)).answer == answer


@pytest.mark.parametrize(
    ("told", "size", "answer"),
    [
        ("10", 10, "yes"),
        ("9", 10, "no: 9, not 10"),
        (None, 10, "there is none"),
        ("10", None, "10, but the file tells no bytes"),
    ],
)
def test_a_length_is_held_against_the_size(told: str | None, size: int | None, answer: str) -> None:
    headers = {"content-length": told} if told else {}

    assert length(Seen(200, headers), size).answer == answer


def test_fields_that_only_one_of_both_has_are_named() -> None:
    said: dict[str, Any] = {"id": "batch_1", "status": "in_progress", "model": None}
    row, alone = Batch.read(said), Batch.read(said | {"usage": {"total_tokens": 1}})
    bare = Batch.read({"id": "batch_1", "status": "in_progress"})

    assert agreement([Pair(row, alone)]).answer == (
        "no, of the newest 1: usage (1); those still open may have moved in between"
    )
    assert "model (null or absent) (1)" in agreement([Pair(row, bare)]).answer
    assert "unknown to retrieve (1)" in agreement([Pair(row, None)]).answer
    assert agreement([]).answer.startswith("not to be told")


@pytest.mark.parametrize("status", [0, 429, 503])
def test_nothing_follows_from_an_answer_that_did_not_come(status: int) -> None:
    whole, none = Seen(200, {"etag": '"a"'}, b"abcd"), Seen(status, error="no answer")
    told = [
        ranges(whole, none, 2, 4),
        etags(whole, none)[1],
        if_range('"a"', none, Seen(200)),
        if_range('"a"', Seen(206), none),
    ]

    assert {each.answer for each in told} == {"not to be told: no answer"}
    assert ranges(whole, Seen(416, error="no"), 2, 4).answer == "refused: no"


def test_nothing_follows_from_a_list_without_batches() -> None:
    with (
        SimulatedOpenAI(key=KEY) as empty,
        Probe(Account("default", KEY, empty.base_url)) as probe,
    ):
        told = {each.question: each.answer for each in probe.answers(None)}

    assert told["list lags behind"] == "not to be told: there are no batches"
