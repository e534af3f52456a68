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

from .embedders import Embedder

Comparison: TypeAlias = Literal["exact", "free_text"]
"""`exact`: letters and numbers as they are; `free_text`: short texts, in lower case and with blanks collapsed."""

Codes: TypeAlias = NDArray[np.int64]

LONG_WORDS = 8
"""From so many words on an answer is a text, never repeated word by word; a shorter one says it or does not."""

_BLANKS = re.compile(r"\s+")


def normal_form(answer: str | None, comparison: Comparison) -> str | None:
    """What two answers must share to agree; None where there is no answer to compare."""
    if answer is None:
        return None
    text = answer.strip() if comparison == "exact" else _BLANKS.sub(" ", answer).strip().lower()
    return text or None


def likeness(first: str, second: str, embedder: Embedder | None = None) -> float | None:
    """How far two answers say the same, in [0, 1]: 1.0 where their normal forms are equal; else, where both are longer
    than a short answer, the cosine of their embeddings; else 0.0. None where one of them is no answer."""
    a, b = normal_form(first, "free_text"), normal_form(second, "free_text")
    if a is None or b is None:
        return None
    if a == b:
        return 1.0
    if embedder is None or min(len(a.split()), len(b.split())) < LONG_WORDS:
        return 0.0
    u, v = embedder.encode([first, second]).astype(np.float64)
    size = float(np.linalg.norm(u) * np.linalg.norm(v))
    return float(np.clip(u @ v / size, 0.0, 1.0)) if size > 0 else 0.0


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
