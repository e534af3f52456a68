"""Comparing answers: the normal form of an answer, and which answers say the same.

Two answers agree where their normal forms are equal. An answer that could not be read (None, or nothing but blanks)
agrees with no other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Comparison: TypeAlias = Literal["exact", "free_text"]
"""`exact`: letters and numbers as they are; `free_text`: short texts, in lower case and with blanks collapsed."""

Codes: TypeAlias = NDArray[np.int64]

_BLANKS = re.compile(r"\s+")


def normal_form(answer: str | None, comparison: Comparison) -> str | None:
    """What two answers must share to agree; None where there is no answer to compare."""
    if answer is None:
        return None
    text = answer.strip() if comparison == "exact" else _BLANKS.sub(" ", answer).strip().lower()
    return text or None


def agreement_codes(answers: Sequence[Sequence[str | None]], comparison: Comparison | None) -> Codes:
    """Whole numbers (n, R) for answers (n rows of R): equal within a row where answers agree, -1 where there is none.

    comparison None: answers cannot be compared, all -1."""
    width = len(answers[0]) if answers else 0
    codes = np.full((len(answers), width), -1, dtype=np.int64)
    if comparison is None:
        return codes
    for row, given in enumerate(answers):
        seen: dict[str, int] = {}
        for column, answer in enumerate(given):
            form = normal_form(answer, comparison)
            if form is not None:
                codes[row, column] = seen.setdefault(form, len(seen))
    return codes
