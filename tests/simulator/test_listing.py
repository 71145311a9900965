"""The list of batches, as badly served as some providers and gateways do it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.simulator import SimulatedOpenAI
from tests.simulator.test_lifecycle import COMPLETED, START

if TYPE_CHECKING:
    from tests.simulator.client import Client

MOST_PAGES = 30


@pytest.fixture
def ids(client: Client) -> list[str]:
    """Seven batches, newest first."""
    simulated = client.simulated
    return [simulated.add(COMPLETED, created_at=START - age) for age in range(7)]


def page(client: Client, limit: int, after: str | None = None) -> dict[str, Any]:
    asked: dict[str, int | str] = {"limit": limit} | ({"after": after} if after else {})
    return dict(client.get("/batches", params=asked).raise_for_status().json())


def walk(client: Client, limit: int) -> list[list[str]]:
    """The ids of page after page, by a client that follows `last_id`."""
    pages, after = [], None
    for _ in range(MOST_PAGES):
        said = page(client, limit, after)
        pages.append([row["id"] for row in said["data"]])
        if not said["has_more"]:
            break
        after = said["last_id"]
    return pages


def statuses(client: Client) -> dict[str, str]:
    """What the list says of each batch."""
    return {row["id"]: row["status"] for row in page(client, 100)["data"]}


def retrieved(client: Client, batch_id: str) -> str:
    return str(client.get(f"/batches/{batch_id}").raise_for_status().json()["status"])


def test_a_true_list_has_every_batch_once(client: Client, ids: list[str]) -> None:
    assert walk(client, 3) == [ids[:3], ids[3:6], ids[6:]]
    assert walk(client, 7) == [ids]


def test_a_list_may_stand_still_while_retrieves_go_on(client: Client) -> None:
    early = client.simulated.add(COMPLETED)
    client.simulated.listing.stands_still = client.clock.now
    client.clock.now += 60
    late = client.simulated.add(COMPLETED)
    assert statuses(client) == {early: "validating"}
    assert (retrieved(client, early), retrieved(client, late)) == ("completed", "validating")


def test_a_list_may_lag(client: Client) -> None:
    client.simulated.listing.lags = 10
    batch_id = client.simulated.add(COMPLETED)
    client.clock.now += 9
    assert (statuses(client), retrieved(client, batch_id)) == ({}, "completed")
    client.clock.now += 3
    assert statuses(client) == {batch_id: "in_progress"}
    client.clock.now += 60
    assert statuses(client) == {batch_id: "completed"}


def test_a_row_may_move_only_when_its_batch_is_retrieved(client: Client) -> None:
    client.simulated.listing.moves_when_asked = True
    asked, unasked = client.simulated.add(COMPLETED), client.simulated.add(COMPLETED)
    client.clock.now += 3
    assert retrieved(client, asked) == "in_progress"
    client.clock.now += 60
    assert statuses(client) == {asked: "in_progress", unasked: "validating"}


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_a_page_may_begin_with_the_row_that_ended_the_one_before(
    client: Client, ids: list[str], limit: int
) -> None:
    client.simulated.listing.repeats_rows = True
    pages = walk(client, limit)
    assert [one[-1] for one in pages[:-1]] == [one[0] for one in pages[1:]]
    assert pages[0] + [batch_id for one in pages[1:] for batch_id in one[1:]] == ids
    assert max(map(len, pages)) <= limit


def test_a_cursor_may_lead_back_to_the_first_page_for_ever(client: Client, ids: list[str]) -> None:
    client.simulated.listing.cursor_repeats = True
    assert walk(client, 3) == [ids[:3]] * MOST_PAGES
    assert walk(client, 100) == [ids] * MOST_PAGES
    assert page(client, 3, "whatever")["last_id"] == ids[2]


def test_something_else_may_be_in_the_place_of_a_row(client: Client, ids: list[str]) -> None:
    client.simulated.listing.edit_row = lambda row: 7 if row["id"] == ids[2] else row
    said = page(client, 3)
    assert [row if row == 7 else row["id"] for row in said["data"]] == [*ids[:2], 7]
    assert said["last_id"] == ids[2]


@pytest.mark.parametrize(
    ("at", "sizes"),
    [(0, [0, 3, 3, 1]), (2, [2, 0, 3, 2]), (3, [3, 0, 3, 1]), (7, [3, 3, 1, 0, 0]), (8, [3, 3, 1])],
)
def test_a_page_may_be_empty_though_more_come_behind_it(
    client: Client, ids: list[str], at: int, sizes: list[int]
) -> None:
    client.simulated.listing.empty_page_at = at
    pages = walk(client, 3)
    assert [len(one) for one in pages] == sizes
    assert [batch_id for one in pages for batch_id in one] == ids


def test_only_who_follows_last_id_gets_past_an_empty_page(client: Client, ids: list[str]) -> None:
    client.simulated.listing.empty_page_at = 3
    before = page(client, 3)["data"][-1]["id"]
    for _ in range(2):  # the same cursor again brings the same again
        empty = page(client, 3, before)
        assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, True)
    assert page(client, 1, empty["last_id"])["data"][0]["id"] == ids[3]


def test_a_batch_may_be_missing_in_the_list(client: Client, ids: list[str]) -> None:
    client.simulated.listing.hidden = {ids[0], ids[3]}
    assert walk(client, 2) == [ids[1:3], ids[4:6], ids[6:]]
    assert page(client, 1, ids[3])["data"][0]["id"] == ids[4]
    assert retrieved(client, ids[3]) == "in_progress"


def test_troubles_of_the_list_come_together(client: Client, ids: list[str]) -> None:
    listing = client.simulated.listing
    listing.hidden, listing.repeats_rows, listing.empty_page_at = {ids[1]}, True, 2
    shown = [ids[0], *ids[2:]]
    assert walk(client, 3) == [shown[:2], [], shown[1:4], shown[3:]]


def test_a_list_request_goes_wrong_like_any_other(client: Client, ids: list[str]) -> None:
    client.simulated.listing.moves_when_asked = True
    client.simulated.fault("/batches\\?", edit=lambda said: said.update(has_more=True))
    client.simulated.fault("/batches\\?", status=502)
    assert page(client, 100)["has_more"]
    assert client.get("/batches", params={"limit": 3}).status_code == 502
    client.simulated.unreliable(share=0.5)
    said = []
    for _ in range(40):
        try:
            said.append(page(client, 7))
        except (httpx.HTTPStatusError, httpx.TransportError):
            continue
    assert 0 < len(said) < 40
    assert all([row["id"] for row in one["data"]] == ids for one in said)


def test_a_page_of_twelve_thousand_batches_takes_hardly_longer_than_one_of_a_hundred() -> None:
    with SimulatedOpenAI() as few, SimulatedOpenAI() as many:
        for simulated, batches in ((few, 100), (many, 12_000)):
            for age in range(batches):
                simulated.add(COMPLETED, created_at=START - age)
        middle = many.oldest_first[6000].id

        assert seconds_of_a_page(many, middle) < 3 * seconds_of_a_page(few, None)


def seconds_of_a_page(simulated: SimulatedOpenAI, after: str | None) -> float:
    """How long this thread is at work for it, undisturbed."""
    took = []
    for _ in range(5):
        began = time.thread_time()
        simulated.listing.page(simulated, 100, after)
        took.append(time.thread_time() - began)
    return min(took)
