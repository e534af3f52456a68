"""The plain estimators of an evaluation: what the text alone tells of every route, and what the probes' answers tell.

Both are one regression with a label for each fixed route. `text`: lexical features or the embedding, before anything is
bought. `probes`: the answers of the constellation's probes (of the first route where there are none)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers.evidence import evidence_rows, layout_of
from ....classifiers.smoothers import Predict, Smoother
from ...ladder import Fixed, Ladder, fixed_route
from ..induction import fixed_results, training_blocks
from .recording import Recording

Doubles: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RouteModel:
    """Probabilities and costs of fixed routes. names: columns, in order. held_out_p, held_out_cost (n, names): for the
    training questions by fits without their block; predict: rows -> (p, cost)."""

    names: tuple[str, ...]
    held_out_p: Doubles
    held_out_cost: Doubles
    _predict: Predict

    def predict(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """(p, cost), each (len(x), names); p in [0, 1]."""
        both = self._predict(x)
        return np.clip(both[:, : len(self.names)], 0.0, 1.0), both[:, len(self.names) :]


def fit_routes(train: Recording, x: Doubles, smoother: Smoother) -> RouteModel:
    """A model of every fixed route from rows x (n, p) of the training questions."""
    results = [fixed_results(train, fixed) for fixed in fixed_routes(train.ladder, train.names)]
    labels = np.stack([right for right, _ in results], axis=1)
    costs = np.stack([cost for _, cost in results], axis=1)
    size = labels.shape[1]
    smooth = smoother.fit(x, np.concatenate([labels, costs], axis=1), training_blocks(train), size)
    held_out = np.clip(smooth.held_out[:, :size], 0.0, 1.0)
    return RouteModel(train.names, held_out, smooth.held_out[:, size:], smooth.predict)


def fixed_routes(ladder: Ladder, names: Sequence[str]) -> list[Fixed]:
    """The fixed routes of these names."""
    return [fixed_route(ladder, name) for name in names]


def text_rows(recording: Recording) -> Doubles:
    """The lexical features, (n, f)."""
    return recording.seen.features.astype(np.float64)


def first_probes(recording: Recording) -> tuple[int, ...]:
    """The tracks of the probes' first answers; of the first route's where there are no probes."""
    return tuple(sorted(recording.probes)) or (0,)


def probe_tracks(recording: Recording) -> tuple[int, ...]:
    """The tracks whose answers the score is made of: those, and their further samples."""
    found = list(first_probes(recording))
    for place, track in enumerate(recording.ladder.tracks):
        if track.after in found:
            found.append(place)
    return tuple(found)


def probe_rows(recording: Recording, like: Recording, done: Sequence[int] | None = None) -> Doubles:
    """Evidence of the probes' answers (of these among them), (n, p); which signs count is fixed by the training
    questions `like`."""
    bought = probe_tracks(recording) if done is None else tuple(done)
    return evidence_rows(bought, recording.seen, layout_of(like.seen), np.arange(len(recording)))


def score(train: Recording, test: Recording, bought: Sequence[frozenset[int]], smoother: Smoother) -> Doubles:
    """Probability that the first route's own answer is right, (n,), by the text and those of the probes' answers that
    were bought for the question: bought (n) tracks. What was not paid for is not looked at."""
    wanted = frozenset(probe_tracks(train))
    found = np.empty(len(test))
    sets = [wanted & tracks for tracks in bought]
    for tracks in sorted(set(sets), key=sorted):
        rows = np.array([row for row, mine in enumerate(sets) if mine == tracks], dtype=np.int64)
        x, new = text_rows(train), text_rows(test.rows(rows))
        if tracks:
            done = sorted(tracks)
            x, new = probe_rows(train, train, done), probe_rows(test.rows(rows), train, done)
        found[rows] = fit_routes(train, x, smoother).predict(new)[0][:, 0]
    return found
