"""A message gets to Slack whatever happens on the way, or an error says why; the address stays."""

from __future__ import annotations

import json
import logging
import socket
import time
import traceback
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.accounts import read_accounts, read_slack_url
from batchwatch.errors import SecretError, SlackError
from batchwatch.notify.slack import PATIENCE, Slack, safe_slack_url
from local.simulator.slack import PATH, SimulatedSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": "*nightly* · failed"}}
MESSAGE: dict[str, Any] = {
    "text": "1 failed",
    "blocks": [BLOCK],
    "attachments": [{"color": "#d0342c", "blocks": [BLOCK]}],
    "unfurl_links": False,
}
PLAIN = {"text": "1 failed", "unfurl_links": False}


class Patience:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def clock(self) -> float:
        """Tell the time."""
        return 1_800_000_000 + sum(self.waited)

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.waited.append(seconds)


@pytest.fixture
def patience() -> Patience:
    """No time has passed."""
    return Patience()


@pytest.fixture
def channel() -> Iterator[SimulatedSlack]:
    """Open a channel that makes no mistakes of its own."""
    with SimulatedSlack() as channel:
        yield channel
    assert (channel.errors, channel.problems) == ([], [])


@pytest.fixture
def slack(channel: SimulatedSlack, patience: Patience) -> Slack:
    """Connect to it."""
    return Slack(channel.url, clock=patience.clock, sleep=patience.sleep)


def refused(slack: Slack) -> SlackError:
    """Send in vain."""
    with pytest.raises(SlackError) as refusal:
        slack.send(MESSAGE)
    assert "simulatedSimulated" not in "".join(traceback.format_exception(refusal.value))
    return refusal.value


def test_a_message_arrives_as_it_is(slack: Slack, channel: SimulatedSlack) -> None:
    slack.send(MESSAGE)
    assert channel.messages == [MESSAGE]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_waited_for(
    slack: Slack, channel: SimulatedSlack, patience: Patience, status: int
) -> None:
    channel.refuse(status, times=2)
    slack.send(MESSAGE)
    assert channel.messages == [MESSAGE]
    assert 0 < sum(patience.waited) < 2


def test_slack_says_how_long_to_wait(
    slack: Slack, channel: SimulatedSlack, patience: Patience
) -> None:
    channel.refuse(429, "rate_limited", retry_after="7")
    slack.send(MESSAGE)
    assert channel.messages == [MESSAGE]
    assert patience.waited == [7]


def test_a_long_wait_is_left_to_the_next_try(
    slack: Slack, channel: SimulatedSlack, patience: Patience
) -> None:
    channel.refuse(429, "rate_limited", retry_after="30")
    refusal = refused(slack)
    assert str(refusal) == "Slack: 429 rate_limited; it may be tried again in 30 s"
    assert (refusal.passing, refusal.again_in, patience.waited) == (True, 30, [])


@pytest.mark.parametrize("after", ["inf", "1e99", "99999999"])
def test_nobody_waits_for_ever(slack: Slack, channel: SimulatedSlack, after: str) -> None:
    channel.refuse(429, retry_after=after)
    assert refused(slack).again_in == 3600


def test_waits_add_up_to_so_much_patience(
    slack: Slack, channel: SimulatedSlack, patience: Patience
) -> None:
    channel.refuse(429, times=9, retry_after="9")
    assert refused(slack).again_in == 9
    assert sum(patience.waited) < PATIENCE
    assert len(channel.posts) == 3


@pytest.mark.parametrize(
    ("status", "word"),
    [(403, "action_prohibited"), (404, "no_service"), (410, "channel_is_archived")],
)
def test_a_webhook_that_is_no_more_is_told_at_once(
    slack: Slack, channel: SimulatedSlack, patience: Patience, status: int, word: str
) -> None:
    channel.refuse(status, word)
    refusal = refused(slack)
    assert str(refusal) == f"Slack: {status} {word}"
    assert (refusal.passing, patience.waited, len(channel.posts)) == (False, [], 1)


@pytest.mark.parametrize("word", ["invalid_blocks", "invalid_payload", "invalid_attachments"])
def test_blocks_that_slack_dislikes_are_left_out(
    slack: Slack, channel: SimulatedSlack, word: str
) -> None:
    channel.refuse(400, word)
    slack.send(MESSAGE)
    assert channel.messages == [PLAIN]


def test_text_that_slack_dislikes_is_given_up(slack: Slack, channel: SimulatedSlack) -> None:
    channel.refuse(400, "invalid_payload", times=3)
    assert str(refused(slack)) == "Slack: 400 invalid_payload"
    assert len(channel.posts) == 2


@pytest.mark.parametrize("word", [f"see {PATH}", PATH, "x" * 100_000, "<html>", "Ärger", "\n"])
def test_an_answer_is_not_repeated_but_for_slacks_own_words(
    slack: Slack, channel: SimulatedSlack, word: str
) -> None:
    channel.refuse(404, word)
    assert str(refused(slack)) == "Slack: 404 Not Found"


def test_a_redirect_is_not_followed(slack: Slack, channel: SimulatedSlack) -> None:
    channel.refuse(307, location=channel.url)
    assert str(refused(slack)) == "Slack: 307 Temporary Redirect"
    assert channel.messages == []


def test_an_answer_that_does_not_come_is_not_waited_for_long(
    channel: SimulatedSlack, patience: Patience
) -> None:
    channel.hang(times=9)
    began = time.monotonic()
    slack = Slack(channel.url, clock=patience.clock, sleep=patience.sleep, timeout=0.1)
    assert str(refused(slack)) == "Slack: ReadTimeout"
    assert len(patience.waited) == 3
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("endless", [b"X", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_an_answer_that_never_ends_is_not_waited_for_longer_than_patience(endless: bytes) -> None:
    """Something arrives all the time, so that no timeout of a single read is ever over."""
    over, began = Event(), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=trickle, args=(server, endless, over), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}{PATH}"
        refusal = refused(Slack(url, clock=time.monotonic, sleep=time.sleep, patience=0.5))
        over.set()

    assert (str(refusal), refusal.passing) == ("Slack: no answer in time", True)
    assert time.monotonic() - began < PATIENCE


def trickle(server: socket.socket, endless: bytes, over: Event) -> None:
    """Answer a little at a time, for ten seconds at most."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        for _ in range(200):
            connection.sendall(endless)
            if over.wait(0.05):
                break


def test_an_answer_that_does_not_come_is_asked_for_again(
    channel: SimulatedSlack, patience: Patience
) -> None:
    channel.hang()
    Slack(channel.url, clock=patience.clock, sleep=patience.sleep, timeout=0.5).send(MESSAGE)
    assert MESSAGE in channel.messages  # twice, on a slow machine


def test_nobody_there_is_told(patience: Patience) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}{PATH}"
        refusal = refused(Slack(url, clock=patience.clock, sleep=patience.sleep))
    assert (str(refusal), refusal.passing) == ("Slack: ConnectError", True)
    assert len(patience.waited) == 3


def test_no_log_line_holds_the_address(
    slack: Slack, channel: SimulatedSlack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel.refuse(404, "no_service")
    refused(slack)
    slack.send(MESSAGE)
    assert "POST http://127.0.0.1" in caplog.text  # it does log
    assert "simulatedSimulated" not in caplog.text
    assert "T0SIMULATED" not in caplog.text


# The address in the secret


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T0/B0/hidden", f"http://[::1]{PATH}"]
)
def test_an_address_is_https_or_on_this_machine(url: str) -> None:
    assert safe_slack_url(f" {url}\n") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/hidden",
        "https://me:hidden@hooks.slack.com/services/x",
        "https://hooks.slack.com/services/x?hidden=1",
        "https://[hidden/services",
        "https://hooks.slack.com/\nhidden",
        "https:/hooks.slack.com/hidden",
        "https://hidden..slack.com/x",
        f"https://{'hidden' * 11}.com/x",
        "https://hidden.slack.com",
        "hooks.slack.com/hidden",
        "file:///hidden",
        "hidden",
        7,
        0,
        False,
        True,
        ["https://hooks.slack.com/hidden"],
    ],
)
def test_an_unsafe_address_is_refused_without_being_repeated(url: object) -> None:
    secret = json.dumps({"accounts": {}, "slack_webhook_url": url})
    with pytest.raises(SecretError, match="slack_webhook_url") as refusal:
        read_slack_url(secret)
    assert "hidden" not in "".join(traceback.format_exception(refusal.value))
    assert read_accounts(secret) == ([], [], [], [])
