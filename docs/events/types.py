"""Every type of event there is, and what an event of that type guarantees beyond all others."""

from typing import Literal, NamedTuple

from batchwatch.batch import Status

Files = Literal["all", "gone", "failed"]


class Guarantee(NamedTuple):
    """When an event of a type comes; its `status`, if it can only be one; what its `files` tell.

    `files`: all of the batch, or the one that ended in that state. `has`: further fields of `data`
    that are there.
    """

    when: str
    status: str | None = None
    files: Files | None = None
    has: tuple[str, ...] = ()


BATCH_TYPES: dict[str, Guarantee] = {
    "batch.validating": Guarantee("The batch is being validated.", Status.VALIDATING),
    "batch.in_progress": Guarantee("Its requests are being answered.", Status.IN_PROGRESS),
    "batch.finalizing": Guarantee("Its files are being put together.", Status.FINALIZING),
    "batch.cancelling": Guarantee("It is being cancelled.", Status.CANCELLING),
    "batch.completed": Guarantee(
        "It has ended: each request was tried. How many succeeded, its counts tell.",
        Status.COMPLETED,
    ),
    "batch.failed": Guarantee("It has ended: its validation failed, none ran.", Status.FAILED),
    "batch.expired": Guarantee(
        "It has ended: its time was over. What was answered by then is in its files.",
        Status.EXPIRED,
    ),
    "batch.cancelled": Guarantee(
        "It has ended: somebody cancelled it. What was answered by then is in its files.",
        Status.CANCELLED,
    ),
    "batch.archived": Guarantee(
        "Each of its files has found its end, as a rule in the bucket. Exactly one for each batch, "
        "the last of its life.",
        files="all",
    ),
    "batch.file_gone": Guarantee("A file is no longer at the provider.", files="gone"),
    "batch.file_failed": Guarantee("A file could not be had whole.", files="failed"),
    "batch.stalled": Guarantee(
        "It seems to stand still. Once in each status; it is watched on.", has=("stalled",)
    ),
    "batch.lost": Guarantee("The provider has not known it for an hour. It is still looked for."),
    "batch.unknown": Guarantee(
        "It has a status that this version does not know: `batch.status`.", Status.UNKNOWN
    ),
}
JOB_TYPES: dict[str, Guarantee] = {
    "job.submitted": Guarantee("Each part of the file has its batch.", "submitted"),
    "job.waiting": Guarantee(
        "Parts cannot be sent yet. Once each time that this begins, or its reason changes; they "
        "are sent by themselves.",
        "waiting",
        has=("waiting",),
    ),
    "job.completed": Guarantee(
        "Each of its parts has ended, and its files are merged. How much succeeded, `totals` tell. "
        "The last of its life.",
        "completed",
        has=("totals", "files"),
    ),
    "job.cancelled": Guarantee(
        "Somebody cancelled it, and each of its parts has ended. What was answered by then is in "
        "its files. The last of its life.",
        "cancelled",
        has=("totals", "files"),
    ),
    "job.refused": Guarantee(
        "No batch was made of the file: `reason`. The last of its life.",
        "refused",
        has=("reason",),
    ),
}
TYPES = BATCH_TYPES | JOB_TYPES
