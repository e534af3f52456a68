"""A ladder's predictions the plain way, state by state: what the table that serves must equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pointsman.classifiers.evidence import Seen, evidence_rows
from pointsman.classifiers.ladder_model import LadderModel


def predict(model: LadderModel, state: tuple[int, ...], seen: Seen) -> NDArray[np.float64] | None:
    """All columns of a state for the one question in `seen`; None where nothing was fitted."""
    fitted = model.states[state]
    if fitted.weights is None or fitted.mean is None or fitted.scale is None:
        return None
    row = evidence_rows(fitted.done, seen, model.layout, np.zeros(1, dtype=np.int64))[0]
    return np.concatenate([[1.0], (row - fitted.mean) / fitted.scale]) @ fitted.weights.astype(np.float64)


def seen_of(
    features: NDArray[np.float32],
    tokens: Sequence[float],
    codes: Sequence[int],
    signs: Sequence[Mapping[str, float]],
) -> Seen:
    """One question as evidence."""
    names = sorted({name for given in signs for name in given})
    told = {name: np.array([[given.get(name, np.nan) for given in signs]]) for name in names}
    return Seen(features[np.newaxis], np.array([tokens], np.float64), np.array([codes], np.int64), told)
