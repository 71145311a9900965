"""What must not grow with the number of batches and accounts, and how that is measured."""

from __future__ import annotations

import json
from itertools import count
from threading import Event
from time import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchwatch.poll
from batchwatch.batch import Batch, Status
from batchwatch.items import key_of
from batchwatch.listing import Ages
from batchwatch.openai import Account, OpenAI
from batchwatch.sweep import LONGEST, SEGMENTS, Sweep
from benchmarks.child import Child
from benchmarks.figures import OURS, Figure, Figures
from benchmarks.quiet import quiet
from benchmarks.scale import Pace, pace, show_scale
from benchmarks.seeding import seed
from benchmarks.server import Company
from benchmarks.sweep import ALL_IT_HAS, Asked
from local.simulator import Script, SimulatedOpenAI
from local.simulator.wire import serving
from tests.builders import modest
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.world import Clock, World

MOMENTS = st.integers(0, 9)


def rows(created: Sequence[int]) -> list[Batch]:
    return [
        Batch.model_construct(id=f"b{n}", status=Status.COMPLETED, created_at=at)
        for n, at in enumerate(created)
    ]


@modest
@given(
    st.dictionaries(st.text("ab", min_size=1, max_size=4), MOMENTS), st.data(), st.lists(MOMENTS)
)
def test_what_a_next_page_may_show_is_counted_right(
    unseen: dict[str, int], data: st.DataObject, page: list[int]
) -> None:
    page = sorted(page or [5], reverse=True)
    ages, since = Ages(unseen), page[-1]
    for shown in data.draw(st.sets(st.sampled_from(sorted(unseen)))) if unseen else ():
        ages.drop(unseen.pop(shown), shown)

    older = {batch_id: at for batch_id, at in unseen.items() if at <= since}
    near = sum(at >= since - (page[0] - since) for at in older.values())
    newest = [batch_id for batch_id, at in older.items() if at == max(older.values())]
    sure = len(newest) == 1 and 0 < older[newest[0]] < since

    assert ages.below(rows(page)) == (len(older), near if page[0] > since else 0)
    assert ages.leap(rows(page)) == (newest[0] if sure else None)


def test_of_batches_created_at_once_exactly_the_one_shown_is_dropped() -> None:
    ages, page = Ages({"a": 1, "b": 1, "c": 1}), rows([9, 5])

    assert ages.leap(page) is None  # which one is the next in the list, nobody knows
    ages.drop(1, "b")
    assert ages.leap(page) is None
    ages.drop(1, "c")
    assert ages.leap(page) == "a"


def test_a_part_of_the_table_that_takes_longer_than_a_poll_has_is_gone_through_by_several(
    world: World,
) -> None:
    large = {"v": {"N": "1"}, "padding": {"S": "x" * 390_000}}  # so that a page has two
    lost = [f"batch_{number}" for number in range(7)]
    for batch_id in lost:
        client("dynamodb").put_item(TableName="ledger", Item={**key_of(ACCOUNT, batch_id), **large})
    moments = count(world.clock.now, LONGEST)
    sweep = Sweep(world.runtime.ledger, lambda: next(moments))

    repaired = [sweep.run(None).repairs["Index"] for _ in range(SEGMENTS * 3600 // LONGEST)]

    assert sum(repaired) == len(lost)
    assert max(repaired) < len(lost)
    assert {row.known.batch_id for row in world.runtime.ledger.open_rows(ACCOUNT)} == {*lost}


class Counted(SimulatedOpenAI):
    """An OpenAI that counts how many requests it is asked at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(key=KEY, clock=clock)
        self.now_asked = self.most = 0

    def answer_large(self, *asked: Any) -> Any:
        """Answer, and count."""
        with self._lock:
            self.now_asked += 1
            self.most = max(self.most, self.now_asked)
        try:
            return super().answer_large(*asked)
        finally:
            with self._lock:
                self.now_asked -= 1


def crowd(world: World, accounts: int, base_url: str) -> None:
    """Fill the secret with accounts that are the same but for their project."""
    entry = {"api_key": KEY, "base_url": base_url}
    entries = {f"a{n}": {**entry, "project": f"proj_{n}"} for n in range(accounts)}
    world.put_secret(json.dumps({"accounts": entries}))


def test_however_many_accounts_there_are_only_some_are_polled_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batchwatch.poll, "SIDE_BY_SIDE", 3)
    with Counted(world.clock) as openai:
        openai.fault("", times=-1, delay=0.05)
        crowd(world, 7, openai.base_url)

        report = world.poll()

        asked = {request.headers["openai-project"] for request in openai.requests}
        assert len(asked) == 7
        assert 1 < openai.most <= 3
        assert report.problems == []


def test_accounts_that_no_time_was_left_for_are_one_problem(world: World) -> None:
    crowd(world, 3, world.openai.base_url)

    report = world.runtime.poller.poll(world.clock.now)

    (problem,) = report.problems
    assert "3 accounts, among them a0" in str(problem.error)
    assert world.openai.requests == []


def test_a_seeded_ledger_is_what_polls_would_have_left(world: World) -> None:
    script = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed", running=900)
    ended = Script(name="e", endpoint="/v1/embeddings", requests=9, ends="completed", running=1)
    world.openai.add(ended, created_at=world.clock.now - 60)
    for age in (5, 0):
        world.openai.add(script, created_at=world.clock.now - age)

    assert seed(world.runtime, world.runtime.accounts.get(ACCOUNT)) == 2
    seeded = table()
    for item in seeded.values():
        client("dynamodb").delete_item(
            TableName="ledger", Key=key_of(ACCOUNT, item["batch_id"]["S"])
        )
    world.poll()

    assert len(seeded) == 3  # and the account's own
    assert table() == seeded


def table() -> dict[str, Any]:
    items = client("dynamodb").scan(TableName="ledger")["Items"]
    return {item["batch_id"]["S"]: item for item in items}


def test_accounts_of_one_server_have_batches_of_their_own(tmp_path: Path) -> None:
    company = Company(tmp_path, 2, 3, time)
    errors: list[BaseException] = []
    with serving(company.answer, errors, Event()) as origin:
        for name, key in zip("ab", company.keys, strict=True):
            openai = OpenAI(Account(name, key, f"{origin}/v1"))
            listed = openai.page().batches
            openai.close()
            assert sum(not batch.status.terminal for batch in listed) == 3

    assert errors == []
    assert len(company.open) == 6
    assert len(company.take_requests()) == 2
    assert company.take_requests() == []


def test_polls_of_a_large_sweep_have_as_long_as_the_deployed_one() -> None:
    assert [*Asked(100).looks] == [(0, None), (0.01, None), (1, None)]
    assert (1, ALL_IT_HAS) in Asked(5, accounts=2).looks
    assert [*Asked(100, storm=7).looks] == [(0, None), (1, 7)]


@pytest.mark.full
def test_a_poll_on_an_index_answered_from_files_finds_nothing_changed() -> None:
    with Child("benchmarks.server", "--open", "30") as server:
        looks = [*quiet(server, server.ask("begin"))]

    assert [look.within for look in looks] == [ALL_IT_HAS, None]
    for look in looks:
        assert (look.events, look.left, look.problems, look.writes) == (0, 0, 0, 0)
        assert look.kinds == {"list": 1, "retrieve": 1}


def test_a_storm_goes_as_fast_as_the_processor_or_else_as_the_threads() -> None:
    each = Pace(busy=0.01, calls=5)

    assert each.rate(share=0.3) == pytest.approx(30)  # a processor has 100 of them in a second
    assert each.rate(share=10) == pytest.approx(8 / 0.051)
    assert each.polls(share=0.3, transitions=33_000) == pytest.approx(10)


STORMY = Figure(OURS, 100, 1, 12, 3.0, 90_000_000)._replace(
    events=50, calls={"sns.Publish": 50}, busy=0.5, secret_bytes=242
)


def test_what_polls_at_scale_took_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = STORMY._replace(changed=0, events=0)

    show_scale(Figures({}, [quiet, STORMY]))

    assert pace([quiet]) is None
    assert pace([quiet, STORMY]) == Pace(busy=0.01, calls=1)
    shown = capsys.readouterr().out
    assert "10.0 ms of a processor and 1.0 calls" in shown
    assert "242 bytes" in shown


def test_to_read_a_large_index_takes_nothing_of_the_time_for_the_list(world: World) -> None:
    def takes_a_minute(**_: Any) -> None:
        world.clock.now += 60

    world.batch(Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed"))
    world.runtime.dynamodb.meta.events.register("after-call.dynamodb.Query", takes_a_minute)

    world.runtime.poller.poll(world.clock.now + ALL_IT_HAS)

    assert any(request.path.startswith("/v1/batches?") for request in world.openai.requests)
