"""Where training data comes from: the store of the router at hand, and tables of recorded outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ...classifiers import Embedder, text_of, vectors_id
from ...domain import Objective, Observation, Route
from ...errors import DataError
from ...store import (
    UNIT_PRICE,
    Constellation,
    DerivedRoute,
    Reading,
    RecordedRoute,
    Store,
    normal_form,
    observations_from_table,
    read_constellation,
)
from .evaluation.replay import Aim
from .observed import observed_saving


@dataclass(frozen=True, slots=True)
class Source:
    """Observations, for whom they teach, and what the report must say of them."""

    observations: tuple[Observation, ...]
    aim: Aim
    notes: tuple[str, ...] = ()


def from_store(store: Store, aim: Aim, embedder: Embedder, since: datetime | None = None) -> Source:
    """What the router's own log teaches. Raises DataError where nothing in it is labelled."""
    routes = {route.name: route for route in aim.routes}
    logged = tuple(store.observations(since, text_of=text_of, encoder=vectors_id(embedder)))
    kept = tuple(o for o in logged if o.route in routes and _stood_for(o, routes[o.route]))
    if not any(o.correct is not None for o in kept):
        raise DataError(
            "no logged answer has an outcome yet: say what was right with `pointsman feedback` or POST /v1/feedback"
        )
    notes: list[str] = []
    if gone := len(logged) - len(kept):
        notes.append(f"{gone} logged answers of routes that are not, or no longer, configured so were left out")
    if (saving := observed_saving(store.observed(since))) is not None:
        notes.append(saving)
    return Source(kept, aim, tuple(notes))


def _stood_for(observation: Observation, route: Route) -> bool:
    """Whether the name stood for this same route then: "small" may have been another model, or another mode of it. The
    mode of an answer that was escalated from is not known."""
    then = (observation.model, observation.thinking_budget)
    return then == (route.model, route.thinking_budget) and observation.mode in (None, route.mode)


def from_tables(files: Sequence[Path], constellation: str | None, objective: Objective) -> Source:
    """What tables of recorded outcomes teach. Without a constellation each model and mode is a route at price 1.

    Raises DataError naming file and column."""
    found = read_constellation(constellation) if constellation else None
    readings = [observations_from_table(file, found) for file in files]
    routes = {route.name: route for reading in readings for route in table_routes(reading.constellation)}
    observations = tuple(_told_apart(files, readings))
    ordered = tuple(routes.values()) if found or len(files) == 1 else _by_tokens(routes, observations)
    notes = dict.fromkeys(note for reading in readings for note in reading.notes)
    calls = any(reading.constellation.cost == "calls" for reading in readings)
    if calls:
        notes[f"cost is counted in calls: 1 for an answer by {ordered[-1].name}, nothing for one by another route"] = (
            None
        )
    return Source(observations, Aim(ordered, objective, ordered[-1].name, calls), tuple(notes))


def _told_apart(files: Sequence[Path], readings: Sequence[Reading]) -> Iterator[Observation]:
    """All observations; an id that stands for another question in an earlier file has its own file's name before it."""
    known: dict[str, str] = {}
    for file, reading in zip(files, readings, strict=True):
        asked = {o.query_id: normal_form(o.text or "") for o in reading.observations}
        other = {query_id for query_id, text in asked.items() if known.setdefault(query_id, text) != text}
        for o in reading.observations:
            yield replace(o, query_id=f"{file}:{o.query_id}") if o.query_id in other else o


def _by_tokens(routes: Mapping[str, Route], observations: Sequence[Observation]) -> tuple[Route, ...]:
    """The routes of several files at price 1, the one with the fewest output tokens first."""
    tokens: dict[str, list[float]] = {name: [] for name in routes}
    for o in observations:
        tokens[o.route].append(float("inf") if o.output_tokens is None else o.output_tokens)
    return tuple(sorted(routes.values(), key=lambda r: (sum(tokens[r.name]) / len(tokens[r.name]), r.name)))


def table_routes(constellation: Constellation) -> list[Route]:
    """A constellation's routes, cheapest first as it lists them, at its prices (else one an output token)."""
    recorded = {r.name: r for r in constellation.routes if isinstance(r, RecordedRoute)}
    routes: list[Route] = []
    for route in constellation.routes:
        thought = recorded[route.of] if isinstance(route, DerivedRoute) else route
        budget = route.budget if isinstance(route, DerivedRoute) else 0 if thought.mode == "direct" else None
        price = constellation.prices[route.name] or UNIT_PRICE
        routes.append(Route(route.name, thought.model, thought.mode, budget, price))
    return routes
