"""The normal form of a short answer: what is left when its wrapping is taken off.

Numbers become exact rationals in lowest terms (numerals.py), so that any two spellings of one agree and no two numbers
do. A percent stays one: `50%` is neither `1/2` nor `50`, as an agreement that is none costs an error, and one that is
missed a purchase. A dollar sign says nothing, be it the fence of a formula or a currency. Case says nothing either, in
formulae too: `x` agrees with `X`. Words are words: `one` is not `1`; nothing is solved, expanded or converted.
"""

from __future__ import annotations

import re

from .numerals import LONGEST, rational

_COMMANDS = {
    **dict.fromkeys(("left", "right", "displaystyle", "big", "bigl", "bigr", "!", "(", ")", "[", "]", "$"), ""),
    **dict.fromkeys((",", ":", ";", " ", "quad", "qquad"), " "),
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), "\\frac"),
    **dict.fromkeys(("times", "cdot", "ast"), "*"),
    **{mark: mark for mark in "%{}"},
}
"""LaTeX that only sets the type, and what is read in its place."""
_COMMAND = re.compile(r"\\([a-z]+|.)")
_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\{,\})(?=\d{3})")
_TEXT = re.compile(r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it)|mbox|emph|operatorname)\s?\{([^{}]*)\}")
_FRAC = re.compile(r"\\frac\s?(\d)\s?(\d)")
_BOLD = re.compile(r"(?<![^\s(\"'])\*{2,}(?=[^\s*])|(?<=[^\s*])\*{2,}(?=[\s.,;:!?)\"']|$)")
_OPERATORS = re.compile(r"\s*([-+*/^_=<>|;:%(){}\[\]])\s*")
_COMMA = re.compile(r"\s*,\s*")
_LISTED = re.compile(r"(?<=\d),(?=\d)")
_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_LETTER = re.compile(r"[(\[]?([a-z])[)\]]?")
_PAIRS = {"*": "*", "`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_SIGNS = str.maketrans({"\u2212": "-", "\u00d7": "*", "\u22c5": "*", "$": None, "~": " ", "\u200b": None})


def short_form(text: str) -> str:
    """The normal form of an answer of at most `LONGEST` characters, in lower case already; never empty, its own normal
    form. A longer text comes back as it is."""
    for _ in range(LONGEST):  # every pass takes something off; so many are never needed
        if len(text) > LONGEST or text.isalpha():
            break
        tidy = _tidied(text) or text
        if (number := _number(tidy)) is not None:
            return number
        if tidy == text:
            break
        text = tidy
    return text


def _number(text: str) -> str | None:
    if text.endswith("%"):
        share = rational(text[:-1])
        return None if share is None else f"{share}%"
    number = rational(text)
    return None if number is None else str(number)


def _tidied(text: str) -> str:
    """One layer of wrapping less."""
    if text.isdecimal():
        return text
    if "\\" in text or "{," in text:
        text = _typeset(text)
    text = _unwrapped(text.translate(_SIGNS))
    if letter := _LETTER.fullmatch(text):
        return letter[1]
    if " " in text:
        text = _OPERATORS.sub(r"\1", text)
    return _listed(text) if "," in text else text


def _typeset(text: str) -> str:
    """LaTeX that only sets the type, taken out or spelt in one way."""
    text = _THOUSANDS.sub(",", text)
    text = _COMMAND.sub(lambda found: _COMMANDS.get(found[1], found[0]), text)
    if "{" in text:
        text = _TEXT.sub(r"\1", text)
    return _FRAC.sub(r"\\frac{\1}{\2}", text)


def _unwrapped(text: str) -> str:
    """Without blanks, emphasis, quotes around all of it, and one full stop at the end."""
    text = " ".join(text.split())
    if "**" in text:
        text = _BOLD.sub("", text)
    if len(text) > 2 and _PAIRS.get(text[0]) == text[-1]:
        inner = text[1:-1]
        if text[0] not in inner and text[-1] not in inner:
            text = inner.strip()
    if text[-1:] in (".", "\u3002") and text[-2:-1] not in ("", "."):
        text = text[:-1].rstrip()
    return text


def _listed(text: str) -> str:
    """Commas spelt in one way. `1, 200` are two numbers and stay so; what stands in brackets is a list too."""
    if "(" not in text and "[" not in text:
        text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    return _LISTED.sub(", ", _COMMA.sub(",", text))
