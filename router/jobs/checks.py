"""Checks of answers: what a model's answer comes to, and whether it is right.

Six kinds. `exact`: the same text but for case, blanks and punctuation at its ends; `number`: within a tolerance;
`choice`: the letter of an option; `mathematics`: equal as mathematics (math-verify); `regex`: the expression is found
in it; `json_schema`: it is JSON that the schema allows. The last three may take for ever on some texts: bounded.py runs
them in a process of their own.

Models rarely answer with the answer alone, so the first three look where an answer is usually marked
(classifiers/finals.py), else at the last line."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from ...classifiers.finals import marked
from ...classifiers.numerals import LONGEST, rational
from ...errors import MissingExtra

Kind: TypeAlias = Literal["exact", "number", "mathematics", "choice", "regex", "json_schema"]

KINDS: tuple[Kind, ...] = ("exact", "number", "mathematics", "choice", "regex", "json_schema")
BOUNDED: frozenset[Kind] = frozenset({"mathematics", "regex", "json_schema"})
"""Kinds whose time cannot be told beforehand."""
TOLERANCE = 1e-6
"""How far a number may be off where nobody says: this, or this share of it where it is above one."""
_NUMBER = re.compile(
    r"(?<![\w.])[-+\u2212]?(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d{1,3})?(?:/\d+)?"
)
_LETTER = re.compile(r"(?<![\w'\u2019])\(?([A-Z])(?![\w'\u2019])")
_ENDS = " \t\r\n.,;:!?\"'`*$\u201c\u201d\u2018\u2019«»"
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """correct: 1.0 right, 0.0 wrong; answer: its normal form, None where there is nothing short to compare."""

    correct: float
    answer: str | None


def check(kind: Kind, wanted: Any, text: str | None, tolerance: float | None = None) -> Checked:
    """Whether a model's answer is right. wanted: a text; a number; a letter; a formula; an expression; a schema.

    No text at all is wrong. The kinds of `BOUNDED` may take for ever here. Raises MissingExtra."""
    if text is None or not text.strip():
        return Checked(0.0, None)
    if kind == "number":
        return _number(wanted, text, tolerance)
    return _CHECKS[kind](wanted, text)


def needed(kind: Kind) -> None:
    """Raises MissingExtra where the part that this kind needs is not installed."""
    for name, module in (("mathematics", "math_verify"), ("json_schema", "jsonschema")):
        if kind == name and importlib.util.find_spec(module) is None:
            raise MissingExtra(f"the check {name!r}", "calibrate")


def normal(text: str) -> str:
    """The text in one case, blanks collapsed, without punctuation at its ends."""
    return " ".join(text.casefold().split()).strip(_ENDS)


def final(text: str) -> str:
    """What a longer answer gives as its answer: what is marked so last, else its last line."""
    if (given := marked(text)) is not None:
        return given
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def number(text: str) -> float | None:
    """The number that a text ends with (`1,234.5`, `-2e3`, `3/4`); None: there is none."""
    found = _NUMBER.findall(text)
    exact = rational(found[-1]) if found else None
    try:
        return None if exact is None else float(exact)
    except OverflowError:
        return None


def _exact(wanted: Any, text: str) -> Checked:
    whole, marked, goal = normal(text), normal(final(text)), normal(str(wanted))
    right = goal in (whole, marked)
    return Checked(float(right), _short(goal if right else marked))


def _number(wanted: Any, text: str, tolerance: float | None) -> Checked:
    goal = _wanted_number(wanted)
    allowed = TOLERANCE * max(1.0, abs(goal)) if tolerance is None else tolerance
    given = number(final(text))
    if given is None:
        given = number(text)
    if given is None:
        return Checked(0.0, None)
    right = abs(given - goal) <= allowed
    return Checked(float(right), f"{goal if right else given:.10g}")


def _wanted_number(wanted: Any) -> float:
    found = number(wanted) if isinstance(wanted, str) else float(wanted)
    return math.nan if found is None else found


def _choice(wanted: Any, text: str) -> Checked:
    marked = final(text)
    alone = [m for m in (normal(marked).strip("()[]"), normal(text).strip("()[]")) if len(m) == 1 and m.isalpha()]
    # "I" and "A" are words too: such a letter counts where nothing else is there.
    letters = _LETTER.findall(marked) or _LETTER.findall(text)
    letter = alone[0].upper() if alone else next((x for x in letters if x not in "AI"), letters[0] if letters else None)
    return Checked(float(letter == str(wanted).strip().upper()), letter)


def _mathematics(wanted: Any, text: str) -> Checked:
    needed("mathematics")
    library: Any = importlib.import_module("math_verify")
    # Its own time limits want the main thread and a signal; ours is the process.
    goal = library.parse(_formula(str(wanted)), parsing_timeout=None)
    given = library.parse(text, parsing_timeout=None) or library.parse(_formula(final(text)), parsing_timeout=None)
    if not goal or not given:
        return Checked(0.0, _short(normal(final(text))))
    right = bool(library.verify(goal, given, timeout_seconds=None))
    return Checked(float(right), _short(str(goal[0] if right else given[0])))


def _formula(text: str) -> str:
    """In dollars, as the library wants a formula, unless it stands in some already."""
    return text if "$" in text or "\\boxed" in text or "\\(" in text else f"${text}$"


def _regex(wanted: Any, text: str) -> Checked:
    found = re.search(str(wanted), text)
    return Checked(float(found is not None), _short(normal(found[0] if found else final(text))))


def _json_schema(wanted: Any, text: str) -> Checked:
    needed("json_schema")
    library: Any = importlib.import_module("jsonschema")
    registry: Any = importlib.import_module("referencing").Registry()  # an empty one: nothing is fetched
    fenced = _FENCE.findall(text)
    try:
        value = json.loads(fenced[-1] if fenced else text)
    except ValueError:
        return Checked(0.0, None)
    right = library.validators.validator_for(wanted)(wanted, registry=registry).is_valid(value)
    return Checked(float(bool(right)), _short(json.dumps(value, sort_keys=True, separators=(",", ":"))))


def _short(text: str) -> str | None:
    return text if 0 < len(text) <= LONGEST else None


_CHECKS: Mapping[Kind, Callable[[Any, str], Checked]] = MappingProxyType(
    {
        "exact": _exact,
        "choice": _choice,
        "mathematics": _mathematics,
        "regex": _regex,
        "json_schema": _json_schema,
    }
)
