"""README "From the command line", "Which batches are watched"; docs/cli.md: ids come and go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.deploy.walk import CLI, README, shape, shapes, soon, step
from tests.documents import OPERATIONS
from tests.whole.test_cli import BRIEF

if TYPE_CHECKING:
    from tests.deploy.walk import Walk

BEGINS = "batch_6b02532d08bd187f618220c41d3275a2"
"""The batch of the README."""
SHORT, LONG = "batch_6b49…", "batch_6b49d200819080aa9c1f3de5b7a90c42"


def follow(walk: Walk, batch_id: str, other: str) -> None:
    """What is printed has the shape that the README shows."""
    watch, fetch = (f"batchwatch {what} {BEGINS}" for what in ("watch", "fetch"))
    watched = walk(README, watch, names={BEGINS: batch_id})
    walk.by_the_way(f"batchwatch watch {other} || true")
    listed = walk(README, "batchwatch list --since 1h", terminal=True)
    fetched = walk(README, fetch, names={BEGINS: batch_id})

    *_, last, advice = step(README, watch).shown.splitlines()
    assert shape(watched.out.splitlines()[-1]) == shape(last)
    assert shape(advice) in shapes(watched.screen)
    assert shapes(step(README, "batchwatch list --since 1h").shown) <= shapes(listed.screen)
    assert shapes(step(README, fetch).shown) <= shapes(fetched.out)
    assert (walk.folder / "results" / batch_id / "output.jsonl").stat().st_size


def track(walk: Walk, batch_id: str) -> None:
    """One is put under watch, and taken out; what is archived stays."""
    stack = walk.stack
    told = walk(README, "batchwatch track batch_…", names={"batch_…": batch_id})
    told_of = f"events/default/{batch_id}/"
    soon(lambda: any(k.startswith(told_of) and "archived" in k for k in stack.service.stored()))
    walk(README, "aws dynamodb delete-item", names={"batch_…": batch_id})

    assert batch_id in told.out
    assert batch_id not in {item["batch_id"] for item in stack.items()}
    assert any(f"{batch_id}/batch.json" in key for key in stack.service.stored())


def show_a_page(walk: Walk) -> None:
    endpoint = walk.stack.emulator.client("s3")
    endpoint.create_bucket(Bucket="of-pages")
    walk(README, "batchwatch page")
    walk(CLI, "batchwatch page --open", terminal=True)
    walk(CLI, "batchwatch page --since 7d --account research -o research.html")
    walk(CLI, "batchwatch page -o -", BUCKET="of-pages")

    assert b"<html" in endpoint.get_object(Bucket="of-pages", Key="page.html")["Body"].read()
    for name in ("batchwatch.html", "research.html"):
        assert "<html" in (walk.folder / name).read_text()


def use_it_in_scripts(walk: Walk, done: str, other: str) -> None:
    """What docs/cli.md gives, by hand and in `--help`."""
    told = {"--sequence 3 --sequence 4": "--sequence 1 --sequence 2"}  # as many as there are
    names = told | {LONG: done, SHORT: done, "batch_abc": done, "batch_def": other}
    (walk.folder / "ids.txt").write_text(f"{done}\n{other}\n")
    bucket = walk.stack.service.outputs["BucketName"]
    (asked,) = [k for k in walk.stack.service.stored() if k.endswith(f"{done}/input.jsonl")]
    walk.by_the_way(f"aws s3 cp s3://{bucket}/{asked} requests.jsonl")

    def typed(begins: str, code: int = 0, answer: str | None = None) -> str:
        return walk(CLI, begins, code=code, answer=answer, names=names).out

    assert typed("batchwatch list --json | jq -r 'select(.over | not) | .id'") == ""
    assert float(typed("batchwatch list --json -n 1000")) > 0
    assert typed("batchwatch list --all --json") == ""
    for narrow in ("--status open", "--status failed", "--metadata team=search --until"):
        assert done not in typed(f"batchwatch list {narrow}")
    assert done in typed("batchwatch list")
    typed("batchwatch watch")
    assert typed("batchwatch list --json | jq -r 'select(.metadata.team") == ""
    typed("until batchwatch track - < ids.txt")
    typed("batchwatch track batch_6b49…")
    assert done in typed(f"batchwatch show {LONG}")
    assert "batch.archived" in typed(f"batchwatch events {LONG} | jq")
    assert json.loads(typed(f"batchwatch events {LONG}").splitlines()[0])["subject"] == done
    typed("batchwatch fetch batch_abc")
    typed("batchwatch fetch --wait -o results batch_abc batch_def")
    assert '"choices"' in typed("batchwatch fetch -o - --role output")
    typed("batchwatch fetch --join requests.jsonl batch_abc")
    joined, requests = (walk.folder / name for name in (f"{done}/joined.jsonl", "requests.jsonl"))
    assert joined.read_bytes().count(b"\n") == requests.read_bytes().count(b"\n")
    typed("batchwatch archive --check batch_6b49…")
    typed("batchwatch archive batch_6b49…")
    typed("batchwatch list --json | jq -r .id | batchwatch archive --check -")
    typed("batchwatch replay --dry-run batch_6b49…")
    typed("batchwatch replay batch_6b49… --type completed", answer="y")
    typed("batchwatch replay batch_6b49… --sequence 3 --sequence 4", answer="y")
    fresh = walk.stack.openai.add(BRIEF)
    (walk.folder / "ids.txt").write_text(f"{fresh}\n")
    typed("batchwatch track --account research - < ids.txt")
    assert fresh in typed("batchwatch list --status open")
    walk.by_the_way(f"batchwatch watch {fresh}")


def mend(walk: Walk, done: str) -> None:
    """Dead letters, as `--help` of redrive tells, and doctor."""
    outputs, sqs = walk.stack.service.outputs, walk.stack.sqs
    order = json.dumps({"subject": done, "data": {"account": "default"}})
    for name in ("Archive", "Inbox"):
        url = outputs[f"{name}DeadLettersUrl"]
        for body in (order, order, "?") if name == "Archive" else ("?",):
            sqs.send_message(QueueUrl=url, MessageBody=body)
    said = walk(CLI, "batchwatch redrive", code=1)
    first = json.loads(
        walk.by_the_way("batchwatch redrive archive --json || true").out.splitlines()[0]
    )
    walk(CLI, "batchwatch redrive --only", names={"2f0c7e1e-...": first["id"]})
    walk(CLI, "batchwatch redrive archive --send-back", code=1, answer="y")
    walk(CLI, "batchwatch redrive inbox --drop-unreadable", answer="y")
    left = walk.by_the_way("batchwatch redrive --json || true").out.splitlines()
    assert done in said.out
    assert len(left) == 1


def ask_doctor(walk: Walk) -> None:
    """Without mail for the topic of alarms there are warnings."""
    found = walk(CLI, "batchwatch doctor --json | jq").out
    assert '"warning"' in found
    assert '"problem"' not in found, found
    probed = walk(CLI, "batchwatch doctor --probe --account default")
    assert probed.out


def ask(walk: Walk, batch_id: str) -> None:
    """What docs/operations.md tells of outputs, and of questions to the log from a terminal."""
    outputs = walk(OPERATIONS, "sam list stack-outputs", STACK="batchwatch").out
    query = f"fields @message\n| filter @message like /{batch_id}/"
    (walk.folder / "question.txt").write_text(query)
    asking = step(OPERATIONS, "now=$(date +%s)")
    (walk.folder / "ask.sh").write_text(walk.filled_in(asking))
    answer = walk.by_the_way("source ask.sh").out
    walk.typed.add(asking.text)

    assert [name for name in walk.stack.service.outputs if name not in outputs] == []
    assert walk.stack.service.outputs["KeysSecret"] in outputs
    assert answer.split()[0] == "Complete"
    assert batch_id in answer


def give_rights(walk: Walk, done: str) -> None:
    """A role may look once it has the first policy, and act with the second."""
    iam, sts = walk.stack.emulator.client("iam"), walk.stack.emulator.client("sts")
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    arn = iam.create_role(RoleName="watcher", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="somebody")["Credentials"]
    words = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    somebody = " ".join(f"{n}={keys[w]}" for n, w in zip(names, words, strict=True))

    def may(line: str) -> bool:
        return walk.by_the_way(f"{somebody} batchwatch {line}; echo $?").out.endswith("0\n")

    announce = f"replay {done} --type archived --yes"
    assert not may("list")
    walk(CLI, "aws iam attach-role-policy --role-name ROLE --policy-arn READERS", ROLE="watcher")
    assert (may("list"), may(announce)) == (True, False)
    walk(CLI, "aws iam attach-role-policy --role-name ROLE --policy-arn OPERA", ROLE="watcher")
    assert may(announce)
