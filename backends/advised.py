"""What a model's makers recommend of sampling, as far as its engine can be told and its owner has not decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .config import ModelConfig
from .dialects import dialect
from .families import family_of
from .family_rows import Family
from .sampling import UNADVISED, Advice, merged, without

_BEYOND_OPENAI = ("top_k", "min_p", "repetition_penalty")


def names_of(name: str, config: ModelConfig) -> tuple[str, ...]:
    """The names that the configuration gives the model `name`, the one that says most first."""
    said = (config.model, Path(config.path).name if config.path else None, config.embedded, name)
    return tuple(one for one in said if one)


def advice(name: str, config: ModelConfig, table: Sequence[Family] | None = None) -> Advice:
    """The recommended sampling of the model `name`, by its family among those of the table (None: the shipped). None
    for a provider's model: its own defaults are its makers'.

    Left out: what its `extra` sets, and what its engine's dialect does not know, which nobody asked for. A model that
    does not think, or cannot be told not to, has one sampling for all modes."""
    family = None if config.hosted else family_of(names_of(name, config), table)
    if family is None:
        return UNADVISED
    think, direct = family.advice.think, family.advice.direct
    if not family.thinks:
        think = merged(think, direct)
    elif not family.switchable:
        direct = merged(direct, think)
    taken = _decided(config)
    return Advice(without(think, taken), without(direct, taken))


def _decided(config: ModelConfig) -> set[str]:
    """The values of sampling that are not to be recommended: set by the owner, or unknown to the engine."""
    if config.folder is not None:
        return set()
    spelled = dialect(config.dialect or config.engine).sampling
    unknown = {one for one in _BEYOND_OPENAI if one not in spelled}
    return unknown | set(config.extra) | {one for one, theirs in spelled.items() if theirs in config.extra}
