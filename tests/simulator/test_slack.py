"""The simulated Slack takes what Slack takes, and refuses what Slack refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.simulator.slack import SimulatedSlack, problems

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def channel() -> Iterator[SimulatedSlack]:
    """Open a channel."""
    with SimulatedSlack() as channel:
        yield channel
    assert channel.errors == []


def text(characters: str, kind: str = "mrkdwn") -> dict[str, Any]:
    """Give a text object."""
    return {"type": kind, "text": characters}


def section(characters: str) -> dict[str, Any]:
    """Give a section."""
    return {"type": "section", "text": text(characters)}


def posted(channel: SimulatedSlack, said: object) -> tuple[int, str]:
    """Post it."""
    answer = httpx.post(channel.url, json=said, trust_env=False)
    return answer.status_code, answer.text


def test_a_message_is_taken(channel: SimulatedSlack) -> None:
    said = {
        "text": "a &amp; b",
        "blocks": [{"type": "header", "text": text("x" * 150, "plain_text")}, section("y" * 3000)],
        "attachments": [
            {"color": "#fff", "blocks": [{"type": "context", "elements": [text("z")]}]}
        ],
    }
    assert posted(channel, said) == (200, "ok")
    assert (channel.messages, channel.problems) == ([said], [])


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"text": "<!channel>"},
        {"text": "a & b"},
        {"text": "@here", "link_names": True},
        {"text": "x" * 40_001},
        {"blocks": [section("")]},
        {"blocks": [section("x" * 3001)]},
        {"blocks": [section("x" * 2900)] * 5},
        {"blocks": [section("x")] * 51},
        {"blocks": [{"type": "section"}]},
        {"blocks": [{"type": "section", "fields": [text("x")] * 11}]},
        {"blocks": [{"type": "section", "fields": [text("x" * 2001)]}]},
        {"blocks": [{"type": "context", "elements": []}]},
        {"blocks": [{"type": "context", "elements": [text("x")] * 11}]},
        {"blocks": [{"type": "header", "text": text("x")}]},
        {"blocks": [{"type": "header", "text": text("x" * 151, "plain_text")}]},
        {"blocks": [{"type": "marquee"}]},
        {"text": "x", "attachments": [{"blocks": [section("x")]}] * 21},
        {"text": "x", "attachments": [{"blocks": [section("<@U1>")]}]},
    ],
    ids=lambda said: str(said)[:60],
)
def test_a_message_beyond_a_limit_has_a_problem(said: dict[str, Any]) -> None:
    assert list(problems(said))


def test_a_message_with_a_problem_is_refused(channel: SimulatedSlack) -> None:
    assert posted(channel, {"blocks": [section("")]}) == (400, "invalid_blocks")
    assert (channel.messages, channel.problems) == ([], ["0 characters of 3000"])


def test_refusals_are_answered_one_after_the_other(channel: SimulatedSlack) -> None:
    channel.refuse(429, "rate_limited", retry_after="3")
    channel.refuse(404, "no_service", times=2)
    answers = [posted(channel, {"text": "x"}) for _ in range(4)]
    refused = (404, "no_service")
    assert answers == [(429, "rate_limited"), refused, refused, (200, "ok")]
    assert (len(channel.posts), len(channel.messages)) == (4, 1)


def test_another_address_is_no_webhook(channel: SimulatedSlack) -> None:
    answer = httpx.post(f"{channel.url}x", json={"text": "x"}, trust_env=False)
    assert (answer.status_code, answer.text) == (404, "no_service")
    assert httpx.get(channel.url, trust_env=False).status_code == 404


def test_what_is_no_json_is_no_payload(channel: SimulatedSlack) -> None:
    answer = httpx.post(channel.url, content=b"{", trust_env=False)
    assert (answer.status_code, answer.text) == (400, "invalid_payload")
