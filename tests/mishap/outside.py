"""The line between the service and all that is outside: AWS and OpenAI.

Every call that a process of the service makes is one crossing of the line, in a fixed order, as
nothing runs side by side. What becomes of a crossing is decided by whoever watches the line.
Nothing waits, nothing is sent over a socket, and time is the clock of the world, also for SQS.
"""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import boto3
import httpx
import moto.s3.models
import moto.sqs.models
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

import batchwatch.account_poll
import batchwatch.copying
import batchwatch.download
import batchwatch.openai
import batchwatch.runtime
import batchwatch.webhook
from batchwatch.archive import Archive
from local.simulator.wire import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.runtime import Runtime
    from local.simulator import SimulatedOpenAI
    from local.simulator.wire import Answer
    from tests.world import Clock

PART = 2048
"""Bytes of a part, so that a file of some kilobytes has several."""
PIECE = PART // 4
"""Bytes that come at once."""
_client = functools.cache(boto3.client)  # making one takes longer than a run
_call_of_aws = BaseClient._make_api_call  # type: ignore[attr-defined]


class DiedError(BaseException):
    """The process is no more: nothing that it has begun is ended, no handler of errors runs."""


class InTurn(ThreadPoolExecutor):
    """Threads as ever, but who submits waits, however slow the machine: nothing runs beside it."""

    def submit(self, *job: Any, **how: Any) -> Future[Any]:
        """Let a job be done."""
        future = super().submit(*job, **how)
        wait([future])
        return future


class Process:
    """A runtime with its memory, until it dies."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.dead = False


class Call(NamedTuple):
    """One crossing: its name, and what may become of it.

    do      takes place, and is answered
    twice   takes place, but the answer is lost, so that whoever called repeats it
    refuse  does not take place; the answer is an error
    lose    takes place, but all answers are lost until whoever called gives up
    """

    name: str
    do: Callable[[], Any]
    twice: Callable[[], Any]
    refuse: Callable[[], Any]
    lose: Callable[[], Any]


class Line:
    """Where calls cross, one at a time. `meet` decides what becomes of each."""

    def __init__(self) -> None:
        self.meet: Callable[[Call], Any] = lambda call: call.do()
        self._inside: list[Process] = []

    @contextmanager
    def inside(self, process: Process) -> Iterator[None]:
        """Let calls be those of a process; outside of this they are the test's own."""
        self._inside.append(process)
        try:
            yield
        except DiedError:
            if not process.dead:
                raise
        finally:
            self._inside.pop()

    def die(self) -> None:
        """End the process that is calling."""
        self._inside[-1].dead = True
        raise DiedError

    def cross(self, call: Call) -> Any:
        """Let a call over the line."""
        if not self._inside:
            return call.do()
        if self._inside[-1].dead:
            raise DiedError
        return self.meet(call)


@contextmanager
def drawn(line: Line, openai: SimulatedOpenAI, clock: Clock) -> Iterator[None]:
    """Send every call of the service over a line."""
    wire = _Wire(line, openai)
    openai.base_url = "http://127.0.0.1:1/v1"  # where nobody listens
    client = functools.partial(batchwatch.openai.OpenAI, transport=wire)
    kept = Archive.__init__.__kwdefaults__ or {}
    assert "part_bytes" in kept
    patches: list[AbstractContextManager[Any]] = [
        mock.patch.object(BaseClient, "_make_api_call", _crossing(line)),
        mock.patch.object(batchwatch.runtime, "OpenAI", client),
        mock.patch.object(batchwatch.download, "LEAST", PART),
        mock.patch.object(batchwatch.copying, "NOTE_EVERY", 2),
        mock.patch.object(batchwatch.account_poll, "AT_ONCE", 1),
        mock.patch.object(batchwatch.webhook, "ThreadPoolExecutor", InTurn),
        mock.patch.object(batchwatch.copying, "ThreadPoolExecutor", InTurn),
        mock.patch.dict(kept, part_bytes=PART),
        mock.patch.object(boto3, "client", _client),
        mock.patch.object(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1),
        mock.patch.object(moto.sqs.models, "unix_time", clock),
        mock.patch.object(moto.sqs.models, "unix_time_millis", _milliseconds(clock)),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def _milliseconds(clock: Clock) -> Callable[[], float]:
    return lambda: clock() * 1000


def _crossing(line: Line) -> Callable[[Any, str, Any], Any]:
    def make_api_call(client: Any, operation: str, parameters: Any) -> Any:
        def do() -> Any:
            return _call_of_aws(client, operation, parameters)

        def twice() -> Any:
            again = [0]  # seconds until the repetition
            events, name = client.meta.events, f"needs-retry.*.{operation}"

            def ask_once_more(**_: Any) -> int | None:
                return again.pop() if again else None

            events.register_first(name, ask_once_more)
            try:
                return do()
            finally:
                events.unregister(name, ask_once_more)
                assert not again

        def refuse() -> Any:
            said = {"Code": "ThrottlingException", "Message": "as the test wants"}
            raise ClientError({"Error": said}, operation)  # type: ignore[typeddict-item]

        def lose() -> Any:
            do()
            raise EndpointConnectionError(endpoint_url="as the test wants")

        service = client.meta.service_model.service_name
        return line.cross(Call(f"{service}.{operation}", do, twice, refuse, lose))

    return make_api_call


class _Wire(httpx.BaseTransport):
    """OpenAI without a socket."""

    def __init__(self, line: Line, openai: SimulatedOpenAI) -> None:
        self._line = line
        self._openai = openai

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()  # of an upload, which is itself read from S3

        def do() -> httpx.Response:
            path = request.url.raw_path.decode()
            headers = {name.lower(): value for name, value in request.headers.items()}
            answer = self._openai.answer(Request(request.method, path, headers), body)
            return httpx.Response(answer.status, headers=answer.headers, stream=Body(answer))

        def twice() -> httpx.Response:
            if request.method == "POST":
                do()
            raise httpx.ReadError("as the test wants")

        def refuse() -> httpx.Response:
            return httpx.Response(503, headers={"x-should-retry": "false"})

        def lose() -> httpx.Response:
            if request.method == "POST":
                do()
            return refuse()

        name = _name(request.method, request.url.path.split("/")[2:])
        return self._line.cross(Call(f"openai.{name}", do, twice, refuse, lose))  # type: ignore[no-any-return]


def _name(method: str, path: list[str]) -> str:
    """Name a request; `batch`: one is asked for, or a page of them."""
    if path[-1] in {"content", "cancel"}:
        return path[-1]
    if method == "POST":
        return {"batches": "create", "files": "upload"}[path[-1]]
    return "file" if path[0] == "files" else "batch"


class Body(httpx.SyncByteStream):
    """The content of an answer.

    `ends`: bytes after which it breaks off, if any; `quietly`: without an error.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.ends: int | None = None
        self.quietly = False

    def __iter__(self) -> Iterator[bytes]:
        content = b"".join(self._answer.chunks)[: self.ends]
        yield from (content[at : at + PIECE] for at in range(0, len(content), PIECE))
        if self.ends is not None and not self.quietly:
            raise httpx.RemoteProtocolError("peer closed connection")
