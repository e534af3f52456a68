"""What a call costs, in the owner's one currency. Where the owner gives no price, a model's size stands for it."""

from __future__ import annotations

from collections.abc import Mapping

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
