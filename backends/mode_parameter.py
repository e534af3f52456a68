"""Modes that take a number, as in `concise(60)`: what the number may be, how it is spelled, and the texts that name it.

In a mode's texts `{name}` is where its parameter goes; `{{` and `}}` are braces that the model is to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10
from string import Formatter
from typing import cast

from ..errors import BadRequest
from .rows import Wrong

MOST = 1_000_000
"""The greatest number that a parameter may allow; more tokens than any model's context today."""
_SPELLED = re.compile(r"(?P<base>[^()]+)\((?P<given>.*)\)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A mode's number: a whole one from `least` to `most`.

    default: its value where none is given (None: then the mode does without). budget: it is the thinking budget, in
    tokens. estimated: where none is given, it is the answer's expected tokens, if they were measured, else the default.
    """

    name: str
    least: int
    most: int
    default: int | None = None
    budget: bool = False
    estimated: bool = False

    def value(self, expected: float | None) -> int | None:
        """The number where none is given. expected: tokens that the answer is likely to take, None: not known."""
        if not self.estimated or expected is None or not isfinite(expected):
            return self.default
        return min(max(plain(expected), self.least), self.most)


def plain(number: float) -> int:
    """The number to two significant figures: a model is told 340, not 337.2. Not below 1."""
    number = max(number, 1.0)
    unit = 10 ** max(0, floor(log10(number)) - 1)
    return round(number / unit) * unit


def taken_apart(spelled: str) -> tuple[str, str | None]:
    """The mode's own name and what stands in parentheses behind it, None where nothing does."""
    found = _SPELLED.fullmatch(spelled)
    return (spelled, None) if found is None else (found["base"], found["given"])


def read_number(base: str, given: str, parameter: Parameter) -> int:
    """The number that was written behind a mode's name. Raises BadRequest saying what it may be."""
    if _NUMBER.fullmatch(given) and parameter.least <= int(given) <= parameter.most:
        return int(given)
    example = parameter.least if parameter.default is None else parameter.default
    raise BadRequest(
        f"{base}({given:.50}): {parameter.name} must be a whole number from {parameter.least} to {parameter.most}, as "
        f"in {base}({example}).",
        field="mode",
    )


def read_parameter(value: object, wrong: Wrong) -> Parameter:
    """The checked table `{name, min, max, default, sets, from}` of a row. Raises ConfigError."""
    known = ("name", "min", "max", "default", "sets", "from")
    if not isinstance(value, Mapping):
        raise wrong(f"must be a table of {', '.join(known)}", "")
    told = cast("Mapping[str, object]", value)
    for name in told:
        if name not in known:
            raise wrong(f"unknown field; allowed: {', '.join(known)}", f".{name}")
    name = told.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong("must be a word of small letters, as in {words}", ".name")
    for field, one in (("sets", "thinking_budget"), ("from", "estimate")):
        if told.get(field, one) != one:
            raise wrong(f"can only be {one}", f".{field}")
    least, most = _count(told, "min", wrong), _count(told, "max", wrong)
    if least > most:
        raise wrong(f"is above max ({most})", ".min")
    budget, estimated = "sets" in told, "from" in told
    if budget and (estimated or "default" in told):
        raise wrong(
            "is the thinking budget, which has no value where none is given: leave out default and from", ".sets"
        )
    default = None if budget else _count(told, "default", wrong)
    if default is not None and not least <= default <= most:
        raise wrong(f"must be from min ({least}) to max ({most})", ".default")
    return Parameter(name, least, most, default, budget, estimated)


def _count(told: Mapping[str, object], field: str, wrong: Wrong) -> int:
    value = told.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise wrong(f"must be a whole number from 1 to {MOST}", f".{field}")
    return value


def placeholders(text: str, parameter: Parameter | None, wrong: Wrong) -> int:
    """How often the text names the parameter. Raises ConfigError for any other use of braces, with the way out."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise wrong("has a brace without its partner: braces that the model is to see are {{ and }}", "") from None
    names = [
        name + (f"!{mark}" if mark else "") + (f":{form}" if form else "")
        for _, name, form, mark in parts
        if name is not None
    ]
    for name in names:
        if parameter is None or name != parameter.name:
            has = "has no `parameter:`" if parameter is None else f"has the parameter {{{parameter.name}}}"
            raise wrong(f"names {{{name}}}, but the mode {has}; braces that the model is to see are {{{{ and }}}}", "")
    return len(names)


def fill(text: str, parameter: Parameter | None, value: int | None) -> str:
    """The checked text with the number in it."""
    return text.format(**({} if parameter is None else {parameter.name: value})) if text else text
