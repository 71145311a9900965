"""A key and where it is good for: what goes with every request, where it may go, and to whom."""

import ipaddress
import re
from functools import cache
from ssl import SSLContext
from typing import Literal, NamedTuple

import httpx

from batchwatch.errors import SecretError

BASE_URL = "https://api.openai.com/v1"
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|[0-9a-f:]+")


class Account(NamedTuple):
    """A key and where it is good for: one project of OpenAI, or a compatible provider.

    `api_version`: sent with every request, for Azure. `auth`: None goes by what the provider is.
    """

    name: str
    api_key: str
    base_url: str = BASE_URL
    organization: str | None = None
    project: str | None = None
    api_version: str | None = None
    auth: Literal["bearer", "api-key"] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What every request of the account tells; with its key."""
        headers = {"Accept": "application/json", "User-Agent": "batchwatch"}
        if self._way_of_keys() == "api-key":
            headers["api-key"] = self.api_key
        else:
            headers["Authorization"] = f"Bearer {self.api_key}"
        if self.organization:
            headers["OpenAI-Organization"] = self.organization
        if self.project:
            headers["OpenAI-Project"] = self.project
        return headers

    def _way_of_keys(self) -> str:
        azure = self.api_version or httpx.URL(self.base_url).host.endswith(".azure.com")
        return self.auth or ("api-key" if azure else "bearer")


@cache
def trust() -> SSLContext:
    """Whom a key may be shown to: made once in a process, as it reads every authority there is."""
    return httpx.create_ssl_context(trust_env=False)


def safe_base_url(url: str) -> str:
    """Return an address that a key may be sent to: https, or http on this machine."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise SecretError("base_url is not an address") from error
    if not _HOST.fullmatch(parsed.host):
        raise SecretError("base_url has no usable host")
    if parsed.userinfo:
        raise SecretError("base_url must not hold a password")
    if parsed.query or parsed.fragment:
        raise SecretError("base_url must end with its path; for ?api-version= there is api_version")
    if parsed.scheme == "https" or (parsed.scheme == "http" and _loopback(parsed.host)):
        return url
    raise SecretError("base_url must be https, or http on this machine")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
