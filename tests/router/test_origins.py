"""Where each value of the configuration came from, when one source overrides another."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.router.config import load
from pointsman.router.origins import Origins, replace_origin

MODELS = "models: {a: {url: 'http://127.0.0.1:9/v1', parameters: 1}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with a store that keeps no texts, and an objective."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"{MODELS}store: {{url: 'sqlite:///a.db', keep_text: false}}\nobjective: {{quality: 0.9}}\n")
    return path


def test_a_value_given_anew_takes_the_origins_below_it_away() -> None:
    """A section that is replaced whole has one origin; others keep theirs."""
    origins: Origins = {("a",): "x:1", ("a", "b"): "x:2", ("ab",): "x:3"}
    replace_origin(origins, ("a",), "A")
    assert origins == {("a",): "A", ("ab",): "x:3"}


@pytest.mark.parametrize("by", ["environment", "command line"])
def test_a_store_given_by_its_url_keeps_what_the_file_says_of_it(file: Path, by: str) -> None:
    """An owner who keeps no texts still keeps none when the URL comes from elsewhere."""
    url = "sqlite:///b.db"
    environ = {"POINTSMAN_STORE": url} if by == "environment" else {}
    settings, origins = load(file, {} if environ else {"store": url}, environ)
    assert (settings.store.url, settings.store.keep_text) == (url, False)
    assert origins["store", "url"] == ("POINTSMAN_STORE" if environ else "command line")
    assert origins["store", "keep_text"] == f"{file}:2"


@pytest.mark.parametrize(
    "environ", [{"POINTSMAN_OBJECTIVE__MAX_COST": "2"}, {"POINTSMAN_OBJECTIVE": '{"max_cost": 2}'}]
)
def test_an_objective_of_another_kind_replaces_the_files(file: Path, environ: dict[str, str]) -> None:
    """Exactly one of three: the later source's kind wins instead of clashing with the earlier one's."""
    settings, origins = load(file, {}, environ)
    assert (settings.objective.max_cost, settings.objective.quality) == (2, None)
    assert origins["objective", "max_cost"] == next(iter(environ))


def test_a_store_that_stands_in_the_file_as_a_url_has_its_line(tmp_path: Path) -> None:
    """`store: URL` is short for a section with that url, and has the line it stands on."""
    path = tmp_path / "short.yaml"
    path.write_text(f"{MODELS}store: sqlite:///c.db\n")
    settings, origins = load(path, {}, {})
    assert settings.store.url == "sqlite:///c.db"
    assert origins["store", "url"] == f"{path}:2"
