"""What a batch cost: exact where it can be told, and nothing where it cannot."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch
from batchwatch.errors import PricesError
from batchwatch.prices import Prices
from tests.builders import batch, modest, odd_batches, read, without

PRICES = Prices.read()
ROUND = '{"round": {"input": 2, "cached": 0.5, "output": 8}, "plain": {"input": 2, "output": 8}}'
OWN = Prices.read(ROUND)
millions = st.integers(0, 10**12)


def usage(tokens_in: Any, tokens_out: Any, cached: Any = 0, total: Any = None) -> dict[str, Any]:
    """Count tokens."""
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": tokens_out,
        "total_tokens": total,
    }


def cost(model: str | None, used: Any, status: str = "completed", of: Prices = OWN) -> Any:
    """Price such a batch, in dollars."""
    priced = of.cost(read(status, model=model, usage=used))
    return priced.dollars if priced else None


# Figures


def test_a_batch_costs_half_of_the_full_price() -> None:
    assert cost("plain", usage(1_000_000, 500_000)) == Decimal("3.00")
    assert cost("gpt-5-mini-2025-08-07", usage(1_000_000, 1_000_000), of=PRICES) == Decimal("1.125")


def test_cached_tokens_cost_their_own_price_or_where_there_is_none_that_of_input() -> None:
    used = usage(1_000_000, 0, cached=400_000)
    assert cost("round", used) == Decimal("0.7")
    assert cost("plain", used) == Decimal(1)


def test_one_token_is_not_lost_in_rounding() -> None:
    assert cost("round", usage(1, 0)) == Decimal("0.000001")
    assert cost("round", usage(10**15 + 1, 0)) == Decimal(10**15 + 1) / 10**6


def test_embeddings_have_no_output_to_pay_for() -> None:
    for used in (usage(2_000_000, None), usage(2_000_000, 0, total=2_000_000)):
        assert cost("text-embedding-3-small", used, of=PRICES) == Decimal("0.02")


@pytest.mark.parametrize("status", ["completed", "expired", "cancelled"])
def test_partial_results_cost_what_they_used(status: str) -> None:
    assert cost("plain", usage(1_000_000, 0), status) == Decimal(1)


@given(millions, millions, millions, millions)
@modest
def test_more_tokens_never_cost_less_and_cached_ones_never_more(
    one: int, more: int, out: int, cached: int
) -> None:
    tokens_in = one + 1
    cheaper = min(cached, tokens_in)
    base = cost("round", usage(tokens_in, out))
    assert base <= cost("round", usage(tokens_in + more, out))
    assert base <= cost("round", usage(tokens_in, out + more))
    assert base / 4 <= cost("round", usage(tokens_in, out, cheaper)) <= base
    assert cost("plain", usage(tokens_in, out, cheaper)) == base


# Models


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("ft:gpt-4o-mini-2024-07-18:acme::Bx41", "ft:gpt-4o-mini"),
        ("ft:gpt-3.5-turbo-0125:acme:name:id", "ft:gpt-3.5-turbo-0125"),
    ],
)
def test_a_model_is_found_by_its_name_and_without_date_or_owner(model: str, listed: str) -> None:
    used = usage(1000, 1000)
    assert cost(model, used, of=PRICES) is not None
    assert cost(model, used, of=PRICES) == cost(listed, used, of=PRICES)


def test_an_old_snapshot_and_a_fine_tuned_model_keep_their_own_price() -> None:
    used = usage(1_000_000, 0)
    old, new = "gpt-4o-2024-05-13", "gpt-4o-2024-11-20"
    assert (cost(old, used, of=PRICES), cost(new, used, of=PRICES)) == (
        Decimal("2.5"),
        Decimal("1.25"),
    )
    tuned = cost("ft:gpt-4o-mini-2024-07-18:acme::x", used, of=PRICES)
    assert tuned == 2 * cost("gpt-4o-mini", used, of=PRICES)


@pytest.mark.parametrize(
    "model",
    [
        None,
        "",
        "gpt-9",
        "gpt-5-mini-preview",
        "gpt-5-mini-2025-08",
        "GPT-5-MINI",
        "gpt-3.5-turbo-0613",
        "ft:gpt-4.1-2025-04-14:acme::x",
        "ft:",
        "ft::",
        "my-gpt-5-mini",
        "gpt-image-1",
    ],
)
def test_an_unknown_model_has_no_price(model: str | None) -> None:
    assert cost(model, usage(1000, 1000), of=PRICES) is None


# What cannot be told


@pytest.mark.parametrize(
    "used",
    [
        None,
        {},
        "much",
        usage(None, None),
        usage(0, 0),
        usage(None, None, total=500),
        usage(100, None),
        usage(100, 10, cached=101),
        usage(-5, 10),
        usage(100, 10, total=109),
        usage(1.5, 10),
        usage([3], 10),
        usage("100", 10),
        usage(0, 10, cached=5),
        usage(10**18, 1),
    ],
)
def test_counts_that_cannot_be_right_have_no_price(used: Any) -> None:
    assert cost("round", used) is None


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling", "odd"])
def test_a_batch_that_has_not_ended_has_no_cost(status: str) -> None:
    assert cost("round", usage(1000, 1000), status) is None


def test_a_batch_that_never_ran_or_tells_of_no_usage_has_no_cost() -> None:
    assert PRICES.cost(read("failed", model="gpt-5-mini")) is None
    assert PRICES.cost(Batch.read(without(batch(), "usage"))) is None


@given(odd_batches())
@modest
def test_no_batch_is_too_odd_to_be_priced(said: dict[str, Any]) -> None:
    priced = PRICES.cost(Batch.read(said | {"model": "gpt-5-mini"}))
    assert priced is None or priced.dollars > 0


# Prices of one's own


def test_a_price_of_ones_own_counts_beside_and_before_the_table() -> None:
    own = Prices.read('{"gpt-5-mini": {"input": 4, "output": "8"}, "my-deployment": {"input": 1}}')
    used = usage(1_000_000, 0, cached=1_000_000)
    assert cost("gpt-5-mini-2025-08-07", used, of=own) == Decimal(2)
    assert cost("my-deployment", used, of=own) == Decimal("0.5")
    assert cost("gpt-5", used, of=own) == cost("gpt-5", used, of=PRICES)


def test_a_fine_tuned_model_of_ones_own_may_be_listed_with_its_date() -> None:
    own = Prices.read('{"ft:gpt-4.1-2025-04-14": {"input": 3, "output": 12}}')
    assert cost("ft:gpt-4.1-2025-04-14:acme::x", usage(10**6, 0), of=own) == Decimal("1.5")
    assert cost("ft:gpt-4.1-2026-04-14:acme::x", usage(10**6, 0), of=own) is None


def test_a_decimal_is_read_as_it_is_written() -> None:
    own = Prices.read('{"m": {"input": 0.1, "output": 0.2}}')
    assert cost("m", usage(1_000_000, 1_000_000), of=own) == Decimal("0.15")


@pytest.mark.parametrize("nothing", ["", "  \n", "{}"])
def test_no_prices_of_ones_own_leave_the_table(nothing: str) -> None:
    assert Prices.read(nothing) == PRICES


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"m": {"input": 1e99999999999999999999}}', "not JSON"),
        ("[]", "not an object"),
        ("0.25", "not an object"),
        ('{"m": 0.25}', "'m' needs input"),
        ('{"m": {}}', "'m' needs input"),
        ('{"m": {"output": 2}}', "'m' needs input"),
        ('{"m": {"input": 1, "outputs": 2}}', "'m' needs input"),
        ('{"m": {"input": -1}}', "input of 'm'"),
        ('{"m": {"input": 1, "output": null}}', "output of 'm'"),
        ('{"m": {"input": 1, "cached": true}}', "cached of 'm'"),
        ('{"m": {"input": "cheap"}}', "input of 'm'"),
        ('{"m": {"input": NaN}}', "input of 'm'"),
        ('{"m": {"input": 1e999}}', "input of 'm'"),
        ('{"m": {"input": "Infinity"}}', "input of 'm'"),
        ('{"m": {"input": [1]}}', "input of 'm'"),
    ],
)
def test_malformed_prices_are_refused_by_name(override: str, named: str) -> None:
    with pytest.raises(PricesError, match=r"^Prices") as refused:
        Prices.read(override)
    assert named in str(refused.value)
    assert len(str(refused.value)) < 300


# The table


def test_the_table_has_a_day_and_plausible_prices() -> None:
    assert date.fromisoformat(PRICES.as_of) >= date(2026, 10, 26)
    assert len(PRICES.models) > 50
    for name, rate in PRICES.models.items():
        assert 0 < rate.cached <= rate.input < (rate.output or Decimal(100)) < 1000, name
