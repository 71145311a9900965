"""The deployed stack: its names, found by its outputs, and what is to be done with each.

The command line's one place where things are put together; each is loaded and made when first
used, as the help and the completion of a command need none of it.
"""

from __future__ import annotations

import shlex
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from batchwatch.cli.ids import usable
from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchwatch.archive import Archive
    from batchwatch.cli.look.catalogue import Catalogue
    from batchwatch.items import Row
    from batchwatch.ledger import Ledger
    from batchwatch.orders import Orders
    from batchwatch.prices import Prices
    from batchwatch.publish import Publisher
    from batchwatch.record import Record
    from batchwatch.submit.jobs import Jobs

_CONFIG: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "user_agent_extra": "batchwatch-cli",
}
# Lambda answers when the function has ended, which may take 15 minutes; it is to be called once.
_PATIENT = _CONFIG | {"read_timeout": 910, "tcp_keepalive": True}


class Stack:
    """One stack in one account and region of AWS; nothing is asked until it is needed."""

    def __init__(
        self,
        name: str,
        profile: str | None = None,
        region: str | None = None,
        given: Sequence[str] = (),
    ) -> None:
        """Name it; `given`: the options on the command line that lead to it."""
        self.name = name
        self._profile, self._region, self._given = profile, region, given

    def command(self, *words: str) -> str:
        """Return a command that looks at the same stack, as a person can type it."""
        return shlex.join(["batchwatch", *words, *self._given])

    @cached_property
    def client(self) -> Any:
        """Return a way to a service of AWS by its name; the same for each."""
        import boto3
        from botocore.config import Config

        session: Any = boto3
        if self._profile or self._region:
            session = boto3.Session(profile_name=self._profile, region_name=self._region)
        return cache(
            lambda service: session.client(
                service, config=Config(**(_PATIENT if service == "lambda" else _CONFIG))
            )
        )

    @cached_property
    def _described(self) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            answer = self.client("cloudformation").describe_stacks(StackName=self.name)
        except ClientError as error:
            if "does not exist" not in error.response["Error"].get("Message", ""):
                raise
            region = self.client("cloudformation").meta.region_name
            raise CommandError(
                Code.NOT_FOUND,
                f"there is no stack {self.name!r} in {region}",
                "give --stack or BATCHWATCH_STACK, and --region or --profile where it is elsewhere",
            ) from error
        said: dict[str, Any] = answer["Stacks"][0]
        return said

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Names and addresses of what the stack consists of."""
        return {
            each["OutputKey"]: each["OutputValue"] for each in self._described.get("Outputs", [])
        }

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the stack was deployed with."""
        said = self._described.get("Parameters", [])
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in said}

    def output(self, name: str) -> str:
        """Return one of the outputs; CommandError where the stack is of another kind or version."""
        try:
            return self.outputs[name]
        except KeyError as error:
            raise CommandError(
                Code.NOT_FOUND,
                f"the stack {self.name!r} has no output {name}",
                "it is no stack of batchwatch, or of an older version: sam build && sam deploy",
            ) from error

    @cached_property
    def ledger(self) -> Ledger:
        """The table of batches."""
        from batchwatch.ledger import Ledger

        return Ledger(self.client("dynamodb"), self.output("LedgerTable"))

    @cached_property
    def jobs(self) -> Jobs:
        """The table of jobs."""
        from batchwatch.submit.jobs import Jobs

        return Jobs(self.client("dynamodb"), self.output("JobsTable"))

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self.output("BucketName")

    @cached_property
    def archive(self) -> Archive:
        """The bucket."""
        from batchwatch.archive import Archive

        return Archive(self.client("s3"), self.bucket)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The ledger as people ask for it."""
        from batchwatch.cli.look.catalogue import Catalogue

        return Catalogue(
            self.client("dynamodb"),
            self.output("LedgerTable"),
            lambda: self.client("s3"),
            self.bucket,
        )

    @cached_property
    def publisher(self) -> Publisher:
        """The topic."""
        from batchwatch.publish import Publisher

        return Publisher(self.client("sns"), self.output("EventsTopic"))

    @cached_property
    def orders(self) -> Orders:
        """The archive queue."""
        from batchwatch.orders import Orders

        return Orders(self.client("sqs"), queue=self.output("ArchiveQueueUrl"))

    @cached_property
    def prices(self) -> Prices:
        """What tokens cost, by the table and the stack's own parameter."""
        from batchwatch.prices import prices_of

        return prices_of(self.parameters.get("Prices", ""))[0]

    def find(self, batch_id: str, account: str | None = None) -> Record:
        """Return what is known of a batch; CommandError where it is under none of the accounts."""
        return next(iter(self.find_all([batch_id], account)))

    def find_all(self, batch_ids: Iterable[str], account: str | None = None) -> list[Record]:
        """Return what is known of each batch, in that order; CommandError where one is unknown."""
        wanted = [usable(batch_id) for batch_id in batch_ids]
        accounts = [account] if account else self.catalogue.accounts()
        keys = [(each, batch_id) for each in accounts for batch_id in dict.fromkeys(wanted)]
        rows = [*self.catalogue.batches(keys, latest=True)]
        by_id = {row.known.batch_id: _readable(row) for row in rows}
        if len(by_id) < len(rows):
            several = next(i for i in by_id if sum(row.known.batch_id == i for row in rows) > 1)
            cause = f"several accounts have a batch {several}"
            raise CommandError(Code.USAGE, cause, "say which one: --account")
        if unknown := [batch_id for batch_id in wanted if batch_id not in by_id]:
            from batchwatch.cli.look.unknown import way_out

            where = f"account {account!r}" if account else f"the stack {self.name!r}"
            raise CommandError(
                Code.NOT_FOUND,
                f"{where} knows no batch {', '.join(unknown)}",
                way_out(unknown, account, self.command),
            )
        return [by_id[batch_id] for batch_id in wanted]


def _readable(row: Row) -> Record:
    if row.trouble:
        cause = f"the ledger's row of {row.known.batch_id} cannot be read: {row.trouble}"
        raise CommandError(Code.BAD_NEWS, cause, "mend or delete that item of the table")
    return row.known
