"""What `auto` would have saved while another route answered everything (`policy: observe`)."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from ...domain import Decision, Estimate


def observed_saving(decisions: Iterable[Decision]) -> str | None:
    """One sentence on all observed decisions, from the estimates at the time: both routes' expected cost and share of
    right answers. None where none has both estimates (nothing was learnt yet)."""
    pairs = [pair for decision in decisions if (pair := _pair(decision)) is not None]
    if not pairs:
        return None
    n, other = len(pairs), sum(answered.route != auto.route for answered, auto in pairs)
    paid, due = (sum(pair[side].cost for pair in pairs) for side in (0, 1))
    right, kept = (sum(pair[side].p_correct for pair in pairs) / n for side in (0, 1))
    change = f"{1 - due / paid:.0%} of the cost saved" if paid > 0 else "no cost to save"
    return (
        f"of {n} observed decisions auto would have taken another route in {other}; by its estimates: {change} "
        f"({due:.3g} instead of {paid:.3g}), {kept:.1%} right instead of {right:.1%}"
    )


def _pair(decision: Decision) -> tuple[Estimate, Estimate] | None:
    """The estimates of the route that answered and of the one that `auto` would have taken."""
    answered, auto = (decision.estimates.get(name) for name in (decision.route.name, decision.observed or ""))
    if answered is None or auto is None or not (isfinite(answered.cost) and isfinite(auto.cost)):
        return None
    return answered, auto
