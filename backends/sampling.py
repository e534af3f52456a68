"""How tokens are drawn, where several have a say: the caller, then the mode, then the model's family."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from ..domain import Sampling
from .rows import Wrong

NAMES = tuple(one.name for one in fields(Sampling))
_WHOLE = ("top_k", "seed")
_UNSAID = Sampling()


@dataclass(frozen=True, slots=True)
class Advice:
    """What the makers of a model recommend, with thinking on and off."""

    think: Sampling = _UNSAID
    direct: Sampling = _UNSAID

    def at(self, thinking_budget: int | None) -> Sampling:
        """What holds with this budget (0: thinking is off)."""
        return self.direct if thinking_budget == 0 else self.think


UNADVISED = Advice()
"""Of a model that nothing is known of."""


def read_sampling(value: object, wrong: Wrong, part: str = "", names: Collection[str] = NAMES) -> Sampling:
    """The checked values of a table. part: where it is in its field; names: those that it may have.

    Raises ConfigError."""
    if not isinstance(value, Mapping):
        raise wrong("must be a table", part)
    values = cast("Mapping[str, object]", value)
    for name, number in values.items():
        if name not in names:
            raise wrong(f"unknown field; allowed: {', '.join(names)}", f"{part}.{name}")
        whole = name in _WHOLE
        if isinstance(number, bool) or not isinstance(number, int if whole else int | float):
            raise wrong("must be a whole number" if whole else "must be a number", f"{part}.{name}")
    return Sampling(**cast("dict[str, Any]", dict(values)))


def merged(own: Sampling, *defaults: Sampling) -> Sampling:
    """The own values, 0 included; where there is none, that of the first of the defaults that has one."""
    for default in defaults:
        own = replace(own, **{name: getattr(default, name) for name in NAMES if getattr(own, name) is None})
    return own


def without(sampling: Sampling, names: Collection[str]) -> Sampling:
    """The sampling with these values left open."""
    return replace(sampling, **dict.fromkeys(set(names) & set(NAMES)))
