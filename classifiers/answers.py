"""Comparing answers: the normal form of an answer, and which answers say the same.

Two answers agree where their normal forms are equal. An answer that could not be read (None, or nothing but blanks)
agrees with no other. Replies are compared by their final answers (finals.py) in normal form (forms.py), by the standard
library alone: no extra that is installed or missing changes what agrees, in training or in serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .embedders import Embedder
from .finals import final_answer, is_short, may_mark
from .forms import short_form

Comparison: TypeAlias = Literal["exact", "free_text"]
"""`exact`: letters and numbers as they are; `free_text`: final answers, numbers by value, in lower case."""

Codes: TypeAlias = NDArray[np.int64]
Doubles: TypeAlias = NDArray[np.float64]

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
    a, b = _Reply.of(first), _Reply.of(second)
    return None if a is None or b is None else a.like(b, embedder)


def text_likenesses(answers: Sequence[str | None], embedder: Embedder) -> Doubles:
    """The same for every two of R answers that are texts, longer than a short one, (R, R); 0.0 for others and on the
    diagonal: of those, whether they agree says all."""
    found = np.zeros((len(answers), len(answers)))
    replies = [None if answer is None or is_short(answer) else _Reply.of(answer) for answer in answers]
    for a, b in combinations(range(len(answers)), 2):
        one, other = replies[a], replies[b]
        if one is not None and other is not None:
            found[a, b] = found[b, a] = one.like(other, embedder)
    return found


@dataclass(slots=True)
class _Reply:
    """An answer as it is compared: its normal form; text: None where it is short; marked: whether it names a final
    answer; vector: of the text, made when it is asked for."""

    form: str
    text: str | None
    marked: bool
    vector: Doubles | None = None

    @classmethod
    def of(cls, answer: str | None) -> _Reply | None:
        form = normal_form(answer, "free_text")
        if answer is None or form is None:
            return None
        short = is_short(answer)
        return cls(form, None if short else answer, not short and final_answer(answer) is not None)

    def like(self, other: _Reply, embedder: Embedder | None) -> float:
        if self.form == other.form:
            return 1.0
        if embedder is None or self.text is None or other.text is None or (self.marked and other.marked):
            return 0.0
        u, v = self._embedded(self.text, embedder), other._embedded(other.text, embedder)
        size = float(np.linalg.norm(u) * np.linalg.norm(v))
        return float(np.clip(u @ v / size, 0.0, 1.0)) if size > 0 else 0.0

    def _embedded(self, text: str, embedder: Embedder) -> Doubles:
        vector = self.vector
        if vector is None:
            self.vector = vector = embedder.encode([text])[0].astype(np.float64)
        return vector


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
