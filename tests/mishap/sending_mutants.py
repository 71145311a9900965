"""The known wrong designs of sending, as in mutants.py, and where each is found out."""

from __future__ import annotations

from tests.mishap.mutants import Mutant, Swap

_SEND, _SETTLE = "submit.sending.Sending.send", "submit.sending.Sending.settle"
_MADE = "submit.sending.Sending._made"
_TAKES = "job = self.jobs.change(turn.job_id, lambda job: self._taken(job, turn, sender)).job"
_TAKES_IN_MEMORY = "job = self._taken(self.jobs.get(turn.job_id), turn, sender)"
_LOOKS = "batches = list(batches_of(job, part, openai))"
_JOB_ID = "job_id_of(said.detail.bucket.name, found.key, said.unique)"
_MERGES = "Merging(self.archive, job, keep, self._late(shift)).merge()"
_TELLS_END = (
    "; [self.desk.outbox.publisher.publish(e, text)"
    " for text in self.desk.ended(self.jobs.get(job.job_id)).outbox.values()"
    " for e in [__import__('batchwatch.job_events').job_events.read_event(text)]]"
)

SENDING_MUTANTS = {
    "takes no answer for a no": Mutant(
        (Swap("submit.sending.Sending._not_made", "if error.uncertain:", "if False:"),),
        "dropped/made-timeout",
        "openai.create",
    ),
    "makes a batch without having written that it will": Mutant(
        (
            Swap(_SEND, _TAKES, _TAKES_IN_MEMORY),
            Swap(_MADE, "_instead(job, part, live)", "job.with_part(live)"),
        ),
        "dropped/dies-after",
        "openai.create",
    ),
    "asks for a batch again when no answer comes": Mutant(
        (Swap("openai.OpenAI.create", "retries=0", "retries=2"),),
        "dropped/made-timeout",
        "openai.create",
    ),
    "makes a batch anew without looking through the list": Mutant(
        (Swap(_SETTLE, _LOOKS, "batches = []"),), "dropped/dies-after", "openai.create"
    ),
    "makes a batch anew as soon as the list does not show it": Mutant(
        (Swap(_SETTLE, "now >= sent_at + SETTLED", "True"),),
        "dropped-unlisted/dies-after",
        "openai.create",
    ),
    "adopts nothing": Mutant(
        (Swap(_SETTLE, "if batches:", "if False:"),), "dropped/dies-after", "openai.create"
    ),
    "lets a batch run that is one too many": Mutant(
        (Swap(_MADE, "return self._drop(job, batch, openai)", "return Report()"),),
        "dropped/settled-before",
        "openai.create",
    ),
    "knows a job by the name of its file alone": Mutant(
        (Swap("submit.submitter.Submitter._begun", _JOB_ID, _JOB_ID.replace("said.unique", "''")),),
        "dropped-again/dies-before",
        "openai.create",
    ),
    "gives a job any id": Mutant(
        (
            Swap(
                "submit.submitter.Submitter._begun",
                _JOB_ID,
                "'job_' + __import__('uuid').uuid4().hex[:24]",
            ),
        ),
        "dropped/told-again-after",
        "openai.create",
    ),
    "forgets to watch what it has made": Mutant(
        (Swap("submit.sending.Sending.register", "self.ledger.register(", "str("),),
        "dropped/dies-before",
        "openai.create",
    ),
    "tells of an end, then writes it": Mutant(
        (Swap("submit.submitter.Submitter._merge", _MERGES, _MERGES + _TELLS_END),),
        "dropped/dies-before",
        "dynamodb.GetItem",
    ),
    "writes on no condition": Mutant(
        (Swap("submit.jobs.Jobs._write", '"v = :was"', '"v = :was OR v > :was"'),),
        "dropped/looked-for-before",
        "dynamodb.UpdateItem",
    ),
    "takes the end of a part for that of its job": Mutant(
        (
            Swap(
                "submit.desk.Desk.moved_on",
                "if any(part.state not in FINAL",
                "if all(part.state not in FINAL",
            ),
        ),
        "dropped-limited/dies-before",
        "openai.create",
    ),
}
