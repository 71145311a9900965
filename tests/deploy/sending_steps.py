"""README "Accounts", "Be told", "Send", "Webhooks": what goes into the secret, and by its keys."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from batchwatch.submit.unrun import MARK
from local.simulator import Script
from tests.deploy.walk import CLI, README, soon
from tests.documents import blocks
from tests.dropped import asked
from tests.signed import SECRET, webhook
from tests.world import KEY

if TYPE_CHECKING:
    from tests.deploy.walk import Walk
    from tests.whole.stack import Stack

SLACK = "https://hooks.slack.com/services/T0/B0/not-for-anybody"


def fill_in_accounts(walk: Walk) -> None:
    """Type what "Accounts" tells, with its file: two of its accounts, at the simulated OpenAI."""
    (shown,) = blocks(README, "json", "Accounts")
    filled = json.loads(shown.replace("…", "1"))
    said = {name: filled["accounts"][name] for name in ("default", "research")}
    here = {"api_key": KEY, "base_url": walk.stack.openai.base_url}
    accounts = {"accounts": {name: said[name] | here for name in said}}
    accounts["accounts"]["default"].pop("webhook_secrets")
    (walk.folder / "accounts.json").write_text(json.dumps(accounts))

    walk(README, "aws secretsmanager put-secret-value --secret-id KEYS_SECRET --secret-string file")

    assert secret(walk.stack) == accounts
    for name in ("Poller", "Submitter"):  # who starts anew need not wait five minutes
        walk.stack.emulator.client("lambda").update_function_configuration(
            FunctionName=walk.stack.service.outputs[f"{name}Function"], Description="anew"
        )
    assert "accounts_refused" not in walk.stack.service.tick()
    walk.stack.service.look_after_jobs()


def secret(stack: Stack) -> Any:
    client = stack.emulator.client("secretsmanager")
    found = client.get_secret_value(SecretId=stack.service.outputs["KeysSecret"])
    return json.loads(found["SecretString"])


def be_told(walk: Walk) -> None:
    before = secret(walk.stack)

    subscribed = walk(README, "aws sns subscribe --topic-arn NOTIFICATIONS_TOPIC")
    counted = walk(README, "aws sns get-topic-attributes")
    refused = walk(README, "aws sns confirm-subscription", code=254, TOKEN="not-the-one")
    walk(README, "read -rs URL", SLACK)
    put = walk(README, "aws secretsmanager get-secret-value")
    walk(README, "unset URL")

    assert json.loads(subscribed.out)["SubscriptionArn"]
    assert {*json.loads(counted.out)} == {"confirmed", "unconfirmed"}
    assert sum(map(int, json.loads(counted.out).values())) == 1
    assert "Invalid token" in refused.screen
    assert secret(walk.stack) == before | {"slack_webhook_url": SLACK}
    assert KEY not in put.out + put.screen


def send(walk: Walk) -> None:
    """Three times the same name, each with other options: told with the object, or beside it."""
    stack, questions = walk.stack, walk.folder / "questions.jsonl"
    copy = "aws s3 cp questions.jsonl s3://BUCKET_NAME/inbox/"
    questions.write_bytes(asked(3))
    walk(README, f"{copy} --metadata '{{")
    questions.write_bytes(asked(2) + b"no request\n")
    walk(README, f"{copy} --metadata batchwatch-account")
    soon(
        lambda: any(key.endswith("/lines.jsonl") for key in stack.service.stored()),
        lambda: (stack.service.stored(), [*stack.service.log("job_", "rror")][-5:]),
    )
    (options,) = blocks(README, "json", "Send")
    (walk.folder / "questions.options.json").write_text(options)
    walk.by_the_way("aws s3 cp questions.options.json s3://BUCKET_NAME/inbox/")
    questions.write_bytes(asked(4))
    walk(README, copy)
    soon(
        lambda: len(stack.openai.created) == 2,
        lambda: (stack.openai.created, [*stack.service.log("job_", "rror")][-3:]),
    )
    soon(lambda: not any(jobs(walk)))

    assert sorted(each.requests for each in stack.openai.created) == [3, 4]
    assert {(each.metadata or {})["team"] for each in stack.openai.created} == {"search"}
    (bad,) = [key for key in stack.service.stored() if key.endswith("/lines.jsonl")]
    walk.by_the_way(f"aws s3 cp s3://BUCKET_NAME/{bad} lines.jsonl")
    assert walk(README, "jq -r .text").out == "no request\n"


def jobs(walk: Walk) -> list[str]:
    """Give the ids of those that are under way."""
    return [
        json.loads(line)["id"]
        for line in walk.by_the_way("batchwatch jobs --json").out.splitlines()
    ]


def submit(walk: Walk, batch_id: str) -> None:
    """One goes through; two wait, as the queue of their model is full, and are cancelled."""
    walk.by_the_way("rm -f questions.options.json")
    walk.by_the_way("aws s3 rm s3://BUCKET_NAME/inbox/questions.options.json")
    sent = walk(README, "batchwatch submit questions.jsonl", answer="y")
    walk.stack.openai.enqueued_tokens = 1
    for name in ("a", "b"):
        (walk.folder / f"{name}.jsonl").write_bytes(asked(2))
    two = walk(CLI, "batchwatch submit a.jsonl b.jsonl", answer="y")
    (job, other) = two.out.split()
    waiting = "batchwatch jobs --json | jq -r 'select(.status"
    soon(lambda: {job, other} <= {*walk(CLI, waiting).out.split()})
    listed = walk(README, "batchwatch jobs")
    shown = walk(README, "batchwatch show JOB", JOB=job)
    parts = walk(CLI, "batchwatch show job_", names={"job_0f5ab2c91d7e4463a80b1c22": job})
    walk.by_the_way(f"batchwatch cancel {job} {other} --yes --wait")
    walk.stack.openai.enqueued_tokens = None
    ended = (walk.stack.openai.created[0].metadata or {})[MARK].partition("/")[0]
    names = {"batch_68f2…": batch_id, "job_4be1…": ended}
    watched = walk(CLI, "batchwatch watch batch_68f2", names=names)
    assert "bad news" not in watched.out
    assert job in listed.out
    assert "wait" in shown.out
    assert parts.out.startswith(("null\n", '"batch_'))  # none, or the one that was refused
    assert "completed" in sent.out + sent.screen


def cancel(walk: Walk) -> None:
    """A batch that runs, after a question; a job that waits, by the name of its file."""
    stack = walk.stack
    slow = stack.watch(Script(name="slow", endpoint="/v1/responses", requests=9, ends="completed",
                              running=5000))  # fmt: skip
    soon(lambda: slow in walk.by_the_way("batchwatch list --status in_progress --json").out)
    walk(CLI, "batchwatch cancel batch_6b49…", answer="y", names={"batch_6b49…": slow})
    stack.openai.enqueued_tokens = 1
    walk.by_the_way("batchwatch submit questions.jsonl --no-watch --yes")
    walk(CLI, "batchwatch cancel questions.jsonl --yes --wait")
    stack.openai.enqueued_tokens = None
    soon(lambda: stack.openai.batch(slow)["status"] == "cancelled")


def webhooks(walk: Walk, batch_id: str) -> None:
    """Last, as it replaces the whole secret. The address of the simulation comes by the key."""
    key = f'{KEY}", "base_url": "{walk.stack.openai.base_url}'
    walk(README, "read -rs KEY; read -rs HOOK", key, SECRET)
    walk(README, 'printf \'{"accounts": {"default": {"api_key": "%s", "webhook_secrets')
    walk(README, "unset KEY HOOK")
    name = walk.stack.service.outputs["WebhookFunction"]
    said = webhook(batch_id, time.time())
    walk.stack.emulator.client("lambda", patience=180).invoke(
        FunctionName=name, Payload=json.dumps(said).encode()
    )["Payload"].read()
    tail = "aws logs tail LOG_GROUP --since 5m"
    soon(lambda: '"message":"heard"' in walk(README, tail).out)

    (account,) = secret(walk.stack)["accounts"].values()
    assert account["webhook_secrets"] == [SECRET]
    (line,) = [each for each in walk(README, tail).out.splitlines() if '"heard"' in each]
    assert '"answer":200' in line.replace(" ", "")
    assert '"account":"default"' in line.replace(" ", "")
