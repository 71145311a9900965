"""The few endpoints of OpenAI that batches need, over httpx.

Retries are those of the official SDK: 408, 409, 429 and 5xx, twice, after what the server asks
for or 0.5 s doubling up to 8 s; but a batch is created by a single request, as a second one could
create and cost a second batch. After a 429 all requests of the client rest. No redirect is
followed, so that none carries the key.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from batchwatch.account import BASE_URL, Account, safe_base_url, trust
from batchwatch.batch import Batch, safe_id
from batchwatch.creating import NewBatch, checked_expiry
from batchwatch.errors import (
    AccessError,
    BadAnswerError,
    EndedError,
    NotFoundError,
    OpenAIError,
    RateLimitedError,
    UnsafeIdError,
    without_keys,
)
from batchwatch.multipart import Form
from batchwatch.refusal import Refusal, may_be_done
from batchwatch.retry import LONGEST_WAIT, Rest, asked_for, backoff, pause

__all__ = ["BASE_URL", "Account", "OpenAI", "Page", "RemoteFile", "safe_base_url"]

RETRIES = 2
PAGE = 100
_TIMEOUT = httpx.Timeout(10, connect=5)
_TIMEOUT_OF_FILES = httpx.Timeout(30, connect=5)
_TIMEOUT_OF_CREATION = httpx.Timeout(10, connect=5, read=60)
_TIMEOUT_OF_UPLOADS = httpx.Timeout(10, connect=5, write=60, read=120)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LONGEST_REASON = 400
LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes, unpacked, of an answer that is no file; a page of 100 batches has far less."""
_TOO_MANY = 429
_KINDS = {401: AccessError, 403: AccessError, 404: NotFoundError, 429: RateLimitedError}
_KIND = re.compile(r"[a-z]+/[a-z0-9.+-]{1,40}")
_NOT_TO_BE_CANCELLED = MappingProxyType({409: EndedError})


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
        self._creations = Rest(clock)  # so many an hour; all else goes on
        self._key = account.api_key
        self._http = httpx.Client(
            base_url=safe_base_url(account.base_url),
            headers=account.headers,
            params={"api-version": account.api_version} if account.api_version else None,
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            verify=trust(),
        )

    def retrieve(self, batch_id: str) -> Batch:
        """Ask for one batch as it is now."""
        return _same(batch_id, self._json("GET", f"batches/{_segment(batch_id)}"))

    def page(self, after: str | None = None, limit: int = PAGE) -> Page:
        """Ask for a page of batches, newest first, from the one behind `after`."""
        cursor = {"after": safe_id(after)} if after else {}
        said = self._json("GET", "batches", params={**cursor, "limit": limit})
        rows = said.get("data") if said.get("data") is not None else said.get("value")
        if not isinstance(rows, list):
            raise BadAnswerError("a list of batches without data")
        batches = [batch for row in rows if (batch := _batch_or_none(row))]
        more = bool(said.get("has_more"))
        behind = _cursor(said, rows) if more else None
        return Page(batches, behind, len(rows) - len(batches), more=more)

    def file(self, file_id: str) -> RemoteFile:
        """Ask for what is known of a file."""
        said = self._json("GET", f"files/{_segment(file_id)}")
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
        answer, _ = self._send(
            "GET", path, headers=headers, timeout=_TIMEOUT_OF_FILES, stream=True, retries=0
        )
        try:
            yield answer
        finally:
            answer.close()

    def create(self, new: NewBatch) -> Batch:
        """Create a batch, by one request whatever happens: `uncertain` tells whether it may be."""
        said = self._json(
            "POST",
            "batches",
            json=new.body(),
            timeout=_TIMEOUT_OF_CREATION,
            retries=0,
            rest=self._creations,
        )
        return Batch.read(said)

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch, as often as you like; EndedError where it ended in another way."""
        path = f"batches/{_segment(batch_id)}/cancel"
        headers = {"Content-Type": "application/json"}
        return _same(batch_id, self._json("POST", path, headers=headers, ends=_NOT_TO_BE_CANCELLED))

    def upload(
        self,
        filename: str,
        size: int,
        chunks: Callable[[], Iterable[bytes]],
        expires_after: int | None = None,
    ) -> RemoteFile:
        """Upload the input of a batch; `chunks` begins anew for each attempt.

        `size` in bytes, `expires_after` in seconds. What `chunks` raises comes through as it is.
        """
        fields = {"purpose": "batch"}
        if seconds := checked_expiry(expires_after, "expires_after"):
            fields["expires_after[anchor]"] = "created_at"
            fields["expires_after[seconds]"] = str(seconds)
        form = Form(fields, filename, size, chunks)
        said = self._json(
            "POST", "files", headers=form.headers, content=form, timeout=_TIMEOUT_OF_UPLOADS
        )
        file_id, stored = said.get("id"), said.get("bytes")
        if not _usable(file_id):
            raise BadAnswerError("POST files: a file without a usable id")
        if stored not in (None, size):  # not every provider says it
            shown = stored if isinstance(stored, int) else type(stored).__name__
            raise BadAnswerError(f"POST files: {size} bytes were sent, {shown} are there")
        return RemoteFile(str(file_id), size)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer, body = self._send(method, path, **request)
        if body is None:
            raise BadAnswerError(f"{method} {path}: more than {LONGEST_ANSWER} bytes")
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as error:
            kind = answer.headers.get("content-type", "").partition(";")[0]
            what = kind if _KIND.fullmatch(kind) else "something else"
            raise BadAnswerError(f"{method} {path}: not JSON but {what}") from error
        if not isinstance(said, dict):
            raise BadAnswerError(f"{method} {path}: a JSON {type(said).__name__}, not an object")
        return said

    def _send(  # noqa: PLR0913 - how a request is sent, each with its usual value
        self,
        method: str,
        path: str,
        *,
        timeout: httpx.Timeout = _TIMEOUT,
        stream: bool = False,
        retries: int = RETRIES,
        ends: Mapping[int, type[OpenAIError]] = MappingProxyType({}),
        rest: Rest | None = None,
        **content: Any,
    ) -> tuple[httpx.Response, bytes | None]:
        """Send a request until it is answered; `ends`: what else than a retry a status means.

        Return the answer with its body: empty where it is a `stream`, None where it is too long.
        """
        request = self._http.build_request(method, path, timeout=timeout, **content)
        what, rest = f"{method} {path}", rest or self._rest
        uncertain = False
        for attempt in range(retries + 1):
            given_up = self._wait_for_turn(what, rest, uncertain=uncertain)
            try:
                answer = self._http.send(request, stream=True)
                body = b"" if stream else _whole(answer)
            except httpx.RequestError as error:
                uncertain = uncertain or not isinstance(error, _NEVER_SENT)
                if attempt == retries:
                    text = self._hide(f"{what}: {_trouble(error)}")
                    raise OpenAIError(text, uncertain=uncertain) from error
                self._sleep(backoff(attempt))
                continue
            if answer.is_success:
                rest.end_row()
                return answer, body
            now, status = self._clock(), answer.status_code
            uncertain = status not in ends and (uncertain or may_be_done(status))
            wait = None if status in ends else pause(status, answer.headers, attempt, now)
            if attempt == retries or wait is None:
                if status == _TOO_MANY:
                    rest.give_up(asked_for(answer.headers, now), given_up)
                kind = ends.get(status) or _KINDS.get(status, OpenAIError)
                raise self._refusal(kind, what, answer, body, uncertain=uncertain)
            answer.close()
            if status == _TOO_MANY:
                rest.take(wait)  # before the next attempt, as before any other request
            else:
                self._sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _wait_for_turn(self, what: str, rest: Rest, *, uncertain: bool) -> int:
        """Let the account rest, if that is soon over; return how often it was given up so far."""
        left = max(self._rest.left(), rest.left())
        if left > LONGEST_WAIT:
            text = f"{what}: not sent, {ceil(left)} s to rest after a 429"
            raise RateLimitedError(text, status=_TOO_MANY, uncertain=uncertain)
        if left:
            self._sleep(left)
        return rest.given_up

    def _refusal(
        self,
        kind: type[OpenAIError],
        what: str,
        answer: httpx.Response,
        body: bytes | None,
        *,
        uncertain: bool,
    ) -> OpenAIError:
        """Turn a refusal into an error that names its cause."""
        status = answer.status_code
        if not answer.is_closed:  # a stream, of which nothing has been read
            with suppress(httpx.HTTPError):
                body = _whole(answer)
        refusal = Refusal.read(status, body or b"")
        text = self._hide(f"{what}: {status} {refusal.reason}")[:_LONGEST_REASON].rstrip()
        code = refusal.code if refusal.code and self._harmless(refusal.code) else None
        return kind(text, status=status, code=code, limited=refusal.limited, uncertain=uncertain)

    def _harmless(self, code: str) -> bool:
        return without_keys(self._hide(code)) == code

    def _hide(self, text: str) -> str:
        """Take the key out: some servers repeat it, and not all keys look like one."""
        return text.replace(self._key, "…")


def _whole(answer: httpx.Response) -> bytes | None:
    """Read an answer to its end; None where that is too far."""
    body = bytearray()
    with closing(answer):
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > LONGEST_ANSWER:
                return None
    return bytes(body)


def _segment(identifier: str) -> str:
    return quote(safe_id(identifier), safe="")


def _same(batch_id: str, said: dict[str, Any]) -> Batch:
    batch = Batch.read(said)
    if batch.id != batch_id:
        raise BadAnswerError(f"asked for {batch_id}, was told of another batch")
    return batch


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
