"""Routes and estimates for tests of the decision, and what several rooms of it need: a store, the encoder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import laddered
import pytest

from pointsman.classifiers import Embedder
from pointsman.domain import Estimate, Price, Route, Tier
from pointsman.store import Store, StoreConfig, open_store


def route(
    name: str, *, model: str = "digits", budget: int | None = 0, output: float = 1.0, tier: Tier | None = None
) -> Route:
    """A route priced at a tenth of its output price for input."""
    mode = "direct" if budget == 0 else "think"
    return Route(name, model, mode, budget, Price(output / 10, 0.0, output), tier)


def estimate(name: str, p: float, cost: float) -> Estimate:
    """An estimate without uncertainty."""
    return Estimate(name, p, 0.0, 10.0, 10.0, 0.0, cost, 0.0)


@pytest.fixture
def routes() -> tuple[Route, ...]:
    """Three routes of one model, cheapest first."""
    return (
        route("small", tier=Tier.SMALL),
        route("budgeted", budget=17, tier=Tier.BUDGETED),
        route("full", budget=None, tier=Tier.FULL),
    )


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The shipped encoder."""
    return laddered.embedder()


@pytest.fixture
def store(tmp_path: Path, empty_file: Path) -> Iterator[Store]:
    """An empty store with its tables, in a file."""
    shutil.copy(empty_file, tmp_path / "p.db")
    with open_store(StoreConfig(url=f"sqlite:///{tmp_path}/p.db")) as opened:
        yield opened
