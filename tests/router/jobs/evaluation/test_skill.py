"""Skill: what is saved above the best mix of what needs no learning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pointsman.router.jobs.evaluation.skill import LOSSES, Plain, apgr, at_losses, cheapest_mix, mixing

N = 2000


def plain(seed: int = 0) -> Plain:
    """Full is right on nine of ten at 100, small on six of ten at 10, and no answer."""
    rng = np.random.default_rng(seed)
    easy = rng.random(N) < 0.6
    correct = np.stack([rng.random(N) < 0.9, easy, np.zeros(N)]).astype(float)
    return Plain(correct, np.tile([[100.0], [10.0], [0.0]], (1, N)))


def test_the_cheapest_mix_by_hand() -> None:
    """At .86: four fifths of full and one of small cost 82, a fifth of full and four of third 84."""
    accuracy, cost = np.array([0.9, 0.7, 0.85, 0.0]), np.array([100.0, 10.0, 80.0, 0.0])
    better, worse, share = cheapest_mix(accuracy, cost, 0.86)
    assert (better, worse) == (0, 1)
    assert share == pytest.approx(0.8)


def test_mixing_by_hand() -> None:
    table = Plain(np.array([[1, 1], [1, 0], [0, 0]], float), np.array([[10, 10], [4, 4], [0, 0]], float))
    assert mixing(table, 0.75) == pytest.approx(0.3)
    assert mixing(table, 0.5) == pytest.approx(0.6)
    assert mixing(table, 0.25) == pytest.approx(0.8)  # half of small, half of no answer
    assert mixing(table, 2.0) == pytest.approx(0.0)  # at most the best fixed route's own
    assert mixing(table, 0.5, np.array([1.0, 0.0])) == pytest.approx(0.8)


def test_no_answer_at_no_cost_is_on_the_line() -> None:
    """Where the cheap route is worse than answering seldom, mixing is full and silence."""
    table = Plain(np.array([[1, 1], [0.2, 0.2], [0, 0]]), np.array([[10, 10], [5, 5], [0, 0]], float))
    assert mixing(table, 0.5) == pytest.approx(0.5)
    assert mixing(table, 0.2) == pytest.approx(0.8)


points = arrays(float, (5, 2), elements=st.floats(0.01, 1))


@given(points, st.floats(0, 1))
def test_the_mix_is_the_cheapest_of_all_pairs(given_: np.ndarray, part: float) -> None:
    accuracy, cost = np.append(given_[:, 0], 0.0), np.append(given_[:, 1], 0.0)
    need = part * accuracy.max()
    better, worse, share = cheapest_mix(accuracy, cost, need)
    assert share * accuracy[better] + (1 - share) * accuracy[worse] >= need - 1e-9
    found = share * cost[better] + (1 - share) * cost[worse]
    pairs = [c for a, c in zip(accuracy, cost, strict=True) if a >= need]
    for a, c in zip(accuracy, cost, strict=True):
        for b, d in zip(accuracy, cost, strict=True):
            if a >= need > b:
                s = (need - b) / (a - b)
                pairs.append(s * c + (1 - s) * d)
    assert found <= min(pairs) + 1e-9


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([5, 100]))
def test_a_random_mix_of_fixed_routes_has_no_skill_however_many_points(seed: int, size: int) -> None:
    table, rng = plain(seed), np.random.default_rng(seed + 10_000)
    small = rng.random((size, N)) < rng.random((size, 1))
    correct = np.where(small, table.correct[1], table.correct[0])
    cost = np.where(small, 10.0, 100.0)
    found = at_losses(correct, cost, table, 0)
    assert np.mean([at.skill for at in found[:2]]) < 0.05
    assert all(at.ci95 is None for at in found)


def test_a_real_signal_has_skill_and_an_interval_above_nothing() -> None:
    table = plain()
    seen = table.correct[1] + np.random.default_rng(1).normal(0, 0.4, N)
    small = seen > np.linspace(-1, 2, 25)[:, None]
    found = at_losses(np.where(small, table.correct[1], table.correct[0]), np.where(small, 10.0, 100.0), table, 50)
    for at in found:
        assert at.skill == pytest.approx(at.saved - at.mixing)
        assert at.skill > 0.2
        assert at.ci95 is not None
        assert 0 < at.ci95[0] < at.skill < at.ci95[1] + 0.1
    assert found[0].mixing < found[2].mixing  # more may be lost, more can be saved by mixing
    assert len(found) == len(LOSSES)


def test_the_best_fixed_route_is_always_open_to_a_policy() -> None:
    """A policy that is worse than useless is not used: nothing saved, nothing lost."""
    table = plain()
    found = at_losses(np.zeros((1, N)), np.full((1, N), 500.0), table, 0)
    assert all(at.saved == pytest.approx(at.mixing, abs=0.02) or at.saved >= 0 for at in found)
    assert found[0].skill < 0.02


def test_intervals_are_drawn_by_the_seed_and_are_the_same_again() -> None:
    table = plain()
    one, two, other = (at_losses(table.correct[:2], table.cost[:2], table, 20, seed) for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_apgr_of_chance_ties_and_knowledge() -> None:
    rng = np.random.default_rng(0)
    gain, groups = rng.choice([-1.0, 0, 1, 1], 20_000), np.repeat(["a", "b"], 10_000)
    assert apgr(rng.random(20_000), groups, gain) == pytest.approx(0.5, abs=0.02)
    assert apgr(np.zeros(20_000), groups, gain) == pytest.approx(0.5, abs=1e-6)
    perfect = np.where(gain > 0, 0.0, np.where(gain < 0, 1.0, 0.5))
    found = apgr(perfect, groups, gain)
    assert found is not None
    assert found > 0.9
    assert apgr(-perfect, groups, gain) < 0.1  # type: ignore[operator]


def test_apgr_by_hand() -> None:
    one = np.array(["a", "a"])
    assert apgr(np.array([0.0, 1.0]), one, np.array([1.0, 0.0])) == pytest.approx(0.75)
    assert apgr(np.array([1.0, 0.0]), one, np.array([1.0, 0.0])) == pytest.approx(0.25)


@pytest.mark.parametrize("gain", [[0.0, 0.0], [1.0, -1.0], [-1.0, 0.0]])
def test_where_there_is_no_gap_there_is_no_apgr(gain: list[float]) -> None:
    assert apgr(np.array([0.0, 1.0]), np.array(["a", "a"]), np.array(gain)) is None


def test_scores_are_ranked_within_groups() -> None:
    """A group whose scores are all higher is not served last."""
    rng = np.random.default_rng(0)
    score, gain = rng.random(400), rng.choice([0.0, 1.0], 400)
    groups = np.repeat(["a", "b"], 200)
    assert apgr(score, groups, gain) == pytest.approx(apgr(score + 5 * (groups == "a"), groups, gain))


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_apgr_depends_on_the_order_of_scores_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, gain = rng.integers(0, 5, 60) / 5, rng.choice([-1.0, 0, 1], 60)
    groups, order = rng.choice(["a", "b"], 60), rng.permutation(60)
    found = apgr(score, groups, gain)
    assume(found is not None)
    assert apgr(np.exp(3 * score), groups, gain) == pytest.approx(found)
    assert apgr(score[order], groups[order], gain[order]) == pytest.approx(found)


def test_luck_on_few_questions_is_no_skill() -> None:
    """Two hundred random mixes on sixty questions: the luckiest loses more than it was chosen for, and mixing is
    looked at where that came out."""
    skills = []
    for seed in range(10):
        table, rng = plain(seed), np.random.default_rng(seed + 10_000)
        few = Plain(table.correct[:, :60], table.cost[:, :60])
        small = rng.random((200, 60)) < rng.random((200, 1))
        correct, cost = np.where(small, few.correct[1], few.correct[0]), np.where(small, 10.0, 100.0)
        skills.append(at_losses(correct, cost, few, 0)[1].skill)
    assert np.mean(skills) < 0.06
