"""What a batch has cost, by its tokens and its model. Pure, but for reading its own table."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from batchwatch.errors import PricesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.batch import Batch, Usage

_TABLE = Path(__file__).with_name("prices.json")
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION = 1_000_000
_HIGHEST = 1_000_000
_MOST_TOKENS = 10**18


class Cost(NamedTuple):
    """Dollars that OpenAI charges for a batch, as far as its price is known."""

    dollars: Decimal


class Rate(NamedTuple):
    """Dollars for a million tokens at full price; `cached` is that of `input` where not told."""

    input: Decimal
    cached: Decimal
    output: Decimal | None

    def of(self, usage: Usage) -> Decimal | None:
        """Dollars at full price for these tokens; None where their counts cannot be right."""
        details = usage.input_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        tokens_in = usage.input_tokens
        tokens_out = 0 if self.output is None else usage.output_tokens
        if not tokens_in or tokens_out is None or cached > tokens_in:
            return None
        if usage.total_tokens not in {None, tokens_in + tokens_out}:
            return None
        if tokens_in + tokens_out > _MOST_TOKENS:
            return None
        dollars = (tokens_in - cached) * self.input + cached * self.cached
        return (dollars + tokens_out * (self.output or 0)) / _MILLION


class Prices(NamedTuple):
    """Full prices by model, as they were on a day, and what part of them a batch costs."""

    as_of: str
    discount: Decimal
    models: dict[str, Rate]
    note: str = ""

    @classmethod
    def read(cls, override: str = "") -> Self:
        """Read the table, and over it the parameter Prices; PricesError if that is malformed.

        `override`: `{"gpt-5-mini": {"input": 0.25, "cached": 0.025, "output": 2}, …}`, in dollars
        for a million tokens at full price. `cached` and `output` may be absent.
        """
        table, own = json.loads(_TABLE.read_text()), _parsed(override)
        rates = {name: _rate(name, fields) for name, fields in (table["models"] | own).items()}
        note = " and the parameter Prices" if own else ""
        return cls(table["as_of"], Decimal(table["batch_discount"]), rates, note)

    @property
    def told(self) -> str:
        """Which prices these are, for people."""
        return f"OpenAI's list prices of {self.as_of}{self.note}"

    def listed(self, model: str | None) -> str | None:
        """Return the name by which a model is priced, without its date, say; None if it is not."""
        return next((name for name in _names(model) if name in self.models), None)

    def cost(self, batch: Batch) -> Cost | None:
        """Return what a batch that has ended cost; None where that cannot be told."""
        return self.cost_of(batch.model, batch.usage) if batch.status.terminal else None

    def cost_of(self, model: str | None, usage: Usage | None) -> Cost | None:
        """Return what so many tokens of a model cost in a batch; None where that is not known."""
        name = self.listed(model)
        rate = self.models[name] if name else None
        full = rate.of(usage) if rate and usage else None
        return None if full is None else Cost(full * self.discount)


def prices_of(override: str) -> tuple[Prices, PricesError | None]:
    """Read the prices; those of the table alone, and why, where the parameter is malformed."""
    try:
        return Prices.read(override), None
    except PricesError as error:
        note = " (the parameter Prices cannot be read)"
        return Prices.read()._replace(note=note), error


def _names(model: str | None) -> Iterator[str]:
    """Give the names under which a model may be listed, the most exact first."""
    if model:
        yield model
        base = model
        if model.startswith("ft:"):  # ft:gpt-4o-mini-2024-07-18:organization::id
            base = ":".join(model.split(":")[:2])
            yield base
        yield _DATE.sub("", base)


def _parsed(override: str) -> dict[str, Any]:
    if not override.strip():
        return {}
    try:
        models = json.loads(override, parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:  # a number beyond bounds
        raise PricesError(f"Prices is not JSON: {error}") from error
    if not isinstance(models, dict):
        raise PricesError('Prices is not an object: {"MODEL": {"input": 0.25, "output": 2}}')
    return models


def _rate(name: str, fields: Any) -> Rate:
    if not isinstance(fields, dict) or not {"input"} <= set(fields) <= set(Rate._fields):
        raise PricesError(f"Prices: {name!r:.100} needs input, and may have cached and output")
    priced = {field: _dollars(name, field, said) for field, said in fields.items()}
    return Rate(priced["input"], priced.get("cached", priced["input"]), priced.get("output"))


def _dollars(name: str, field: str, said: Any) -> Decimal:
    try:
        amount = Decimal(said) if isinstance(said, int | Decimal | str) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(said, bool) or not (amount.is_finite() and 0 <= amount <= _HIGHEST):
        raise PricesError(f"Prices: {field} of {name!r:.100} is no number of dollars")
    return amount
