"""A ledger as polls have left it, without the hours they take: one item for each open batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchwatch.items import key_of, spelled, to_dynamodb
from batchwatch.openai import OpenAI
from batchwatch.poll import BY
from batchwatch.record import Change, Record
from batchwatch.telling import Witness
from batchwatch.watch import watch
from batchwatch.watermarks import Watermarks
from benchmarks.many import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.batch import Batch
    from batchwatch.openai import Account
    from batchwatch.runtime import Runtime


def seed(runtime: Runtime, account: Account) -> int:
    """Note all open batches of an account as seen and told; return how many.

    What has ended by now is history, as it is to a first poll.
    """
    table, now = runtime.settings.table, runtime.clock()
    marks = Watermarks(runtime.dynamodb, table)
    begun = marks.begin(account.name, now)
    witness = Witness(BY, now, runtime.rules)
    openai = OpenAI(account)
    newest = noted = 0

    def items() -> Iterator[dict[str, Any]]:
        nonlocal newest, noted
        for said in _all(openai):
            newest = max(newest, said.created_at or 0)
            if not said.status.terminal:
                noted += 1
                yield item(Record(account=account.name, batch_id=said.id), said, witness)

    write(runtime.dynamodb, table, items())
    openai.close()
    marks.move(account.name, begun.model_copy(update={"seen_through": newest}))
    return noted


def item(known: Record, said: Batch, witness: Witness) -> dict[str, Any]:
    """Spell the item of a batch that was seen for the first time, its event published."""
    spelling = spelled(known, watch(known, said, witness) or Change())
    sets = {path.removeprefix("#"): spelling.values[to] for path, to in spelling.sets.items()}
    return {**key_of(known.account, known.batch_id), **sets, "outbox": to_dynamodb({})}


def _all(openai: OpenAI) -> Iterator[Batch]:
    page = openai.page()
    yield from page.batches
    while page.cursor:
        page = openai.page(page.cursor)
        yield from page.batches
