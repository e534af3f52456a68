"""What a query and the answers bought for it show, as rows of numbers for an estimator.

A row holds a few lexical features of the text and, for each answer that is there: its length in tokens, whether it
could be read, what the model said of its own confidence; and for each pair of answers whether they agree. Nothing else
may enter: an answer that was not bought is not looked at, whatever the table knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .answers import Codes
from .features import FEATURES

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

TEXT_FEATURES = ("log_characters", "log_numbers", "log_formula_marks", "log_code_marks")
"""The lexical features that stay useful on topics not trained on; more of them, or the embedding, transfer worse."""

TEXT_COLUMNS = tuple(FEATURES.index(name) for name in TEXT_FEATURES)
"""Their places among the lexical features."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """n queries and R answers to each.

    features (n, f): lexical ones, as `lexical_batch` gives them. tokens (n, R): output tokens of each answer. answers
    (n, R): codes that are equal where answers agree, -1 where none could be read. signs: what came with an answer, by
    name, each (n, R), NaN where it is not known: a stated confidence, a mean token probability, an abstention. alike
    (n, R, R): how far answers that are texts say the same, in [0, 1] (answers.text_likenesses); None: not looked at."""

    features: NDArray[np.float32]
    tokens: Doubles
    answers: Codes
    signs: Mapping[str, Doubles]
    alike: Doubles | None = None

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, kept: Integers) -> Seen:
        """Only these queries."""
        signs = {name: values[kept] for name, values in self.signs.items()}
        alike = None if self.alike is None else self.alike[kept]
        return Seen(self.features[kept], self.tokens[kept], self.answers[kept], signs, alike)

    def columns(self, kept: Sequence[int]) -> Seen:
        """Only these answers, in this order."""
        at = list(kept)
        signs = {name: values[:, at] for name, values in self.signs.items()}
        alike = None if self.alike is None else self.alike[:, at][:, :, at]
        return Seen(self.features, self.tokens[:, at], self.answers[:, at], signs, alike)


Layout: TypeAlias = tuple[tuple[str, ...], ...]
"""For each answer, the signs that come with it: fixed when an estimator is fitted."""


def layout_of(seen: Seen) -> Layout:
    """Which signs come with which answer in these data."""
    known = {name: np.isfinite(values) for name, values in sorted(seen.signs.items())}
    return tuple(tuple(name for name in known if known[name][:, route].any()) for route in range(seen.tokens.shape[1]))


def evidence_names(
    done: Sequence[int], layout: Layout, begun: Sequence[int] = (), *, texts: bool = False
) -> tuple[str, ...]:
    """Names of the columns of `evidence_rows` for these answers (columns of `seen`, ascending); texts: whether texts
    are compared."""
    names = list(TEXT_FEATURES)
    for route in sorted((*done, *begun)):
        names += [f"log_tokens[{route}]", f"unread[{route}]"] if route in done else []
        names += [f"{sign}[{route}]" for sign in layout[route]]
    for a, b in combinations(done, 2):
        names += [f"agree[{a},{b}]", f"alike[{a},{b}]"] if texts else [f"agree[{a},{b}]"]
    if len(done) > 2:
        names += ["all_agree", "votes"]
    return tuple(names)


def evidence_rows(
    done: Sequence[int], seen: Seen, layout: Layout, rows: Integers, begun: Sequence[int] = ()
) -> Doubles:
    """Evidence (len(rows), p) of these rows when the answers `done` (columns of `seen`, ascending) are there, and the
    beginnings of those in `begun`: of them the signs alone tell. What a sign does not say (NaN, or not there at all)
    counts as one half."""
    columns: list[Doubles] = [seen.features[rows][:, column].astype(np.float64) for column in TEXT_COLUMNS]
    codes = seen.answers[rows][:, list(done)]
    for route in sorted((*done, *begun)):
        if route in done:
            columns.append(np.log1p(seen.tokens[rows, route]))
            columns.append((codes[:, list(done).index(route)] < 0).astype(np.float64))
        for sign in layout[route]:
            values = seen.signs[sign][rows, route] if sign in seen.signs else np.full(len(rows), np.nan)
            columns.append(np.where(np.isnan(values), 0.5, values))
    for a, b in combinations(range(len(done)), 2):
        columns.append(((codes[:, a] == codes[:, b]) & (codes[:, a] >= 0)).astype(np.float64))
        if seen.alike is not None:
            columns.append(seen.alike[rows, done[a], done[b]])
    if len(done) > 2:
        votes = largest_vote(codes)
        columns += [(votes == len(done)).astype(np.float64), votes]
    return np.stack(columns, axis=1)


def largest_vote(codes: Codes) -> Doubles:
    """How many of a row's answers share its most frequent one, (n,)."""
    counts = np.stack([(codes == code).sum(axis=1) for code in range(max(1, int(codes.max(initial=0)) + 1))], axis=1)
    return counts.max(axis=1).astype(np.float64)
