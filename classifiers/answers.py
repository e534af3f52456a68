"""Comparing answers: the normal form of an answer, and which answers say the same.

Two answers agree where their normal forms are equal. An answer that could not be read (None, or nothing but blanks)
agrees with no other. Replies are compared by their final answers (finals.py) in normal form (forms.py), by the standard
library alone: no extra that is installed or missing changes what agrees, in training or in serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .embedders import Embedder
from .finals import final_answer, is_short, may_mark
from .forms import short_form

Comparison: TypeAlias = Literal["exact", "free_text"]
"""`exact`: letters and numbers as they are; `free_text`: final answers, numbers by value, in lower case."""

Codes: TypeAlias = NDArray[np.int64]

_ROUNDS = 8
"""A final answer may itself say where its answer is: `\\boxed{Answer: 12}`. Two rounds are usual."""


def normal_form(answer: str | None, comparison: Comparison) -> str | None:
    """What two answers must share to agree; None where there is no answer to compare. It is its own normal form.

    free_text: blanks and case say nothing; what the final answer is may depend on where lines end."""
    if answer is None:
        return None
    if comparison == "exact":
        return answer.strip() or None
    text = "\n".join(" ".join(line.split()) for line in answer.lower().strip().split("\n"))
    for _ in range(_ROUNDS):
        before, text = text, short_form(" ".join((final_answer(text) or text).split()))
        if text == before or not may_mark(text):
            break
    return text or None


def likeness(first: str, second: str, embedder: Embedder | None = None) -> float | None:
    """How far two answers say the same, in [0, 1]: 1.0 where their normal forms are equal; else, where both are longer
    than a short answer and one of them names no final answer, the cosine of their embeddings; else 0.0. None where one
    of them is no answer."""
    a, b = normal_form(first, "free_text"), normal_form(second, "free_text")
    if a is None or b is None:
        return None
    if a == b:
        return 1.0
    if embedder is None or is_short(first) or is_short(second):
        return 0.0
    if final_answer(first) is not None and final_answer(second) is not None:
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
