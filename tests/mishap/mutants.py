"""The known wrong designs, each as a few words of the code replaced by others.

They prove that the tests see: a suite that finds nothing in them would find nothing at all.
A mutant whose words are no longer in the code fails loudly, and is to be written anew.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Swap(NamedTuple):
    """A function by its name in batchwatch, and what stands in it in place of what."""

    where: str
    words: str
    instead: str


class Mutant(NamedTuple):
    """A wrong design: what is changed, and which kind of mishap at which calls shows it."""

    swaps: tuple[Swap, ...]
    case: str
    at: str


@contextmanager
def living(mutant: Mutant) -> Iterator[None]:
    """Run the wrong design for a while."""
    with ExitStack() as stack:
        for swap in mutant.swaps:
            owner, name = _owner(swap.where)
            stack.enter_context(mock.patch.object(owner, name, _swapped(swap)))
        yield


def _owner(where: str) -> tuple[Any, str]:
    module, *names, last = where.split(".")
    owner: Any = importlib.import_module(f"batchwatch.{module}")
    for name in names:
        owner = getattr(owner, name)
    return owner, last


def _swapped(swap: Swap) -> Any:
    """Make the function anew from its source, with the words replaced."""
    owner, name = _owner(swap.where)
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(swap.words) != 1:
        raise LookupError(f"{swap.where} does not have once: {swap.words!r}")
    source = source.replace(swap.words, swap.instead)
    flags = __future__.annotations.compiler_flag
    made: dict[str, Any] = {}
    code = compile(source, f"<{swap.where} as a mutant>", "exec", flags, dont_inherit=True)
    exec(code, function.__globals__, made)  # noqa: S102 - our own source, a few words changed
    return made[name]


_WRITE = "record = self.ledger.write(record, change)"
_FROM_MEMORY = (
    "[(self.outbox.publisher.publish(e, e.frozen()), self.outbox.archive.keep(e, e.frozen()))"
    " for e in change.events]"
)
_PUBLISHES_FIRST = Swap("observe.Observer._written", _WRITE, f"{_FROM_MEMORY}; {_WRITE}")
_PUBLISHES_TOO = Swap("observe.Observer._written", _WRITE, f"{_WRITE}; {_FROM_MEMORY}")
_ARCHIVER_PUBLISHES_TOO = Swap("transfer.Transfer._finish", _WRITE, f"{_WRITE}; {_FROM_MEMORY}")
_NO_OUTBOX = Swap(
    "ledger.spelled", "{str(e.data.sequence): e.frozen() for e in change.events}", "{}"
)
_LEAVES = """for path, to in sets.items())
            + (" REMOVE #open" * bool(known.v and change.status and change.status.terminal)
               and names.setdefault("#open", "open") and " REMOVE #open"),"""
_ALWAYS = ':was = :was" if known.v else "attribute_not_exists(nothing)"'
_NO_VERSION = Swap(
    "ledger.Ledger.write", 'v = :was" if known.v else "attribute_not_exists(v)"', _ALWAYS
)
# Each of these two would do alone; only without both does a batch go back.
_READ_LATE = Swap("observe.Observer.saw", "record.v != known.v", "False")
_BELIEVES_OLD = (
    Swap("watch._stale", "return said.status", "return False and said.status"),
    Swap("account_poll._may_be_old", "known.status is None or", "True or"),
    Swap("account_poll.news", " and not back", ""),
)
_IF_OURS = '"files.#role.lease.#owner = :owner"'
_NO_SIZE = Swap("copying._verify", "tally.size != expected", "False")

_FOLLOW, _LOOK = "webhook.Webhook._follow", "webhook.Webhook._look"
_SAID = "{'id': hint.batch_id, 'status': hint.type.removeprefix('batch.')}"
_AS_TOLD = f"openai.retrieve.__globals__['Batch'].read({_SAID})"
_READS = "known = self.observer.ledger.get(hint.account, hint.batch_id)"
_TAKES = "known, told = self.observer.take_in(known, said)"
_LEFT_OVER = "report += Report.of(self.observer.outbox.deliver(known))"
_LATER = "_later(hint, report, "
_TAKEN = "Heard(Answer.TAKEN, report, hint=hint)"

MUTANTS = {
    "publishes, then writes": Mutant((_PUBLISHES_FIRST,), "ended/dies-after", "sns.Publish"),
    "writes, then publishes from memory, with no outbox": Mutant(
        (_NO_OUTBOX, _PUBLISHES_TOO, _ARCHIVER_PUBLISHES_TOO),
        "ended/dies-after",
        "dynamodb.UpdateItem",
    ),
    "leaves the index with the write of the end": Mutant(
        (Swap("ledger.Ledger.write", "for path, to in sets.items()),", _LEAVES),),
        "ended/dies-before",
        "sns.Publish",
    ),
    "writes on no condition": Mutant(
        (_NO_VERSION,), "stopped/moved-on-before", "dynamodb.UpdateItem"
    ),
    "asks OpenAI before it reads what is known": Mutant(
        (_READ_LATE, *_BELIEVES_OLD), "stopped/moved-on-after", "openai.batch"
    ),
    "believes an answer from before": Mutant(_BELIEVES_OLD, "ended/is-behind", "openai.batch"),
    "overwrites an end": Mutant(
        (_READ_LATE, *_BELIEVES_OLD, Swap("observe.watch", "if known.terminal:", "if False:")),
        "stopped/is-behind+lag",
        "openai.batch",
    ),
    "completes a short upload": Mutant((_NO_SIZE,), "ended/short-2048", "openai.content"),
    "takes a cut download for a whole one": Mutant(
        (_NO_SIZE, Swap("download.Source._answer", "raise Cut", "return; raise Cut")),
        "ended/cut-2048",
        "openai.content",
    ),
    "takes an event out of the outbox, then publishes it": Mutant(
        (
            Swap(
                "outbox.Outbox.deliver",
                "self.publisher.publish(event, frozen)",
                "item = self.table.mark_published(item, sequence);"
                " self.publisher.publish(event, frozen)",
            ),
        ),
        "ended/dies-after",
        "dynamodb.UpdateItem",
    ),
    "publishes from memory what was refused": Mutant(
        (_PUBLISHES_TOO,), "ended/moved-on-before", "dynamodb.UpdateItem"
    ),
    "leaves no file to who holds its lease": Mutant(
        (
            Swap("ledger.Ledger.claim", 'f"({_FREE} OR', 'f"(attribute_exists(v) OR {_FREE} OR'),
            Swap("ledger.Ledger.note_upload", _IF_OURS, '"attribute_exists(v)"'),
            Swap("ledger.Ledger.give_back", _IF_OURS, '"attribute_exists(v)"'),
        ),
        "ended/delivered-twice",
        "openai.content",
    ),
    "closes without a condition": Mutant(
        (
            Swap("outbox.Outbox.deliver", "item.settled and item.open", "item.terminal"),
            Swap("ledger.Ledger.close", "=_DONE,", '=f"attribute_exists(v) OR {_DONE}",'),
        ),
        "ended/dies-after",
        "sns.Publish",
    ),
    "believes what a webhook says, and asks nothing": Mutant(
        (Swap(_LOOK, "openai.retrieve(hint.batch_id)", _AS_TOLD),),
        "told/dies-after",
        "secretsmanager.GetSecretValue",
    ),
    "publishes what a webhook brings, then writes": Mutant(
        (_PUBLISHES_FIRST,), "told/poll-after", "sns.Publish"
    ),
    "writes what a webhook brings on no condition": Mutant(
        (_NO_VERSION,), "told/poll-before", "dynamodb.UpdateItem"
    ),
    "hears a webhook, asks OpenAI, and then reads what is known": Mutant(
        (
            Swap(_LOOK, _TAKES, f"{_READS}; {_TAKES}"),
            *_BELIEVES_OLD,
            Swap("observe.watch", "if known.terminal:", "if False:"),
        ),
        "told/is-behind-poll-after",
        "openai.batch",
    ),
    "is content with a webhook when OpenAI does not answer": Mutant(
        (Swap(_FOLLOW, f"{_LATER}error)", _TAKEN),), "told/fails", "openai.batch"
    ),
    "is content with a webhook of a batch that shows no end": Mutant(
        (Swap(_FOLLOW, f"{_LATER}early)", _TAKEN),), "told/stays-behind", "openai.batch"
    ),
    "is content with a webhook when OpenAI does not know the batch just now": Mutant(
        (
            Swap(_LOOK, "if watched:", "if False:"),
            Swap(_FOLLOW, "if seen is Seen.END:", "if seen is not Seen.NO_END:"),
        ),
        "told/unknown",
        "openai.batch",
    ),
    "is content with an end that is written, and not published": Mutant(
        (Swap(_LOOK, _LEFT_OVER, "pass"),), "told/dies-before", "sns.Publish"
    ),
}
