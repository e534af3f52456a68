"""A model family as a value, and the check of its row in `families.yaml` or in the owner's `families:`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, cast, get_args

from .rows import Where, Wrong, checked_row, wrong_in
from .sampling import UNADVISED, Advice, read_sampling

Switch: TypeAlias = Literal["enable_thinking", "thinking", "other", "none"]
Opens: TypeAlias = Literal["template", "model", "depends"]
History: TypeAlias = Literal["strip", "keep-in-tool-loops", "keep"]

_SAMPLED = ("temperature", "top_p", "top_k", "min_p", "presence_penalty")
_CHOICES: dict[str, tuple[str, ...]] = {
    "switch": get_args(Switch),
    "opens": get_args(Opens),
    "history": get_args(History),
}


@dataclass(frozen=True, slots=True)
class Switching:
    """What is said to a model to turn its thinking off or on. arguments: of its chat template; system: a line of system
    text, "" where there is none."""

    arguments: Mapping[str, Any]
    system: str = ""


_NEEDED = ("match", "thinks", "switch", "source")
_OF_THOUGHT = ("open", "close", "opens", "empty", "soft", "history", "least", "switched_off", "switched_on")


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of a family of models; `families.yaml` explains the fields. None: not known.

    active: parameters at work per token, in billions. soft: () where no words switch the thinking. least: the
    lowest word of `reasoning_effort`. switched_off, switched_on: how the thinking is switched where `switch` is other.
    advice: the recommended sampling."""

    name: str
    match: str
    thinks: bool
    switch: Switch
    source: str
    active: float | None = None
    open: str | None = None
    close: str | None = None
    opens: Opens | None = None
    empty: str | None = None
    soft: tuple[str, ...] | None = None
    history: History | None = None
    least: str | None = None
    switched_off: Switching | None = None
    switched_on: Switching | None = None
    advice: Advice = UNADVISED

    @property
    def switchable(self) -> bool | None:
        """Whether thinking can be turned off by what the model is told; None where there is none to turn off."""
        return self.switch in ("enable_thinking", "thinking") or self.switched_off is not None if self.thinks else None

    def has(self, short: str) -> bool:
        """Whether a model of this name, without folders, is of the family."""
        return re.search(self.match, short, re.IGNORECASE) is not None


FIELDS = tuple("sampling" if one.name == "advice" else one.name for one in fields(Family) if one.name != "name")
"""The fields of a row."""


def read_families(rows: Mapping[str, object], where: Where) -> dict[str, Family]:
    """Checked families by name, in the order of their rows. Raises ConfigError naming row and field."""
    return {name: _family(name, row, where) for name, row in rows.items()}


def _family(name: str, data: object, where: Where) -> Family:
    row = checked_row(name, data, where, FIELDS, _NEEDED)
    values = {field: _value(field, value, wrong_in(name, field, where)) for field, value in row.items()}
    if not values["thinks"]:
        for field in (one for one in _OF_THOUGHT if one in values):
            raise wrong_in(name, field, where)("is of no use: the family does not think (`thinks: false`)", "")
        if values["switch"] != "none":
            raise wrong_in(name, "switch", where)("must be none: the family does not think (`thinks: false`)", "")
        if "think" in cast("Mapping[str, object]", row.get("sampling", {})):
            raise wrong_in(name, "sampling", where)("is of no use: the family does not think", ".think")
    if values["switch"] != "other":
        for field in (one for one in ("switched_off", "switched_on") if one in values):
            raise wrong_in(name, field, where)("is of use only with `switch: other`", "")
    if "sampling" in values:
        values["advice"] = values.pop("sampling")
    return Family(name=name, **values)


def _value(field: str, value: object, wrong: Wrong) -> Any:
    """One checked field's value, as `Family` keeps it. Raises ConfigError."""
    if field in _READ:
        return _READ[field](value, wrong)
    if field in _CHOICES:
        if value not in _CHOICES[field]:
            raise wrong(f"must be one of {', '.join(_CHOICES[field])}; it is {value!r}", "")
        return value
    if not isinstance(value, str) or not value:
        raise wrong("must be text, and not empty", "")
    return _pattern(value, wrong) if field == "match" else value


def _truth(value: object, wrong: Wrong) -> bool:
    if not isinstance(value, bool):
        raise wrong("must be true or false", "")
    return value


def _billions(value: object, wrong: Wrong) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise wrong("must be a number above 0, in billions", "")
    return float(value)


def _pattern(value: str, wrong: Wrong) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise wrong(f"is no regular expression: {error}", "") from error
    return value


def _words(value: object, wrong: Wrong) -> tuple[str, ...]:
    words = cast("Sequence[object]", value) if isinstance(value, list | tuple) else None
    if words is None or not all(isinstance(word, str) and len(word.strip()) > 1 for word in words):
        raise wrong("must be a list of words of two letters and more; an empty one says that there are none", "")
    return tuple(cast("Sequence[str]", words))


def _switching(value: object, wrong: Wrong) -> Switching:
    said = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {})
    for key in said:
        if key not in ("arguments", "system"):
            raise wrong("unknown field; allowed: arguments, system", f".{key}")
    arguments, system = said.get("arguments", {}), said.get("system", "")
    if not isinstance(arguments, Mapping) or not isinstance(system, str) or not (arguments or system):
        raise wrong("must be a table of arguments (of the chat template) or system (a line of text)", "")
    return Switching(cast("Mapping[str, Any]", arguments), system)


def _advice(value: object, wrong: Wrong) -> Advice:
    known = tuple(one.name for one in fields(Advice))
    if not isinstance(value, Mapping):
        raise wrong(f"must be a table of {' and '.join(known)}", "")
    told = cast("Mapping[str, object]", value)
    for mode in told:
        if mode not in known:
            raise wrong(f"unknown field; allowed: {', '.join(known)}", f".{mode}")
    return Advice(**{mode: read_sampling(row, wrong, f".{mode}", _SAMPLED) for mode, row in told.items()})


_READ: dict[str, Callable[[object, Wrong], Any]] = {
    "thinks": _truth,
    "active": _billions,
    "sampling": _advice,
    "soft": _words,
    "switched_off": _switching,
    "switched_on": _switching,
}
