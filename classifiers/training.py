"""From observations to a training matrix, and which rows are held out together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..domain import Observation
from ..errors import DataError
from .embedders import Embedder
from .features import FEATURES, lexical_batch

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """What routes did with queries: one row per query (n), one column per route (R). Rows stand in order of query_id.

    groups: what is held out together; questions: the same for queries of the same normalised text, so that a repeated
    question never stands on both sides of a fold. correct in [0, 1] and tokens are means over samples, NaN where
    nothing is known; weights in (0, 1] say how much each `correct` counts, 0 where there is none.
    left_out: observations that could not be used, because neither their text nor fitting features were there."""

    query_ids: tuple[str, ...]
    groups: tuple[str, ...]
    questions: tuple[str, ...]
    features: Floats
    embeddings: Floats
    routes: tuple[str, ...]
    correct: Doubles
    input_tokens: Doubles
    output_tokens: Doubles
    weights: Doubles
    left_out: int = 0

    def __post_init__(self) -> None:
        """Raises DataError for shapes that do not fit together, repeated queries or values out of range."""
        n, shape = len(self.query_ids), (len(self.query_ids), len(self.routes))
        tables = {"correct": self.correct, "weights": self.weights}
        tables |= {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        for name, table in tables.items():
            if table.shape != shape:
                raise DataError(f"{name} is {table.shape}, not {shape} (queries, routes)")
        if not n == len(self.groups) == len(self.questions) == len(self.features) == len(self.embeddings):
            raise DataError("query_ids, groups, questions, features and embeddings are not of one length")
        if len(set(self.query_ids)) < n:
            raise DataError("a query_id stands in two rows: average its samples first (training_set does)")
        known = self.correct[np.isfinite(self.correct)]
        if ((known < 0) | (known > 1)).any():
            raise DataError("correct must lie in [0, 1]")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise DataError("weights must be finite and not negative")

    def __len__(self) -> int:
        return len(self.query_ids)

    def rows(self, chosen: NDArray[np.bool_] | Integers) -> TrainingSet:
        """The set with only these rows, in this order."""
        places = [int(place) for place in np.arange(len(self))[chosen]]
        return TrainingSet(
            tuple(self.query_ids[i] for i in places),
            tuple(self.groups[i] for i in places),
            tuple(self.questions[i] for i in places),
            self.features[places],
            self.embeddings[places],
            self.routes,
            self.correct[places],
            self.input_tokens[places],
            self.output_tokens[places],
            self.weights[places],
            self.left_out,
        )

    def ordered(self) -> TrainingSet:
        """The same rows in order of query_id: a fit never depends on the order in which data came."""
        return self.rows(np.array(sorted(range(len(self)), key=self.query_ids.__getitem__), dtype=np.int64))

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of SHA-256 over all that a fit reads, whatever the order of rows."""
        rows = self.ordered()
        digest = hashlib.sha256(repr((rows.routes, rows.query_ids, rows.groups, rows.questions)).encode())
        for table in (rows.features, rows.embeddings, rows.correct, rows.input_tokens, rows.output_tokens):
            digest.update(np.ascontiguousarray(table).tobytes())
        digest.update(np.ascontiguousarray(rows.weights).tobytes())
        return digest.hexdigest()[:16]


def training_set(observations: Iterable[Observation], routes: Sequence[str], embedder: Embedder) -> TrainingSet:
    """The matrix of these routes' observations; other routes are passed over.

    Samples of one query on one route are averaged (by weight), so that a query often asked counts no more than
    another. Texts are embedded here; where a text is not stored, the stored features and embedding are used, if their
    lengths are today's. Raises DataError for no observations, fewer than two routes, or no label at all."""
    if len(routes) < 2:
        raise DataError(f"routing needs at least two routes, not {len(routes)}: {', '.join(routes) or 'none'}")
    if len(set(routes)) < len(routes):
        raise DataError(f"a route is named twice: {', '.join(routes)}")
    cells: dict[str, dict[str, list[Observation]]] = defaultdict(lambda: defaultdict(list))
    for observation in observations:
        if observation.route in routes:
            cells[observation.query_id][observation.route].append(observation)
    if not cells:
        raise DataError(f"there is no observation of the routes {', '.join(routes)}")
    known = {query: _described(by_route, embedder.dimensions) for query, by_route in cells.items()}
    usable = sorted(query for query, described in known.items() if described is not None)
    left_out = sum(len(s) for query, r in cells.items() if known[query] is None for s in r.values())
    if not usable:
        raise DataError("no observation has a text, or features and an embedding of today's encoder")
    firsts = [observation for query in usable if (observation := known[query]) is not None]
    features, embeddings = _describe(firsts, embedder)
    tables = _tables(cells, usable, routes)
    if not np.isfinite(tables[0]).any():
        raise DataError("no observation says whether its answer was right: there is nothing to learn from yet")
    questions = tuple(_question(observation) for observation in firsts)
    groups = tuple(q if o.group == o.query_id else o.group for o, q in zip(firsts, questions, strict=True))
    return TrainingSet(tuple(usable), groups, questions, features, embeddings, tuple(routes), *tables, left_out)


def folds(training: TrainingSet, count: int, seed: int = 0) -> Integers:
    """Which fold each row is held out in, (n,) in [0, count): whole groups, or whole questions where there is only one
    group. Fewer folds than asked for where there are fewer groups; the largest groups are spread first. The order of
    rows does not matter. Raises DataError where there is only one question."""
    units = training.groups if len(set(training.groups)) > 1 else training.questions
    sizes: dict[str, int] = defaultdict(int)
    for unit in units:
        sizes[unit] += 1
    if len(sizes) < 2:
        raise DataError("there is only one question: nothing can be held out")
    loads = [0] * min(count, len(sizes))
    place: dict[str, int] = {}
    for unit in sorted(sizes, key=lambda unit: (-sizes[unit], _shuffled(unit, seed))):
        place[unit] = loads.index(min(loads))
        loads[place[unit]] += sizes[unit]
    return np.array([place[unit] for unit in units], dtype=np.int64)


def beside(held: Integers, fold: int, questions: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows (n,) may be learnt from when this fold is held out: those of other folds, but for the questions that
    it holds too (two benchmarks may ask the same)."""
    inside = held == fold
    asked = {question for question, here in zip(questions, inside, strict=True) if here}
    return ~inside & np.array([question not in asked for question in questions], dtype=np.bool_)


def _shuffled(unit: str, seed: int) -> bytes:
    """A key that puts names in an order that is random but always the same."""
    return hashlib.sha256(f"{seed}:{unit}".encode()).digest()


def _described(by_route: Mapping[str, Sequence[Observation]], dimensions: int) -> Observation | None:
    """The observation that says most about the query itself: one with its text, else one with usable vectors."""
    everything = [observation for route in sorted(by_route) for observation in by_route[route]]
    for observation in everything:
        if observation.text is not None:
            return observation
    for observation in everything:
        features, embedding = observation.features, observation.embedding
        if features is None or embedding is None:
            continue
        if len(features) == len(FEATURES) and len(embedding) == dimensions:
            return observation
    return None


def _describe(firsts: Sequence[Observation], embedder: Embedder) -> tuple[Floats, Floats]:
    """Features (n, f) and embeddings (n, d): computed for texts in one batch, else as stored."""
    features = np.zeros((len(firsts), len(FEATURES)), dtype=np.float32)
    embeddings = np.zeros((len(firsts), embedder.dimensions), dtype=np.float32)
    texts = {row: o.text for row, o in enumerate(firsts) if o.text is not None}
    features[list(texts)] = lexical_batch(texts.values())
    embeddings[list(texts)] = embedder.encode(list(texts.values()))
    for row, observation in enumerate(firsts):
        if row not in texts:
            features[row], embeddings[row] = observation.features, observation.embedding
    return features, embeddings


def _tables(
    cells: Mapping[str, Mapping[str, Sequence[Observation]]], queries: Sequence[str], routes: Sequence[str]
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """correct, input_tokens, output_tokens and weights, each (n, R), averaged over samples."""
    shape = (len(queries), len(routes))
    correct, inputs, outputs = (np.full(shape, np.nan) for _ in range(3))
    weights = np.zeros(shape)
    for row, query in enumerate(queries):
        for column, route in enumerate(routes):
            samples = sorted(cells[query].get(route, ()), key=lambda o: (o.sample, o.weight, o.correct or 0.0))
            labelled = [(o.correct, o.weight) for o in samples if o.correct is not None]
            if labelled:
                values, shares = np.array(labelled, dtype=np.float64).T
                correct[row, column] = float(np.average(values, weights=shares))
                weights[row, column] = float(shares.mean())
            inputs[row, column] = _mean([o.input_tokens for o in samples])
            outputs[row, column] = _mean([o.output_tokens for o in samples])
    return correct, inputs, outputs, weights


def _mean(values: Sequence[float | None]) -> float:
    known = sorted(value for value in values if value is not None)
    return sum(known) / len(known) if known else float("nan")


def _question(observation: Observation) -> str:
    """The same for texts that differ in case and white space only; the query's own id where no text is stored."""
    if observation.text is None:
        return observation.query_id
    normal = " ".join(observation.text.casefold().split())
    return hashlib.sha256(normal.encode("utf-8", "replace")).hexdigest()[:16]
