"""What is dropped, and left half done, in the rehearsal of all rights: see test_permissions.py."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from batchwatch.batch import Role
from batchwatch.record import File, FileState, Lease, Tally, Upload
from batchwatch.submit.job import Job, Part, PartState, Piece, Stage
from batchwatch.submit.jobs import Jobs
from batchwatch.submit.merging import merged_key
from local.service import ACCOUNT

if TYPE_CHECKING:
    from tests.permissions.watched import Watched

CHAT = "/v1/chat/completions"
SOMEBODY = "somebody"
PART = 8 * 1024 * 1024
"""Bytes of a part of an upload into the archive."""


class Sent:
    """Files that are dropped, and a job that somebody was merging when he died."""

    def __init__(self, emulator: Watched, outputs: dict[str, str]) -> None:
        self._s3 = emulator.client("s3")
        self._sqs = emulator.client("sqs")
        self._lambda = emulator.client("lambda", patience=180)
        self._jobs = Jobs(emulator.client("dynamodb"), outputs["JobsTable"])
        self._emulator, self._outputs, self._bucket = emulator, outputs, outputs["BucketName"]
        self.ends: dict[str, str] = {}
        """How each job ended, by the file it is made of."""

    def drop(self) -> None:
        """Drop a good file and one that is refused under way; leave a third half done."""
        self._leave_half_merged()
        self._put("inbox/good.jsonl", _line("a") + _line("b"))
        self._put("inbox/bad.jsonl", _line("a", "." * 6_000_000) + b"{}\n", "refuse")
        queue = self._outputs["InboxQueueUrl"]
        self._sqs.send_message(QueueUrl=queue, MessageBody="neither object nor order")

    def tick(self) -> None:
        """Call Submitter as the schedule does; whoever died is waited for once, then forgotten."""
        if any(
            "SubmitterRole" in each.by and each.action == "sqs:ChangeMessageVisibility"
            for each in self._emulator.seen()
        ):
            self._jobs.change("job_half", _without_the_dead)
        answer = self._lambda.invoke(FunctionName=self._outputs["SubmitterFunction"], Payload=b"{}")
        said = answer["Payload"].read()
        if "FunctionError" in answer:
            raise RuntimeError(f"Submitter failed: {said!r}")

    def take(self, message: dict[str, Any]) -> None:
        """Take in an event of a job."""
        name = message["data"]["object"].rpartition("/")[2]
        if message["type"] in {"job.completed", "job.refused"}:
            self.ends[name] = message["type"].removeprefix("job.")

    def left(self) -> list[str]:
        """What has not happened yet."""
        wanted = {"good": "completed", "bad": "refused", "half": "completed"}
        ends = {name.removesuffix(".jsonl"): how for name, how in self.ends.items()}
        return [f"{name} not {how}" for name, how in wanted.items() if ends.get(name) != how]

    def _leave_half_merged(self) -> None:
        """As a worker that died: one upload to go on with, one to give up, one object to find."""
        output, error = b"o" * PART + b"\n", b"e\n"
        job = Job(job_id="job_half", key="inbox/half.jsonl", arrived=time.time(), account=ACCOUNT)
        key = merged_key(job, Role.OUTPUT)
        upload = self._s3.create_multipart_upload(
            Bucket=self._bucket, Key=key, ChecksumAlgorithm="CRC32"
        )["UploadId"]
        self._s3.upload_part(
            Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=1, Body=output[:PART]
        )
        there = Upload(id=upload, size=len(output), parts=1, done=Tally().add(output[:PART]))
        other_key = merged_key(job, Role.ERROR)
        other = self._s3.create_multipart_upload(Bucket=self._bucket, Key=other_key)["UploadId"]
        pieces = {
            role: Piece(key=f"batches/half/{role}.jsonl", size=len(content))
            for role, content in ((Role.OUTPUT, output), (Role.ERROR, error))
        }
        self._put(pieces[Role.OUTPUT].key, output)
        self._put(pieces[Role.ERROR].key, error)
        self._put(other_key, error)
        part = Part(number=1, endpoint=CHAT, model="m", requests=2, key="-", size=0,
                    state=PartState.ENDED, completed=1, failed=1, pieces=pieces)  # fmt: skip
        waiting = File(state=FileState.PENDING)
        merged = {
            Role.OUTPUT: waiting.model_copy(update={"upload": there}),
            Role.ERROR: waiting.model_copy(update={"upload": Upload(id=other, size=99)}),
        }
        somebody = Lease(owner=SOMEBODY, until=time.time() + 3600)
        job = job.but(stage=Stage.MERGING, parts=(part,), merged=merged, lease=somebody)
        self._jobs.begin(job)
        order = json.dumps({"job": job.job_id})
        self._sqs.send_message(QueueUrl=self._outputs["InboxQueueUrl"], MessageBody=order)

    def _put(self, key: str, body: bytes, on_bad_lines: str = "quarantine") -> None:
        metadata = {"batchwatch-on-bad-lines": on_bad_lines}
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=metadata)


def _without_the_dead(job: Job) -> Job | None:
    theirs = job.lease is not None and job.lease.owner == SOMEBODY
    return job.but(lease=None) if theirs else None


def _line(name: str, text: str = "Why?") -> bytes:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    said = {"custom_id": name, "method": "POST", "url": CHAT, "body": body}
    return json.dumps(said).encode() + b"\n"
