"""What must not grow with the number of batches and accounts, and how that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch, Status
from batchwatch.listing import Ages
from tests.builders import modest

if TYPE_CHECKING:
    from collections.abc import Sequence

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
