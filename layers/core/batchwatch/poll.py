"""A poll: every account of the secret, side by side, each in its own time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import SecretError
from batchwatch.report import Problem, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.account_poll import AccountPoll
    from batchwatch.accounts import Accounts
    from batchwatch.openai import Account, OpenAI
    from batchwatch.sweep import Sweep

BY = "poller"


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
        pool = ThreadPoolExecutor(max(1, len(accounts)))
        # At the end, time to hear what became of each account.
        sooner = stop_at if stop_at == inf else stop_at - min(2, (stop_at - self.clock()) / 5)
        jobs = {a.name: pool.submit(self._poll_one, a, sooner) for a in accounts}
        wait(jobs.values(), None if stop_at == inf else max(0, stop_at - self.clock()))
        pool.shutdown(wait=False)
        for name, job in jobs.items():
            if not job.done():
                slow = TimeoutError("no time was left to hear what became of the poll")
                silent = self.account_poll.silent(name)
                report.problems.append(Problem(slow, name, whole=silent))
            elif trouble := job.exception():
                report.problems.append(Problem(trouble, name, whole=True))
            else:
                report += job.result()
        return report

    def _poll_one(self, account: Account, stop_at: float) -> Report:
        return self.account_poll.run(account.name, self.openai(account), stop_at)
