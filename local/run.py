"""A run: deploy, tick, listen, until every batch is announced and archived."""

from __future__ import annotations

import json
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchwatch.openai import Account, OpenAI
from local.conclude import Simulated, conclude
from local.deploy import build_layer, deploy
from local.emulator import Emulator
from local.notices import Notices
from local.scenario import scenario
from local.service import ACCOUNT, Batch, PollError, Service, Subscriber
from local.simulator import Mischief, Pace, SimulatedOpenAI, Webhooks
from local.simulator.slack import SimulatedSlack
from local.simulator.webhooks import fresh_secret
from local.submissions import Submissions

if TYPE_CHECKING:
    from local.options import Options
    from local.screen import Lines

PARAMETERS = {  # seconds where AWS would take minutes
    "Grace": "8",
    "ProgressSteps": "1000",
    "ArchiveTimeout": "300",
    "ArchiveVisibility": "310",
    "LongestRetry": "4",
}
HEARING = 12
"""Seconds until a webhook must be answered; here a process may have to start for it."""
MISCHIEF = Mischief(twice=0.3, late=0.3, lost=0.3, hold=2, seed=22)
"""Of the dozen webhooks of the built-in scenario, some of each kind."""
LOG_PATIENCE = 5
"""Seconds until a line of log can be read."""
PATIENCE = 120
"""Seconds that the built-in scenario may take; a large file gets more."""
_TAKEN_IN = ("inbox/", "inbox-parts/")
"""What --archive leaves out: it lies on this machine already."""
LAST_CALL = 45
"""Seconds after `--for` in which batches that have ended may still be archived."""
FINDING = "New batches of this key are found by themselves; those that ended before are left alone."
_SLOWEST = 5_000_000  # bytes a second of the whole transfer
_SLOWEST_SENT = 1_000_000  # the same of a file that is put, read, sent, answered and merged
PACE = Pace()
"""What becomes of the batches that are sent."""


@dataclass
class Run:
    """What a run knows and has: everything started here is stopped by `stack`.

    batches    those to be watched, and those heard of by their events
    awaited    ids of those with which the run is done; none: it ends with its time
    set_aside  what ticks could not do
    in_trouble whether that was so in the last one
    sent       the files that are sent, if any
    """

    options: Options
    screen: Lines
    batches: dict[str, Batch] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
    set_aside: list[str] = field(default_factory=list)
    in_trouble: bool = False
    simulated: Simulated | None = None
    notices: Notices | None = None
    sent: Submissions | None = None

    def go(self) -> list[str]:
        """Do it all; return what went wrong, in words."""
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="batchwatch-", ignore_cleanup_errors=True)
                )
            )
            self.screen.note("Building the layer and starting a local AWS …")
            service = self._deploy(stack, folder)
            openai = self._connect(stack, folder, service)
            ticks = stack.enter_context(ThreadPoolExecutor(1))
            listener = stack.enter_context(service.subscribe())
            self._begin(service)
            in_time = self._watch(service, listener, ticks, openai)
            for batch in self.batches.values():
                if in_time or batch.archived:
                    batch.ask(openai)
            faults = self._conclude(service)
            if self.options.stay:
                self._stay(service, listener)
            return faults

    def _deploy(self, stack: ExitStack, folder: Path) -> Service:
        with ThreadPoolExecutor(1) as pool:
            layer = pool.submit(build_layer, folder)
            emulator = stack.enter_context(Emulator(folder))
            wanted = {"Discovery": "off"} if self.options.alone else {}
            wanted |= {"Webhooks": "on"} if self.options.webhooks else {}
            outputs = deploy(emulator, layer.result(), parameters=PARAMETERS | wanted)
        return Service(emulator, outputs)

    def _connect(self, stack: ExitStack, folder: Path, service: Service) -> OpenAI:
        """Point the service at the API asked for, or at one simulated here."""
        key, base_url = self.options.api_key, self.options.base_url
        if base_url is None or key is None:
            key = "sk-simulated"
            simulator = SimulatedOpenAI(key=key, directory=folder / "openai")
            simulator.enqueued_tokens, simulator.pace = self.options.token_limit, PACE
            self.simulated = self._simulate(stack, simulator, service)
            base_url = simulator.base_url
        if self.options.notify:
            slack = stack.enter_context(SimulatedSlack())
            self.notices = Notices(stack.enter_context(service.mailbox()), slack)
        service.put_key(
            key,
            base_url,
            self.simulated.secrets if self.simulated else [],
            self.notices.slack.url if self.notices else None,
        )
        openai = OpenAI(Account(ACCOUNT, key, base_url))
        stack.callback(openai.close)
        return openai

    def _simulate(
        self, stack: ExitStack, simulator: SimulatedOpenAI, service: Service
    ) -> Simulated:
        """Let it answer, and send webhooks if wanted."""
        stack.enter_context(simulator)
        if not self.options.webhooks:
            return Simulated(simulator)
        endpoint = service.endpoint(fresh_secret())
        sender = Webhooks(simulator, endpoint, mischief=MISCHIEF, patience=HEARING)
        return Simulated(simulator, stack.enter_context(sender))

    def _begin(self, service: Service) -> None:
        """Register what was named, or let there be batches that the service is to find."""
        for batch_id in self.options.track:
            self.batches[batch_id] = Batch(batch_id, batch_id[:18], registered=True)
            service.track(batch_id)
        if not self.options.track:
            self._look_at(service.tick(), service)  # only what ends after a poll is announced
            if self.in_trouble:
                raise PollError(f"the first poll failed: {'; '.join(self.set_aside)}")
        if self.options.submit:
            self.sent = Submissions(service.inbox(), self.options.submit)
            self.sent.put(self.screen)
        if self.simulated:
            _try_out(self.simulated.webhooks)
        if self.simulated and self.options.scenario:
            for script in scenario(self.options.size):
                batch_id = self.simulated.openai.add(script)
                self.batches[batch_id] = Batch(batch_id, script.name)
        self.awaited = frozenset(self.batches)
        how = f"Look at it from another terminal: {service.variables} uv run batchwatch list"
        self.screen.note(f"{self._watching()} Ctrl-C stops everything.\n{how}")

    def _watching(self) -> str:
        to = "the API" if self.options.base_url else "a simulated OpenAI: nothing is charged"
        sending = f"Sending {_files(len(self.options.submit))} to {to}. " if self.sent else ""
        if not self.awaited:
            return sending.strip() or FINDING
        return f"{sending}Watching {len(self.awaited)} batches."

    def _watch(
        self, service: Service, listener: Subscriber, ticks: ThreadPoolExecutor, openai: OpenAI
    ) -> bool:
        """Tick and listen until all is done; False if the time was over before."""
        started = time.monotonic()
        end, last_call = started + self._patience(), False
        tick: Future[dict[str, Any]] | None = None
        next_tick = started
        while not self._all_done() and not (self.sent and self.sent.hopeless):
            now = time.monotonic()
            if tick and tick.done():
                self._look_at(tick.result(), service)  # a poller that crashes is no run
                tick = None
            if tick is None and now >= next_tick:
                tick, next_tick = ticks.submit(self._tick, service), now + self.options.every
            news = self._listen(listener, service)
            if news and self.sent and self.options.run_for is None and not last_call:
                end = max(end, now + PATIENCE)  # parts that wait in line take their time
            if now >= end and not last_call:  # what has ended by now is owed its files
                last_call, end = True, end + LAST_CALL
                for batch in self.batches.values():
                    batch.ask(openai)
            owed = [batch for batch in self.batches.values() if batch.ended and not batch.done]
            if last_call and (now >= end or not (owed or self._untold())):
                break
            time.sleep(0.2)
        ticks.shutdown(wait=True)
        if tick:
            self._look_at(tick.result(), service)
        self._listen(listener, service)
        return not last_call

    def _stay(self, service: Service, listener: Subscriber) -> None:
        """Go on until Ctrl-C, which then is a good end."""
        self.screen.note(
            "Everything goes on until Ctrl-C. To look at it from another terminal:\n"
            f"  export {service.variables}\n"
            "  uv run batchwatch list\n  uv run batchwatch page --open"
        )
        with suppress(KeyboardInterrupt):
            while True:
                self._look_at(self._tick(service), service)
                self._listen(listener, service)
                time.sleep(self.options.every)

    def _tick(self, service: Service) -> dict[str, Any]:
        """Call what the schedule calls; return how many problems there were."""
        problems = service.tick().get("problems", 0)
        if self.sent:
            problems += service.look_after_jobs().get("problems", 0)
        return {"problems": problems}

    def _all_done(self) -> bool:
        if self.sent and not self.sent.done:
            return False
        awaited = self.batches.keys() if self.sent else self.awaited
        done = (self.batches[name].done for name in awaited)
        return bool(self.sent or awaited) and all(done) and not self._untold()

    def _untold(self) -> list[str]:
        """Batches whose end has been announced, but not yet told to people on every channel."""
        ends = [batch.id for batch in self.batches.values() if batch.archived]
        return self.notices.missing(ends) if self.notices else []

    def _patience(self) -> float:
        if self.options.run_for is not None:
            return self.options.run_for
        sent = sum(path.stat().st_size for path in self.options.submit)
        large = self.options.size / _SLOWEST + sent / _SLOWEST_SENT
        return PATIENCE + large if self.simulated else float("inf")

    def _look_at(self, counts: dict[str, Any], service: Service) -> None:
        """Show what a poll had to set aside, once for each reason."""
        self.in_trouble = bool(counts.get("problems"))
        if not self.in_trouble:
            return
        for line in map(json.loads, service.log('"set aside"')):
            told = f"{line.get('batch_id') or line.get('account') or 'poll'}: {line['reason']}"
            if told not in self.set_aside:
                self.set_aside.append(told)
                self.screen.warn(f"set aside  {told}")

    def _listen(self, listener: Subscriber, service: Service) -> bool:
        """Take in what there is to hear and to see; return whether there was any news."""
        messages = listener.news()
        for message in messages:
            if self.options.events:
                with self.options.events.open("a") as events:
                    events.write(message + "\n")
            said = json.loads(message)
            subject = said["subject"]
            if said["type"].startswith("job."):
                if self.sent:
                    self.sent.take(message, self.screen)
                continue
            batch = self.batches.get(subject) or self._heard_of(subject)
            self.screen.event(batch, batch.take(message, listener.heard_at[message]))
        for mail in self.notices.news() if self.notices else []:
            self.screen.mail(mail)
        for batch_id, name in (self.sent.look() if self.sent else {}).items():
            batch = self.batches.setdefault(batch_id, Batch(batch_id, name))
            batch.name, batch.registered = name, True
        for batch in self.batches.values():
            if not batch.closed:
                batch.record = service.record(batch.id)
        self.screen.batches(list(self.batches.values()))
        if self.sent:
            self.screen.sending(self.sent.files)
        return bool(messages)

    def _heard_of(self, batch_id: str) -> Batch:
        """Take in a batch that is new; one of a file has its name at once."""
        names = self.sent.look() if self.sent else {}
        self.batches[batch_id] = Batch(batch_id, names.get(batch_id, batch_id[:18]))
        return self.batches[batch_id]

    def left_running(self) -> list[str]:
        """The batches that go on at a real API, once nothing here follows them any more."""
        key, base_url = self.options.api_key, self.options.base_url
        if self.sent is None or self.sent.done or key is None or base_url is None:
            return []
        openai = OpenAI(Account(ACCOUNT, key, base_url))
        try:
            return self.sent.left_running(openai)
        finally:
            openai.close()

    def _conclude(self, service: Service) -> list[str]:
        faults = []
        if self.sent and self.sent.hopeless:
            self._look_at({"problems": 1}, service)  # which no tick has met with
        elif self.in_trouble and not self.batches:
            faults = [f"no batch could be found: {'; '.join(self.set_aside)}"]
        faults += [f"{batch_id}: nobody was told of its end" for batch_id in self._untold()]
        batches = list(self.batches.values())
        if self.notices:
            self.screen.result(*self.notices.summary(_invocations(service, self.notices)))
        faults += self.sent.conclude(self.screen) if self.sent else []
        faults = conclude(batches, service, self.screen, self.simulated, faults)
        if self.options.archive:
            for key in service.stored():
                if not key.startswith(_TAKEN_IN):
                    service.fetch(key, self.options.archive / key)
        return faults


def _invocations(service: Service, notices: Notices) -> int:
    """Count those of the notifier; the line of log of the last one may be under way."""
    deadline = time.monotonic() + LOG_PATIENCE
    while (count := len(list(service.log('"notified"')))) < len(notices.mails):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return count


def _try_out(sender: Webhooks | None) -> None:
    """Let the function be called once before it matters: the first call takes seconds."""
    if sender and (status := sender.try_out()) != HTTPStatus.OK:
        raise PollError(f"a webhook sent to try it out was answered with {status}")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
