"""Every type of event there is, and what an event of that type guarantees beyond all others."""

from typing import Literal, NamedTuple

from batchwatch.batch import Status

Files = Literal["all", "gone", "failed"]


class Guarantee(NamedTuple):
    """When an event of a type comes; its `status`, if it can only be one; what its `files` tell.

    `files`: all of the batch, or the one that ended in that state. `stalled`: whether it is there.
    """

    when: str
    status: Status | None = None
    files: Files | None = None
    stalled: bool = False


TYPES: dict[str, Guarantee] = {
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
        "It seems to stand still. Once in each status; it is watched on.", stalled=True
    ),
    "batch.lost": Guarantee("The provider has not known it for an hour. It is still looked for."),
    "batch.unknown": Guarantee(
        "It has a status that this version does not know: `batch.status`.", Status.UNKNOWN
    ),
}
