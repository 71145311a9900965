"""Dollars a month: what a sweep and one batch's life have counted, times the prices of one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.crew import AT_ONCE
from benchmarks.lambda_time import A_CALL, share
from benchmarks.tables import print_table
from local.deploy import read_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.figures import Figure, Figures
    from benchmarks.life import Life

SIZES = (10, 1000, 10_000)
PRICES = Path(__file__).parent / "prices.json"

HOURS = 730  # of a month
POLLS = HOURS * 60
GENERATIONS = HOURS / 24  # of batches, as each lives for a day
_POLLS_OF_A_LIFE = 24 * 60
_FEW = 0.01  # the share that changed in the sweep's middle poll

# What could not be measured here.
ARCHIVE_SECONDS = 5  # of the archiver for a batch: a file of some 100 MB
IDLE_RECEIVES = 5 * 3600 / 20 * HOURS  # Lambda asks the queue with 5 hands that wait 20 s each
EMPTY_QUERY = 0.5  # read units
SECRET_CALLS = HOURS * 12  # each process keeps the secret for five minutes
LOG_OF_A_START = 350  # bytes that Lambda adds for each invocation
LOG_OF_AN_EVENT = 500  # bytes
NOTIFIER_SECONDS = 2  # of the notifier for a digest
IDLE_SECONDS = 0.05  # of Submitter for a tick without any job
DIGEST_CALLS = 3  # published twice, and asked who has confirmed

FIXED = "fixed: a secret, alarms, a metric, idle queues, the clock"
WATCHING = "watching: each asked for every minute, around the clock"
PROGRESS = "progress noted, in ten steps a batch"
EVENTS = "transitions written and announced"
ARCHIVE = "files and events put into the bucket"
PEOPLE = "people told, by a mail a minute at most"
PURPOSES = (FIXED, WATCHING, PROGRESS, EVENTS, ARCHIVE, PEOPLE)


class Fixed(NamedTuple):
    """What a stack has, as told by its template: gigabytes of memory, and the count of alarms."""

    poller: float
    archiver: float
    notifier: float
    submitter: float
    alarms: int
    secrets: int


class Amount(NamedTuple):
    """How much of what (a name in the price file), and what for: one of `PURPOSES`."""

    amount: float
    of: str
    purpose: str


class Line(NamedTuple):
    """One line of a bill: an amount, and dollars."""

    amount: float
    of: str
    purpose: str
    dollars: float


class Month(NamedTuple):
    """One bill; `measured`: the number of open batches whose poll it rests on."""

    open: int
    measured: int
    lines: dict[str, Line]

    @property
    def dollars(self) -> float:
        """The sum."""
        return sum(line.dollars for line in self.lines.values())

    def dollars_for(self, purpose: str) -> float:
        """The sum of what one purpose takes."""
        return sum(line.dollars for line in self.lines.values() if line.purpose == purpose)


class Costs(NamedTuple):
    """Bills, and what they rest on."""

    facts: dict[str, Any]
    life: Life
    months: list[Month]

    def to_json(self) -> str:
        """Spell it."""
        months = [
            {
                "open": month.open,
                "measured": month.measured,
                "dollars": round(month.dollars, 4),
                "lines": {name: line._asdict() for name, line in month.lines.items()},
            }
            for month in self.months
        ]
        return json.dumps({**self.facts, "life": self.life._asdict(), "months": months}, indent=2)


def cost(figures: Figures) -> Costs:
    """Measure a life, and make the bill of each number of open batches."""
    from benchmarks.life import live  # noqa: PLC0415 - moto takes seconds to import

    life, fixed, said = live(), fixed_of(read_template()), json.loads(PRICES.read_text())
    prices = {name: price["dollars"] / price["per"] for name, price in said["prices"].items()}
    months = []
    for size in SIZES:
        looks = (figures.ours(size, 0), figures.ours(size, _FEW))
        lines = bill(amounts(size, looks, life, fixed, figures.facts["latency"]), prices)
        months.append(Month(size, looks[0].open, lines))
    facts = {"prices": said["date"], "region": said["region"], "figures": figures.facts["date"]}
    return Costs(facts, life, months)


def fixed_of(template: Mapping[str, Any]) -> Fixed:
    """Read what the template says of what costs, as it is by default."""
    resources = {n: r for n, r in template["Resources"].items() if "Condition" not in r}
    kinds = [resource["Type"] for resource in resources.values()]
    memory = {
        name: resources[name]["Properties"]["MemorySize"] / 1024
        for name in ("Poller", "Archiver", "Notifier", "Submitter")
    }
    return Fixed(
        memory["Poller"],
        memory["Archiver"],
        memory["Notifier"],
        memory["Submitter"],
        kinds.count("AWS::CloudWatch::Alarm"),
        kinds.count("AWS::SecretsManager::Secret"),
    )


def lambda_seconds(look: Figure, gigabytes: float, latency: float) -> float:
    """How long a poll takes in Lambda, which gives a function a share of a processor by its memory.

    It waits for one answer of OpenAI after another; its calls to AWS run side by side.
    """
    waits = look.requests * latency + sum((look.calls or {}).values()) * A_CALL / AT_ONCE
    return look.busy / share(gigabytes) + waits


def amounts(
    size: int, looks: tuple[Figure, Figure], life: Life, fixed: Fixed, latency: float
) -> dict[str, Amount]:
    """How much of what a month takes with so many open batches, by line."""
    quiet = looks[0]
    scale = max(1, size / quiet.open)  # of a smaller number than was measured, as much as of that
    seconds, seconds_few = (lambda_seconds(look, fixed.poller, latency) for look in looks)
    of_changes = (seconds_few - seconds) / _FEW / _POLLS_OF_A_LIFE  # if one of a life is in a poll
    noting, telling = of_changes * life.progress, of_changes * (life.changes - life.progress)
    polling = POLLS * scale * fixed.poller
    lives = size * GENERATIONS
    table = life.item_bytes * lives  # the table keeps every item; this is a month of them
    s3 = {name: count for name, count in life.calls.items() if name.startswith("s3.")}
    gets = sum(count for name, count in s3.items() if name.startswith(("s3.Get", "s3.Head")))
    digests = min(lives, POLLS)  # each end is told, all of a minute together
    start_log = LOG_OF_A_START / 1e9
    poll_log, event_log = life.poll_log_bytes / 1e9 + start_log, LOG_OF_AN_EVENT / 1e9
    lines = {
        FIXED: {
            "secret": (fixed.secrets, "secret"),
            "secret, read": (SECRET_CALLS, "secret_call"),
            "alarms": (fixed.alarms, "alarm"),
            "metrics": (len(life.metrics), "metric"),
            "three queues, idle": (3 * IDLE_RECEIVES, "sqs_request"),
            "schedule": (2 * POLLS, "scheduler_invocation"),
            "invocations by it": (2 * POLLS, "lambda_request"),
            "Submitter, idle": (POLLS * IDLE_SECONDS * fixed.submitter, "lambda_second"),
            "jobs, looked for": (POLLS * EMPTY_QUERY, "dynamodb_read"),
            "log of Submitter": (POLLS * poll_log, "log_gigabyte"),
        },
        WATCHING: {
            "Poller, asking": (polling * seconds, "lambda_second"),
            "ledger, read by polls": (POLLS * quiet.read_units * scale, "dynamodb_read"),
            "ledger, looked through daily": (table / 4096 * GENERATIONS, "dynamodb_read"),
            "log of Poller": (POLLS * poll_log, "log_gigabyte"),
        },
        PROGRESS: {
            "Poller, noting it": (polling * noting, "lambda_second"),  # as if it were told
            "progress, read": (lives * life.progress_read_units, "dynamodb_read"),
            "progress, written": (lives * life.progress_write_units, "dynamodb_write"),
        },
        EVENTS: {
            "Poller, telling": (polling * telling, "lambda_second"),
            "ledger, read": (lives * life.read_units, "dynamodb_read"),
            "ledger, written": (lives * life.write_units, "dynamodb_write"),
            "ledger, kept": (table / 1e9, "dynamodb_gigabyte"),
            "events published": (lives * life.calls.get("sns.Publish", 0), "sns_publish"),
            "log of events": (lives * life.events * event_log, "log_gigabyte"),
        },
        ARCHIVE: {
            "Archiver, running": (lives * ARCHIVE_SECONDS * fixed.archiver, "lambda_second"),
            "Archiver, invoked": (lives, "lambda_request"),
            "archive queue": (3 * lives, "sqs_request"),  # sent, received, deleted
            "bucket, written": (lives * (sum(s3.values()) - gets), "s3_put"),
            "bucket, read": (lives * gets, "s3_get"),
            "log of Archiver": (lives * poll_log, "log_gigabyte"),
        },
        PEOPLE: {
            "Notifier, running": (digests * NOTIFIER_SECONDS * fixed.notifier, "lambda_second"),
            "Notifier, invoked": (digests, "lambda_request"),
            "notify queue": (3 * lives, "sqs_request"),
            "told, noted": (2 * lives + digests, "dynamodb_write"),
            "digests published": (DIGEST_CALLS * digests, "sns_publish"),
            "mails": (digests, "mail"),
            "log of Notifier": (digests * (start_log + event_log), "log_gigabyte"),
        },
    }
    return {
        name: Amount(*wanted, purpose)
        for purpose, group in lines.items()
        for name, wanted in group.items()
    }


def bill(wanted: Mapping[str, Amount], prices: Mapping[str, float]) -> dict[str, Line]:
    """Put a price on each amount."""
    return {name: Line(*each, each.amount * prices[each.of]) for name, each in wanted.items()}


def show_costs(costs: Costs) -> None:
    """Print the bills side by side."""
    facts, life = costs.facts, costs.life
    print(f"Dollars a month in {facts['region']}, each batch open for a day, polled every minute.")
    print(f"Prices of {facts['prices']}, without free tiers; polls as of {facts['figures']}.")
    names = ["", *(f"{month.open:,} open" for month in costs.months)]
    groups = [
        [
            [name, *(f"{month.lines[name].dollars:,.2f}" for month in costs.months)]
            for name, line in costs.months[0].lines.items()
            if line.purpose == purpose
        ]
        for purpose in PURPOSES
    ]
    print_table(names, groups, words=[""])
    print_table(names, [summary(costs)], words=[""])
    print(
        f"A batch's life: {life.events} events, {life.writes} writes in {life.changes} polls and"
        f" one copy ({life.write_units + life.progress_write_units:.0f} units), {life.reads} reads"
        " beside the polls' own."
    )
    print(
        "Polls measured with " + ", ".join(f"{m.measured:,} for {m.open:,}" for m in costs.months)
    )


def summary(costs: Costs) -> list[list[str]]:
    """Return dollars by purpose, together, and for each batch."""
    by_purpose = [
        [purpose, *(f"{month.dollars_for(purpose):,.2f}" for month in costs.months)]
        for purpose in PURPOSES
    ]
    together = ["together", *(f"{month.dollars:,.2f}" for month in costs.months)]
    each = [month.dollars / (month.open * GENERATIONS) for month in costs.months]
    return [*by_purpose, together, ["for each batch", *(f"{cents:,.5f}" for cents in each)]]
