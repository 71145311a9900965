"""A poll: every account of the secret, side by side, each in its own time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import SecretError
from batchwatch.report import Problem, Report
from batchwatch.turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from batchwatch.account_poll import AccountPoll
    from batchwatch.accounts import Accounts
    from batchwatch.openai import Account, OpenAI
    from batchwatch.sweep import Sweep

BY = "poller"
SIDE_BY_SIDE = 24
"""Accounts polled at once, with up to nine threads each and connections of their own: a function of
Lambda may have 1,024 of either."""


class UnreachedError(Exception):
    """Raised where the time of a poll was over before an account had its turn."""


class Poller(NamedTuple):
    """What Poller does. `clock`: seconds since 1970."""

    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    account_poll: AccountPoll
    sweep: Sweep
    clock: Callable[[], float]

    def poll(self, stop_at: float = inf) -> Report:
        """Poll each account until `stop_at`; one in trouble does not delay the others."""
        try:
            accounts, troubles, _, weak = self.accounts.all()
        except SecretError as error:
            return self.sweep.run(None) + Report(problems=[Problem(error, whole=True)])
        report = self.sweep.run(None if troubles else {account.name for account in accounts})
        report.problems += [Problem(trouble, whole=True) for trouble in troubles]
        report.problems += [Problem(trouble) for trouble in weak]
        if not accounts and not troubles:
            nothing = SecretError("the secret names no account yet")
            report.problems.append(Problem(nothing, whole=True))
        pool = ThreadPoolExecutor(max(1, min(SIDE_BY_SIDE, len(accounts))))
        # At the end, time to hear what became of each account.
        sooner = stop_at if stop_at == inf else stop_at - min(2, (stop_at - self.clock()) / 5)
        turns = in_turn(accounts, self.clock())
        jobs = {a.name: pool.submit(self._poll_one, a, sooner) for a in turns}
        # Who is done later than this counts as not done.
        done, _ = wait(jobs.values(), None if stop_at == inf else max(0, stop_at - self.clock()))
        pool.shutdown(wait=False, cancel_futures=True)
        unreached = {name for name, job in jobs.items() if _unreached(job, done)}
        if unreached:
            report.problems.append(Problem(UnreachedError(_no_time(unreached))))
        for name, job in jobs.items():
            if name not in unreached:
                report += self._heard(name, job, done)
        return report

    def _poll_one(self, account: Account, stop_at: float) -> Report:
        if self.clock() >= stop_at:
            raise UnreachedError
        return self.account_poll.run(account.name, self.openai(account), stop_at)

    def _heard(self, name: str, job: Future[Report], done: set[Future[Report]]) -> Report:
        if job not in done:
            slow = TimeoutError("no time was left to hear what became of the poll")
            silent = self.account_poll.silent(name)
            return Report(problems=[Problem(slow, name, whole=silent)])
        if trouble := job.exception():
            return Report(problems=[Problem(trouble, name, whole=True)])
        return job.result()


def _unreached(job: Future[Report], done: set[Future[Report]]) -> bool:
    return job.cancelled() or (job in done and isinstance(job.exception(), UnreachedError))


def _no_time(names: Iterable[str]) -> str:
    named = sorted(names)
    return f"no time was left for {len(named)} accounts, among them {named[0]}; others begin next"
