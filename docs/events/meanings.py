"""What the fields of an event mean, in words: the descriptions of the schemas.

A test says when a field has none, or when one is told of a field that is not there.
"""

EVENT = {
    "specversion": "The version of CloudEvents.",
    "id": (
        "The name of this event, a UUID. One that comes twice is the same to the byte, so this is "
        "all that a program must remember to react once."
    ),
    "source": "urn:batchwatch:STACK:ACCOUNT, the stack and the account that it watches.",
    "type": "What happened. Later versions of this major may announce more types: skip those.",
    "subject": "The id of what it happened to: a batch, or a job.",
    "time": "When it happened: by the provider's clock where that tells, else `observed_at`.",
    "datacontenttype": "The form of `data`.",
    "dataschema": "The major version of this schema.",
    "data": "What happened to it.",
}
DATA = {
    "account": "The account, by its name in the secret.",
    "status": (
        "The status of the batch as announced by this event or before: validating, in_progress, "
        "finalizing, cancelling, completed, failed, expired, cancelled, or unknown."
    ),
    "previous_status": "`status` of the event before; null in the first event of a batch.",
    "sequence": "The events of one batch are numbered from 1, without gaps.",
    "observed_at": "When it was seen, by our clock.",
    "observed_by": "Who saw it: poller, webhook or archiver.",
    "batch": (
        "The batch object, unchanged, as the provider said it. Only `id` and `status` are "
        "guaranteed. Any other field may be absent, null, or in another form than OpenAI's: "
        "dates as text, counts of null, fields that nobody has heard of. A very large one is cut, "
        "with `truncated: true`."
    ),
    "files": (
        "How the files ended, each under its role: output, error, record (the batch object), and "
        "input, where inputs are kept. A later version may know more roles."
    ),
    "stalled": "Why the batch seems to stand still.",
    "attempt": (
        "Which attempt to archive the files this is of, from the second on; left out in the first. "
        "An operator asks for another where files of the archive are missing or wrong."
    ),
    "reduced": "True if SNS had refused the whole; then `batch` has but its id and status.",
}
FILE = {
    "state": (
        "archived: whole in the bucket. gone: not at the provider any more. failed: could not be "
        "had whole. elsewhere: in storage of the customer's own, where nothing was fetched."
    ),
    "s3_uri": "Where it is in the bucket, if archived.",
    "bytes": "Its size, if archived.",
    "lines": "How many newlines it has, if archived.",
    "crc32": "CRC32 of the whole file in eight hexadecimal digits, if archived.",
    "reason": "Why it is gone or failed, in words for people.",
    "location": "Where the provider says that a file is which is elsewhere.",
}
JOB_DATA = {
    "account": "The account, by its name in the secret; `unknown` where a file names none.",
    "status": "Of the job: submitted, waiting, completed, cancelled or refused.",
    "sequence": "The events of one job are numbered from 1, without gaps.",
    "observed_at": "When it was seen, by our clock.",
    "object": "The address of the file as it was dropped: s3://BUCKET/inbox/…",
    "version": "The version of that object; null where the bucket keeps none.",
    "requests": "How many lines were taken.",
    "rejected": "How many lines were not: `report` tells which, and why.",
    "report": "Where the report on lines that were not taken lies: an address of S3.",
    "parts": "What became of its requests, batch by batch.",
    "waiting": "Why parts have not been sent yet.",
    "totals": "What became of all of its requests.",
    "files": (
        "The files of all parts merged, each under its role: output and error; none that would be "
        "empty. A later version may know more roles."
    ),
    "reason": "Why it was refused: a sentence for the owner of the file.",
    "reduced": (
        "True if SNS had refused the whole; then `parts` is empty, `report` is absent, and what "
        "cannot be printed of `object` and `reason` is a question mark."
    ),
}
JOB_PART = {
    "number": "Parts are numbered from 1.",
    "state": "waiting, submitted or ended; of one that was never sent: cancelled or refused.",
    "endpoint": "Where its requests go.",
    "model": "The model that is to answer.",
    "requests": "How many it has.",
    "batch_id": "The id of its batch, once it has one; of the last, if it was sent again.",
    "status": "How its batch ended: completed, failed, expired, cancelled or lost.",
    "completed": "How many requests succeeded, once it has ended.",
    "failed": "How many requests failed, once it has ended.",
    "reason": "Why it waits, was refused or came to nothing.",
}
WAITING = {
    "reason": (
        "token_limit, rate_limited, unreachable, account_refused, forbidden, file_not_ready or "
        "uncertain."
    ),
    "since": "Since when.",
    "parts": "How many parts wait.",
}
TOTALS = {
    "requests": "How many there were.",
    "completed": "How many succeeded.",
    "failed": "How many failed.",
    "unfinished": "How many were never answered, or never sent.",
}
STALLED = {
    "reason": "validating, finalizing, cancelling, no_progress or overdue.",
    "seconds": "For how long, in whole seconds.",
    "usual": "How long it usually takes, in words for people.",
}
BATCH = {
    "id": "The id of the batch: harmless in a URL, a path and a line of log.",
    "object": "batch",
    "status": "As the provider spells it, which may be in any way: `data.status` is what it means.",
    "endpoint": "Where the requests go.",
    "model": "The model that answers, once it is known.",
    "errors": "Why validation failed: an object with a list `data`, for OpenAI.",
    "input_file_id": "The file of the requests.",
    "completion_window": "The time in which the batch is to be done.",
    "output_file_id": "The file of the answers. May be absent, null or empty.",
    "error_file_id": "The file of the requests that failed. May be absent, null or empty.",
    "output_blob": "Azure: where it writes the answers, in storage of the customer's own.",
    "error_blob": "Azure: where it writes what failed, in storage of the customer's own.",
    "created_at": "Seconds since 1970, for OpenAI; so are all the following.",
    "in_progress_at": "When the first requests began.",
    "expires_at": "When the completion window ends.",
    "finalizing_at": "When its files began to be put together.",
    "completed_at": "When it was completed.",
    "failed_at": "When its validation failed.",
    "expired_at": "When it expired.",
    "cancelling_at": "When its cancellation began.",
    "cancelled_at": "When it was cancelled.",
    "request_counts": "How many requests: `total`, `completed`, `failed`. Zero or null: unknown.",
    "usage": "Tokens of the whole batch; final once it has ended.",
    "metadata": "What its maker wrote on it: up to sixteen texts by name, for OpenAI.",
}
