"""What `pointsman check` found and is still to be believed, as deciding and answering need it.

A finding is believed as long as its model's fingerprint is the one that it was found with (backends/identity.py): the
same server version, list of models and template. What is warned of is said in every answer of the route, before its
first token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from ..backends import Identity
from ..domain import Enforcement, Json, Route, Tier
from ..store import CheckRow

UNCHECKED = "not checked: run pointsman check"
WEAK = (Enforcement.PROMPT, Enforcement.NONE)
"""Ways of keeping a budget that are none."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """rows: the newest of each route, believed; stale: those whose engine has changed since, or does not say whether it
    has. Both by the route's name."""

    rows: Mapping[str, CheckRow] = field(default_factory=dict[str, CheckRow])
    stale: Mapping[str, CheckRow] = field(default_factory=dict[str, CheckRow])

    @classmethod
    def believed(cls, rows: Iterable[CheckRow], identities: Mapping[str, Identity]) -> Certificates:
        """Those of these rows whose model is what it was. identities: as the engines are now, by model."""
        kept, stale = dict[str, CheckRow](), dict[str, CheckRow]()
        for row in rows:
            now = identities.get(row.model)
            (kept if now is not None and now.fingerprint == row.fingerprint else stale)[row.route] = row
        return cls(kept, stale)

    def enforced(self, route: Route) -> Enforcement | None:
        """How the route's budget was found to be kept; None: not known, or there is none to keep."""
        if route.thinking_budget is None:
            return None
        row = self._own(route)
        return row.enforced if row is not None else self._of_model(route)

    def warnings(self, route: Route) -> tuple[str, ...]:
        """What a caller of this route should know, a sentence each."""
        row = self._row(route)
        if row is None:
            return ()
        found, told = _by_subject(row), list[str]()
        about = "off" if route.thinking_budget == 0 else "budget" if route.thinking_budget is not None else None
        for name in ("route" if self._own(route) is not None else None, about, "answer", "name"):
            finding = found.get(name or "", {})
            if finding.get("ruling") == "broken":
                told.append(_warning(row, finding))
            elif name == "budget" and _figures(finding).get("ignored"):
                told.append(f"{row.engine} ignores the thinking budget: the thought is cut ({_when(row.created_at)})")
        if route.thinking_budget and self.enforced(route) is Enforcement.PROMPT:
            told.append(f"{row.engine} keeps no thinking budget: it is only asked to ({_when(row.created_at)})")
        return tuple(dict.fromkeys(told))

    def offered(self, routes: Sequence[Route], insisted: Collection[str]) -> tuple[tuple[Route, ...], tuple[str, ...]]:
        """The routes, those without the tier `budgeted` whose budget was found not to be kept; and why. insisted: the
        names of routes whose owner wants it all the same."""
        told, kept = list[str](), list[Route]()
        for route in routes:
            way = self.enforced(route)
            if route.tier is not Tier.BUDGETED or way not in WEAK or route.name in insisted:
                kept.append(route)
                continue
            kept.append(replace(route, tier=None))
            told.append(
                f"the route {route.name} is not offered as {Tier.BUDGETED.value}: its thinking budget is "
                f"{'only asked for' if way is Enforcement.PROMPT else 'not kept'}, as pointsman check found; "
                f"`insist: true` on the route offers it all the same"
            )
        return tuple(kept), tuple(told)

    def standing(self, route: Route) -> str:
        """How the route is enforced and when that was found, for the owner."""
        row = self._own(route)
        if row is not None:
            broken = _by_subject(row).get("route", {}).get("ruling") == "broken"
            way = "at its own length" if route.thinking_budget is None else row.enforced.value
            return f"{'BROKEN, ' if broken else ''}{way}, checked {row.created_at:%Y-%m-%d}"
        if route.name in self.stale or route.name in self.rows:
            return "changed since it was checked: run pointsman check"
        return UNCHECKED

    def _own(self, route: Route) -> CheckRow | None:
        """The row of this very route: one of the same name may have another mode or budget by now."""
        row = self.rows.get(route.name)
        same = row is not None and (row.model, row.mode, row.thinking_budget) == (
            route.model,
            route.mode,
            route.thinking_budget,
        )
        return row if same else None

    def _row(self, route: Route) -> CheckRow | None:
        """The route's own row, else the newest of its model: budgets that a caller names make routes of their own."""
        mine = [row for row in self.rows.values() if row.model == route.model]
        return self._own(route) or max(mine, key=lambda row: row.created_at, default=None)

    def _of_model(self, route: Route) -> Enforcement | None:
        """How such a budget is kept on the route's model, as far as that was shown."""
        row = self._row(route)
        found = {} if row is None else _by_subject(row)
        finding = found.get("off" if route.thinking_budget == 0 else "budget", {})
        if finding.get("ruling") == "broken":
            return Enforcement.NONE
        if finding.get("ruling") != "kept":
            return None
        if route.thinking_budget == 0:
            return Enforcement.NATIVE
        told = _figures(finding).get("enforced")
        return Enforcement(told) if told in tuple(Enforcement) else None


def _by_subject(row: CheckRow) -> dict[str, Json]:
    return {str(finding.get("about")): finding for finding in row.findings}


def _figures(finding: Json) -> Json:
    found = finding.get("figures")
    return cast("Json", found) if isinstance(found, dict) else {}


def _warning(row: CheckRow, finding: Json) -> str:
    sentence = str(finding.get("sentence")).rstrip(".")
    return f"{sentence} ({_when(row.created_at)})"


def _when(moment: datetime) -> str:
    return f"checked {moment:%Y-%m-%d}"
