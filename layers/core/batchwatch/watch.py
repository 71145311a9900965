"""What an observation changes. Pure: no clock, no network.

A batch only moves forward. Polls skip statuses and nothing is made up for them. A terminal
status is announced once its files are known (or `grace` is over), and never overwritten.

The words: `known` is what the ledger holds, `said` what OpenAI answered, `kept` that answer cut to
what the ledger can hold. A `Witness` is who looks, when, and by which rules.

Up to `grace` an end waits for the ids of its files; what follows it is in `ending`.

A batch that OpenAI does not know is missed; `MISSES` times over `lost_after` seconds, and it is
announced as lost. It is looked for until it is abandoned; found again, it is watched on.
"""

from batchwatch.batch import Batch, Status
from batchwatch.cutting import cut
from batchwatch.ending import HOUR, files_at_end, late_files
from batchwatch.events import Stalled
from batchwatch.record import QUEUE, Change, FileState, Lease, Record, digest, progress
from batchwatch.stall import stall
from batchwatch.telling import Rules, Teller, Witness

MISSES = 5
"""How often OpenAI must not know a batch until that is believed."""


def news(known: Record, said: Batch, now: float, rules: Rules) -> bool:
    """Whether an observation is worth a read of the item, by what the index shows of it.

    An end that waits for its files is; a batch that goes its usual way is not.
    """
    back = known.status is not None and Status.UNKNOWN.rank < said.status.rank < known.status.rank
    return (
        (digest(said) != known.digest and not back)
        or progress(said, rules.progress_steps) > known.progress
        or said.status.terminal
        or stall(known, said, now, rules.limits) is not None
        or known.lost
        or known.misses > 0
    )


def watch(known: Record, said: Batch, witness: Witness) -> Change | None:
    """Decide what an observation changes; None where it tells nothing new."""
    kept = Batch.read(cut(said.said))
    if known.terminal:
        return late_files(known, kept, witness)
    stale = _stale(known, said)
    change = None if stale else _forward(known, kept, witness)
    if not (known.misses or known.lost or known.abandoned):
        return change
    shown = Change() if stale else _shown_again(known, kept, witness)
    return (change or shown).model_copy(update={"found": True})


def _forward(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """What an answer changes that is not from before what we know."""
    told = {*known.unknown, known.status and known.status.value}  # by a later version, maybe
    if kept.status is Status.UNKNOWN and kept.named_status not in told:
        return _unknown_status(known, kept, witness)
    same = kept.status in {Status.UNKNOWN, known.status}
    if same or _waits_for_ids(known, kept, witness):
        return _seen(known, kept, witness) or _stalled(known, kept, witness)
    return _transition(known, kept, witness)


def _stale(known: Record, said: Batch) -> bool:
    """Whether an answer is from before what we know, be it announced or still waiting."""
    announced = known.status.rank if known.status else Status.UNKNOWN.rank
    shown = known.batch.status.rank if known.batch else Status.UNKNOWN.rank
    return said.status is not Status.UNKNOWN and said.status.rank < max(announced, shown)


def _waits_for_ids(known: Record, said: Batch, witness: Witness) -> bool:
    """Whether a batch that has ended may yet be given the files it should have."""
    return bool(said.missing) and witness.now < (
        _first_seen(known, said, witness) + witness.rules.grace
    )


def _seen(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """No transition: kept if something moved that the next poll can see in the index."""
    mark, steps = digest(kept), progress(kept, witness.rules.progress_steps)
    if mark == known.digest and steps <= known.progress:
        return None
    moved_at = known.moved_at if mark == known.digest else witness.now
    return Change(
        batch=kept, digest=mark, progress=steps, moved_at=moved_at, progressed_at=witness.now
    )


def _stalled(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """Tell a stall; but counts that moved by less than a step are progress, and no stall."""
    due = stall(known, kept, witness.now, witness.rules.limits)
    if due is None:
        return None
    shown = _shown_again(known, kept, witness)
    if shown.progressed_at is not None and due.reason == "no_progress":
        return shown
    told = Teller(known, kept, witness)
    told.tell("batch.stalled", apart=kept.named_status, stalled=Stalled(**due._asdict()))
    stalled = known.stalled | {kept.named_status}
    return shown.model_copy(update={"stalled": stalled, "events": told.events})


def _shown_again(known: Record, kept: Batch, witness: Witness) -> Change:
    """What is kept of an answer without news: at most, counts have moved by less than a step."""
    moved = _counts(kept) != _counts(known.batch)
    return Change(batch=kept, progressed_at=witness.now if moved else None)


def _counts(batch: Batch | None) -> tuple[int | None, ...]:
    counts = batch.counts if batch else None
    return (counts.total, counts.completed, counts.failed) if counts else ()


def _first_seen(known: Record, said: Batch, witness: Witness) -> float:
    ours = known.moved_at if digest(said) == known.digest else witness.now
    return min(ours, said.status_at if said.status_at is not None else ours)


def _unknown_status(known: Record, kept: Batch, witness: Witness) -> Change:
    told = Teller(known, kept, witness)
    told.tell("batch.unknown", status=Status.UNKNOWN, apart=kept.named_status)
    return Change(
        batch=kept,
        digest=digest(kept),
        moved_at=witness.now,
        progressed_at=witness.now,
        unknown=known.unknown | {kept.named_status},
        events=told.events,
    )


def _transition(known: Record, kept: Batch, witness: Witness) -> Change:
    told = Teller(known, kept, witness)
    told.tell(f"batch.{kept.status}", status=kept.status)
    return Change(
        batch=kept,
        status=kept.status,
        digest=digest(kept),
        progress=progress(kept, witness.rules.progress_steps),
        moved_at=witness.now,
        progressed_at=witness.now,
        files=files_at_end(kept, witness) if kept.status.terminal else {},
        events=told.events,
    )


def ended_before(account: str, said: Batch, witness: Witness) -> tuple[Record, Change]:
    """Take in a batch that had ended before the watch began: its files, and no events.

    Its files are as good as ordered: whoever writes this gives the order for the archive.
    """
    kept = Batch.read(cut(said.said))
    known = Record(account=account, batch_id=kept.id)
    lease = Lease(owner=QUEUE, until=witness.now + HOUR)
    change = _transition(known, kept, witness)
    files = {
        role: file.model_copy(update={"lease": lease}) if file.state is FileState.PENDING else file
        for role, file in files_at_end(kept, witness).items()
    }
    return known, change.model_copy(update={"files": files, "quiet": True, "events": ()})


def missed(known: Record, witness: Witness) -> Change | None:
    """Decide what it changes that OpenAI does not know a batch; None where it does not count."""
    if known.terminal or known.lost:
        return None
    since = witness.now if known.missing_since is None else known.missing_since
    if witness.now < since + known.misses * witness.rules.lost_after / (MISSES - 1):
        return None
    misses = known.misses + 1
    if misses < MISSES:
        return Change(missing_since=since, misses=misses)
    nothing = {"id": known.batch_id, "status": Status.UNKNOWN.value}
    told = Teller(known, known.batch or Batch.read(nothing), witness)
    told.tell("batch.lost", apart=str(known.losses or ""))
    return Change(
        missing_since=since,
        misses=misses,
        lost_at=witness.now,
        losses=known.losses + 1,
        events=told.events,
    )
