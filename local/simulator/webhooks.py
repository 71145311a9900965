"""OpenAI's webhooks, sent for a simulated OpenAI: signed, and repeated until they are taken.

Signed as Standard Webhooks have it, and by nothing that those who verify it use: a mistake made
twice would not be seen.
"""

import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import HMAC
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from random import Random
from socket import SHUT_RDWR, socket
from threading import Event, Lock
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from local.simulator.lifecycle import digest
from local.simulator.store import Batch, Store

_AGENT = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"
_GIVE_UP = 72 * 3600  # seconds after the end of the batch
_LOOK_EVERY = 0.02  # seconds between two looks at what is due
_AT_ONCE = 2  # attempts under way; a small machine starts no more functions at a time
_SAMPLE = "batch_abc123"
_SUCCESS = range(200, 300)


class Endpoint(NamedTuple):
    """Where webhooks are sent, and the secret `whsec_…` by which they are known there.

    Over plain HTTP. `host`: what the request names as its host, if not that of the address.
    """

    url: str
    secret: str
    host: str | None = None


class Mischief(NamedTuple):
    """What happens to a share of all webhooks, each between 0 and 1; a seed always draws the same.

    twice  sent twice at once, with one and the same id
    late   held back for `hold` seconds, so that others overtake them
    lost   the first attempt gets lost on its way
    """

    twice: float = 0
    late: float = 0
    lost: float = 0
    hold: float = 1
    seed: int = 0


CALM = Mischief()


class Attempt(NamedTuple):
    """One attempt to deliver: `at` which time, and what was answered.

    status  None: there was no answer in time
    second  of a webhook that is sent twice: whether this is of the second one
    lost    on purpose, before it arrived
    """

    batch_id: str
    type: str
    webhook_id: str
    at: float
    status: int | None
    second: bool = False
    lost: bool = False

    @property
    def taken(self) -> bool:
        """Whether it need not be sent again."""
        return self.status in _SUCCESS


@dataclass(slots=True)
class _Delivery:
    """One webhook on its way."""

    batch_id: str
    type: str
    webhook_id: str
    body: bytes
    due: float
    give_up: float
    lost: bool = False  # the next attempt
    second: bool = False
    tries: int = 0


class Webhooks:
    """Sends a webhook for each batch that ends from now on; by itself while it is entered.

    `patience`: seconds until an answer must be there. `backoff`: seconds before the first retry,
    doubled for each further one. Times are those of the simulated OpenAI's clock.
    """

    def __init__(
        self,
        openai: Store,
        endpoint: Endpoint,
        *,
        mischief: Mischief = CALM,
        patience: float = 5,
        backoff: float = 0.5,
    ) -> None:
        self.attempts: list[Attempt] = []  # in the order in which they came to their end
        self.errors: list[BaseException] = []  # the sender's own mistakes
        self._openai, self.endpoint = openai, endpoint
        self._mischief, self._patience, self._backoff = mischief, patience, backoff
        self._random = Random(mischief.seed)  # noqa: S311 - to be repeated, not secret
        self._since = openai.now()
        self._added = 0  # batches looked at for the first time
        self._running: list[Batch] = []
        self._waiting: list[_Delivery] = []
        self._connections: set[socket] = set()
        self._lock = Lock()
        self._stop = Event()
        self._pool = ThreadPoolExecutor(1 + _AT_ONCE)

    def __enter__(self) -> Self:
        self._begin(self._send_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(SHUT_RDWR)  # who waits for an answer waits no longer
        self._pool.shutdown(cancel_futures=True)

    def try_out(self, seconds: float = 60) -> int | None:
        """Send a sample, as a button of OpenAI's dashboard does; return the status answered.

        It names a batch that nobody has, and is not among the attempts. For so many seconds it is
        sent again where nobody is there yet to take it or refuse it.
        """
        over = time.monotonic() + seconds
        while True:
            now = self._openai.now()
            sample = _delivery("batch.completed", _SAMPLE, now)
            status = self._post(sample, int(now))
            there = status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR
            if there or time.monotonic() >= over or self._stop.wait(self._backoff):
                return status

    def send_due(self) -> list[Attempt]:
        """Send what is due by now, one after the other; return the attempts made."""
        before = len(self.attempts)
        for delivery in self._due():
            self._attempt(delivery)
        return self.attempts[before:]

    def _send_on(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            for delivery in self._due():
                self._begin(self._attempt, delivery)

    def _begin(self, task: Callable[..., None], *what: _Delivery) -> None:
        """Do it in another thread."""

        def note(job: Future[None]) -> None:
            if not job.cancelled() and (error := job.exception()):
                self.errors.append(error)

        with suppress(RuntimeError):  # the pool takes nothing more: all is to stop
            self._pool.submit(task, *what).add_done_callback(note)

    def _due(self) -> list[_Delivery]:
        """Take out what is to be sent now, in the order in which it came to be due."""
        now = self._openai.now()
        fresh = self._openai.added_after(self._added)
        self._added += len(fresh)
        self._running += (batch for batch in fresh if batch.ends_at > self._since)
        ended = sorted((b for b in self._running if b.ends_at <= now), key=lambda b: b.ends_at)
        with self._lock:
            for batch in ended:
                self._running.remove(batch)
                self._waiting += self._deliveries(batch)
            due = [delivery for delivery in self._waiting if delivery.due <= now]
            self._waiting = [delivery for delivery in self._waiting if delivery.due > now]
        return sorted(due, key=lambda delivery: delivery.due)

    def _deliveries(self, batch: Batch) -> Iterator[_Delivery]:
        """Make the webhook of a batch that has ended, and the same again if it is sent twice."""
        twice, late, lost = (self._random.random() for _ in range(3))
        delivery = _delivery(f"batch.{batch.outcome.ends}", batch.id, batch.ends_at)
        delivery.due += self._mischief.hold if late < self._mischief.late else 0
        delivery.lost = lost < self._mischief.lost
        yield delivery
        if twice < self._mischief.twice:
            yield replace(delivery, second=True)

    def _attempt(self, delivery: _Delivery) -> None:
        at = self._openai.now()
        status = None if delivery.lost else self._post(delivery, int(at))
        attempt = Attempt(
            batch_id=delivery.batch_id,
            type=delivery.type,
            webhook_id=delivery.webhook_id,
            at=at,
            status=status,
            second=delivery.second,
            lost=delivery.lost,
        )
        self.attempts.append(attempt)
        delivery.due = self._openai.now() + self._backoff * 2**delivery.tries
        delivery.tries += 1
        delivery.lost = False
        if not attempt.taken and delivery.due < delivery.give_up:
            with self._lock:
                self._waiting.append(delivery)

    def _post(self, delivery: _Delivery, timestamp: int) -> int | None:
        """Send it once; return the status answered, if there is an answer."""
        url = urlsplit(self.endpoint.url)
        headers = {
            "host": self.endpoint.host or url.netloc,
            "user-agent": _AGENT,
            "content-type": "application/json",
            "webhook-id": delivery.webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(
                self.endpoint.secret, delivery.webhook_id, timestamp, delivery.body
            ),
        }
        connection = HTTPConnection(str(url.hostname), url.port, timeout=self._patience)
        try:
            with self._connected(connection):
                connection.request("POST", url.path or "/", delivery.body, headers)
                return connection.getresponse().status
        except (OSError, HTTPException):
            return None

    @contextmanager
    def _connected(self, connection: HTTPConnection) -> Iterator[None]:
        """Connect, and let the connection be cut when all is to stop."""
        with closing(connection):
            connection.connect()
            line = connection.sock
            with self._lock:
                if self._stop.is_set():
                    raise ConnectionAbortedError
                self._connections.add(line)
            try:
                yield
            finally:
                with self._lock:
                    self._connections.discard(line)


def _delivery(event_type: str, batch_id: str, ended_at: float) -> _Delivery:
    """Make the webhook that tells of an end."""
    payload = {
        "id": f"evt_{digest('event', batch_id)[:32]}",
        "object": "event",
        "created_at": int(ended_at),
        "type": event_type,
        "data": {"id": batch_id},
    }
    return _Delivery(
        batch_id=batch_id,
        type=event_type,
        webhook_id=f"wh_{digest('webhook', batch_id)[:32]}",
        body=json.dumps(payload).encode(),
        due=ended_at,
        give_up=ended_at + _GIVE_UP,
    )


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Sign as Standard Webhooks do, with a secret of the form `whsec_…`."""
    key = b64decode(secret.removeprefix("whsec_"), validate=True)
    mac = HMAC(key, digestmod=sha256)
    for part in (webhook_id.encode(), b".", str(timestamp).encode(), b".", body):
        mac.update(part)
    return f"v1,{b64encode(mac.digest()).decode()}"


def fresh_secret() -> str:
    """Make a secret as OpenAI's dashboard does."""
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
