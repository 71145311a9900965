"""The few endpoints of OpenAI that a watch needs, over httpx.

Retries are those of the official SDK: 408, 409, 429 and 5xx, twice, after what the server asks
for or 0.5 s doubling up to 8 s. After a 429 all requests of the client rest. No redirect is
followed, so that none carries the key.
"""

import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import httpx

from batchwatch.batch import Batch, safe_id
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
    SecretError,
    UnsafeIdError,
)
from batchwatch.retry import LONGEST_WAIT, Rest, asked_for, backoff, pause

BASE_URL = "https://api.openai.com/v1"
RETRIES = 2
PAGE = 100
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|[0-9a-f:]+")
_TIMEOUT = httpx.Timeout(10, connect=5)
_TIMEOUT_OF_FILES = httpx.Timeout(30, connect=5)
_LONGEST_REASON = 400
_TOO_MANY = 429
_DENIED = {401, 403}
_KINDS = {401: AccessError, 403: AccessError, 404: NotFoundError, 429: RateLimitedError}
_KIND = re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}")
_MASKED = re.compile(r"\S*\*\*\S*")  # a key of which only the middle was taken out
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")


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


class RemoteFile(NamedTuple):
    """What OpenAI says of a file; `size` in bytes, None where not said."""

    id: str
    size: int | None


class Page(NamedTuple):
    """A page of the list: its batches, where the next begins, how many rows were no batch.

    `cursor`: None on the last page, or where `more` is promised but not told where. It may lead
    round in circles: that is for the caller to see.
    """

    batches: list[Batch]
    cursor: str | None
    unreadable: int = 0
    more: bool = False


class OpenAI:
    """One account at OpenAI. Safe to share between threads."""

    def __init__(
        self,
        account: Account,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._rest = Rest(clock)
        self._key = account.api_key
        self._http = httpx.Client(
            base_url=safe_base_url(account.base_url),
            headers=_headers(account),
            params={"api-version": account.api_version} if account.api_version else None,
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    def retrieve(self, batch_id: str) -> Batch:
        """Ask for one batch as it is now."""
        batch = Batch.read(self._json(f"batches/{_segment(batch_id)}"))
        if batch.id != batch_id:
            raise BadAnswerError(f"asked for {batch_id}, was told of another batch")
        return batch

    def page(self, after: str | None = None, limit: int = PAGE) -> Page:
        """Ask for a page of batches, newest first, from the one behind `after`."""
        cursor = {"after": safe_id(after)} if after else {}
        said = self._json("batches", params={"limit": limit, **cursor})
        rows = said.get("data") if said.get("data") is not None else said.get("value")
        if not isinstance(rows, list):
            raise BadAnswerError("a list of batches without data")
        batches = [batch for row in rows if (batch := _batch_or_none(row))]
        more = bool(said.get("has_more"))
        behind = _cursor(said, rows) if more else None
        return Page(batches, behind, len(rows) - len(batches), more=more)

    def file(self, file_id: str) -> RemoteFile:
        """Ask for what is known of a file."""
        said = self._json(f"files/{_segment(file_id)}")
        if said.get("id") != file_id:
            raise BadAnswerError(f"asked for {file_id}, was told of another file")
        size = said.get("bytes")
        return RemoteFile(file_id, size if isinstance(size, int) and size >= 0 else None)

    @contextmanager
    def stream_file(self, file_id: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """Ask for the content of a file, to be read from the answer bit by bit.

        Asks once: whoever copies has a deadline, and a queue to come back by.
        """
        path = f"files/{_segment(file_id)}/content"
        answer = self._send(path, headers=headers, stream=True, retries=0)
        try:
            yield answer
        finally:
            answer.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _json(self, path: str, params: dict[str, str | int] | None = None) -> dict[str, Any]:
        answer = self._send(path, params=params)
        try:
            said = answer.json()
        except (ValueError, RecursionError) as error:
            kind = answer.headers.get("content-type", "").partition(";")[0]
            what = kind if _KIND.fullmatch(kind) else "something else"
            raise BadAnswerError(f"GET {path}: not JSON but {what}") from error
        if not isinstance(said, dict):
            raise BadAnswerError(f"GET {path}: a JSON {type(said).__name__}, not an object")
        return said

    def _send(
        self,
        path: str,
        *,
        params: dict[str, str | int] | None = None,
        headers: dict[str, str] | None = None,
        stream: bool = False,
        retries: int = RETRIES,
    ) -> httpx.Response:
        timeout = _TIMEOUT_OF_FILES if stream else _TIMEOUT
        request = self._http.build_request(
            "GET", path, params=params, headers=headers, timeout=timeout
        )
        for attempt in range(retries + 1):
            given_up = self._wait_for_turn(path)
            try:
                answer = self._http.send(request, stream=stream)
            except httpx.RequestError as error:
                if attempt == retries:
                    raise OpenAIError(self._hide(f"GET {path}: {_trouble(error)}")) from error
                self._sleep(backoff(attempt))
                continue
            if answer.is_success:
                self._rest.end_row()
                return answer
            now = self._clock()
            wait = pause(answer.status_code, answer.headers, attempt, now)
            if attempt == retries or wait is None:
                if answer.status_code == _TOO_MANY:
                    self._rest.give_up(asked_for(answer.headers, now), given_up)
                raise self._error(path, answer)
            answer.close()
            if answer.status_code == _TOO_MANY:
                self._rest.take(wait)  # before the next attempt, as before any other request
            else:
                self._sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _wait_for_turn(self, path: str) -> int:
        """Let the account rest, if that is soon over; return how often it was given up so far."""
        left = self._rest.left()
        if left > LONGEST_WAIT:
            seconds = f"{ceil(left)} s to rest after a 429"
            raise RateLimitedError(f"GET {path}: not sent, {seconds}", status=_TOO_MANY)
        if left:
            self._sleep(left)
        return self._rest.given_up

    def _error(self, path: str, answer: httpx.Response) -> OpenAIError:
        """Turn a refusal into an error that names its cause."""
        with suppress(httpx.HTTPError):
            answer.read()
        answer.close()
        status = answer.status_code
        kind = _KINDS.get(status, OpenAIError)
        text = self._hide(f"GET {path}: {status} {_reason(answer)}")
        return kind(text[:_LONGEST_REASON].rstrip(), status=status)

    def _hide(self, text: str) -> str:
        """Take the key out: some servers repeat it, and not all keys look like one."""
        return text.replace(self._key, "…")


def _headers(account: Account) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "batchwatch"}
    if _auth(account) == "api-key":
        headers["api-key"] = account.api_key
    else:
        headers["Authorization"] = f"Bearer {account.api_key}"
    if account.organization:
        headers["OpenAI-Organization"] = account.organization
    if account.project:
        headers["OpenAI-Project"] = account.project
    return headers


def _auth(account: Account) -> str:
    azure = account.api_version or httpx.URL(account.base_url).host.endswith(".azure.com")
    return account.auth or ("api-key" if azure else "bearer")


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


def _segment(identifier: str) -> str:
    return quote(safe_id(identifier), safe="")


def _batch_or_none(row: object) -> Batch | None:
    try:
        return Batch.read(row)
    except BadAnswerError:
        return None


def _cursor(said: dict[str, Any], rows: list[Any]) -> str | None:
    """Where the next page begins: at `last_id`, or behind the last row that has an id."""
    ids = [row.get("id") for row in rows if isinstance(row, dict)]
    return next((each for each in [said.get("last_id"), *reversed(ids)] if _usable(each)), None)


def _usable(identifier: object) -> bool:
    try:
        return isinstance(identifier, str) and bool(safe_id(identifier))
    except UnsafeIdError:
        return False


def _trouble(error: httpx.RequestError) -> str:
    """Say what kept an answer away; what is wrong with its bytes would quote them."""
    quotes = isinstance(error, httpx.ProtocolError | httpx.DecodingError)
    return type(error).__name__ if quotes else f"{type(error).__name__}: {error}"


def _reason(answer: httpx.Response) -> str:
    """Say why: in words where the key is refused, else by a code, as words may quote anything."""
    try:
        error = json.loads(answer.content)["error"]
        if answer.status_code in _DENIED:
            return _MASKED.sub("…", str(error["message"]))
        code = str(error["code"] or error["type"])
    except (ValueError, KeyError, TypeError, RecursionError, httpx.ResponseNotRead):
        return httpx.codes.get_reason_phrase(answer.status_code)
    return code if _CODE.fullmatch(code) else httpx.codes.get_reason_phrase(answer.status_code)
