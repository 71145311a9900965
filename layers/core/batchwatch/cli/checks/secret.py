"""Whether the secret can be read, and whether each key in it works."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from batchwatch.cli.checks.finding import Finding, State
from batchwatch.cli.checks.together import together
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
    SecretError,
)
from batchwatch.notify.wording import clean, plural
from batchwatch.openai import OpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.account import Account
    from batchwatch.cli.checks.visit import Visit


def secret(visit: Visit) -> Iterator[Finding]:
    """Read the secret, and name each entry that is no use."""
    name, way_out = "secret", put_secret(visit)
    try:
        readable = visit.accounts()
    except SecretError as error:
        yield Finding(name, State.PROBLEM, str(error), way_out)
        return
    names = [account.name for account in readable.accounts]
    if names:
        yield Finding(name, State.OK, f"names {', '.join(names)}")
    elif not readable.troubles:
        yield Finding(name, State.PROBLEM, "names no account yet", way_out)
    for trouble in readable.troubles:
        yield Finding(name, State.PROBLEM, clean(trouble), way_out)
    for weak in readable.weak:
        yield Finding(name, State.WARNING, clean(weak), way_out)


def keys(visit: Visit) -> Iterator[Finding]:
    """Ask each account for one batch of its list, which tells whether its key works."""
    try:
        accounts = visit.accounts().accounts
    except SecretError:
        yield Finding("keys", State.NOT_CHECKED, "the secret cannot be read")
        return
    put = put_secret(visit)
    yield from together(partial(_tried, account, put) for account in accounts)


def left_behind(visit: Visit) -> Iterator[Finding]:
    """Name accounts that have batches with work left, but no entry in the secret.

    One of which nothing was ever told is not among them: the table alone does not name it.
    """
    try:
        readable = visit.accounts()
    except SecretError:
        return  # as is told of the secret
    if readable.troubles:
        return  # one of them may be that account's
    catalogue = visit.stack.catalogue
    for name in sorted({*catalogue.accounts()} - {each.name for each in readable.accounts}):
        rows = sum(1 for _ in catalogue.with_work_left([name]))
        if rows:
            found = f"{plural(rows, 'batch')} with work left, but it is not in the secret"
            shown = visit.stack.command("list", "--status", "open", "-a", name)
            way_out = f"see which: {shown}; what to do: docs/operations.md, AccountRefused"
            yield Finding(f"account {clean(name)}", State.PROBLEM, found, way_out)


def put_secret(visit: Visit) -> str:
    """Tell how the secret is filled in."""
    name = visit.stack.output("KeysSecret")
    put = f"aws secretsmanager put-secret-value --secret-id {name} --secret-string file://"
    return f"fill it in as README.md tells: {put}accounts.json"


def _tried(account: Account, put: str) -> Finding:
    name, openai = f"key of {account.name}", OpenAI(account)
    try:
        openai.page(limit=1)
    except OpenAIError as error:
        state, found, way_out = _meant(error, account)
        return Finding(name, state, f"{found} ({clean(error)})", way_out or put)
    finally:
        openai.close()
    return Finding(name, State.OK, f"works at {account.base_url}")


def _meant(error: OpenAIError, account: Account) -> tuple[State, str, str]:
    """Tell the causes apart: the key, its scopes, the address; or what passes."""
    match error:
        case AccessError(status=401):
            return State.PROBLEM, "refused", ""
        case AccessError():
            way_out = "let the key read batches and files (api.batch.read, api.files.read)"
            return State.PROBLEM, "may not list batches", way_out
        case NotFoundError():
            way_out = "mend base_url in the secret; it ends with the path, such as /v1"
            return State.PROBLEM, f"no batches at {account.base_url}", way_out
        case BadAnswerError():
            way_out = "mend base_url in the secret: that is no API of batches"
            return State.PROBLEM, "answered by something else", way_out
        case OpenAIError(passing=False):
            return State.PROBLEM, "the list is refused", "mend the account's entry in the secret"
    return State.WARNING, *_passing(error)


def _passing(error: OpenAIError) -> tuple[str, str]:
    if error.status is None:
        way_out = "look at the network here; if polls cannot reach it either, at base_url"
        return "cannot be reached from this machine", way_out
    if isinstance(error, RateLimitedError):
        return "asked too often", "try again in a minute"
    return "the API is in trouble", "try again; see https://status.openai.com"
