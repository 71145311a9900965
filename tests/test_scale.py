"""What must not grow with the number of batches and accounts, and how that is measured."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Status
from batchwatch.items import key_of
from batchwatch.listing import Ages
from batchwatch.poll import SIDE_BY_SIDE
from batchwatch.sweep import LONGEST, SEGMENTS, Sweep
from benchmarks.seeding import seed
from local.simulator import Script, SimulatedOpenAI
from tests.builders import modest
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def test_however_many_accounts_there_are_only_some_are_polled_at_once(world: World) -> None:
    with Counted(world.clock) as openai:
        openai.fault("", times=-1, delay=0.05)
        crowd(world, SIDE_BY_SIDE + 6, openai.base_url)

        report = world.poll()

        asked = {request.headers["openai-project"] for request in openai.requests}
        assert len(asked) == SIDE_BY_SIDE + 6
        assert 1 < openai.most <= SIDE_BY_SIDE
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
