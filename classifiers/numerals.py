"""Numbers as people and models write them, read exactly: one rational, however it is spelt.

Only the standard library decides here and in finals.py and forms.py: training and serving must see the same agreements
whichever extras are installed, so math-verify and sympy (router/jobs/checks.py, for grading) have no say.
"""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 200
"""Characters up to which a text is read as a number, or as a short answer at all."""
GREATEST_EXPONENT = 400
"""Beyond it a power of ten is not multiplied out: `1e999999999` is no number but a text, equal to itself."""

_DECIMAL = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+"
_SIGN = r"[-+\u2212]?"
_EXPONENT = rf"\{{?({_SIGN}\d{{1,3}})\}}?"
_RATIO = re.compile(rf"({_SIGN})({_DECIMAL})(?:[eE]({_SIGN}\d{{1,3}}))?(?:/({_SIGN})({_DECIMAL}))?")
_FRACTION = re.compile(rf"({_SIGN})\\frac\{{({_SIGN})({_DECIMAL})\}}\{{({_SIGN})({_DECIMAL})\}}")
_FIRST = frozenset("+-\u2212.\\")
_POWER = re.compile(rf"({_SIGN})(?:({_DECIMAL})[ ]?[*x\u00d7][ ]?)?10\^{_EXPONENT}")


def rational(text: str) -> Fraction | None:
    """The number that a text is, and nothing else is in it; None where it is none.

    `12`, `+1,234.50` (well-formed thousands only), `.5`, `-3/4`, `\\frac{-3}{4}`, `1.2e-3`, `3*10^5`, `3x10^{5}`,
    `10^5`; minus may be U+2212. No zero denominators, no mixed numbers, no percents, at most `LONGEST` characters."""
    if not 0 < len(text) <= LONGEST or not (text[0] in _FIRST or text[0].isdecimal()):
        return None
    if text.isdecimal():
        return Fraction(int(text))
    if found := _RATIO.fullmatch(text):
        sign, above, exponent, below_sign, below = found.groups()
        return _value(sign + (below_sign or ""), above, below, exponent)
    if found := _FRACTION.fullmatch(text):
        sign, above_sign, above, below_sign, below = found.groups()
        return _value(sign + above_sign + below_sign, above, below, None)
    if found := _POWER.fullmatch(text):
        sign, above, exponent = found.groups()
        return _value(sign, above or "1", None, exponent)
    return None


def _value(signs: str, above: str, below: str | None, exponent: str | None) -> Fraction | None:
    power = int(exponent.replace("\u2212", "-")) if exponent else 0
    if abs(power) > GREATEST_EXPONENT:
        return None
    top, places = _digits(above)
    bottom, less = _digits(below) if below else (1, 0)
    if bottom == 0:
        return None
    if (len(signs) - signs.count("+")) % 2:
        top = -top
    power += less - places
    return Fraction(top * 10**power, bottom) if power >= 0 else Fraction(top, bottom * 10**-power)


def _digits(decimal: str) -> tuple[int, int]:
    """The digits as a whole number, and how many of them stand behind the point."""
    whole, _, part = decimal.replace(",", "").partition(".")
    return int(whole + part), len(part)
