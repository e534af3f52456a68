"""LiteLLM's own table, read without LiteLLM."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pointsman.backends import hosted_prices
from pointsman.backends.hosted_prices import Listed, listed
from pointsman.errors import MissingExtra


def test_a_price_is_in_dollars_a_million_and_not_assumed() -> None:
    said = listed("anthropic/claude-sonnet-4-5")
    assert said.price is not None
    assert (said.price.assumed, said.price.listed) == (False, True)
    assert 0 < said.price.cached_input < said.price.input < said.price.output < 1000
    assert (said.tools, said.reasons) == (True, True)
    assert (said.context or 0) >= 200_000
    assert (said.output or 0) >= 8_000


def test_a_name_with_its_provider_is_found_with_and_without_it() -> None:
    assert listed("gemini/gemini-2.5-pro").price is not None  # in the table with its provider
    assert listed("openai/gpt-4o").price is not None  # there without


def test_a_name_of_another_provider_is_not_taken_for_it() -> None:
    assert listed("groq/gpt-4o") == Listed()
    assert listed("nowhere/claude-sonnet-4-5") == Listed()


def test_where_no_cached_price_is_told_a_cached_token_costs_as_a_fresh_one(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6}
    monkeypatch.setattr(hosted_prices, "_table", lambda: {"x/y": row, "x/free": {}})
    price = listed("x/y").price
    assert price is not None
    assert (price.input, price.cached_input, price.output) == pytest.approx((2, 2, 8))
    assert listed("x/free").price is None


def test_reading_it_does_not_import_litellm() -> None:
    code = (
        "import sys\nfrom pointsman.backends import listed\n"
        "assert listed('openai/gpt-4o').price\nassert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_litellm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_prices, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[hosted\]'"):
        hosted_prices.folder()
