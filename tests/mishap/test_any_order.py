"""Whatever happens, and in whatever order: no promise is broken on the way, and all ends well."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.judge.checker import faults_so_far
from tests.judge.collect import collect
from tests.mishap.life import life
from tests.mishap.mishaps import KINDS, MOVES
from tests.mishap.schedules import BATCHES
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.simulator import Script
    from tests.mishap.life import Life
    from tests.mishap.outside import Call

MINUTE, HOUR, DAY = 60, 3600, 86_400
SETTINGS = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=2,
    stateful_step_count=12,
)
scripts = st.sampled_from([script for several in BATCHES.values() for script in several])
kinds = st.sampled_from(sorted(KINDS))
calls = st.integers(1, 30)
batches = st.integers(0, 9)


class AnyOrder(RuleBasedStateMachine):
    """A run whose steps Hypothesis chooses. A mishap comes at the n-th call of a step, if any."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        # A file may be tried as often as its worker dies here.
        self.life = self._open.enter_context(life(self._meet, tries=1000))
        self.life.begin(BATCHES["ended"][0])
        self._happens: str | None = None
        self._calls_left = 0

    @rule(script=scripts)
    def a_batch_begins(self, script: Script) -> None:
        """Watch one more."""
        self.life.begin(script)

    @rule()
    def openai_advances(self) -> None:
        """By about a status."""
        self.life.world.clock.now += MOVES

    @rule(seconds=st.sampled_from([1, MINUTE, 10 * MINUTE, HOUR, DAY]))
    def the_clock_jumps(self, seconds: int) -> None:
        """Leases end, messages return, orders are repeated."""
        self.life.world.clock.now += seconds

    @rule(lags=st.booleans())
    def the_index_lags_or_catches_up(self, *, lags: bool) -> None:
        """Behind by one query."""
        self.life.lags = lags

    @rule()
    def a_poll(self) -> None:
        """Undisturbed."""
        self._step(self.life.poll)

    @rule()
    def the_archiver_takes_what_is_there(self) -> None:
        """Undisturbed."""
        self._step(self.life.archive)

    @rule(which=batches)
    def a_webhook_is_heard(self, which: int) -> None:
        """Of a batch that has ended, or not."""
        self._step(lambda: self._hear(which))

    @rule(kind=kinds, n=calls)
    def a_poll_meets(self, kind: str, n: int) -> None:
        """A death, another process, an error: tests/mishap/mishaps.py has them all."""
        self._step(self.life.poll, kind, n)

    @rule(which=batches, kind=kinds, n=calls)
    def a_webhook_meets(self, which: int, kind: str, n: int) -> None:
        """The same."""
        self._step(lambda: self._hear(which), kind, n)

    @rule(kind=kinds, n=calls)
    def the_archiver_meets(self, kind: str, n: int) -> None:
        """The same, for each message that is there."""
        self._step(self.life.archive, kind, n)

    def teardown(self) -> None:
        """Let everything recover, by polls and archiving alone; then the checker judges."""
        with self._open:
            self.life.lags = False
            self.life.recover()
            assert self.life.verdict() == []

    def _hear(self, which: int) -> None:
        self.life.hear(self.life.batch_ids[which % len(self.life.batch_ids)])

    def _step(self, step: Callable[[], None], happens: str | None = None, n: int = 0) -> None:
        self._happens, self._calls_left = happens, n
        step()
        self._happens = None
        self.life.look()
        seen = collect(self.life.world, self.life.messages, self.life.batch_ids)
        assert faults_so_far(seen, secrets=[KEY]) == []

    def _meet(self, run: Life, call: Call) -> Any:
        self._calls_left -= 1
        if not self._happens or self._calls_left > 0 or not KINDS[self._happens].to(call.name):
            return run.let(call)
        happens, self._happens = KINDS[self._happens].happen, None
        run.mishaps += 1
        return happens(run, call)


def test_in_any_order() -> None:
    run_state_machine_as_test(AnyOrder, settings=settings(SETTINGS, derandomize=True))


@pytest.mark.full
def test_in_any_order_at_length() -> None:
    run_state_machine_as_test(
        AnyOrder, settings=settings(SETTINGS, max_examples=150, stateful_step_count=30)
    )
