"""A table of outcomes as arrays: what every route did with every question that counts, and what it cost.

Arrays have a row for each question, in order of query_id, and a column for each recorded route; behind those, where
the table has several answers a question (`samples`), one for each further sample of a route (reading.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers.evidence import Seen
from ....store import Constellation
from ...ladder import Ladder, State

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
PriceKind: TypeAlias = Literal["work", "list"]

_BLANKS = re.compile(r"\s+")
_QUERY_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """n questions, R tracks: the recorded routes, then their further samples.

    ids, prompts, questions (normal forms), groups (the table's), folds (what is held out together), strata (within
    which scores are ranked: the group where groups are held out, else the benchmark): (n,). correct, input_tokens,
    output_tokens: (n, R); correct is NaN where a further sample is not there. answers: codes, equal in a row where
    answers agree. input_price, output_price, call_price: (R,) currency a token, and a call where calls are the cost or
    probes come with the answer.
    samples (S, n, F): correctness of each sample on every route in `names`, NaN where there is none (a cut thought
    falls back on sample 0). kept: by two tracks, tokens of the first one's thought, (n,), that the second goes on with
    where the first was bought before it (0 where its thought had ended)."""

    file: str
    constellation: Constellation
    price: PriceKind
    ladder: Ladder
    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    questions: tuple[str, ...]
    groups: NDArray[np.str_]
    folds: NDArray[np.str_]
    strata: NDArray[np.str_]
    correct: Doubles
    samples: Doubles
    input_price: Doubles
    output_price: Doubles
    call_price: Doubles
    input_tokens: Doubles
    seen: Seen
    notes: tuple[str, ...] = ()
    kept: Mapping[tuple[int, int], Doubles] = field(default_factory=dict[tuple[int, int], Doubles])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Every route, derived ones too, in the constellation's order."""
        return tuple(route.name for route in self.constellation.routes)

    @property
    def probes(self) -> tuple[int, ...]:
        """The tracks of the routes that are cheap enough to buy first."""
        return tuple(self.ladder.towards(name).track for name in self.constellation.probes)

    def lacks(self, track: int) -> NDArray[np.bool_]:
        """Where the table has no such answer, so that it cannot be bought, (n,)."""
        return np.isnan(self.correct[:, track])

    def output_to(self, track: int, level: int) -> Doubles:
        """Output tokens of a track bought up to a level, (n,)."""
        tokens = self.seen.tokens[:, track]
        budgets = self.ladder.tracks[track].budgets
        if level == 0:
            return np.zeros_like(tokens)
        return tokens if level > len(budgets) else np.minimum(tokens, budgets[level - 1])

    def cost_to(self, track: int, level: int) -> Doubles:
        """Cost of a track bought up to a level, (n,), in currency."""
        if level == 0:
            return np.zeros(len(self))
        per_input, per_output = self.input_price[track], self.output_price[track]
        tokens = per_input * self.input_tokens[:, track] + per_output * self.output_to(track, level)
        return self.call_price[track] + tokens

    def spared(self, state: State, track: int) -> Doubles:
        """Tokens of thought that a track bought in this state goes on with and need not make, (n,)."""
        made = [tokens for (one, other), tokens in self.kept.items() if other == track and state[one]]
        return np.max(made, axis=0) if made and not state[track] else np.zeros(len(self))

    def paid(self, state: State, track: int, level: int) -> Doubles:
        """Cost of buying a track up to a level in this state, (n,), in currency: thought that is gone on with is read
        as part of the prompt, not made again."""
        fresh = self.cost_to(track, level) - self.cost_to(track, state[track])
        return fresh - (self.output_price[track] - self.input_price[track]) * self.spared(state, track)

    def unfinished(self, track: int, level: int) -> NDArray[np.bool_]:
        """Where a thought bought up to this level has not ended, (n,)."""
        budgets = self.ladder.tracks[track].budgets
        if level in (0, len(budgets) + 1):
            return np.zeros(len(self), dtype=bool)
        return self.seen.tokens[:, track] > budgets[level - 1]

    def along(self, ladder: Ladder) -> Recording:
        """The same questions with the columns of this ladder's tracks only, in its order."""
        own = [track.route for track in self.ladder.tracks]
        columns = [own.index(track.route) for track in ladder.tracks]
        return replace(
            self,
            ladder=ladder,
            correct=self.correct[:, columns],
            input_tokens=self.input_tokens[:, columns],
            input_price=self.input_price[columns],
            output_price=self.output_price[columns],
            call_price=self.call_price[columns],
            seen=self.seen.columns(columns),
            kept={
                (columns.index(one), columns.index(other)): tokens
                for (one, other), tokens in self.kept.items()
                if one in columns and other in columns
            },
        )

    def rows(self, kept: Integers) -> Recording:
        """Only these questions."""
        places = [int(place) for place in kept]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in places),
            prompts=tuple(self.prompts[i] for i in places),
            questions=tuple(self.questions[i] for i in places),
            groups=self.groups[kept],
            folds=self.folds[kept],
            strata=self.strata[kept],
            correct=self.correct[kept],
            samples=self.samples[:, kept],
            input_tokens=self.input_tokens[kept],
            seen=self.seen.rows(kept),
            kept={tracks: tokens[kept] for tracks, tokens in self.kept.items()},
        )


def question_of(prompt: str) -> str:
    """What makes two questions the same one: the prompt in lower case, white space collapsed."""
    return _BLANKS.sub(" ", prompt.lower()).strip()


def folds_by_question(questions: Sequence[str]) -> NDArray[np.str_]:
    """Five folds of whole questions (n,), always the same for the same question."""
    return np.array([f"fold {int(_digest(question), 16) % _QUERY_FOLDS}" for question in questions])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
