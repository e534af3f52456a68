"""A fitted ladder as arrays: for every state of evidence, what each action is expected to gain.

This is what an artifact stores; ladder_table.py reads it while serving. It needs numpy only. Which state follows which,
and what an action is, the router knows (router/ladder.py): here a state is a tuple of levels, an action a number.

For a state with p columns of evidence, the prediction is (1, standardised evidence) times a matrix; its columns are a
probability for each answer that is there (in ascending order), that of the best fixed route, then the gain over going
on as that route would, for each action at each of K prices of an error (actions x K).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .answers import Comparison
from .evidence import Layout
from .support import Standard, Support

LADDER_ARRAYS = "ladder."
"""How the names of a ladder's arrays begin."""

Doubles: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StateModel:
    """One state. done: the answers that are there, begun: those of which the beginning is, each ascending; actions: how
    many there are; default: the place of the action that the best fixed route would take.

    mean, scale (p,), weights (1 + p, columns): None where too few questions were there to fit anything. spread
    (1 + p, 1 + p), farthest: how far the training rows reach, in the same standardised columns (support.py); without
    them every row counts as near."""

    done: tuple[int, ...]
    actions: int
    default: int
    mean: Doubles | None = None
    scale: Doubles | None = None
    weights: Floats | None = None
    spread: Floats | None = None
    farthest: float = inf
    begun: tuple[int, ...] = ()

    @property
    def answerable(self) -> tuple[int, ...]:
        """The answers that may be given, ascending: the first columns of a prediction."""
        return tuple(sorted((*self.done, *self.begun)))

    @property
    def support(self) -> Support | None:
        """What evidence the fit may speak of; None where that is not known."""
        if self.mean is None or self.scale is None or self.spread is None:
            return None
        return Support(Standard(self.mean, self.scale), self.spread, self.farthest)


@dataclass(frozen=True, slots=True, eq=False)
class LadderModel:
    """routes: the tracks' names, in order; reference: the best fixed route; prices (K,): of an error, ascending, in
    currency; comparison: how answers are compared (None: they cannot be); layout: the signs that come with answers;
    cap: tokens after which an answer of the routes in `resumes` is cut when it is bought (None: nowhere); texts:
    whether long answers are compared by their embeddings."""

    routes: tuple[str, ...]
    reference: str
    prices: tuple[float, ...]
    comparison: Comparison | None
    layout: Layout
    states: Mapping[tuple[int, ...], StateModel]
    cap: int | None = None
    resumes: tuple[str, ...] = ()
    texts: bool = False

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by its name: what an artifact stores beside `about()`."""
        found: dict[str, NDArray[Any]] = {}
        for number, model in enumerate(self.states.values()):
            if model.mean is not None and model.scale is not None and model.weights is not None:
                found[f"{LADDER_ARRAYS}{number}.mean"] = model.mean
                found[f"{LADDER_ARRAYS}{number}.scale"] = model.scale
                found[f"{LADDER_ARRAYS}{number}.weights"] = model.weights
            if model.spread is not None:
                found[f"{LADDER_ARRAYS}{number}.spread"] = model.spread
        return found

    def about(self) -> dict[str, Any]:
        """What it is, as JSON."""
        return {
            "routes": list(self.routes),
            "reference": self.reference,
            "prices": list(self.prices),
            "comparison": self.comparison,
            "layout": [list(signs) for signs in self.layout],
            "cap": self.cap,
            "resumes": list(self.resumes),
            "texts": self.texts,
            "states": [
                {"levels": list(levels), "done": list(m.done), "actions": m.actions, "default": m.default}
                | ({} if m.spread is None else {"farthest": m.farthest})
                | ({"begun": list(m.begun)} if m.begun else {})
                for levels, m in self.states.items()
            ],
        }

    @classmethod
    def from_parts(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LadderModel:
        """The model whose `about()` and `arrays()` these were. Raises ValueError, KeyError or TypeError otherwise."""
        states: dict[tuple[int, ...], StateModel] = {}
        for number, told in enumerate(about["states"]):
            done, begun = (tuple(int(i) for i in told.get(part, ())) for part in ("done", "begun"))
            actions = int(told["actions"])
            names = [f"{LADDER_ARRAYS}{number}.{part}" for part in ("mean", "scale", "weights", "spread")]
            parts = [arrays.get(name) for name in names]
            mean, scale, weights, spread = parts
            if weights is not None:
                columns = len(done) + len(begun) + 1 + actions * len(about["prices"])
                if mean is None or scale is None or mean.shape != scale.shape or len(mean) + 1 != len(weights):
                    raise ValueError(f"the arrays of state {number} of the ladder do not fit together")
                if weights.shape[1] != columns:
                    raise ValueError(f"{names[2]} has {weights.shape[1]} columns, not {columns}")
            if spread is not None and (mean is None or spread.shape != (1 + len(mean), 1 + len(mean))):
                raise ValueError(f"{names[3]} is {spread.shape}, and the state has other columns")
            farthest = inf if spread is None else float(told["farthest"])
            model = StateModel(done, actions, int(told["default"]), mean, scale, weights, spread, farthest, begun)
            states[tuple(int(level) for level in told["levels"])] = model
        return cls(
            routes=tuple(about["routes"]),
            reference=str(about["reference"]),
            prices=tuple(float(price) for price in about["prices"]),
            comparison=about["comparison"],
            layout=tuple(tuple(signs) for signs in about["layout"]),
            states=states,
            cap=None if about["cap"] is None else int(about["cap"]),
            resumes=tuple(about["resumes"]),
            texts=bool(about["texts"]),
        )
