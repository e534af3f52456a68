"""What a call costs, in the owner's one currency. Where the owner gives no price, a model's size stands for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose

from ..domain import Price, Usage
from ..errors import ConfigError

PER = 1_000_000
"""Prices are per this many tokens."""


def cost(price: Price, usage: Usage) -> float:
    """Cost of one call in currency: cached input at its own price, thought and answer as output."""
    return expected_cost(price, usage.prompt - usage.cached, usage.output, usage.cached)


def expected_cost(price: Price, input_tokens: float, output_tokens: float, cached_tokens: float = 0.0) -> float:
    """Cost in currency of these many tokens."""
    return (price.input * input_tokens + price.cached_input * cached_tokens + price.output * output_tokens) / PER


def assumed_price(parameters: float) -> Price:
    """The default price of a model with this many active parameters (in billions): that for output, a tenth of it for
    input (a prompt is read in parallel, an answer is written token by token), nothing for cached input."""
    return Price(input=parameters / 10, cached_input=0.0, output=parameters, assumed=True)


def changed_by(before: Sequence[Price], now: Sequence[Price]) -> float | None:
    """The one factor by which all prices of input and output changed (1: not at all); None where there is none.

    Cached input is left out: what is expected of a query is told at the price of fresh input."""
    pairs = [pair for old, new in zip(before, now, strict=True) for pair in zip(_fresh(old), _fresh(new), strict=True)]
    factor = next((new / old for old, new in pairs if old > 0), 1.0)
    same = all(isclose(factor * old, new, rel_tol=1e-9) for old, new in pairs)
    return factor if same and factor > 0 else None


def _fresh(price: Price) -> tuple[float, float]:
    return price.input, price.output


def check_prices(prices: Mapping[str, Price]) -> None:
    """All routes have given prices or all have assumed ones: a mix would compare currencies with parameter counts.

    Raises ConfigError."""
    assumed = sorted(name for name, price in prices.items() if price.assumed)
    given = sorted(name for name, price in prices.items() if not price.assumed)
    if assumed and given:
        raise ConfigError(
            f"the routes {', '.join(given)} have prices and {', '.join(assumed)} have none: "
            "give a price to every route, or to none",
            field="routes",
        )
