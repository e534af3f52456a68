"""How many tokens a prompt will be, before any engine has counted it: characters / 4, corrected per model by usage.

Only for deciding (expected cost, whether a context is long enough); what is recorded is the engine's own count.

The correction is a line, counted = offset + slope * guessed: a template's own words are a constant, not a share of the
text, and a language or code that needs more tokens a character is a share. The line is the mean of a Bayesian
regression with a prior at (0, 1), so that one call says what it can: a short one the offset, a long one the slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from ..domain import Json, Query

CHARACTERS_PER_TOKEN = 4.0

OFFSET_SD, SLOPE_SD = 50.0, 0.3
"""How far the line may lie from the guess itself before a call was counted: tokens, and tokens a guessed token."""
NOISE, NOISE_SHARE = 5.0, 0.1
"""Standard deviation of one count about the line: tokens, and a share of the guess."""
LEAST_SLOPE, MOST_SLOPE = 0.5, 5.0
"""From long words to scripts in which a character is more than a token."""

_MEMORY = 0.95  # what an older call still weighs beside the next newer one: about the last twenty count


@dataclass(frozen=True, slots=True)
class _Sums:
    """Weighted sums over the counted calls: of 1, g, g * g, excess and g * excess, where g is the guess and excess what
    was counted beyond it (tokens)."""

    n: float = 0.0
    g: float = 0.0
    gg: float = 0.0
    e: float = 0.0
    ge: float = 0.0

    def line(self) -> tuple[float, float]:
        """(offset, slope)."""
        a, b, d = self.n + OFFSET_SD**-2, self.g, self.gg + SLOPE_SD**-2
        offset, slope = (d * self.e - b * self.ge), (a * self.ge - b * self.e)
        return offset / (a * d - b * b), min(max(1.0 + slope / (a * d - b * b), LEAST_SLOPE), MOST_SLOPE)


class TokenCounts:
    """A running line from guessed to counted prompt tokens for each model; starts at the guess itself."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sums] = {}

    def prompt_tokens(self, model: str, query: Query) -> float:
        """Expected prompt tokens of the query for this model; at least 1."""
        offset, slope = self._sums.get(model, _Sums()).line()
        return max(1.0, offset + slope * guess(query))

    def learn(self, model: str, query: Query, counted: int) -> None:
        """Take in an engine's own count of the query's prompt (tokens), read once. Images teach nothing: their tokens
        are no text's."""
        if counted <= 0 or has_images(query):
            return
        g, old = guess(query), self._sums.get(model, _Sums())
        w, excess = (NOISE + NOISE_SHARE * g) ** -2, counted - g
        self._sums[model] = _Sums(
            _MEMORY * old.n + w,
            _MEMORY * old.g + w * g,
            _MEMORY * old.gg + w * g * g,
            _MEMORY * old.e + w * excess,
            _MEMORY * old.ge + w * g * excess,
        )


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


def has_images(query: Query) -> bool:
    """Whether a picture stands in any message."""
    return any(
        part.get("type") in ("image_url", "input_image", "image")
        for message in query.messages
        for part in parts(message)
    )


def _characters(message: Json) -> int:
    content = message.get("content")
    total = 8  # the template's own words round a message
    if isinstance(content, str):
        total += len(content)
    total += sum(len(str(part.get("text", ""))) for part in parts(message))  # images are the engine's to count
    if calls := message.get("tool_calls"):
        total += len(orjson.dumps(calls))
    return total
