"""The engines of the conformance suite: those that need nothing but the test environment, or those that
POINTSMAN_ENGINES names (`make test-engines`)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from real_engines import Opened, places

from pointsman.backends import Engine

NAMES = os.environ.get("POINTSMAN_ENGINES", "llamacpp,transformers,litellm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test once on every engine; on SmolLM2 only where engines are named, as it has to be dequantised for most."""
    if "opened" not in metafunc.fixturenames:
        return
    model = "smollm2" if "smollm2" in metafunc.function.__name__ else "digits"
    wanted = [one for one in places(NAMES) if model in one.models]
    if model == "smollm2" and "POINTSMAN_ENGINES" not in os.environ:
        wanted = [one for one in wanted if one.name == "llamacpp"]
    rows = [pytest.param((one, model), id=one.name) for one in wanted]
    metafunc.parametrize("opened", rows, indirect=True, scope="session")


@pytest.fixture(scope="session")
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A running engine with its model."""
    place, model = request.param
    place.install()
    with place.open(place, model) as running:
        yield running


@pytest.fixture
async def engine(opened: Opened) -> AsyncIterator[Callable[..., Engine]]:
    """Makes engines on it; arguments change the model's settings."""
    made: list[Engine] = []

    def make(**changes: Any) -> Engine:
        made.append(opened.engine(**changes))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
