"""An account that hangs, refuses or is elsewhere: what can be done without it is done, and told."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from tests.test_many_accounts import LIST, Company, asked, company, let_go

if TYPE_CHECKING:
    import pytest

    from tests.world import World

__all__ = ["company"]  # the fixture


def leave_outbox(world: World, monkeypatch: pytest.MonkeyPatch, *, after: float = 3) -> None:
    """Poll, and die before anything is published."""
    with monkeypatch.context() as dying:
        dying.setattr(type(world.runtime.outbox.publisher), "publish", lambda *_: 1 / 0)
        world.poll(after=after)


def without_output(said: dict[str, Any]) -> None:
    for row in said.get("data", [said]):
        row["output_file_id"] = None


def test_what_is_in_an_outbox_goes_out_while_the_account_hangs(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = company.open("a")
    batches = company.watch("a", openai, 3)
    leave_outbox(world, monkeypatch)
    gate = Event()
    openai.fault("", times=-1, edit=lambda _: gate.wait(20) and None)

    with let_go(gate):
        world.runtime.poller.poll(world.clock.now + 2)
        told = sorted(event.subject for event in world.events())

    assert told == sorted(batches)


def test_a_refused_key_is_not_asked_again_for_batches_that_await_a_file(
    world: World, company: Company
) -> None:
    openai = company.open("a")
    company.watch("a", openai, 12)
    openai.fault("/v1/batches", times=-1, edit=without_output)
    for after in (60, 700):
        world.poll(after=after)
        world.archive()
        world.archive()
    openai.faults.clear()
    openai.fault("", status=401, times=-1)
    asked(openai)

    world.poll(after=4000)

    assert asked(openai) == ["/v1/batches?limit=100"]


def test_what_was_published_is_told_also_where_the_account_then_fails(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = company.open("a")
    company.watch("a", openai)
    openai.fault("/v1/batches", times=-1, edit=without_output)
    world.poll(after=60)
    leave_outbox(world, monkeypatch, after=700)
    openai.faults.clear()
    openai.fault("", status=500, times=-1)
    world.events()

    report = world.poll(after=4000)

    assert len(report.events) == len(world.events()) == 1
    assert report.repairs == {"Outbox": 1, "Order": 1}


def test_a_wrong_address_is_one_line_and_not_one_for_each_batch(
    world: World, company: Company
) -> None:
    right = company.open("right")
    company.say("wrong", api_key="sk-right", base_url=f"{right.base_url}/nowhere")
    for number in range(30):
        world.runtime.ledger.register("wrong", f"batch_{number}")

    problems = world.poll(after=60).problems

    assert [problem.account for problem in problems] == ["wrong"]


def test_a_provider_without_a_list_is_none_that_is_silent(world: World, company: Company) -> None:
    openai = company.open("a")
    openai.fault(LIST, status=405, times=-1)

    for _ in range(3):
        report = world.poll(after=900)

    assert report.problems == []
