"""The one place where things are put together.

Each client is made when first used, so that a function never touches what it has no right to; and
what only one of the functions does is imported there, so that the others start without it.
"""

from __future__ import annotations

import time
from functools import cache, cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from batchwatch.accounts import Accounts
from batchwatch.archive import Archive
from batchwatch.ledger import Ledger
from batchwatch.observe import Observer
from batchwatch.openai import OpenAI
from batchwatch.orders import DeadLetters, Orders
from batchwatch.outbox import Outbox
from batchwatch.prices import prices_of
from batchwatch.publish import Publisher
from batchwatch.settings import Settings
from batchwatch.stall import Limits
from batchwatch.telling import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

    from batchwatch.account_poll import AccountPoll
    from batchwatch.notify.notifier import Notifier
    from batchwatch.openai import Account
    from batchwatch.poll import Poller
    from batchwatch.record import Record
    from batchwatch.relay import Relay
    from batchwatch.submit.by_hand import ByHand
    from batchwatch.submit.desk import Desk
    from batchwatch.submit.jobs import Jobs
    from batchwatch.submit.submission import Submission
    from batchwatch.submit.submitter import Submitter
    from batchwatch.transfer import Archiver
    from batchwatch.webhook import Webhook

# The defaults wait a minute for an answer, three times: longer than a poll lives.
# Several accounts with eight threads each share the connections of a client.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=256,
)


# TLS guards what is sent, and each part has its CRC32: hashing it too is half of the work.
_UNSIGNED = Config(s3={"payload_signing_enabled": False})

# Where nothing but a message is to be taken: a silent SNS must not use up an invocation.
_BRIEF = Config(read_timeout=5)

# Whoever sends a webhook waits for it.
_SOON = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})


class Runtime:
    """Everything a function may need, wired as it is deployed."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._sleep = sleep
        self._openai: dict[Account, OpenAI] = {}

    def openai(self, account: Account) -> OpenAI:
        """Return the client of an account; a changed key gets a client of its own."""
        if account not in self._openai:
            self._openai[account] = OpenAI(account, clock=self.clock, sleep=self._sleep)
        return self._openai[account]

    @cached_property
    def poller(self) -> Poller:
        """What Poller does."""
        from batchwatch.poll import Poller
        from batchwatch.sweep import Sweep

        sweep = Sweep(self.ledger, self.clock)
        return Poller(self.accounts, self.openai, self._account_poll, sweep, self.clock)

    @cached_property
    def _account_poll(self) -> AccountPoll:
        from batchwatch.account_poll import AccountPoll
        from batchwatch.discovery import Wanted
        from batchwatch.poll import BY
        from batchwatch.watermarks import Watermarks

        s = self.settings
        wanted = Wanted(s.discovery == "on", s.backfill == "archive")
        marks = Watermarks(self.dynamodb, s.table)
        return AccountPoll(self.ledger, marks, self.observer(BY), wanted, self.clock)

    @cached_property
    def webhook(self) -> Webhook:
        """What Webhook does."""
        from batchwatch.webhook import BY, Webhook

        return Webhook(
            self.accounts,
            self.openai,
            self.observer(BY),
            discovery=self.settings.discovery == "on",
            clock=self.clock,
            sleep=self._sleep,
        )

    def observer(self, by: str) -> Observer:
        """What follows from an answer that somebody got."""
        return Observer(by, self.ledger, self.outbox, self.orders, self.rules, self.clock)

    @cached_property
    def archiver(self) -> Archiver:
        """What Archiver does."""
        from batchwatch.transfer import Archiver, Transfer

        s = self.settings
        transfer = Transfer(self.ledger, self.outbox, self.archive, self.rules, s.tries, self.clock)
        return Archiver(transfer, self.orders, self.accounts, self.openai, s.longest_retry)

    @cached_property
    def notifier(self) -> Notifier:
        """What Notifier does."""
        from batchwatch.notify.channels import ChatTopic, EmailTopic, SlackChannel
        from batchwatch.notify.notifier import Notifier
        from batchwatch.notify.told import Told

        s, clock, sleep = self.settings, self.clock, self._sleep
        prices, trouble = prices_of(s.prices)
        told = Told(self.dynamodb, s.told)
        mail = EmailTopic(self.sns, s.notifications, told, prices.told, clock, sleep)
        chat = ChatTopic(self.sns, s.chat)
        slack = SlackChannel(self.accounts.slack_url, clock, sleep)
        return Notifier(
            stack=s.stack,
            bucket=s.bucket,
            price=prices.cost,
            channels=(mail, chat, slack),
            told=told,
            audience=mail.subscribers,
            clock=clock,
            trouble=trouble,
        )

    @cached_property
    def relay(self) -> Relay:
        """What Relay does."""
        from batchwatch.relay import Relay

        s = self.settings
        return Relay(self.eventbridge, s.event_bus, DeadLetters(self.sqs, s.relay_dead_letters))

    @property
    def submitter(self) -> Submitter:
        """What Submitter does with a dropped file."""
        return self._submission.submitter

    @property
    def by_hand(self) -> ByHand:
        """What Submitter does when somebody asks it."""
        return self._submission.by_hand

    @property
    def desk(self) -> Desk:
        """What Submitter does at each tick."""
        return self._submission.desk

    @property
    def jobs(self) -> Jobs:
        """The table of jobs."""
        return self._submission.jobs

    @cached_property
    def _submission(self) -> Submission:
        from batchwatch.submit.submission import Submission

        return Submission(self)

    @cached_property
    def publisher(self) -> Publisher:
        """The topic of events."""
        return Publisher(self.sns, self.settings.topic)

    @cached_property
    def rules(self) -> Rules:
        """How batches are watched here."""
        s = self.settings
        limits = Limits(
            validating=s.stalled_validating,
            in_progress=s.stalled_in_progress,
            finalizing=s.stalled_finalizing,
            cancelling=s.stalled_cancelling,
            overdue=s.stalled_overdue,
        )
        source = f"urn:batchwatch:{s.stack}"
        steps, input_too = s.progress_steps, s.archive_input == "on"
        return Rules(source, s.grace, steps, limits, s.lost_after, input_too)

    @cached_property
    def ledger(self) -> Ledger:
        """The table."""
        return Ledger(self.dynamodb, self.settings.table)

    @cached_property
    def outbox(self) -> Outbox[Record]:
        """From the table to the topic and the bucket."""
        return Outbox(self.ledger, self.publisher, self.archive)

    @cached_property
    def archive(self) -> Archive:
        """The bucket."""
        return Archive(self.s3, self.settings.bucket)

    @cached_property
    def orders(self) -> Orders:
        """The archive queue."""
        s = self.settings
        return Orders(self.sqs, queue=s.archive_queue, dead_letters=s.archive_dead_letters)

    @cached_property
    def accounts(self) -> Accounts:
        """The secret."""
        secrets = boto3.client("secretsmanager", config=_CONFIG.merge(_SOON))
        return Accounts(secrets, self.settings.secret, self.clock)

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """Return the client that the ledger uses."""
        return boto3.client("dynamodb", config=_CONFIG)

    @cached_property
    def sns(self) -> SNSClient:
        """Return the client that the publisher uses."""
        return boto3.client("sns", config=_CONFIG.merge(_BRIEF))

    @cached_property
    def sqs(self) -> SQSClient:
        """Return the client that the orders go through."""
        return boto3.client("sqs", config=_CONFIG)

    @cached_property
    def eventbridge(self) -> EventBridgeClient:
        """Return the client that the relay uses."""
        return boto3.client("events", config=_CONFIG)

    @cached_property
    def s3(self) -> S3Client:
        """Return the client that the archive uses."""
        return boto3.client("s3", config=_CONFIG.merge(_UNSIGNED))


@cache
def runtime() -> Runtime:
    """Return the runtime of this process, made at the first invocation."""
    return Runtime(Settings.read())
