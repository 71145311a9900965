"""The inbox queue: objects that were dropped, and orders of our own for what takes long."""

from __future__ import annotations

import json
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations

from pydantic import BaseModel, Field, ValidationError

from batchwatch.errors import BadMessageError
from batchwatch.orders import WorkQueue


class _Object(BaseModel):
    key: str
    size: int = 0
    etag: str = ""
    version: str | None = Field(default=None, alias="version-id")
    sequencer: str = ""


class _Bucket(BaseModel):
    name: str


class _Detail(BaseModel):
    bucket: _Bucket
    object: _Object


class Dropped(BaseModel):
    """What EventBridge tells of a new object of S3."""

    source: str
    time: datetime
    detail: _Detail

    @property
    def unique(self) -> str:
        """What tells one version of an object from another, also where none are kept."""
        said = self.detail.object
        return self.version or f"{said.etag}/{said.sequencer}"

    @property
    def version(self) -> str | None:
        """The version of the object, where the bucket keeps any."""
        version = self.detail.object.version
        return None if version == "null" else version


class WorkOrder(BaseModel):
    """A job that has something to do that takes long."""

    job: str


def read_message(body: str) -> Dropped | WorkOrder:
    """Read a message of the queue; BadMessageError where it is neither."""
    try:
        said = json.loads(body)
        return WorkOrder.model_validate(said) if "job" in said else Dropped.model_validate(said)
    except (ValueError, TypeError, RecursionError, ValidationError) as error:
        raise BadMessageError(f"neither an object nor an order: {type(error).__name__}") from error


class InboxQueue(WorkQueue):
    """The queue of what was dropped, and of our own orders."""

    def order(self, job_id: str) -> None:
        """Ask a worker to see to a job."""
        self._sqs.send_message(
            QueueUrl=self._queue, MessageBody=WorkOrder(job=job_id).model_dump_json()
        )
