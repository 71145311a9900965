"""Which accounts to watch: one JSON secret, read through a cache, never in the environment.

`{"accounts": {"default": {"api_key": "sk-…", "base_url"?: …, "organization"?: …, "project"?: …,
"api_version"?: "2024-10-21", "auth"?: "bearer" | "api-key", "webhook_secrets"?: ["whsec_…"]}}}`

Version and auth are for Azure: the one is sent with every request, and its key as `api-key`.
The webhook secrets are those that OpenAI signs with; two, while one takes the place of the other.
Beside `accounts` there may be `"slack_webhook_url": "https://hooks.slack.com/services/…"`.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from batchwatch.errors import RefusedWebhookError, SecretError, WeakSecretError
from batchwatch.openai import BASE_URL, Account, safe_base_url
from batchwatch.signature import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager import SecretsManagerClient

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_VERSION = re.compile(r"[A-Za-z0-9.-]{1,32}")
_HEADER = re.compile(r"\s*[!-~]+\s*")
_FIELDS = {
    "api_key",
    "base_url",
    "organization",
    "project",
    "api_version",
    "auth",
    "webhook_secrets",
}
_FIELD = re.compile(r"[a-z_]{1,32}")  # what is none may be a key in the wrong place
CACHE_SECONDS = 300
AGAIN = 30
"""Seconds between two reads out of turn, so that nobody from outside can make many of them."""


class Readable(NamedTuple):
    """The accounts of a secret, and what is the matter with the others.

    `signers`: accounts with the keys of their webhooks; `weak`: what is the matter with others.
    """

    accounts: list[Account]
    troubles: list[SecretError]
    signers: list[tuple[str, bytes]]
    weak: list[WeakSecretError]


class Accounts:
    """The accounts of the secret, as of at most five minutes ago."""

    def __init__(
        self,
        secrets: SecretsManagerClient,
        secret: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = SecretsProvider(boto3_client=secrets)
        self._secret = secret
        self._clock = clock
        self._tried_again = 0.0
        self._failed: tuple[float, str] | None = None

    def all(self) -> Readable:
        """Every account; SecretError where the secret cannot be used at all.

        One that names no account yet is about to be filled in: it is read afresh.
        """
        readable = read_accounts(self._text())
        empty = not readable.accounts and not readable.troubles
        return (empty and self.afresh()) or readable

    def afresh(self) -> Readable | None:
        """Read what may have changed just now; None if that was asked only just now."""
        if self._clock() < self._tried_again + AGAIN:
            return None
        self._tried_again = self._clock()
        return read_accounts(self._text(fresh=True))

    def get(self, name: str) -> Account:
        """Return the account of that name, which may be a new one."""
        for read in (self.all, self.afresh):
            readable = read()
            for account in readable.accounts if readable else []:
                if account.name == name:
                    return account
        raise SecretError(f"the secret has no usable account {name!r}")

    def slack_url(self) -> str | None:
        """Return where to tell Slack, if anywhere; SecretError where that is no safe address."""
        return read_slack_url(self._text())

    def _text(self, *, fresh: bool = False) -> str:
        if not fresh and self._failed and self._clock() < self._failed[0] + AGAIN:
            raise SecretError(self._failed[1])
        try:
            text = self._provider.get(self._secret, max_age=CACHE_SECONDS, force_fetch=fresh)
        except GetParameterError as error:
            trouble = f"cannot read the secret: {error}"
            if not fresh:  # else what was read before is still good
                self._failed = self._clock(), trouble
            raise SecretError(trouble) from error
        self._failed = None
        return str(text)


def read_accounts(text: str) -> Readable:
    """Read the secret's JSON; an account that cannot be used does not hold up the others."""
    try:
        secret = json.loads(text)
        entries = secret["accounts"].items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SecretError('the secret must be JSON: {"accounts": {"default": {…}}}') from error
    readable = Readable([], [], [], [])
    names: dict[Account, str] = {}
    if others := _unknown(secret, {"accounts", "slack_webhook_url"}):
        readable.weak.append(WeakSecretError(f"the secret has fields that nobody knows: {others}"))
    for number, (name, entry) in enumerate(entries, 1):
        try:
            account = _account(number, name, entry)
            _refuse_a_second(account, names)
            readable.accounts.append(account)
        except SecretError as trouble:
            readable.troubles.append(trouble)
        else:
            _read_signers(name, entry.get("webhook_secrets"), readable)
    return readable


def read_slack_url(text: str) -> str | None:
    """Read what the secret's JSON says of Slack, whatever it says of accounts."""
    try:
        url = json.loads(text).get("slack_webhook_url")
    except (ValueError, AttributeError, RecursionError) as error:
        raise SecretError("the secret must be a JSON object") from error
    if url in (None, ""):
        return None
    from batchwatch.notify.slack import safe_slack_url

    return safe_slack_url(url)


def _read_signers(name: str, secrets: object, readable: Readable) -> None:
    """Take the webhook secrets of an account; one that is no use does not keep it from polls."""
    if secrets is not None and not isinstance(secrets, list):
        readable.weak.append(WeakSecretError(f"account {name!r}: webhook_secrets is no list"))
        return
    for number, secret in enumerate(secrets or [], 1):
        try:
            readable.signers.append((name, _signing_key(name, secret, readable.signers)))
        except WeakSecretError as weak:
            trouble = WeakSecretError(f"account {name!r}: webhook secret {number} {weak}")
            readable.weak.append(trouble)


def _signing_key(name: str, secret: str, signers: list[tuple[str, bytes]]) -> bytes:
    try:
        key = key_of(secret)
    except (RefusedWebhookError, AttributeError) as error:
        raise WeakSecretError("is not whsec_ and base64 of 24 bytes or more") from error
    for other, theirs in signers:
        if theirs == key and other != name:  # all batches would be told of in one name
            raise WeakSecretError(f"is that of account {other!r}")
    return key


def _refuse_a_second(account: Account, names: dict[Account, str]) -> None:
    """Refuse what is an account already under another name: all would be told and kept twice."""
    name = names.setdefault(account._replace(name=""), account.name)
    if name != account.name:
        raise SecretError(f"account {account.name!r} is the same as {name!r}")


def _account(number: int, name: str, entry: object) -> Account:
    if not _NAME.fullmatch(name) or name.startswith("sk-"):
        # Not repeated: it may be a key in the wrong place.
        raise SecretError(f"account {number} of the secret is not named [a-z0-9-]{{1,32}}")
    if not isinstance(entry, dict) or not _header_like(entry.get("api_key")):
        raise SecretError(f"account {name!r} has no usable api_key in the secret")
    if set(entry) - _FIELDS:
        others = _unknown(entry, _FIELDS)
        raise SecretError(f"account {name!r} has fields that nobody knows: {others}")
    for field in ("organization", "project"):
        if entry.get(field) and not _header_like(entry[field]):
            raise SecretError(f"account {name!r} has no usable {field} in the secret")
    version, auth = entry.get("api_version") or None, entry.get("auth") or None
    if version and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise SecretError(f"account {name!r} has no usable api_version in the secret")
    if auth not in (None, "bearer", "api-key"):
        raise SecretError(f"account {name!r} has an auth other than bearer and api-key")
    return Account(
        name=name,
        api_key=entry["api_key"].strip(),
        base_url=_base_url(name, entry.get("base_url") or BASE_URL),
        organization=(entry.get("organization") or "").strip() or None,
        project=(entry.get("project") or "").strip() or None,
        api_version=version,
        auth=auth,
    )


def _unknown(said: dict[str, object], known: set[str]) -> str:
    """Name the fields that are not known; what is no name is not repeated."""
    return ", ".join(f if _FIELD.fullmatch(f) else "…" for f in sorted(said.keys() - known))


def _base_url(name: str, url: str) -> str:
    try:
        return safe_base_url(url)
    except SecretError as error:
        raise SecretError(f"account {name!r}: {error}") from error


def _header_like(value: object) -> bool:
    return isinstance(value, str) and bool(_HEADER.fullmatch(value))
