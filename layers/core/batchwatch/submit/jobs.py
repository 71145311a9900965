"""The table of jobs: one item a job, with its outbox on it.

Every write is on the version it was decided from; where another was faster, the decision is made
again from what there is now. A refused write may be our own success, as boto3 repeats lost calls:
then there is nothing left to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from batchwatch.errors import LedgerRowError
from batchwatch.items import from_dynamodb, to_dynamodb
from batchwatch.submit.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

_REFUSED = "ConditionalCheckFailedException"
_OPEN = "yes"
_APART = {"v", "outbox", "open"}
"""Kept as attributes of their own; the rest is JSON."""


class Changed(NamedTuple):
    """The job as it now is; and whether this call has written."""

    job: Job
    written: bool


class Jobs:
    """Jobs under way, and those that were."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def begin(self, job: Job) -> Job:
        """Write a job down, unless it is known already; return what is."""
        item = {
            "job_id": job.job_id,
            "v": 1,
            "open": _OPEN,
            "place": f"{job.arrived:017.6f}/{job.job_id}",
            "outbox": {},
            **_said(job),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={name: to_dynamodb(value) for name, value in item.items()},
                ConditionExpression="attribute_not_exists(job_id)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
        return self._known(job.job_id)

    def get(self, job_id: str) -> Job | None:
        """Read a job consistently; None if there is none."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=_key(job_id), ConsistentRead=True
        )
        return _job(answer["Item"]) if "Item" in answer else None

    def open_jobs(self, troubles: list[LedgerRowError] | None = None) -> Iterator[Job]:
        """Every job with work left, first come first, as the index shows them.

        One that cannot be read goes to `troubles`, and does not hold up the others.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="open",
            KeyConditionExpression="#open = :yes",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":yes": to_dynamodb(_OPEN)},
        )
        for page in pages:
            for item in page["Items"]:
                try:
                    yield _job(item)
                except LedgerRowError as error:
                    if troubles is not None:
                        troubles.append(error)

    def change(self, job_id: str, decide: Callable[[Job], Job | None]) -> Changed:
        """Write what is decided of a job as it is; `decide` returns None to leave it so."""
        while True:
            known = self._known(job_id)
            wanted = decide(known)
            if wanted is None or wanted == known:
                return Changed(known, written=False)
            if written := self._write(known, wanted):
                return Changed(written, written=True)

    def mark_published(self, known: Job, sequence: int) -> Job:
        """Take a published event out of the outbox; return the job as it now is."""
        return self._update(
            known,
            UpdateExpression="REMOVE outbox.#n",
            ConditionExpression="attribute_exists(outbox.#n)",
            ExpressionAttributeNames={"#n": str(sequence)},
        )

    def replace_event(self, known: Job, sequence: int, text: str) -> Job:
        """Put another text in the place of an event in the outbox; return the job as it now is."""
        return self._update(
            known,
            UpdateExpression="SET outbox.#n = :text",
            ConditionExpression="outbox.#n = :was",
            ExpressionAttributeNames={"#n": str(sequence)},
            ExpressionAttributeValues={
                ":text": to_dynamodb(text),
                ":was": to_dynamodb(known.outbox[sequence]),
            },
        )

    def close(self, known: Job) -> Job:
        """Take a job out of the index of open ones, if nothing is left to do."""
        return self._update(
            known,
            UpdateExpression="REMOVE #open",
            ConditionExpression="v = :was AND size(outbox) = :none",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":was": to_dynamodb(known.v), ":none": to_dynamodb(0)},
        )

    def _known(self, job_id: str) -> Job:
        job = self.get(job_id)
        if job is None:
            raise LedgerRowError(f"no job {job_id}")
        return job

    def _write(self, known: Job, wanted: Job) -> Job | None:
        """Write a job if its version is still `known`'s; None if it is not."""
        said = {**_said(wanted), "v": known.v + 1}
        names = {f"#{name}": name for name in said}
        sets = [f"#{name} = :{name}" for name in said]
        values = {f":{name}": to_dynamodb(value) for name, value in said.items()}
        for sequence in wanted.outbox.keys() - known.outbox.keys():
            sets.append(f"outbox.#n{sequence} = :n{sequence}")
            names[f"#n{sequence}"] = str(sequence)
            values[f":n{sequence}"] = to_dynamodb(wanted.outbox[sequence])
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(known.job_id),
                UpdateExpression="SET " + ", ".join(sets),
                ConditionExpression="v = :was",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**values, ":was": to_dynamodb(known.v)},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
            return None
        return _job(answer["Attributes"])

    def _update(self, known: Job, **how: Any) -> Job:
        """Update an item; refused or not, the job as it now is comes back."""
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table, Key=_key(known.job_id), ReturnValues="ALL_NEW", **how
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
            return self._known(known.job_id)
        return _job(answer["Attributes"])


def _key(job_id: str) -> dict[str, Any]:
    return {"job_id": to_dynamodb(job_id)}


def _said(job: Job) -> dict[str, str]:
    """What of a job is written anew each time; `stage` and `account` for people who look."""
    text = job.model_dump_json(exclude=_APART, exclude_defaults=True)
    return {"job": text, "stage": job.stage.value, "account": job.account}


def _job(item: dict[str, Any]) -> Job:
    plain = {name: from_dynamodb(value) for name, value in item.items()}
    try:
        job = Job.model_validate_json(plain["job"])
        outbox = {int(sequence): text for sequence, text in plain["outbox"].items()}
        return job.but(v=int(plain["v"]), outbox=outbox, open="open" in plain)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise LedgerRowError(f"job {plain.get('job_id')} cannot be read") from error
