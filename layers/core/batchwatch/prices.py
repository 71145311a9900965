"""What a batch has cost, by its tokens and its model. Pure."""

from decimal import Decimal
from typing import NamedTuple


class Cost(NamedTuple):
    """Dollars that OpenAI charges for a batch, as far as its price is known."""

    dollars: Decimal
