"""The room's public surface."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from pointsman import store
from pointsman.store import StoreConfig


def test_every_exported_name_is_there_and_sorted() -> None:
    assert all(hasattr(store, name) for name in store.__all__)
    assert sorted(store.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == store.__all__


def test_importing_it_loads_nothing_that_only_jobs_need() -> None:
    code = (
        "import sys, pointsman.store; print([n for n in ('alembic', 'pyarrow', 'pandas', 'numpy') if n in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"


def test_the_configuration_refuses_what_it_does_not_know_and_bounds_of_nothing() -> None:
    config = StoreConfig(url="sqlite:///a.db")
    assert (config.keep_text, config.queue_capacity, config.retention_days) == (True, 10_000, None)
    for wrong in ({"queue": 1}, {"queue_capacity": 0}, {"queue_megabytes": 0}, {"retention_days": 0}):
        with pytest.raises(ValidationError):
            StoreConfig.model_validate({"url": "sqlite:///a.db"} | wrong)
