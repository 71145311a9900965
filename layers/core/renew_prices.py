"""Renew batchwatch/prices.json from the data of the package genai-prices.

uv run --no-project --with genai-prices==0.2.3 python layers/core/renew_prices.py
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers

TABLE = Path(__file__).parent / "batchwatch" / "prices.json"
DISCOUNT = Decimal("0.5")
DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
RESPELLED = re.compile(r"gpt-\d-\d")  # gpt-5-1 for gpt-5.1
VERIFIED = re.compile(r"verified on (\d{4}-\d{2}-\d{2})")
NOW = datetime.now(UTC)
FINE_TUNED = {
    "ft:gpt-3.5-turbo-": ["ft:gpt-3.5-turbo", "ft:gpt-3.5-turbo-0125"],
    "ft:gpt-4o-mini": ["ft:gpt-4o-mini"],
}
"""These are known to the package by how their names begin."""


def rates(model: Any) -> dict[str, str] | None:
    """Return full prices of a model of which a batch has exactly half; None for all others.

    A cached price is kept only where batches have half of it, too: OpenAI's batch prices name none
    for older models.
    """
    full = model.get_prices(NOW)
    if full.input_mtok is None or "image" in model.id or model.id.endswith(".ft-"):
        return None
    if model.id.startswith("text-embedding-"):  # without batch prices in the package; half, too
        return {"input": str(full.input_mtok)}
    tiers = [v.prices for v in model.price_variants or [] if "batch" in v.when.values()]
    halved = [name for name in ("input", "output") if tiers and _halved(full, tiers[-1], name)]
    if halved != ["input", "output"]:
        return None
    cached = ["cache_read"] if _base(tiers[-1], "cache_read") is not None else []
    names = ["input", *cached, "output"]
    return {name.replace("cache_read", "cached"): str(_base(full, name)) for name in names}


def _halved(full: Any, batch: Any, name: str) -> bool:
    price = _base(batch, name)
    return price is not None and price == _base(full, name) * DISCOUNT


def _base(prices: Any, name: str) -> Decimal | None:
    """Return the price of short requests: what is above cannot be told from the sums of a batch."""
    price = getattr(prices, f"{name}_mtok")
    return getattr(price, "base", price)


def names(model: Any) -> list[str]:
    """Return a model's names; with a date only if it has none without, as `Prices` takes it off."""
    if model.id in FINE_TUNED:
        return FINE_TUNED[model.id]
    clauses = getattr(model.match, "or_", [model.match])
    said = {model.id, *(clause.equals for clause in clauses if hasattr(clause, "equals"))}
    return sorted(n for n in said if n == model.id or not (DATED.search(n) or RESPELLED.match(n)))


def main() -> None:
    """Write the table anew."""
    openai = next(provider for provider in providers if provider.id == "openai")
    priced = [(model, found) for model in openai.models if (found := rates(model))]
    checked = [date for m, _ in priced for date in VERIFIED.findall(m.price_comments or "")]
    models = {name: found for model, found in priced for name in names(model)}
    table = {
        "as_of": max(checked),
        "source": f"genai-prices {version('genai-prices')}, https://developers.openai.com/api/docs/pricing",
        "batch_discount": str(DISCOUNT),
        "models": dict(sorted(models.items())),
    }
    rows = json.dumps(table, indent=2)
    TABLE.write_text(re.sub(r"\{\s+(\"(?:input)[^}]*?)\s+\}", _on_one_line, rows) + "\n")


def _on_one_line(row: re.Match[str]) -> str:
    return "{" + " ".join(row[1].split()) + "}"


if __name__ == "__main__":
    main()
