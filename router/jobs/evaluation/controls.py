"""Controls that must fail: the score learnt from shuffled labels, or from noise in place of what was seen.

One of them proves nothing (its APGR has a standard deviation of about 0.1); hundreds do. A real score must beat nearly
all of them: p = (1 + those at least as good) / (1 + all) (Phipson & Smyth 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers.smoothers import Ridge
from .recording import Recording
from .skill import apgr

Doubles: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Control:
    """APGR over the controls, and how likely chance is to reach the real score's."""

    mean: float
    sd: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """One division: what the score is learnt from. x (n, p) and label (n,) of the training questions, new (m, p) of the
    held-out ones, and their places among all questions."""

    x: Doubles
    label: Doubles
    new: Doubles
    rows: NDArray[np.int64]


def controls(
    recording: Recording, divisions: Sequence[Division], gain: Doubles, real: float | None, count: int, seed: int
) -> dict[str, Control]:
    """`shuffled_labels` and `random_features`, `count` of each. gain (n,): right of the last route less of the first.

    The score is refitted every time, with ridge regression whatever the estimator: its predictions for hundreds of
    labellings are one matrix product."""
    rng = np.random.default_rng(seed)
    scores = {name: np.empty((len(recording), count)) for name in ("shuffled_labels", "random_features")}
    for part in divisions:
        labels = np.stack([rng.permutation(part.label) for _ in range(count)], axis=1)
        scores["shuffled_labels"][part.rows] = _fitted(part.x, labels, part.new)
        for i in range(count):
            x, new = rng.standard_normal(part.x.shape), rng.standard_normal(part.new.shape)
            scores["random_features"][part.rows, i] = _fitted(x, part.label[:, None], new)[:, 0]
    return {name: _summary(recording, columns, gain, real) for name, columns in scores.items()}


def _fitted(x: Doubles, y: Doubles, new: Doubles) -> Doubles:
    return Ridge().fit(x, y, np.zeros(len(x), dtype=np.int64), 0).predict(new)


def _summary(recording: Recording, scores: Doubles, gain: Doubles, real: float | None) -> Control:
    found = [value for column in scores.T if (value := apgr(column, recording.strata, gain)) is not None]
    better = sum(value >= (real if real is not None else 0.0) for value in found)
    mean, sd = (float(np.mean(found)), float(np.std(found))) if found else (float("nan"), float("nan"))
    return Control(mean, sd, (1 + better) / (1 + len(found)))
