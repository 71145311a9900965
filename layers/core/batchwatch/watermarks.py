"""How far the list of an account has been looked through: one item of the table an account.

It lies beside the account's batches, under an id that no batch can have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from batchwatch.errors import LedgerRowError
from batchwatch.items import from_dynamodb, key_of, to_dynamodb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEM = "#account"
_RESUME = ("resume_after", "resume_to", "resume_history")


class Watermark(BaseModel):
    """What is kept of an account; times in seconds since 1970.

    first_polled_at  when its list was first asked for; what had ended by then is history
    seen_through     creation of the newest batch such that it and all older ones are stored
    resume_after     where a walk was cut off that is to go on
    resume_to        what will have been seen through once it has come to its end
    resume_history   whether it takes in history
    backfilled       whether history has been recorded
    stale_until      until when the list is not believed
    """

    model_config = ConfigDict(frozen=True)

    first_polled_at: int | None = None
    seen_through: int | None = None
    resume_after: str | None = None
    resume_to: int | None = None
    resume_history: bool = False
    backfilled: bool = False
    stale_until: int = 0


class Watermarks:
    """The accounts' own items."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def get(self, account: str) -> Watermark:
        """Read the item of an account."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=key_of(account, ITEM), ConsistentRead=True
        )
        return _read(answer.get("Item", {}))

    def begin(self, account: str, now: float) -> Watermark:
        """Note when the list was first asked for, unless that is noted; return what is."""
        return self._update(
            account,
            "SET first_polled_at = if_not_exists(first_polled_at, :now)",
            {":now": int(now)},
        )

    def move(self, account: str, mark: Watermark) -> Watermark:
        """Write down how far the list has been seen; never less than is known already."""
        kept = mark.model_dump(include={"seen_through", "backfilled", *_RESUME}, exclude_none=True)
        gone = set(_RESUME) - set(kept)
        removed = f" REMOVE {', '.join(sorted(gone))}" if gone else ""
        return self._update(
            account,
            "SET " + ", ".join(f"{name} = :{name}" for name in kept) + removed,
            {f":{name}": value for name, value in kept.items()},
            "attribute_not_exists(seen_through) OR seen_through <= :seen_through"
            if "seen_through" in kept
            else "attribute_not_exists(seen_through)",
        )

    def distrust(self, account: str, until: float) -> Watermark:
        """Note that the list of an account lags behind."""
        return self._update(account, "SET stale_until = :until", {":until": int(until)})

    def forget(self, account: str) -> Watermark:
        """Drop all about discovery, so that it begins anew when it is switched on again."""
        names = ", ".join(("first_polled_at", "seen_through", "backfilled", *_RESUME))
        return self._update(account, f"REMOVE {names}", {})

    def _update(
        self, account: str, update: str, values: dict[str, Any], condition: str = ""
    ) -> Watermark:
        """Update the item; refused or not, what it holds now comes back."""
        more: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if values:
            more["ExpressionAttributeValues"] = {k: to_dynamodb(v) for k, v in values.items()}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=key_of(account, ITEM),
                UpdateExpression=update,
                ReturnValues="ALL_NEW",
                **more,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return self.get(account)  # another poll was further
        return _read(answer["Attributes"])


def _read(item: dict[str, Any]) -> Watermark:
    try:
        return Watermark.model_validate(
            {name: from_dynamodb(value) for name, value in item.items()}
        )
    except (ValidationError, TypeError) as error:
        raise LedgerRowError("the account's own item cannot be read") from error
