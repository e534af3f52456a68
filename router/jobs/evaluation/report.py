"""The figures of an evaluation, by the names under which they are written as JSON. Shares: 0.01 is one point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers import brier, ece
from ....domain import Json
from ...ladder import SAMPLE, Fixed, fixed_route
from ..induction import fixed_results
from .contest import Entry, Rules
from .oracles import oracle, repeatable_oracle
from .plans import agreeing, can_agree
from .playing import Played
from .recording import Recording
from .skill import LOSSES, AtLoss, Plain, apgr, at_losses, mixing
from .verdict import verdict

Doubles: TypeAlias = NDArray[np.float64]

KEYS = tuple(f"{100 * loss:.1f}" for loss in LOSSES)


def report(
    recording: Recording,
    entries: Mapping[str, Entry | None],
    rules: Rules,
    resamples: int,
    seed: int,
    removed: int,
    gain: Doubles,
) -> Json:
    """Everything but the controls. gain (n,): right of the last route less of the first."""
    fixed = [fixed_route(recording.ladder, name) for name in recording.names]
    results = {f.name: fixed_results(recording, f) for f in fixed}
    best = max(results, key=lambda name: (results[name][0].mean(), -results[name][1].mean()))
    mixed = plain_points(recording, best)
    plain = stacked(mixed)
    money = recording.constellation.cost == "tokens"
    routes = {f.name: _route(recording, f, money) for f in fixed}
    made: Json = {
        "constellation": recording.constellation.source,
        "price": recording.price,
        "objective": {"kind": rules.objective.kind.value, "value": rules.objective.value},
        "n_queries": len(recording),
        "n_removed": removed,
        "groups": sorted(set(recording.folds.tolist())),
        "seed": seed,
        "artifact": None,
        "streamed": rules.streamed,
        "notes": list(recording.notes),
        "routes": routes,
        "best_fixed": {"name": best, **routes[best]},
        "plain": [_plain(point, money) for point in mixed],
        "oracle": oracle(recording, money),
        "repeatable_oracle": repeatable_oracle(recording, best, money),
        "policies": {
            name: None if entry is None else _policy(recording, entry, plain, gain, money, resamples, seed)
            for name, entry in entries.items()
        },
        "controls": {"shuffled_labels": None, "random_features": None},
    }
    ours = entries["pointsman"]
    assert ours is not None
    made["calibration"] = _calibration(ours.chosen)
    made["probes"] = _probes(recording, ours.chosen, money)
    made["verdict"] = verdict(made, ours.plan)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class PlainPoint:
    """One thing that needs no learning: right and cost, (n,) each, and the share of questions that the last route is
    bought for."""

    name: str
    correct: Doubles
    cost: Doubles
    dear_share: float


def plain_points(recording: Recording, best: str) -> list[PlainPoint]:
    """What needs no learning: the best fixed route, the others, the agreement rule (falling back to the last route and
    to the best one, each paid whole), no answer."""
    results = {name: fixed_results(recording, fixed_route(recording.ladder, name)) for name in recording.names}
    last = recording.names[-1]
    names = [best, *(name for name in recording.names if name != best)]
    points = [PlainPoint(name, *results[name], float(name == last)) for name in names]
    if can_agree(recording):
        same = agreeing(recording)
        probes = recording.constellation.probes
        paid = np.sum([results[name][1] for name in probes], axis=0)
        for name in dict.fromkeys((last, best)):
            right, cost = results[name]
            behind = np.where(same, 0.0, 0.0 if name in probes else cost)
            dear = 1.0 if last in probes else float(np.mean(~same)) * (name == last)
            both = np.where(same, results[probes[0]][0], right), paid + behind
            points.append(PlainPoint(f"probes agree, else {name}", *both, dear))
    none = np.zeros(len(recording))
    return [*points, PlainPoint("no answer", none, none, 0.0)]


def stacked(points: Sequence[PlainPoint]) -> Plain:
    """The same as arrays."""
    return Plain(np.stack([point.correct for point in points]), np.stack([point.cost for point in points]))


def _plain(point: PlainPoint, money: bool) -> Json:
    """A point of what is mixed, as it is written."""
    cost = float(point.cost.mean()) if money else None
    return {
        "name": point.name,
        "accuracy": float(point.correct.mean()),
        "cost": cost,
        "dear_share": point.dear_share,
    }


def _route(recording: Recording, fixed: Fixed, money: bool) -> Json:
    right, cost = fixed_results(recording, fixed)
    track, level = fixed.purchase.track, fixed.purchase.level
    inputs, outputs = recording.input_tokens[:, track], recording.output_to(track, level)
    if fixed.fallback is not None:
        cut = recording.unfinished(track, level)
        inputs = inputs + np.where(cut, recording.input_tokens[:, fixed.fallback], 0.0)
        outputs = outputs + np.where(cut, recording.seen.tokens[:, fixed.fallback], 0.0)
    return {
        "accuracy": float(right.mean()),
        "input_tokens": float(inputs.mean()) if money else None,
        "output_tokens": float(outputs.mean()) if money else None,
        "cost": float(cost.mean()) if money else None,
    }


def _policy(
    recording: Recording, entry: Entry, plain: Plain, gain: Doubles, money: bool, resamples: int, seed: int
) -> Json:
    points = _points(entry)
    losses = at_losses(points[0].T, points[1].T, plain, resamples, seed) if money else None
    curve = entry.curve
    return {
        "apgr": apgr(entry.score, recording.strata, gain),
        "apgr_probed": None if entry.probed is None else apgr(entry.probed, recording.strata, gain),
        "curve": [] if curve is None else [_point(recording, curve, k, money) for k in range(curve.path.shape[1])],
        "at_loss": {key: None if losses is None else _loss(losses[i]) for i, key in enumerate(KEYS)},
        "skill_mean": None if losses is None else float(np.mean([x.skill for x in losses[:2]])),
        "chosen": _chosen(recording, entry, plain, money, resamples, seed),
        "plan": entry.plan,
    }


def _points(entry: Entry) -> tuple[Doubles, Doubles]:
    """(right, cost), (n, points), the chosen point last."""
    parts = [entry.chosen] if entry.curve is None else [entry.curve, entry.chosen]
    return np.concatenate([p.correct for p in parts], axis=1), np.concatenate([p.cost for p in parts], axis=1)


def _loss(at: AtLoss) -> Json:
    return {"saved": at.saved, "mixing": at.mixing, "skill": at.skill, "ci95": at.ci95}


def _point(recording: Recording, played: Played, k: int, money: bool) -> Json:
    last = recording.names[-1]
    dear = np.array([last in {name.partition(SAMPLE)[0] for name in path.bought} for path in played.paths])
    return {
        "accuracy": float(played.correct[:, k].mean()),
        "cost": float(played.cost[:, k].mean()) if money else None,
        "output_tokens": float(played.output_tokens[:, k].mean()) if money else None,
        "dear_share": float(dear[played.path[:, k]].mean()),
    }


def _chosen(recording: Recording, entry: Entry, plain: Plain, money: bool, resamples: int, seed: int) -> Json:
    chosen = entry.chosen
    right, cost = chosen.correct[:, 0], chosen.cost[:, 0]
    difference = right - plain.correct[0]
    last = fixed_results(recording, fixed_route(recording.ladder, recording.names[-1]))[1]
    saved = float(1 - cost.mean() / plain.cost[0].mean()) if money else None
    skill = None if saved is None else saved - mixing(plain, plain.accuracy + float(difference.mean()))
    return {
        **_point(recording, chosen, 0, money),
        "accuracy_delta": float(difference.mean()),
        "ci95": _interval(difference, resamples, seed),
        "saved": saved,
        "skill": skill,
        "saved_against_last": float(1 - cost.mean() / last.mean()) if money else None,
        "promised_loss": float((chosen.p_reference - chosen.p_correct).mean()),
    }


def _interval(values: Doubles, resamples: int, seed: int) -> tuple[float, float] | None:
    """Percentile bootstrap over questions."""
    if not resamples:
        return None
    n, rng = len(values), np.random.default_rng(seed)
    means = rng.multinomial(n, np.full(n, 1 / n), size=resamples) @ values / n
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _calibration(chosen: Played) -> Json:
    """By what had been bought when the answer was given: how far probabilities lie from what came."""
    found: Json = {}
    for code, path in enumerate(chosen.paths):
        at = chosen.path[:, 0] == code
        if at.sum() < 20:
            continue
        p, right = chosen.p_correct[at, 0], chosen.correct[at, 0]
        found[" > ".join(path.bought) + f" = {path.answered_by}"] = {
            "ece": ece(p, right),
            "brier": brier(p, right),
            "n": int(at.sum()),
        }
    return found


def _probes(recording: Recording, chosen: Played, money: bool) -> Json:
    """How often each probe and each further sample was bought at the chosen point, and what it cost on average over all
    questions."""
    found: Json = {}
    further = [name for name in recording.ladder.names() if name not in recording.ladder.routes()]
    for name in (*recording.constellation.probes, *further):
        bought = np.array([name in path.bought for path in chosen.paths])[chosen.path[:, 0]]
        cost = fixed_results(recording, fixed_route(recording.ladder, name))[1]
        found[name] = {
            "bought_share": float(bought.mean()),
            "cost": float(np.where(bought, cost, 0.0).mean()) if money else None,
        }
    return found
