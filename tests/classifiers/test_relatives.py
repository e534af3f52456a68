from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from pointsman.classifiers import Estimator, TrainingSet, fit, relatives, training_set
from pointsman.classifiers.alone import fit_alone
from pointsman.classifiers.calibration import Calibration, logit, sigmoid
from pointsman.classifiers.estimators import Doubles
from pointsman.classifiers.features import FEATURES
from pointsman.classifiers.relatives import OWN_LABELS, with_relatives
from pointsman.classifiers.shrinkage import FitSettings
from pointsman.domain import Observation

QUICK = FitSettings(strengths=(0.01, 0.1), token_penalties=(0.1,), embedding_scales=(0.0,), inner_folds=3)
NAMES = ("a", "b", "c", "d", "new")
NEW = NAMES.index("new")


@dataclass(frozen=True)
class Kin:
    """Queries to learn from, others to predict, the true probability (m,) that `new` gets those right."""

    training: TrainingSet
    fresh: TrainingSet
    p: Doubles


def kin(seed: int, related: bool = True, known: int = 4, n: int = 360) -> Kin:
    """Five routes. The text tells half of how hard a query is; where `related`, all routes find the same ones hard.

    Else each of them lives in a world of its own, and `new` finds all queries equally hard."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2 * n, len(FEATURES))).astype(np.float32)
    routes = len(NAMES)
    if related:
        hard = np.repeat((1.2 * features[:, :1] + 1.2 * rng.normal(size=(2 * n, 1))).astype(np.float64), routes, axis=1)
        told = 1.2 * features[:, 0].astype(np.float64)
    else:
        hard = 1.2 * features[:, :routes] * np.array([1, 1, 1, 1, 0])
        told = np.zeros(2 * n)
    level = rng.normal(0.6, 0.5, routes)
    truth = sigmoid(level - hard)
    right = (rng.random(truth.shape) < truth).astype(np.float64)
    # What the text cannot tell is averaged out of the truth that is asked for (MacKay's approximation).
    spread = 1.2**2 if related else 0.0
    p = sigmoid((level[NEW] - told) / np.sqrt(1 + np.pi / 8 * spread))
    ids = tuple(f"q{i:05}" for i in range(2 * n))
    weights = np.ones_like(right)
    labelled = np.isin(np.arange(2 * n), rng.choice(n, 20, replace=False))
    right[~labelled, NEW] = np.where(np.arange(2 * n) < n, np.nan, right[:, NEW])[~labelled]
    weights[:, NEW] = np.isfinite(right[:, NEW])
    constant = np.ones((2 * n, 1), np.float32)
    tokens = np.full_like(right, 10.0)
    whole = TrainingSet(ids, ids, ids, features, constant, NAMES, right, tokens, tokens, weights)
    kept = [*range(known), NEW]
    part = replace(
        whole,
        routes=tuple(NAMES[k] for k in kept),
        **{name: getattr(whole, name)[:, kept] for name in ("correct", "weights", "input_tokens", "output_tokens")},
    )
    return Kin(part.rows(np.arange(n)), part.rows(np.arange(n, 2 * n)), p[n:])


def predicted(found: Estimator, fresh: TrainingSet) -> tuple[Doubles, Doubles]:
    """What is expected of `new` on the queries that come in, and the standard errors."""
    column = found.routes.index("new")
    p = found.predict(fresh.features, fresh.embeddings)
    return p.p_correct[:, column], p.p_correct_se[:, column]


def gains(worlds: Sequence[Kin]) -> Doubles:
    """Brier score of the rule of succession on the 20 labels less that of a fit, for each world."""
    out: list[float] = []
    for world in worlds:
        y = world.training.correct[:, -1]
        known = y[np.isfinite(y)]
        rule = (known.sum() + 1) / (len(known) + 2)
        p, _ = predicted(fit(world.training, QUICK), world.fresh)
        out.append(float(((rule - world.p) ** 2 - (p - world.p) ** 2).mean()))
    return np.array(out)


def test_twenty_labels_and_relatives_that_tell_beat_the_mean_rate() -> None:
    gained = gains([kin(seed) for seed in range(8)])
    assert (gained > 0.01).sum() >= 7
    assert gained.mean() > 0.02


def test_relatives_that_tell_nothing_do_no_harm_beyond_noise() -> None:
    gained = gains([kin(seed, related=False) for seed in range(8)])
    assert gained.mean() > -0.003
    assert gained.min() > -0.02


def test_labels_that_fell_on_hard_queries_are_seen_to_be_so() -> None:
    """The same labels, all of them wrong answers where the others were wrong too, or where the others were right."""
    world = kin(3)
    others = world.training.correct[:, :-1].mean(axis=1)
    hardest, easiest = np.argsort(others, kind="stable")[:20], np.argsort(-others, kind="stable")[:20]
    levels: list[float] = []
    for rows in (hardest, easiest):
        correct = world.training.correct.copy()
        correct[:, -1] = np.nan
        correct[rows, -1] = np.arange(20) < 6
        weights = np.isfinite(correct).astype(np.float64)
        p, _ = predicted(fit(replace(world.training, correct=correct, weights=weights), QUICK), world.fresh)
        levels.append(float(p.mean()))
    assert levels[0] > 0.3 > levels[1]
    assert levels[0] - levels[1] > 0.1


def test_the_truth_lies_within_two_standard_errors_and_few_labels_widen_them() -> None:
    inside, widths, those_of_known = [], [], []
    for seed in range(6):
        world = kin(seed)
        found = fit(world.training, QUICK)
        p, se = predicted(found, world.fresh)
        inside.append((np.abs(p - world.p) < 2 * se).mean())
        widths.append(np.median(se))
        all_se = found.predict(world.fresh.features, world.fresh.embeddings).p_correct_se
        those_of_known.append(np.median(all_se[:, :-1]))
    assert np.mean(inside) > 0.85
    assert np.mean(widths) > 1.2 * np.mean(those_of_known)
    assert np.mean(widths) < 0.25


@pytest.mark.parametrize("known", [1, 0])
def test_with_one_other_route_nothing_says_how_routes_relate(known: int) -> None:
    """The rule of succession, whatever the text."""
    world = kin(0, known=max(known, 1))
    training = world.training
    if known == 0:  # another route is there, without a model of its own
        training = replace(training, correct=np.where(np.arange(2) == 0, 1.0, training.correct))
    p, _ = predicted(fit(training, QUICK), world.fresh)
    known_labels = training.correct[np.isfinite(training.correct[:, -1]), -1]
    assert p == pytest.approx((known_labels.sum() + 1) / 22, abs=1e-4)


def test_a_route_without_any_label_is_not_spoken_for() -> None:
    world = kin(1)
    correct, weights = world.training.correct.copy(), world.training.weights.copy()
    correct[:, -1], weights[:, -1] = np.nan, 0.0
    p, se = predicted(fit(replace(world.training, correct=correct, weights=weights), QUICK), world.fresh)
    assert p == pytest.approx(0.5, abs=1e-4)
    assert (se > 0.2).all()


def test_the_order_of_routes_changes_nothing_at_all() -> None:
    world = kin(2)
    turned = [4, 2, 0, 3, 1]
    tables = ("correct", "weights", "input_tokens", "output_tokens")
    other = replace(
        world.training,
        routes=tuple(NAMES[k] for k in turned),
        **{name: getattr(world.training, name)[:, turned] for name in tables},
    )
    for one, same in zip(
        predicted(fit(world.training, QUICK), world.fresh), predicted(fit(other, QUICK), world.fresh), strict=True
    ):
        np.testing.assert_allclose(one, same, rtol=1e-6)


def test_the_order_of_rows_and_repeated_observations_change_nothing_at_all(static) -> None:
    rng = np.random.default_rng(0)
    rows: list[Observation] = []
    for i in range(120):
        digits = int(rng.integers(1, 9))
        text = f"What is {'7' * digits} times {i}?"
        hard = float(rng.random() < digits / 9)
        for name in NAMES:
            if name != "new" or i < 20:
                wrong = float(rng.random() < 0.2 + 0.6 * hard)
                rows.append(Observation(f"q{i:03}", f"q{i:03}", name, 1.0 - wrong, 10.0, 10.0, text=text))
    again = [*rows, *(replace(row, sample=1) for row in rows)]
    shuffled = [again[k] for k in rng.permutation(len(again))]
    one, other = (fit(training_set(some, NAMES, static), QUICK).arrays() for some in (rows, shuffled))
    assert one["product"][1:, NEW].any()  # relatives were heard
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_the_more_labels_the_more_a_route_speaks_for_itself() -> None:
    """A route that goes its own way: its relatives mislead less and less."""
    world = kin(4, n=900)
    training = world.training
    rng = np.random.default_rng(4)
    own_way = (rng.random(900) < sigmoid(1.5 * training.features[:, 1].astype(np.float64))).astype(np.float64)
    distances: list[float] = []
    for count in (60, 240, 900):
        correct = training.correct.copy()
        correct[:, -1] = np.where(np.arange(900) < count, own_way, np.nan)
        some = replace(training, correct=correct, weights=np.isfinite(correct).astype(np.float64))
        alone = fit_alone(some, QUICK)
        mine = alone.parts[-1]
        assert mine.calibration is not None
        together = with_relatives(NAMES, alone.parts, alone.x, some.correct, some.weights)[-1]
        calibrated = mine.calibration.slope * (alone.x @ mine.weights) + mine.calibration.offset
        distances.append(float(np.abs(alone.x @ together.weights - calibrated).mean()))
        share = count**2 / (count**2 + OWN_LABELS**2)
        assert together.level_variance >= share * mine.level_variance - 1e-12
    assert distances[0] > 2 * distances[1]
    assert distances[1] > 2 * distances[2]


def test_a_route_that_knows_itself_well_is_not_talked_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text tells two routes from two others, one pair being right where the other is wrong: with 700 labels each
    the relatives, half of which say the opposite, make no probability worse."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(1400, len(FEATURES))).astype(np.float32)
    mine = features[:, 0] > 0
    right = np.stack([mine, ~mine, mine, ~mine, mine], axis=1).astype(np.float64)
    ids = tuple(f"q{i:05}" for i in range(1400))
    constant, tokens, weights = np.ones((1400, 1), np.float32), np.full_like(right, 10.0), np.ones_like(right)
    whole = TrainingSet(ids, ids, ids, features, constant, NAMES, right, tokens, tokens, weights)
    training, fresh = whole.rows(np.arange(700)), whole.rows(np.arange(700, 1400))

    def brier() -> Doubles:
        p = fit(training, QUICK).predict(fresh.features, fresh.embeddings).p_correct
        return ((p - fresh.correct) ** 2).mean(axis=0)

    together = brier()
    monkeypatch.setattr(relatives, "FEWEST_RELATIVES", len(NAMES))
    assert (together <= brier() + 1e-3).all()


def test_where_the_text_misleads_a_route_stays_what_it_is_without_it() -> None:
    """A calibration of slope 0 says that its scores tell nothing: wholly its own, it is divided by nothing."""
    world = kin(3)
    parts = fit_alone(world.training, QUICK).parts
    own = replace(parts[0], calibration=Calibration(0.0, 0.3))
    told = replace(parts[1], calibration=None)
    assert relatives._between(own, told, 1.0) == own
    half = relatives._between(own, told, 0.5)
    assert half.calibration == Calibration(0.5, 0.15)
    assert np.isfinite(half.weights).all()


def test_labels_of_small_weight_move_a_level_little() -> None:
    world = kin(5)
    light = replace(world.training, weights=world.training.weights * np.where(np.arange(5) == NEW, 1e-3, 1.0))
    flipped = replace(light, correct=np.where(np.arange(5) == NEW, 1 - light.correct, light.correct))
    one, other = (predicted(fit(data, QUICK), world.fresh)[0] for data in (light, flipped))
    assert np.abs(logit(one) - logit(other)).max() < 0.05
