"""Which artifact serves, and what is said of one that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pointsman.classifiers import Embedder, load, shipped_artifacts
from pointsman.domain import Route
from pointsman.router.build import build_routes
from pointsman.router.config import load as load_settings
from pointsman.router.serving import find, mismatch
from pointsman.store import Store


@pytest.fixture(scope="module")
def routes() -> tuple[Route, ...]:
    """The shipped ones."""
    settings, _ = load_settings(None, environ={})
    return build_routes(settings, settings.models)


def test_a_promoted_artifact_of_other_routes_is_told_and_passed_over(
    store: Store, routes: tuple[Route, ...], embedder: Embedder, tmp_path: Path
) -> None:
    (shipped,) = shipped_artifacts()
    copied = tmp_path / shipped.name
    copied.mkdir()
    for file in shipped.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    artifact = load(copied)
    store.register(artifact.id, str(copied), {}, artifact.created_at)
    store.promote(artifact.id)
    changed = (replace(routes[0], thinking_budget=5), *routes[1:])
    found, problems = find(store, changed, embedder.content_hash)
    assert found is None
    (problem,) = problems
    assert f"does not know {routes[0].name} as configured" in problem
    assert mismatch(artifact, routes) is None
    found, problems = find(store, routes, embedder.content_hash)
    assert found is not None
    assert problems == ()


def test_what_ships_for_other_routes_is_no_problem(store: Store, routes: tuple[Route, ...], embedder: Embedder) -> None:
    """Most owners have routes of their own."""
    assert find(store, (replace(routes[0], model="qwen"),), embedder.content_hash) == (None, ())
