"""What holds for every test, and for the processes that it starts: properties are not timed (machines are busy), CI
draws the same examples each time, and small matrices are multiplied by one thread: several wait for each other longer
than they work."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy, scikit-learn and PyTorch are loaded

settings.register_profile("pointsman", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pointsman")


@pytest.fixture
def quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits try few candidates: for tests that claim nothing of how well a fit fits."""
    from pointsman.classifiers.shrinkage import FitSettings

    few = partial(FitSettings, inner_folds=2, strengths=(0.1,), token_penalties=(0.03,), embedding_scales=(0.0,))
    monkeypatch.setattr("pointsman.classifiers.fitting.FitSettings", few)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our empty tables, to be copied: quicker than migrating for every test."""
    from pointsman.store import StoreConfig, open_store

    path = tmp_path_factory.mktemp("empty") / "empty.db"
    with open_store(StoreConfig(url=f"sqlite:///{path}")) as opened:
        opened.upgrade()
    return path
