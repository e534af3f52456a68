"""What LiteLLM's own table says of a model: price, context, abilities. Its file is read; LiteLLM is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import orjson

from ..domain import Json, Price
from ..errors import MissingExtra

_FILE = "model_prices_and_context_window_backup.json"
_PER = 1e6


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the table. price: US dollars a million tokens, None where it is not told; context, output: tokens that
    a prompt and a reply may have; the others: None where the table does not say."""

    price: Price | None = None
    context: int | None = None
    output: int | None = None
    tools: bool | None = None
    images: bool | None = None
    reasons: bool | None = None


def listed(model: str) -> Listed:
    """What is said of LiteLLM's name for a model (`provider/model`); all None where the table has no such row.

    A price by length of prompt is taken at its first step. Raises MissingExtra without LiteLLM."""
    provider, _, name = model.partition("/")
    table = _table()
    row: Json = table.get(model) or {}
    bare: Json = table.get(name) or {}
    if not row and bare.get("litellm_provider") == provider:
        row = bare
    if not row:
        return Listed()
    price = None
    if (fresh := row.get("input_cost_per_token")) is not None and (
        made := row.get("output_cost_per_token")
    ) is not None:
        cached = row.get("cache_read_input_token_cost", fresh)
        price = Price(fresh * _PER, cached * _PER, made * _PER, listed=True)
    tools, images, reasons = (row.get(f"supports_{one}") for one in ("function_calling", "vision", "reasoning"))
    return Listed(price, row.get("max_input_tokens"), row.get("max_output_tokens"), tools, images, reasons)


def folder() -> Path:
    """Where LiteLLM is installed. Raises MissingExtra where it is not."""
    found = find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("A hosted model", "hosted")
    return Path(found.submodule_search_locations[0])


@cache
def _table() -> dict[str, Json]:
    path = folder() / _FILE
    return cast("dict[str, Json]", orjson.loads(path.read_bytes())) if path.is_file() else {}
