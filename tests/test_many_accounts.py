"""Several accounts in one stack: what one of them suffers, no other feels."""

from __future__ import annotations

import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from threading import Barrier, Event
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from aws_lambda_powertools.utilities.parameters import base as parameters

import batchwatch.account_poll
import batchwatch.poll
from batchwatch.account_poll import AccountPoll
from batchwatch.accounts import CACHE_SECONDS
from batchwatch.crew import AT_ONCE
from batchwatch.discovery import LONG_SILENCE
from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from batchwatch.telemetry import _refused, logger, metrics, tell
from local.simulator import Script, SimulatedOpenAI
from local.simulator.wire import json_answer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.events import BatchEvent
    from batchwatch.report import Report
    from local.simulator.wire import Answer, Request
    from tests.world import Clock, World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")
LIST, ONE = r"GET /v1/batches(\?|$)", "GET /v1/batches/"
RATE_LIMIT: dict[str, Any] = {"status": 429, "headers": {"retry-after": "120"}}
DEADLINE = 20
"""Seconds in which what must come does come."""


class Company:
    """Accounts of one secret, each at an OpenAI of its own, by name."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self._stack = stack
        self._secret: dict[str, dict[str, Any]] = {}

    def open(
        self, name: str, at: type[SimulatedOpenAI] = SimulatedOpenAI, **entry: Any
    ) -> SimulatedOpenAI:
        """Open an account, and put it into the secret (with what else its entry is to say)."""
        openai = self._stack.enter_context(at(key=f"sk-{name}", clock=self.world.clock))
        self.say(name, **{"api_key": f"sk-{name}", "base_url": openai.base_url} | entry)
        return openai

    def say(self, name: str, **entry: Any) -> None:
        """Put something else into the secret."""
        self._secret[name] = entry
        self.world.put_secret(json.dumps({"accounts": self._secret}))

    def watch(self, name: str, openai: SimulatedOpenAI, number: int = 1) -> list[str]:
        """Let batches begin now, and watch them."""
        batches = [openai.add(SCRIPT, created_at=self.world.clock.now) for _ in range(number)]
        for batch_id in batches:
            self.world.runtime.ledger.register(name, batch_id)
        return batches


@pytest.fixture
def company(world: World) -> Iterator[Company]:
    with ExitStack() as stack:
        yield Company(world, stack)


class Told(NamedTuple):
    """What an operator sees of a poll: its lines, and what is in the embedded metrics."""

    set_aside: list[dict[str, Any]]
    metrics: dict[str, Any]


def told(report: Report, capsys: pytest.CaptureFixture[str]) -> Told:
    """Tell a report as the handler does."""
    lines = io.StringIO()
    logger.registered_handler.setStream(lines)  # type: ignore[attr-defined]
    capsys.readouterr()
    tell(report, "polled")
    metrics.flush_metrics()
    embedded = capsys.readouterr().out or "{}"
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    return Told([line for line in said if line["message"] == "set aside"], json.loads(embedded))


def by_account(events: list[BatchEvent]) -> dict[str, list[BatchEvent]]:
    found: dict[str, list[BatchEvent]] = {}
    for event in events:
        found.setdefault(event.data.account, []).append(event)
    return found


def asked(openai: SimulatedOpenAI) -> list[str]:
    """What was asked of an account since the last look."""
    paths = [request.path for request in openai.requests]
    openai.requests.clear()
    return paths


def archive_all(world: World) -> None:
    while any(report.events or report.bytes_archived for report in world.archive()):
        pass


def test_two_accounts_in_trouble_are_told_once_each_and_the_third_is_as_if_alone(
    world: World, company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    openais = {
        "broken": company.open("broken", api_key="sk-wrong"),
        "slow": company.open("slow"),
        "fine": company.open("fine"),
    }
    openais["slow"].fault("", times=-1, **RATE_LIMIT)
    batches = {
        name: company.watch(name, openai, 2 if name == "fine" else 30)
        for name, openai in openais.items()
    }

    report = world.poll(after=60)
    lines, embedded = told(report, capsys)

    assert asked(openais["fine"]) == ["/v1/batches?limit=100"]
    events = by_account(world.events())
    assert events.keys() == {"fine"}
    assert sorted(e.subject for e in events["fine"]) == sorted(batches["fine"])
    assert report.left == 2 * 30
    assert len(asked(openais["broken"])) == len(asked(openais["slow"])) == 1
    assert {(line["account"], line["error"]) for line in lines} == {
        ("broken", "AccessError"),
        ("slow", "RateLimitedError"),
    }
    assert len(lines) == 2
    assert embedded["AccountsRefused"] == [1]
    assert embedded["accounts_refused"] == ["broken"]
    assert "sk-wrong" not in json.dumps([lines, embedded])

    archive_all(world)
    done = [e.subject for e in world.events() if e.type == "batch.archived"]
    assert sorted(done) == sorted(batches["fine"])
    assert not list(world.runtime.ledger.open_rows("fine"))


def test_an_account_that_does_not_answer_takes_no_time_of_the_others(
    world: World, company: Company
) -> None:
    gate, stuck = Event(), [company.open("a"), company.open("b")]
    for openai in stuck:
        openai.fault("", times=-1, edit=lambda _: gate.wait(DEADLINE))
        company.watch("a" if openai is stuck[0] else "b", openai)
    wanted = set(company.watch("fine", company.open("fine"), 3))

    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(world.poll, after=60)
        try:
            arrived: set[str] = set()
            by = monotonic() + DEADLINE / 2
            while arrived < wanted and monotonic() < by:
                arrived |= {event.subject for event in world.events()}
            assert arrived == wanted
            assert not poll.done()
        finally:
            gate.set()
        assert poll.result().problems == []
    assert {event.data.account for event in world.events()} == {"a", "b"}


def test_a_poll_ends_in_time_and_names_who_did_not_answer(
    world: World, company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    gate, silent = Event(), company.open("silent")
    silent.fault("", times=-1, edit=lambda _: gate.wait(DEADLINE))

    with let_go(gate):
        report = world.runtime.poller.poll(world.clock.now + 0.1)
        (line,), embedded = told(report, capsys)

    assert (line["account"], line["error"]) == ("silent", "TimeoutError")
    assert "AccountsRefused" not in embedded


def test_an_account_behind_one_that_hangs_is_told_of_and_has_its_turn_in_a_later_poll(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batchwatch.poll, "SIDE_BY_SIDE", 1)
    gate, hung, fine = Event(), company.open("hung"), company.open("waits")
    hung.fault("", times=-1, edit=lambda _: gate.wait(DEADLINE))
    told: list[str] = []

    with let_go(gate):
        for _ in range(5):
            report = world.runtime.poller.poll(world.clock.now + 0.1)
            told += [str(problem.error) for problem in report.problems]
            assert _refused(report) == []
            world.clock.now += 60

    assert any("1 accounts, among them waits" in trouble for trouble in told)
    assert asked(fine)


def test_an_account_that_comes_too_late_while_others_are_heard_does_not_count_as_refused(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, late = Event(), world.clock.now + 1
    for name in ("a", "b"):
        company.open(name)

    def clock() -> float:
        polled = threading.current_thread() is not threading.main_thread()
        return late if polled and gate.wait(DEADLINE) else world.clock.now

    def hear(*_: object) -> bool:
        gate.set()
        _threads_end()
        return False

    monkeypatch.setattr(AccountPoll, "silent", hear)
    report = world.runtime.poller._replace(clock=clock).poll(late - 0.9)

    assert {problem.account for problem in report.problems} == {"a", "b"}
    assert _refused(report) == []


class let_go(ExitStack):  # noqa: N801 - reads as a verb
    """At the end open the gate, and wait for the threads that a poll has left behind."""

    def __init__(self, gate: Event) -> None:
        super().__init__()
        self.callback(_threads_end)
        self.callback(gate.set)


def _threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(DEADLINE)
            assert not thread.is_alive()


def test_the_same_id_in_two_accounts_is_two_batches(world: World, company: Company) -> None:
    (one,) = company.watch("one", company.open("one"))
    (two,) = company.watch("two", company.open("two"))
    assert one == two

    world.poll(after=3)
    world.poll(after=60)
    archive_all(world)

    events = by_account(world.events())
    assert events.keys() == {"one", "two"}
    for name, chain in events.items():
        assert sorted(event.data.sequence for event in chain) == [1, 2, 3], name
        record = world.runtime.ledger.get(name, one)
        assert record.settled
    assert len({event.id for chain in events.values() for event in chain}) == 6
    keys = [key for key in world.objects() if key.startswith("batches/")]
    assert len(keys) == 4
    for name in events:
        assert sum(f"/account={name}/" in key and one in key for key in keys) == 2


def test_after_a_429_nothing_is_asked_until_the_rest_is_over_and_then_it_goes_on_by_itself(
    world: World, company: Company
) -> None:
    openai = company.open("a")
    batches = company.watch("a", openai, 5)
    openai.fault("", **RATE_LIMIT)

    left = [world.poll(after=60).left, world.poll(after=60).left, world.poll(after=49).left]
    assert asked(openai) == ["/v1/batches?limit=100"]
    assert left == [5, 5, 5]
    assert world.events() == []

    report = world.poll(after=11)
    assert (report.left, report.problems) == (0, [])
    assert sorted(event.subject for event in world.events()) == sorted(batches)


def test_a_429_on_the_way_leaves_the_rest_for_later(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batchwatch.account_poll, "AT_ONCE", 1)
    openai = company.open("a")
    batches = company.watch("a", openai, 5)
    openai.listing.hidden.update(batches)
    openai.fault(ONE, times=2, edit=lambda _: None)  # two are answered
    openai.fault(ONE, **RATE_LIMIT)

    report = world.poll(after=60)

    assert len(asked(openai)) == 1 + 2 + 1
    assert report.left == 5 - 2 - 1
    assert [(p.account, p.batch_id, p.whole) for p in report.problems] == [("a", None, False)]
    assert world.poll(after=121).left == 0
    assert sorted(event.subject for event in world.events()) == sorted(batches)


@pytest.mark.parametrize("how", [{"status": 401}, {"status": 500}, {"status": 404}, RATE_LIMIT])
def test_what_was_to_be_published_goes_out_whatever_the_account_answers(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    openai = company.open("a")
    batches = company.watch("a", openai, 3)
    with monkeypatch.context() as dying:
        dying.setattr(type(world.runtime.outbox.publisher), "publish", lambda *_: 1 / 0)
        world.poll(after=3)
    openai.fault("", times=-1, **how)
    assert world.events() == []

    assert dict(world.poll(after=60).repairs) == {"Outbox": 3}

    assert sorted(event.subject for event in world.events()) == sorted(batches)


def test_an_account_that_answers_nothing_counts_as_refused_after_a_quarter_of_an_hour(
    world: World, company: Company
) -> None:
    assert LONG_SILENCE == 900
    down = company.open("down")
    company.say("away", api_key="sk-away", base_url="http://127.0.0.1:1/v1")  # nobody listens
    company.watch("down", down, 12)
    company.watch("away", down, 3)
    broken = down.fault("", status=500, times=-1)

    for after, refused in [(60, []), (LONG_SILENCE - 1, []), (1, ["away", "down"])]:
        report = world.poll(after=after)
        assert _refused(report) == refused
        assert sorted((p.account, p.batch_id) for p in report.problems) == [
            ("away", None),
            ("down", None),
        ]

    broken.times = 0
    assert _refused(world.poll(after=60)) == ["away"]
    broken.times = -1
    assert _refused(world.poll(after=60)) == ["away"]
    assert _refused(world.poll(after=LONG_SILENCE - 1)) == ["away"]
    assert _refused(world.poll(after=1)) == ["away", "down"]


def test_a_key_that_may_not_list_is_told_as_refused_and_its_batches_are_asked_for_singly(
    world: World, company: Company
) -> None:
    openai = company.open("a")
    batches = company.watch("a", openai, 2)
    openai.fault(LIST, status=403, times=-1)

    report = world.poll(after=60)

    assert [(type(p.error).__name__, p.batch_id) for p in report.problems] == [
        ("AccessError", None)
    ]
    assert _refused(report) == ["a"]
    assert sorted(event.subject for event in world.events()) == sorted(batches)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_provider_without_lists_is_no_trouble(
    world: World, company: Company, status: int
) -> None:
    openai = company.open("a")
    batches = company.watch("a", openai, 2)
    openai.fault(LIST, status=status, times=-1)

    report = world.poll(after=LONG_SILENCE)

    assert (report.problems, report.left) == ([], 0)
    assert sorted(event.subject for event in world.events()) == sorted(batches)


def test_a_wrong_address_is_told_at_once_and_counts_as_refused_in_the_end(
    world: World, company: Company
) -> None:
    right = company.open("right")
    company.say("wrong", api_key="sk-right", base_url=f"{right.base_url}/nowhere")

    for after, refused in [(60, []), (LONG_SILENCE - 1, []), (1, ["wrong"])]:
        report = world.poll(after=after)
        assert [(p.account, type(p.error).__name__) for p in report.problems] == [
            ("wrong", "NotFoundError")
        ]
        assert _refused(report) == refused


def test_a_changed_key_is_used_within_five_minutes_by_the_same_process(
    world: World, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CACHE_SECONDS == 300
    monkeypatch.setattr(parameters, "datetime", calendar_of(world.clock))
    openai = company.open("a")
    company.watch("a", openai)
    world.poll()
    openai._key = "sk-changed"
    company.say("a", api_key="sk-changed", base_url=openai.base_url)
    asked(openai)

    assert _refused(world.poll(after=CACHE_SECONDS - 1)) == ["a"]
    assert {r.headers["authorization"] for r in openai.requests} == {"Bearer sk-a"}
    asked(openai)

    assert world.poll(after=2).problems == []
    archive_all(world)
    assert {r.headers["authorization"] for r in openai.requests} == {"Bearer sk-changed"}
    assert [event.type for event in world.events()][-1] == "batch.archived"


def calendar_of(clock: Clock) -> type[datetime]:
    """The time of day, as told by a clock that a test moves."""

    class Calendar(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(clock.now, tz)

    return Calendar


class Gateway(SimulatedOpenAI):
    """Another way to the same: by its own path, key header and version."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.seen: list[Request] = []

    def answer(self, request: Request, body: bytes) -> Answer:
        """Answer as OpenAI does behind it."""
        self.seen.append(request)
        key = request.headers.get("api-key", "")
        path = request.path.replace("/v1/gate/", "/v1/").replace("api-version=v7", "")
        headers = {"authorization": f"Bearer {key}"} | request.headers
        return super().answer(replace(request, path=path, headers=headers), body)


def test_what_the_secret_says_of_an_account_is_on_each_request_of_both_functions(
    world: World, company: Company
) -> None:
    plain = company.open("plain", at=Gateway)
    more = {"organization": "org-1", "project": "proj_1", "auth": "api-key", "api_version": "v7"}
    special = company.open("special", at=Gateway, **more)
    company.say("special", api_key="sk-special", base_url=f"{special.base_url}/gate", **more)
    company.watch("plain", plain)
    company.watch("special", special)

    world.poll(after=60)
    archive_all(world)

    for openai in (plain, special):
        assert isinstance(openai, Gateway)
        paths = [urlsplit(request.path) for request in openai.seen]
        assert any(path.path.endswith("/batches") for path in paths)  # the poller
        assert any(path.path.endswith("/content") for path in paths)  # the archiver
        for request, path in zip(openai.seen, paths, strict=True):
            names = ("authorization", "api-key", "openai-organization", "openai-project")
            said = [request.headers.get(name) for name in names]
            if openai is plain:
                assert said == ["Bearer sk-plain", None, None, None]
                assert "api-version" not in path.query
            else:
                assert said == [None, "sk-special", "org-1", "proj_1"]
                assert "api-version=v7" in path.query.split("&")
                assert path.path.startswith("/v1/gate/")
    assert {e.data.account for e in world.events() if e.type == "batch.archived"} == {
        "plain",
        "special",
    }


def test_five_accounts_at_work_share_the_connections_of_a_client(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """Over real connections: the emulation in memory has none."""
    threads = 5 * (AT_ONCE + 1)  # each with its crew
    barrier = Barrier(threads)

    def answer(*_: Any) -> Answer:
        barrier.wait(DEADLINE)  # so that there is a connection for each
        return json_answer(200, {})

    names = ("stack", "table", "bucket", "topic", "secret", "archive_queue")
    settings = Settings.model_validate(dict.fromkeys(names, "any"))
    caplog.set_level(logging.WARNING)
    with serving(answer, [], Event()) as origin, ThreadPoolExecutor(threads) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", origin)
        ledger = Runtime(settings, clock=clock).ledger
        records = list(pool.map(lambda n: ledger.get("a", f"b{n}"), range(threads)))

    assert len(records) == threads
    assert [record.getMessage() for record in caplog.records] == []
