"""OpenAI's webhooks alone, at their worst: every end is told soon, once, and archived."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.scenario import scenario
from local.simulator import Mischief
from tests.judge.checker import faults
from tests.signed import SECRET
from tests.whole.stack import Stack, deployed, fresh_seed
from tests.whole.test_local import run
from tests.world import KEY

if TYPE_CHECKING:
    from local.simulator import Webhooks

HURRY = 4
"""How much faster the batches live than those of the scenario."""
PATIENCE = 120
"""Seconds until all must be told and archived; on an idle machine it takes ten."""
SCRIPTS = scenario()[7:10]
"""Three kinds of ends; more at once would only start more processes of the archiver."""


def told(stack: Stack) -> dict[str, dict[str, Any]]:
    """The events that a subscriber has received by now, by their ids."""
    stack.messages += stack.listener.news()
    return {event["id"]: event for event in map(json.loads, stack.messages)}


def archived(stack: Stack) -> set[str]:
    return {e["subject"] for e in told(stack).values() if e["type"] == "batch.archived"}


def taken(sender: Webhooks) -> set[str]:
    return {attempt.batch_id for attempt in sender.attempts if attempt.taken}


@pytest.mark.full
def test_webhooks_sent_twice_late_or_lost_at_first_tell_of_every_end_between_two_polls() -> None:
    mischief = Mischief(twice=0.5, late=0.4, lost=0.4, seed=fresh_seed())
    with deployed(Webhooks="on", Schedule="rate(1 day)") as stack:
        stack.service.tick()  # only what ends after a poll is announced
        with stack.webhooks(mischief) as sender:
            ends = {}
            for script in SCRIPTS:
                quick = {n: getattr(script, n) / HURRY for n in ("validating", "running")}
                ends[stack.openai.add(replace(script, **quick))] = script.ends
            deadline = time.monotonic() + PATIENCE
            while not archived(stack) == taken(sender) == ends.keys():
                assert time.monotonic() < deadline, sender.attempts
                time.sleep(0.1)
        before = told(stack)
        for _ in range(2):
            stack.service.tick()

        # An order that came twice may still be in the queue, until the lease of the first is over.
        outside = stack.outside(ends)
        assert sender.errors == []
        assert told(stack).keys() == before.keys()  # nothing was left for a poll to tell
        assert {e["data"]["observed_by"] for e in before.values()} == {"webhook", "archiver"}
        assert faults(outside, secrets=[KEY, SECRET]) == []


@pytest.mark.full
def test_a_local_run_with_webhooks_and_few_polls_ends_well_and_tells_how_soon() -> None:
    ran = run("--webhooks", "--json")

    lines = {line["kind"]: line for line in map(json.loads, ran.stdout.splitlines())}
    told = lines["webhooks"]
    assert (ran.returncode, ran.stderr, lines["result"]["ok"]) == (0, "", True)
    assert (told["sent"], told["ends"], told["refused"]) == (len(scenario()), len(scenario()), 0)
    assert told["twice"] > 0
    assert told["lost"] > 0
    assert told["observed"] > len(scenario()) / 2
    assert 0 < told["median_seconds"] < 10


def test_webhooks_of_a_real_api_are_refused_with_what_to_do_instead() -> None:
    ran = run("--webhooks", "--api-key", KEY, "--track", "b")

    assert ran.returncode == 2
    assert "deploy" in ran.stderr
