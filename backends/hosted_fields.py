"""What providers call thinking: the rows of hosted.yaml as frozen values, and what a call's wishes come to in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import yaml

from ..domain import Json
from .dialects import at_path, merged

STEPS = {"minimal": 0, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
"""From how many tokens of budget on a word stands for it: LiteLLM's own scale. A word is no budget, and is not called
one."""


@dataclass(frozen=True, slots=True)
class NumberField:
    """Where a number of tokens goes (dotted path), and the least and the most that the provider takes."""

    field: str
    min: int
    max: int | None = None


@dataclass(frozen=True, slots=True)
class EffortField:
    """Where a word goes (dotted path); its words from least to most; usual: the one for no budget (None: none)."""

    field: str
    words: tuple[str, ...]
    usual: str | None = None

    def nearest(self, budget: int) -> str:
        """The greatest word that this many tokens reach, or the least of all."""
        return next((word for word in reversed(self.words) if STEPS[word] <= budget), self.words[0])


@dataclass(frozen=True, slots=True)
class Spelling:
    """One row of hosted.yaml, which explains the fields."""

    name: str
    match: str
    title: str
    source: str
    thinks: bool | None = None
    switch_off: Json | None = None
    switch_on: Json = field(default_factory=dict[str, Any])
    unbounded: Json = field(default_factory=dict[str, Any])
    budget: NumberField | None = None
    effort: EffortField | None = None
    limited: bool = False
    shown: Literal["text", "summary", "nothing"] = "text"
    counted: bool = True
    inline: bool = False
    prefill: Literal["plain", "prefix"] | None = None
    logprobs: bool | None = None
    refuses: tuple[str, ...] = ()
    refuses_thinking: tuple[str, ...] = ()
    loop: str | None = None

    @property
    def switchable(self) -> bool | None:
        """Whether thinking can be turned off; None where it is not known, or there is none to turn off."""
        return self.switch_off is not None if self.thinks else None

    @property
    def least(self) -> str:
        """In words, the least that a model thinks which cannot be off."""
        if self.effort is not None:
            return f"effort {self.effort.words[0]}"
        if self.budget is not None:
            return f"a budget of {self.budget.min} tokens"
        return "its own length, as it takes no lower"

    def thinking(self, budget: int | None, *, least: bool = False, word: str | None = None) -> Json:
        """What asks for a thought: of so many tokens, of this word's effort, the least that there is, or (None) as the
        model likes."""
        if self.thinks is False:
            return {}
        parts = [self.switch_on]
        if self.budget is not None:
            number = self.budget.min if least else budget
            parts.append(self.unbounded if number is None else at_path(self.budget.field, number))
        elif self.effort is not None and (chosen := word or self._word(budget, least=least)) is not None:
            parts.append(at_path(self.effort.field, chosen))
        return merged(*parts)

    def _word(self, budget: int | None, *, least: bool) -> str | None:
        assert self.effort is not None
        if least:
            return self.effort.words[0]
        return self.effort.usual if budget is None else self.effort.nearest(budget)

    def off_problem(self) -> str | None:
        """Why thinking cannot be turned off, and what there is instead; None where it can, or nothing is known."""
        if not self.thinks or self.switch_off is not None:
            return None
        instead = f"use the mode `least` ({self.least}, which still thinks)"
        return f"its thinking cannot be turned off at {self.title}: {instead}"

    def budget_problem(self, budget: int) -> str | None:
        """Why the provider would not take this budget, and what to do; None where it would."""
        if self.budget is None or budget == 0:
            return None
        if budget < self.budget.min:
            instead = "or 0, which is off" if self.switch_off is not None else "or the mode `least`"
            return f"{self.title} takes no budget under {self.budget.min} tokens: ask for that or more, {instead}"
        if self.budget.max is not None and budget > self.budget.max:
            return f"{self.title} takes no budget over {self.budget.max} tokens: ask for that or less"
        return None


@cache
def spellings() -> tuple[Spelling, ...]:
    """Every row of hosted.yaml, in order."""
    text = files(__name__.rpartition(".")[0]).joinpath("hosted.yaml").read_text("utf-8")
    rows = cast("dict[str, Json]", yaml.safe_load(text))
    return tuple(_spelling(name, row) for name, row in rows.items())


def spelling_of(model: str) -> Spelling:
    """The row for LiteLLM's name of a model; where none matches, one that claims nothing."""
    found = next((row for row in spellings() if re.match(row.match, model, re.IGNORECASE)), None)
    provider = model.partition("/")[0]
    title = f"{provider} (through LiteLLM)"
    return found or Spelling(name="", match="", title=title, source="nothing is known of it", inline=True)


def _spelling(name: str, row: Json) -> Spelling:
    values = dict(row)
    if "budget" in values:
        values["budget"] = NumberField(**values["budget"])
    if "effort" in values:
        effort: Json = values["effort"]
        values["effort"] = EffortField(effort["field"], tuple(effort["words"]), effort.get("usual"))
    for key in ("refuses", "refuses_thinking"):
        values[key] = tuple(values.get(key, ()))
    return Spelling(name=name, **values)
