"""A signed webhook is followed at once, like a poll of its batch; anything else changes nothing."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.accounts import AGAIN
from batchwatch.errors import Refusal
from batchwatch.webhook import PATIENCE, Answer
from local.deploy import read_template
from local.simulator import Fault, Script
from tests.handlers import sample
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.signed import SECRET, signed, webhook
from tests.world import ACCOUNT, KEY, client

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")
LIFE = 10  # seconds; then SCRIPT has ended
TROUBLES: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (500, 429, 401, 403)),
    {"status": 200, "body": b"<html>"},
    {"delay": 1},
)
NOTHING = (
    *(b"", b"null", b"[]", b'"batch"', b"{", b"\xff", b"[" * 9000, b'{"type": "batch.completed"}'),
    b'{"type": ["batch.completed"]}',
    b'{"type": "batch.completed", "data": {"id": 7}}',
    b'{"type": "batch.completed", "data": {"id": "../files"}}',
)
NEW = "whsec_" + "bmV3" * 8


def ended(world: World, script: Script = SCRIPT, *, found: bool = True) -> str:
    """A batch that has ended, which nobody has polled."""
    batch_id = world.batch(script, found=found)
    world.clock.now += LIFE
    return batch_id


def fill_in(world: World, *secrets: Any, **more: Any) -> None:
    """Put other webhook secrets into the account, and more accounts beside it."""
    key = {"api_key": KEY, "base_url": world.openai.base_url}
    accounts = {ACCOUNT: key | {"webhook_secrets": list(secrets)}}
    world.put_secret(json.dumps({"accounts": accounts | {n: key | e for n, e in more.items()}}))


def told(world: World) -> list[tuple[str, str, str]]:
    """What a subscriber has heard, and of whom."""
    return [(e.type, e.subject, e.data.account) for e in world.events()]


@pytest.mark.parametrize("found", [False, True])
def test_an_end_is_announced_as_soon_as_it_is_told_of(world: World, *, found: bool) -> None:
    batch_id = ended(world, found=found)

    assert world.hear(batch_id).answer is Answer.TAKEN

    (event,) = world.events()
    assert (event.type, event.subject) == ("batch.completed", batch_id)
    assert (event.data.observed_by, event.data.sequence) == ("webhook", 1)


def test_webhooks_alone_bring_every_end_and_every_file(world: World) -> None:
    ends = [
        Script(name=end, endpoint="/v1/embeddings", requests=9, ends=end, failed=1)
        for end in ("completed", "failed", "expired", "cancelled")
    ]
    batches = {ended(world, script): script.ends for script in ends}
    messages = []

    for batch_id, end in batches.items():
        assert world.hear(batch_id, f"batch.{end}").answer is Answer.TAKEN
        world.archive()
        messages += world.messages()

    assert faults(collect(world, messages, batches)) == []
    assert not any(world.record(batch_id).open for batch_id in batches)


def test_what_comes_again_or_in_another_order_changes_nothing(world: World) -> None:
    batch_id = ended(world)
    world.hear(batch_id)
    world.archive()
    before, asked = world.record(batch_id), len(world.openai.requests)
    assert len(world.messages()) == 2

    for of in ("batch.completed", "batch.failed"):
        assert world.hear(batch_id, of).answer is Answer.TAKEN

    assert world.messages() == []
    assert world.record(batch_id) == before
    assert len(world.openai.requests) == asked


def test_the_type_of_a_webhook_is_not_believed(world: World) -> None:
    batch_id = ended(world)

    assert world.hear(batch_id, "batch.failed").answer is Answer.TAKEN

    assert told(world) == [("batch.completed", batch_id, ACCOUNT)]


def test_a_batch_that_openai_does_not_know_is_not_watched(world: World) -> None:
    heard = world.hear("batch_abc123")

    assert (heard.answer, heard.known) == (Answer.TAKEN, False)
    assert list(world.runtime.ledger.open_rows(ACCOUNT)) == []
    assert not world.record("batch_abc123").v


def test_a_batch_that_openai_does_not_know_just_now_is_asked_for_again(world: World) -> None:
    found, watched = ended(world), ended(world, found=False)

    world.openai.fault("GET /v1/batches/", status=404)
    assert world.hear(found).answer is Answer.TAKEN
    world.openai.fault("GET /v1/batches/", status=404)
    assert world.hear(watched).answer is Answer.LATER
    assert world.hear(watched).answer is Answer.TAKEN

    assert [batch_id for _, batch_id, _ in told(world)] == [found, watched]


def test_what_is_no_end_of_a_batch_is_taken_and_no_more(world: World) -> None:
    batch_id = ended(world)

    for of in ("response.completed", "batch.created", ""):
        assert world.hear(batch_id, of).answer is Answer.TAKEN

    assert world.openai.requests == []
    assert told(world) == []


def test_what_openai_cannot_be_asked_about_is_wanted_again_later(world: World) -> None:
    batch_id = ended(world)

    for trouble in TROUBLES:
        world.restart()
        world.openai.faults = [Fault("GET /v1/batches/", times=-1, **trouble)]
        began = time.monotonic()
        heard = world.runtime.webhook.hear(webhook(batch_id, world.clock.now), patience=0.8)
        assert time.monotonic() - began < 4
        assert heard.answer is Answer.LATER
        assert [problem.batch_id for problem in heard.report.problems] == [batch_id]
        assert not world.record(batch_id).v

    world.openai.faults = []
    world.restart()
    assert world.hear(batch_id).answer is Answer.TAKEN
    assert told(world) == [("batch.completed", batch_id, ACCOUNT)]


def test_an_end_that_openai_does_not_show_yet_is_waited_for_a_little(world: World) -> None:
    batch_id = ended(world)

    world.openai.fault("GET /v1/batches/", times=2, edit=_go_back)

    assert world.hear(batch_id).answer is Answer.TAKEN

    assert [event for event, *_ in told(world)] == ["batch.finalizing", "batch.completed"]


def test_an_end_without_its_files_is_wanted_again_until_they_are_there(world: World) -> None:
    batch_id = ended(world)
    late = world.openai.fault(
        "GET /v1/batches/", times=-1, edit=lambda said: said.update(output_file_id=None)
    )

    assert world.hear(batch_id).answer is Answer.LATER
    assert told(world) == []

    late.times = 0
    assert world.hear(batch_id).answer is Answer.TAKEN
    assert told(world) == [("batch.completed", batch_id, ACCOUNT)]


def test_what_somebody_was_interrupted_in_is_published(world: World) -> None:
    batch_id = ended(world)
    world.runtime.sns.meta.events.register("before-call.sns.Publish", _fail, unique_id="fail")
    assert world.hear(batch_id).answer is Answer.LATER
    world.runtime.sns.meta.events.unregister("before-call.sns.Publish", unique_id="fail")

    heard = world.hear(batch_id)

    assert heard.answer is Answer.TAKEN
    assert [event.subject for event in heard.report.events] == [batch_id]
    assert told(world) == [("batch.completed", batch_id, ACCOUNT)]


def _fail(**_: Any) -> None:
    raise ConnectionError


def test_without_discovery_only_what_was_registered_is_followed(world: World) -> None:
    world.environment["BATCHWATCH_DISCOVERY"] = "off"
    world.restart()
    others, mine = ended(world), ended(world, found=False)

    assert world.hear(others).answer is Answer.TAKEN
    assert world.hear(mine).answer is Answer.TAKEN

    assert told(world) == [("batch.completed", mine, ACCOUNT)]


def test_without_discovery_what_was_given_up_is_followed_again(world: World) -> None:
    world.environment["BATCHWATCH_DISCOVERY"] = "off"
    world.restart()
    batch_id = world.batch(SCRIPT)
    world.poll()
    world.runtime.dynamodb.update_item(
        TableName="ledger",
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": batch_id}},
        UpdateExpression="SET abandoned = :yes REMOVE #open",
        ExpressionAttributeNames={"#open": "open"},
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    world.clock.now += LIFE

    assert world.hear(batch_id).answer is Answer.TAKEN

    assert [event for event, *_ in told(world)] == ["batch.validating", "batch.completed"]


def test_what_is_left_over_goes_out_once(world: World) -> None:
    batch_id = world.batch(SCRIPT)
    world.runtime.sns.meta.events.register("before-call.sns.Publish", _fail, unique_id="fail")
    world.poll(after=2)
    world.runtime.sns.meta.events.unregister("before-call.sns.Publish", unique_id="fail")

    assert world.hear(batch_id).answer is Answer.LATER

    assert [event for event, *_ in told(world)] == ["batch.in_progress"]


def test_accounts_are_told_apart_by_their_secret(world: World) -> None:
    fill_in(world, SECRET, research={"project": "proj_1", "webhook_secrets": [NEW]})
    batch_id = ended(world)

    world.runtime.webhook.hear(webhook(batch_id, world.clock.now, secret=NEW))

    assert told(world) == [("batch.completed", batch_id, "research")]


def test_a_secret_belongs_to_one_account(world: World) -> None:
    fill_in(world, SECRET, research={"project": "proj_1", "webhook_secrets": [SECRET]})

    assert world.hear(ended(world)).answer is Answer.TAKEN

    assert [account for *_, account in told(world)] == [ACCOUNT]
    (problem,) = world.poll().problems
    assert str(problem.error) == "account 'research': webhook secret 1 is that of account 'default'"


def test_a_secret_may_take_the_place_of_another_at_any_time(world: World) -> None:
    first, second, third = ended(world), ended(world), ended(world)
    assert world.hear(first).answer is Answer.TAKEN

    fill_in(world, NEW, SECRET)
    now = world.clock.now
    assert world.runtime.webhook.hear(webhook(second, now, secret=NEW)).answer is Answer.TAKEN
    assert world.hear(third).answer is Answer.TAKEN

    assert [batch_id for _, batch_id, _ in told(world)] == [first, second, third]


def test_nobody_from_outside_can_have_the_secret_read_again_and_again(world: World) -> None:
    reads: list[str] = []
    stranger = webhook("batch_1", world.clock.now, secret=NEW)

    def knock() -> None:
        for _ in range(50):
            assert world.runtime.webhook.hear(stranger).answer is Answer.REFUSED

    for secret in ("", "{}", "not JSON", '{"accounts": {}}', "deleted"):
        if secret == "deleted":
            client("secretsmanager").delete_secret(SecretId="keys", ForceDeleteWithoutRecovery=True)
        elif secret:
            world.put_secret(secret)
        world.restart()
        count_reads(world, reads)
        knock()
        assert len(reads) <= 2
        world.clock.now += AGAIN
        knock()
        assert len(reads) <= 3
        reads.clear()


def count_reads(world: World, reads: list[str]) -> None:
    """Note every read of the secret."""
    events = world.runtime.accounts._provider.client.meta.events
    events.register("before-call.secretsmanager", lambda **_: reads.append("read"))


def test_an_account_counts_at_once_for_its_files_too(world: World) -> None:
    world.poll()
    fill_in(world, SECRET, research={"project": "proj_1"})

    assert world.runtime.accounts.get("research").project == "proj_1"


def test_a_secret_that_cannot_be_read_again_is_good_until_it_is_old(world: World) -> None:
    first, second = ended(world), ended(world)
    assert world.hear(first).answer is Answer.TAKEN
    client("secretsmanager").delete_secret(SecretId="keys", ForceDeleteWithoutRecovery=True)

    stranger = webhook(second, world.clock.now, secret=NEW)
    assert world.runtime.webhook.hear(stranger).answer is Answer.REFUSED

    assert world.hear(second).answer is Answer.TAKEN


def test_the_first_secret_of_an_account_counts_at_once(world: World) -> None:
    reads: list[str] = []
    fill_in(world)
    batch_id = ended(world)
    count_reads(world, reads)
    assert world.runtime.webhook.hear(webhook(batch_id, 0)).refused is Refusal.CLOCK
    assert len(reads) == 1  # what is wrong with it, no other secret mends

    fill_in(world, SECRET)

    assert world.hear(batch_id).answer is Answer.TAKEN


def test_a_secret_that_is_none_accepts_nothing_and_is_told_by_polls_that_go_on(
    world: World,
) -> None:
    for secrets in ((), ("",), ("whsec_",), ("whsec_c2hvcnQ=",), ("short",), (7, None, ["x"])):
        fill_in(world, *secrets)
        world.restart()
        batch_id = ended(world, found=False)
        heard = world.runtime.webhook.hear(webhook(batch_id, world.clock.now, secret="whsec_"))
        assert (heard.answer, heard.refused) == (Answer.REFUSED, Refusal.SECRET)
        assert heard.report.problems == []

        problems = world.poll().problems
        assert len(problems) == len(secrets)
        assert not any(problem.whole for problem in problems)
        assert told(world) == [("batch.completed", batch_id, ACCOUNT)]


def test_one_bad_secret_does_not_hold_up_the_others(world: World) -> None:
    fill_in(world, "whsec_short", SECRET)

    assert world.hear(ended(world)).answer is Answer.TAKEN


def test_a_row_that_cannot_be_read_is_told_and_wanted_again(world: World) -> None:
    batch_id = ended(world)
    key = {"account": {"S": ACCOUNT}, "batch_id": {"S": batch_id}}
    item = key | {"v": {"S": "one"}}
    world.runtime.dynamodb.put_item(TableName="ledger", Item=item)

    heard = world.hear(batch_id)

    assert heard.answer is Answer.LATER
    assert [problem.batch_id for problem in heard.report.problems] == [batch_id]


def test_the_sample_event_is_signed_with_the_secret_of_the_tests(world: World) -> None:
    event = sample("webhook")
    world.clock.now = float(event["headers"]["webhook-timestamp"])

    heard = world.runtime.webhook.hear(event)

    assert heard.answer is Answer.TAKEN
    assert heard.hint
    assert heard.hint.batch_id == json.loads(event["body"])["data"]["id"]


def test_a_body_counts_by_its_bytes_however_it_is_handed_over(world: World) -> None:
    batch_id = ended(world)

    event = webhook(batch_id, world.clock.now, encoded=True)

    assert world.runtime.webhook.hear(event).answer is Answer.TAKEN
    assert [subject for _, subject, _ in told(world)] == [batch_id]


def test_what_is_signed_but_says_nothing_is_refused(world: World) -> None:
    for body in NOTHING:
        heard = world.runtime.webhook.hear(signed(body, world.clock.now, encoded=True))

        assert (heard.answer, heard.refused) == (Answer.REFUSED, Refusal.BODY), body


def test_each_outcome_is_counted_and_told_once(world: World, invoke: Handlers) -> None:
    batch_id, now = ended(world), time.time()

    taken = invoke("webhook", webhook(batch_id, now - 7))
    unknown = invoke("webhook", webhook("batch_abc123", now))
    stale = invoke("webhook")
    world.openai.fault("GET /v1/batches/", status=500, times=-1)
    later = invoke("webhook", webhook("batch_other", now))

    assert [t.result for t in (taken, unknown, stale, later)] == [
        {"statusCode": status} for status in (200, 200, 400, 503)
    ]
    assert [t.metrics for t in (taken, unknown, stale, later)] == [
        {},
        {},
        {"WebhooksRefused": 1},
        {},
    ]
    assert [line["reason"] for line in stale.log] == ["Clock"]
    assert [(line["account"], line["batch_id"]) for line in unknown.log] == [
        (ACCOUNT, "batch_abc123")
    ]
    assert [line["batch_id"] for line in later.warnings()] == ["batch_other"]


def test_a_weak_secret_is_told_by_a_poll_but_not_shown(world: World, invoke: Handlers) -> None:
    fill_in(world, "whsec_dGhlIHdlYWsgb25l", SECRET)

    told = invoke("poller")

    assert "AccountsRefused" not in told.metrics
    assert told.result["problems"] == 1
    assert "'default': webhook secret 1" in json.dumps(told.log, ensure_ascii=False)
    assert "dGhlIHdlYWsgb25l" not in json.dumps(told.log)


@pytest.mark.parametrize("at", [10**400, -1, None, "now", float("nan"), 4e10], ids=range(6))
def test_a_moment_that_is_none_does_no_harm(world: World, invoke: Handlers, at: object) -> None:
    said = {"type": "batch.completed", "created_at": at, "data": {"id": ended(world)}}

    told = invoke("webhook", signed(json.dumps(said).encode(), time.time()))

    assert told.result == {"statusCode": 200}


def test_what_is_no_end_has_no_delay(world: World, invoke: Handlers) -> None:
    world.openai.fault("GET /v1/batches/", times=-1, edit=_go_back)

    told = invoke("webhook", webhook(ended(world), time.time()))

    published = [line for line in told.log if line["message"] == "published"]
    assert published
    assert not any("delay" in line for line in published)


def test_an_answer_is_there_before_openai_gives_up_and_lambda_does() -> None:
    function = read_template()["Resources"]["Webhook"]["Properties"]

    assert PATIENCE < 4 < function["Timeout"]


def test_a_secret_that_cannot_be_read_in_time_does_not_delay_the_answer(world: World) -> None:
    batch_id = ended(world)
    secrets = world.runtime.accounts._provider.client.meta.events
    read = threading.Event()

    def wait(**_: Any) -> None:
        read.wait(60)

    secrets.register("before-call.secretsmanager", wait)
    began = time.monotonic()

    heard = world.runtime.webhook.hear(webhook(batch_id, world.clock.now), patience=0.2)

    waited = time.monotonic() - began
    read.set()
    assert heard.answer is Answer.LATER
    assert waited < 30


def _go_back(said: dict[str, Any]) -> None:
    said.update(status="finalizing", completed_at=None, output_file_id=None)
