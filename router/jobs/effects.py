"""Gains pooled over groups: the mean over questions, and how sure it is that it holds for a group not seen."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]

_FEWEST = 5


def pooled(values: Doubles, groups: NDArray[np.str_]) -> tuple[float, float]:
    """(mean over the rows, its standard error) of values (n,) with random effects of groups.

    The variance between groups is DerSimonian & Laird's (1986), nothing where groups differ no more than chance lets
    them. Groups of fewer than five rows tell nothing of it. One group: the plain standard error of a mean."""
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    kept = sizes >= _FEWEST
    if kept.sum() < 2 or not np.ptp(values):
        return float(values.mean()), float(values.std() / np.sqrt(len(values)))
    n = sizes[kept].astype(np.float64)
    mean = (np.bincount(place, values) / sizes)[kept]
    spread = (np.bincount(place, values**2) / sizes)[kept] - mean**2
    # A small group that happens not to vary is not known without error.
    within = np.maximum(spread, values.var() / 10) / n
    weight = 1 / within
    centre = weight @ mean / weight.sum()
    excess = weight @ (mean - centre) ** 2 - (len(mean) - 1)
    between = max(0.0, excess / (weight.sum() - (weight**2).sum() / weight.sum()))
    share = n / n.sum()
    return float(values.mean()), float(np.sqrt(share**2 @ (within + between)))
