"""All states of a ladder at one price of an error, in one product: what serving reads.

The columns of every state's evidence are columns of one row: the text's, each answer's, each pair's, and for each state
of three answers or more its votes. Standardisation is folded into the weights, and of each action's gains only the one
price's are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log1p
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .evidence import TEXT_COLUMNS, Layout, evidence_names
from .ladder_model import LadderModel
from .support import Support

Doubles: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
State: TypeAlias = tuple[int, ...]


class LadderTable:
    """One ladder at the price with one place. Not changed after it is made."""

    def __init__(self, model: LadderModel, price: int) -> None:
        self._layout, self._texts = model.layout, model.texts
        self._routes = len(model.routes)
        every = tuple(range(self._routes))
        base = [
            name
            for name in evidence_names(every, model.layout, texts=model.texts)
            if name not in ("all_agree", "votes")
        ]
        place = {name: i for i, name in enumerate(base)}
        fitted = {state: m for state, m in model.states.items() if m.weights is not None}
        self._voting = sorted({m.done for m in fitted.values() if len(m.done) > 2})
        votes: dict[tuple[int, ...], int] = {done: len(base) + 2 * i for i, done in enumerate(self._voting)}
        blocks: list[Doubles] = []
        bias: list[Doubles] = []
        self._slices: dict[State, slice] = {}
        self._supports: dict[State, tuple[list[int], Support]] = {}
        start = 0
        for state, m in fitted.items():
            if m.weights is None or m.mean is None or m.scale is None:
                continue
            lead, size = len(m.answerable) + 1, len(model.prices)
            kept = [*range(lead), *(lead + a * size + price for a in range(m.actions))]
            weights = m.weights[:, kept].astype(np.float64)
            slopes = weights[1:] / m.scale[:, None]
            at = [
                votes[m.done] + (name == "votes") if name in ("all_agree", "votes") else place[name]
                for name in evidence_names(m.done, model.layout, m.begun, texts=model.texts)
            ]
            block = np.zeros((len(base) + 2 * len(self._voting), len(kept)))
            block[at] = slopes
            blocks.append(block)
            if (support := m.support) is not None:
                self._supports[state] = at, support
            bias.append(weights[0] - m.mean @ slopes)
            self._slices[state] = slice(start, start := start + len(kept))
        self._matrix = np.concatenate(blocks, axis=1) if blocks else np.zeros((0, 0))
        self._bias = np.concatenate(bias) if bias else np.zeros(0)

    def predict(self, row: Doubles) -> dict[State, Doubles]:
        """For every fitted state: a probability for each answer that is there, the best fixed route's, and the gain of
        each action. row: as `row` makes it."""
        found = row @ self._matrix + self._bias if len(self._bias) else self._bias
        return {state: found[part] for state, part in self._slices.items()}

    def predict_one(self, state: State, row: Doubles) -> Doubles | None:
        """The same for one state; None where nothing was fitted for it, or nothing like this row was there."""
        part, supported = self._slices.get(state), self._supports.get(state)
        if part is None or (supported is not None and supported[1].beyond(row[supported[0]])):
            return None
        return row @ self._matrix[:, part] + self._bias[part]

    def row(
        self,
        features: Floats,
        tokens: Sequence[float],
        codes: Sequence[int],
        signs: Sequence[Mapping[str, float]],
        alike: Doubles | None = None,
    ) -> Doubles:
        """The evidence of one question: its lexical features (f,), and of its R answers the tokens (0 where there is
        none), the codes (-1), the signs by name (none), and how far texts among them say the same (R, R)."""
        values = [float(features[column]) for column in TEXT_COLUMNS]
        for route in range(self._routes):
            values += [log1p(tokens[route]), float(codes[route] < 0)]
            values += _signs(self._layout, route, signs[route])
        for a in range(self._routes):
            for b in range(a + 1, self._routes):
                values.append(float(codes[a] == codes[b] and codes[a] >= 0))
                if self._texts:
                    values.append(0.0 if alike is None else float(alike[a, b]))
        for done in self._voting:
            said = [codes[route] for route in done if codes[route] >= 0]
            most = max((said.count(code) for code in said), default=0)
            values += [float(most == len(done)), float(most)]
        return np.array(values)


def _signs(layout: Layout, route: int, given: Mapping[str, float]) -> list[float]:
    """What came with an answer, in the layout's order; what is not known counts as one half (evidence.py)."""
    told = [given.get(name, 0.5) for name in layout[route]]
    return [0.5 if value != value else value for value in told]


@lru_cache(maxsize=128)
def table_of(model: LadderModel, price: int) -> LadderTable:
    """The table of a ladder at the price with this place; made once."""
    return LadderTable(model, price)
