"""What the other routes tell about a route that has few labels of its own.

A query that is hard for the others is likely hard for a new route. Two things say how hard: the text (the mean of the
others' scores, as a weight vector of its own) and, for the queries that they have answered, how far they did better or
worse than the text had promised. The new route's logit is level + slope * score + gain * surprise, three numbers, as in
an item response model whose items are known (G. Rasch 1960; A. Birnbaum 1968). What they are likely to be is learnt by
leaving each of the other routes out in turn (empirical Bayes); the labels move them from there. When a query comes in
nothing but its text is known, the surprise is 0 on average, and its spread moderates the probability: so what is stored
is a weight vector and a covariance factor like any other.

The surprise sharpens the level more than its own variance costs: 20 labels that fell on hard queries are seen to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration, log_loss, logit, sigmoid
from .linear import logistic_near
from .parts import MAX_LEVEL_VARIANCE, Heard, Part

Doubles: TypeAlias = NDArray[np.float64]

FEWEST_RELATIVES = 2
"""With one other route there is none to leave out: nothing says how routes relate."""

OWN_LABELS = 200.0
"""At so many labels n a route's own model and its relatives are expected to count half each: own share
n^2 / (n^2 + this^2)."""

EXPECTED = 25.0
"""How firmly: the log-likelihood by which the route's labels must be better told to move that share from 0 to 1."""

GUESS, GUESS_SD, GUESS_ROUTES = np.array([0.0, 1.0, 0.0]), np.array([1.5, 0.5, 2.0]), 2.0
"""Level, slope and gain before any route was seen, how far they may lie off, and how many routes' worth that is."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What some routes tell together. weights (p,): of their mean score, whose mean over the rows is 0; scores (n,):
    the same without having seen the row; surprise (n,): mean outcome less what was expected, 0 where none is known."""

    weights: Doubles
    scores: Doubles
    surprise: Doubles

    def rows(self) -> Doubles:
        """(n, 3) for level, slope and gain."""
        return np.stack([np.ones_like(self.scores), self.scores, self.surprise], axis=1)


@dataclass(frozen=True, slots=True)
class Relatives:
    """What some routes tell about another one, whatever its labels. mean, variance (3,): of its level, slope and gain;
    level_variance: of how far the level of an unseen group may lie off, and its own text score beside theirs."""

    shared: _Shared
    mean: Doubles
    variance: Doubles
    level_variance: float

    @classmethod
    def of(cls, parts: Sequence[Part], x: Doubles, correct: Doubles) -> Relatives:
        """From the parts of at least FEWEST_RELATIVES routes, each with a model of its own, the rows x (n, p) that they
        were fitted on and their outcomes (n, K)."""
        found: list[Doubles] = []
        strays: list[float] = []
        for k, part in enumerate(parts):
            rest = [j for j in range(len(parts)) if j != k]
            shared = _shared([parts[j] for j in rest], x, correct[:, rest])
            known = np.isfinite(correct[:, k])
            rows = shared.rows()[known]
            at, _ = logistic_near(rows, correct[known, k], np.ones(len(rows)), GUESS, np.diag(GUESS_SD**-2))
            found.append(at)
            beside = _heard(part).scores - at[1] * shared.scores
            strays.append(max(0.0, float(beside.var()) - _heard(part).noise))
        count, values = len(found), np.array(found)
        mean = values.mean(axis=0)
        spread = ((values - mean) ** 2).sum(axis=0) + GUESS_ROUTES * GUESS_SD**2
        variance = spread / (count - 1 + GUESS_ROUTES) * (1 + 1 / count)
        level_variance = float(np.mean([part.level_variance for part in parts]) + np.mean(strays))
        return cls(_shared(parts, x, correct), mean, variance, min(level_variance, MAX_LEVEL_VARIANCE))

    def tell(self, correct: Doubles, weights: Doubles) -> Part:
        """The route with these outcomes and weights (n,), on the same rows, by its relatives alone."""
        labelled = np.isfinite(correct) & (weights > 0)
        y, w = correct[labelled], weights[labelled]
        rows = self.shared.rows()[labelled]
        at, covariance = logistic_near(rows, y, w, self.mean, np.diag(1 / self.variance))
        size = len(self.shared.weights)
        span = np.stack([np.eye(size)[0], self.shared.weights], axis=1)
        # A query that comes in has a surprise that nobody knows yet: its spread is taken out of the logit here.
        shrunk = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * at[2] ** 2 * float(self.shared.surprise.var()))
        factor = np.zeros((size, size))
        factor[:, :2] = shrunk * span @ np.linalg.cholesky(covariance[:2, :2])
        return Part(shrunk * span @ at[:2], factor, self.level_variance, 0.5 / (float(w.sum()) + 1.0))


def with_relatives(
    names: Sequence[str], own: Sequence[Part], x: Doubles, correct: Doubles, weights: Doubles
) -> list[Part]:
    """Each route's part with what the routes that have a model of their own tell about it; unchanged where those are
    fewer than FEWEST_RELATIVES beside it, or the route has no label at all.

    own: the routes' parts; x (n, p): rows; correct, weights (n, R). The order of routes changes nothing."""
    out: list[Part] = []
    for r, part in enumerate(own):
        others = heard_by(r, names, own)
        labels = float(weights[np.isfinite(correct[:, r]), r].sum())
        if len(others) < FEWEST_RELATIVES or labels <= 0:
            out.append(part)
            continue
        relatives = Relatives.of([own[k] for k in others], x, correct[:, others])
        told = relatives.tell(correct[:, r], weights[:, r])
        out.append(_between(part, told, _own_share(part, told, x, correct[:, r], weights[:, r])))
    return out


def heard_by(route: int, names: Sequence[str], own: Sequence[Part]) -> list[int]:
    """The other routes that have a model of their own, by place, in the order of their names: sums over routes keep to
    it, to the last bit."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return [k for k in order if k != route and own[k].heard is not None]


def _shared(relatives: Sequence[Part], x: Doubles, correct: Doubles) -> _Shared:
    """What these routes tell of the rows x (n, p), with their outcomes (n, K)."""
    weights = np.mean([_slope(part) * part.weights for part in relatives], axis=0)
    centre = float((x @ weights).mean())
    weights[0] -= centre
    heard = [_heard(part) for part in relatives]
    surprises = correct - np.stack([one.p for one in heard], axis=1)
    known = np.isfinite(surprises)
    surprise = np.where(known, surprises, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return _Shared(weights, np.mean([one.scores for one in heard], axis=0) - centre, surprise)


def _own_share(own: Part, told: Part, x: Doubles, correct: Doubles, weights: Doubles) -> float:
    """How much of the logit is the route's own model's, in [0, 1]: as is expected with so many labels (n,), unless the
    mix by another share tells the labels clearly better; of the own model what it says of rows that it did not see."""
    if own.heard is None:
        return 0.0
    held_out = np.isfinite(own.heard.p) & np.isfinite(correct) & (weights > 0)
    y, w = correct[held_out], weights[held_out]
    mine, theirs = logit(own.heard.p[held_out]), x[held_out] @ told.weights
    labels = float(weights[np.isfinite(correct)].sum())
    expected = labels**2 / (labels**2 + OWN_LABELS**2)

    def loss(share: float) -> float:
        p = sigmoid(share * mine + (1 - share) * theirs)
        return float(w.sum()) * log_loss(p, y, w) + EXPECTED * (share - expected) ** 2

    return min((*np.linspace(0.0, 1.0, 21).tolist(), expected), key=loss)


def _between(own: Part, told: Part, share: float) -> Part:
    """A route's own model (by its share) and what its relatives tell, as one: their logits mixed.

    The slope of the whole is mixed likewise, so that a score's variance moderates it as before: at share 1 this is the
    own model, at 0 the relatives'."""
    if own.calibration is None:
        return told
    if share >= 1.0:  # also where its slope is 0, and no mixed slope could be divided by
        return own
    slope = share * own.calibration.slope + (1 - share)
    mine, theirs = share * own.calibration.slope / slope, (1 - share) / slope
    # Both sides' covariances added; the triangle of their QR is a factor of the sum.
    both = np.concatenate([mine * own.factor, theirs * told.factor], axis=1)
    return replace(
        own,
        weights=mine * own.weights + theirs * told.weights,
        factor=np.asarray(np.linalg.qr(both.T, mode="r"), dtype=np.float64).T,
        level_variance=share * own.level_variance + (1 - share) * told.level_variance,
        calibration=Calibration(slope, share * own.calibration.offset),
    )


def _slope(part: Part) -> float:
    return part.calibration.slope if part.calibration is not None else 1.0


def _heard(part: Part) -> Heard:
    assert part.heard is not None
    return part.heard


def heard(x: Doubles, part: Part, seen: NDArray[np.bool_], scores: Doubles, logits: Doubles) -> Heard:
    """What this part's model says of all rows x (n, p). scores, logits (n,): held out, for the rows `seen`; logits are
    moderated but not yet calibrated. The other rows were not learnt from: the whole model may speak of them."""
    calibration = part.calibration
    assert calibration is not None
    all_scores = calibration.slope * np.where(seen, scores, x @ part.weights)
    p = np.where(seen, sigmoid(calibration.slope * logits + calibration.offset), np.nan)
    return Heard(all_scores, p, calibration.slope**2 * float(((x @ part.factor) ** 2).sum(axis=1).mean()))
