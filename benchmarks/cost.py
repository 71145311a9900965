"""Dollars a month: what a sweep and one batch's life have counted, times the prices of one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
ARCHIVER_METRICS = {"BytesArchived"}  # told by every invocation of the archiver


class Fixed(NamedTuple):
    """What a stack has, as told by its template: gigabytes of memory, and the count of alarms."""

    poller: float
    archiver: float
    notifier: float
    submitter: float
    alarms: int
    secrets: int


class Line(NamedTuple):
    """One line of a bill: how much, of what (a name in the price file), and dollars."""

    amount: float
    of: str
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
        lines = bill(amounts(size, looks, life, fixed), prices)
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


def amounts(
    size: int, looks: tuple[Figure, Figure], life: Life, fixed: Fixed
) -> dict[str, tuple[float, str]]:
    """How much of what a month takes with so many open batches: amount and price by line."""
    quiet, few = looks
    scale = max(1, size / quiet.open)  # of a smaller number than was measured, as much as of that
    share = life.changes / _POLLS_OF_A_LIFE  # of the batches that changes from poll to poll
    seconds = quiet.seconds + (few.seconds - quiet.seconds) * share / _FEW
    lives = size * GENERATIONS
    table = life.item_bytes * lives  # the table keeps every item; this is a month of them
    s3 = {name: count for name, count in life.calls.items() if name.startswith("s3.")}
    gets = sum(count for name, count in s3.items() if name.startswith(("s3.Get", "s3.Head")))
    metrics = {*life.metrics, *ARCHIVER_METRICS}
    digests = min(lives, POLLS)  # each end is told, all of a minute together
    log: float = 2 * POLLS * (life.poll_log_bytes + LOG_OF_A_START)  # Submitter's ticks, too
    log += digests * (LOG_OF_A_START + LOG_OF_AN_EVENT)
    log += lives * (LOG_OF_A_START + life.poll_log_bytes + life.events * LOG_OF_AN_EVENT)
    return {
        "Poller, running": (POLLS * seconds * scale * fixed.poller, "lambda_second"),
        "Archiver, running": (lives * ARCHIVE_SECONDS * fixed.archiver, "lambda_second"),
        "Notifier, running": (digests * NOTIFIER_SECONDS * fixed.notifier, "lambda_second"),
        "Submitter, idle": (POLLS * IDLE_SECONDS * fixed.submitter, "lambda_second"),
        "invocations": (2 * POLLS + lives + digests, "lambda_request"),
        "schedule": (2 * POLLS, "scheduler_invocation"),
        "jobs, looked for": (POLLS * EMPTY_QUERY, "dynamodb_read"),
        "inbox queue, idle": (IDLE_RECEIVES, "sqs_request"),
        "ledger, polls read": (POLLS * quiet.read_units * scale, "dynamodb_read"),
        "ledger, polls write": (POLLS * quiet.write_units * scale, "dynamodb_write"),
        "ledger, lives read": (lives * life.read_units, "dynamodb_read"),
        "ledger, lives write": (lives * life.write_units, "dynamodb_write"),
        "ledger, looked through daily": (table / 4096 * GENERATIONS, "dynamodb_read"),
        "ledger, kept": (table / 1e9, "dynamodb_gigabyte"),
        "events published": (lives * life.calls.get("sns.Publish", 0), "sns_publish"),
        "archive queue": (IDLE_RECEIVES + 3 * lives, "sqs_request"),  # sent, received, deleted
        "notify queue": (IDLE_RECEIVES + 3 * lives, "sqs_request"),
        "told, noted": (2 * lives + digests, "dynamodb_write"),
        "digests published": (DIGEST_CALLS * digests, "sns_publish"),
        "mails": (digests, "mail"),
        "bucket, written": (lives * (sum(s3.values()) - gets), "s3_put"),
        "bucket, read": (lives * gets, "s3_get"),
        "secret": (fixed.secrets, "secret"),
        "secret, read": (SECRET_CALLS, "secret_call"),
        "metrics": (len(metrics), "metric"),
        "alarms": (fixed.alarms, "alarm"),
        "logs": (log / 1e9, "log_gigabyte"),
    }


def bill(wanted: Mapping[str, tuple[float, str]], prices: Mapping[str, float]) -> dict[str, Line]:
    """Put a price on each amount."""
    return {name: Line(amount, of, amount * prices[of]) for name, (amount, of) in wanted.items()}


def show_costs(costs: Costs) -> None:
    """Print the bills side by side."""
    facts, life = costs.facts, costs.life
    print(f"Dollars a month in {facts['region']}, each batch open for a day, polled every minute.")
    print(f"Prices of {facts['prices']}, without free tiers; polls as of {facts['figures']}.")
    names = ["", *(f"{month.open:,} open" for month in costs.months)]
    lines = [
        [name, *(f"{month.lines[name].dollars:,.2f}" for month in costs.months)]
        for name in costs.months[0].lines
    ]
    together = ["together", *(f"{month.dollars:,.2f}" for month in costs.months)]
    each = [month.dollars / (month.open * GENERATIONS) for month in costs.months]
    of_each = ["for each batch", *(f"{dollars:,.5f}" for dollars in each)]
    print_table(names, [lines, [together, of_each]], words=[""])
    print(
        f"A batch's life: {life.events} events, {life.writes} writes ({life.write_units:.0f} units)"
        f" in {life.changes} polls and one copy, {life.reads} reads beside the polls' own."
    )
    print(
        "Polls measured with " + ", ".join(f"{m.measured:,} for {m.open:,}" for m in costs.months)
    )
