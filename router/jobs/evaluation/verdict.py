"""What the figures of an evaluation come to, in one word, one sentence and one recommendation."""

from __future__ import annotations

from typing import Any

from ....domain import Json

PAYS, PAYS_NOT, UNKNOWN = "routing pays", "routing does not pay here", "not enough data"

FEWEST = 200
"""With fewer questions no verdict is given."""


def verdict(report: Json, plan: str) -> Json:
    """Routing pays where its skill at half a point or at one point of loss is above zero to the interval's end. Where
    costs are not known (calls), or no interval was drawn, nothing is claimed. The recommendation is the best fixed
    route or budget unless routing pays."""
    ours, best = report["policies"]["pointsman"], report["best_fixed"]
    recommended = _cheapest_enough(report)
    if report["n_queries"] < FEWEST:
        sentence = f"{report['n_queries']} questions are too few to tell; run {recommended} for now."
        return {"verdict": UNKNOWN, "sentence": sentence, "recommended": recommended}
    losses = [at for at in (ours["at_loss"]["0.5"], ours["at_loss"]["1.0"]) if at and at["ci95"]]
    if not losses:
        sentence = f"Without costs and an interval nothing can be said of what is saved; run {recommended} for now."
        return {"verdict": UNKNOWN, "sentence": sentence, "recommended": recommended}
    if any(at["ci95"][0] > 0 for at in losses):
        at = max(losses, key=lambda at: at["ci95"][0])
        low, high = at["ci95"]
        sentence = (
            f"Routing saves {100 * at['saved']:.0f} % of {best['name']}'s cost where mixing fixed routes saves "
            f"{100 * at['mixing']:.0f} % (difference {100 * low:.0f} to {100 * high:.0f} points)."
        )
        return {"verdict": PAYS, "sentence": sentence, "recommended": "routing", "plan": plan}
    return {"verdict": PAYS_NOT, "sentence": _sentence(report, recommended, losses), "recommended": recommended}


def _cheapest_enough(report: Json) -> str:
    """The cheapest fixed route that keeps the objective's share of the best one's accuracy."""
    routes: dict[str, Any] = report["routes"]
    share = report["objective"]["value"] if report["objective"]["kind"] == "quality" else 1.0
    need = share * report["best_fixed"]["accuracy"]
    enough = [name for name, route in routes.items() if route["accuracy"] >= need - 1e-12]
    return min(enough, key=lambda name: routes[name]["cost"] if routes[name]["cost"] is not None else 0.0)


def _sentence(report: Json, recommended: str, losses: list[Any]) -> str:
    best, route = report["best_fixed"], report["routes"][recommended]
    low, high = losses[-1]["ci95"]
    beyond = (
        "Routing on top is not shown to save more than mixing fixed routes does "
        f"({100 * losses[-1]['skill']:+.0f} points at one point of loss, {100 * low:.0f} to {100 * high:.0f})"
    )
    if recommended == best["name"]:
        return f"Run {recommended} for everything. {beyond}."
    saved = 1 - route["cost"] / best["cost"]
    delta = 100 * (route["accuracy"] - best["accuracy"])
    cheaper = f"{100 * saved:.0f} % cheaper than {best['name']} at {delta:+.1f} points"
    return f"Run {recommended} for everything: {cheaper}. {beyond}."
