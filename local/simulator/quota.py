"""How much may be enqueued at a time, by model; what comes too late fails, or is not taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from local.simulator.lifecycle import Problem

if TYPE_CHECKING:
    from local.simulator.lifecycle import Sent
    from local.simulator.store import Batch

Limit = dict[str, int] | int | None
"""By model, or the same of each model; None, or a model that is not named: as many as come."""


class Queue:
    """The batches that were sent and are not at their end.

    Each is decided upon when its validation ends, in the order of these moments. It is then
    enqueued until its end, however it ends. As nobody looks all the time, what was due since the
    last look is decided at the next one, by the limits that hold at that one.
    """

    def __init__(self) -> None:
        self.enqueued_tokens: Limit = None
        self.enqueued_batches: Limit = None
        self.fail_fast = False  # True: decided at the creation, which is refused, as by Azure
        self._validating: list[Batch] = []
        self._enqueued: list[Batch] = []

    def _decide(self, now: float) -> None:
        """Decide upon those whose validation has ended."""
        due = [batch for batch in self._validating if batch.validated_at <= now]
        for batch in sorted(due, key=lambda batch: (batch.validated_at, batch.number)):
            self._validating.remove(batch)
            sent = batch.script.sent
            if sent is None or batch.cancelled_at is not None:
                continue
            if problem := self._no_place(sent, batch.validated_at):
                sent = replace(sent, problems=(problem,))
                batch.script = replace(batch.script, ends="failed", failed=0, sent=sent)
            else:
                self._enqueued.append(batch)

    def _no_place(self, new: Sent, at: float) -> Problem | None:
        """Tell which limit leaves no place for a further one at a moment."""
        self._enqueued = [batch for batch in self._enqueued if batch.ends_at > at]
        others = [s for b in self._enqueued if (s := b.script.sent) and s.model == new.model]
        limit = _of(self.enqueued_tokens, new.model)
        if limit is not None and new.tokens + sum(other.tokens for other in others) > limit:
            return _problem("token", new.model, limit)
        limit = _of(self.enqueued_batches, new.model)
        if limit is not None and 1 + len(others) > limit:
            return _problem("batch", new.model, limit)  # which OpenAI itself has not
        return None


def _of(limit: Limit, model: str) -> int | None:
    return limit.get(model) if isinstance(limit, dict) else limit


def _problem(what: str, model: str, limit: int) -> Problem:
    plural = "tokens" if what == "token" else "batches"
    message = (
        f"Enqueued {what} limit reached for {model} in organization org-simulated. Limit:"
        f" {limit:,} enqueued {plural}. Please try again once some in_progress batches have been"
        " completed."
    )
    return Problem("token_limit_exceeded", message)
