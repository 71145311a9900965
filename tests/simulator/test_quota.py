"""How much may be enqueued, and how often batches may be created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.simulator import Endpoint, Pace, Webhooks
from tests.simulator.client import created, request, retrieved, sent, uploaded
from tests.simulator.test_lifecycle import START

if TYPE_CHECKING:
    from tests.simulator.client import Client


@pytest.fixture(autouse=True)
def _pace(client: Client) -> None:
    client.simulated.pace = Pace(validating=10, running=20, finalizing=30)


def statuses(client: Client, *batches: str) -> list[str]:
    return [retrieved(client, batch)["status"] for batch in batches]


def tokens(client: Client, file_id: str) -> int:
    """Tell as how much a batch of this file counts."""
    return client.simulated.file(file_id).stat().st_size // 4


def test_what_exceeds_the_enqueued_tokens_fails_at_the_end_of_its_validation(
    client: Client,
) -> None:
    file_id = uploaded(client, request())
    client.simulated.enqueued_tokens = limit = 2 * tokens(client, file_id)
    first, second, third = (created(client, file_id)["id"] for _ in range(3))
    client.clock.now += 9
    assert statuses(client, third) == ["validating"]
    client.clock.now += 1
    assert statuses(client, third, second, first) == ["failed", "in_progress", "in_progress"]
    batch = retrieved(client, third)
    message = (
        "Enqueued token limit reached for gpt-5-mini in organization org-simulated. Limit:"
        f" {limit:,} enqueued tokens. Please try again once some in_progress batches have been"
        " completed."
    )
    problem = {"code": "token_limit_exceeded", "message": message, "param": None, "line": None}
    assert batch["errors"]["data"] == [problem]
    assert batch["failed_at"] == START + 10
    assert batch["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert batch["usage"]["total_tokens"] == 0


def test_a_batch_is_enqueued_until_its_end(client: Client) -> None:
    client.simulated.enqueued_batches = 1
    first = sent(client, request())
    client.clock.now = START + 49.9  # the validation ends while the first is finalizing
    early = sent(client, request())
    client.clock.now = START + 50  # and at its very end
    late = sent(client, request())
    client.clock.now = START + 60
    assert statuses(client, first, early, late) == ["completed", "failed", "in_progress"]


def test_the_order_is_that_in_which_validations_end_however_late_anybody_looks(
    client: Client,
) -> None:
    client.simulated.enqueued_batches = 1
    slow = sent(client, request())
    client.simulated.pace = Pace(validating=5, running=4, finalizing=2)
    fast = sent(client, request())
    client.clock.now = START + 3
    third = sent(client, request())
    client.clock.now = START + 500
    assert statuses(client, slow, fast, third) == ["failed", "completed", "failed"]
    assert [retrieved(client, batch)["failed_at"] for batch in (slow, third)] == [
        START + 10,
        START + 8,
    ]


def test_a_cancellation_releases_earlier(client: Client) -> None:
    client.simulated.enqueued_batches = 1
    first, never_validated = sent(client, request()), sent(client, request())
    client.post(f"/batches/{never_validated}/cancel")
    client.clock.now = START + 12
    client.post(f"/batches/{first}/cancel")  # over at 42
    client.clock.now = START + 31
    early = sent(client, request())
    client.clock.now = START + 32
    late = sent(client, request())
    client.clock.now = START + 42
    assert statuses(client, first, never_validated) == ["cancelled", "cancelled"]
    assert statuses(client, early, late) == ["failed", "in_progress"]


def test_what_fails_its_validation_takes_no_place(client: Client) -> None:
    client.simulated.enqueued_batches = 1
    bad, good = sent(client, b"{"), sent(client, request())
    client.clock.now += 10
    assert statuses(client, bad, good) == ["failed", "in_progress"]


def test_each_model_has_its_own_limit(client: Client) -> None:
    client.simulated.enqueued_batches = {"gpt-5-mini": 0}
    bodies = [{"model": model, "input": "Why?"} for model in ("gpt-5-mini", "other", "other")]
    batches = [sent(client, request(body=body)) for body in bodies]
    client.clock.now += 10
    assert statuses(client, *batches) == ["failed", "in_progress", "in_progress"]


def test_where_failing_is_fast_the_creation_is_refused(client: Client) -> None:
    client.simulated.enqueued_batches, client.simulated.fail_fast = 1, True
    file_id = uploaded(client, request())
    first = created(client, file_id)
    refused = created(client, file_id)["error"]
    assert (refused["code"], refused["type"]) == ("token_limit_exceeded", "invalid_request_error")
    assert [made.id for made in client.simulated.created] == [first["id"]]
    client.clock.now += 60
    assert created(client, file_id)["status"] == "validating"


def test_the_end_is_the_same_for_list_webhook_and_script(client: Client) -> None:
    client.simulated.enqueued_batches = 0
    endpoint = Endpoint("http://127.0.0.1:1/", "whsec_c2VjcmV0")
    webhooks = Webhooks(client.simulated, endpoint)
    batch_id = sent(client, request())
    client.clock.now += 10
    assert [attempt.type for attempt in webhooks.send_due()] == ["batch.failed"]
    webhooks.__exit__()
    assert client.simulated.ends_at(batch_id) == START + 10
    assert client.simulated.scripts[batch_id].ends == "failed"
    assert client.get("/batches").json()["data"][0]["status"] == "failed"


def test_only_so_many_batches_are_created_in_an_hour(client: Client) -> None:
    client.simulated.creations_per_hour = 2
    file_id = uploaded(client, request())
    client.clock.now += 60  # START is the beginning of an hour
    asked: dict[str, Any] = {
        "json": {
            "input_file_id": file_id,
            "endpoint": "/v1/responses",
            "completion_window": "24h",
        }
    }
    answers = [client.post("/batches", **asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert answers[2].headers["retry-after"] == "3540"
    assert client.get("/batches").status_code == 200
    client.clock.now += 3540
    assert client.post("/batches", **asked).status_code == 200
    assert len(client.simulated.created) == 3
