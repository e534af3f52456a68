"""How many tokens a prompt will be, before any engine has counted it: characters / 4, corrected per model by usage.

Only for deciding (expected cost, whether a context is long enough); what is recorded is the engine's own count."""

from __future__ import annotations

from typing import cast

import orjson

from ..domain import Json, Query

CHARACTERS_PER_TOKEN = 4.0
_MEMORY = 0.05  # share of the newest call in the running ratio: about the last twenty calls count


class TokenCounts:
    """A running ratio of counted to guessed prompt tokens for each model; starts at 1."""

    def __init__(self) -> None:
        self._ratio: dict[str, float] = {}

    def prompt_tokens(self, model: str, query: Query) -> float:
        """Expected prompt tokens of the query for this model."""
        return guess(query) * self._ratio.get(model, 1.0)

    def learn(self, model: str, query: Query, counted: int) -> None:
        """Take in an engine's own count of the query's prompt (tokens)."""
        if counted > 0:
            ratio = counted / guess(query)
            before = self._ratio.get(model, ratio)
            self._ratio[model] = before + _MEMORY * (ratio - before)


def guess(query: Query) -> float:
    """Characters / 4 over messages and tools; at least 1."""
    characters = sum(_characters(message) for message in query.messages)
    if query.tools:
        characters += len(orjson.dumps(query.tools))
    return max(1.0, characters / CHARACTERS_PER_TOKEN)


def parts(message: Json) -> list[Json]:
    """The parts of a message whose content is a list of them; none where it is plain text."""
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [cast(Json, part) for part in cast(list[object], content) if isinstance(part, dict)]


def _characters(message: Json) -> int:
    content = message.get("content")
    total = 8  # the template's own words round a message
    if isinstance(content, str):
        total += len(content)
    total += sum(len(str(part.get("text", ""))) for part in parts(message))  # images are the engine's to count
    if calls := message.get("tool_calls"):
        total += len(orjson.dumps(calls))
    return total
