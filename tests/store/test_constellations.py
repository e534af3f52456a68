"""Constellations in YAML files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pointsman.domain import Price
from pointsman.errors import DataError
from pointsman.store import DerivedRoute, RecordedRoute, read_constellation, write_constellation

RECORDED = os.environ.get("POINTSMAN_OUTCOMES")

SUMS = """
sums:
  file: sums.parquet
  where: {benchmark: [a, b], group: easy}
  hold_out_by: group
  cost: tokens
  samples: 3
  answers_comparable: free_text
  probes: [small]
  routes:
    small: {model: m, mode: direct, price: {input: 0.1, output: 1}}
    cut:   {of: full, budget: 64, fallback: small}
    full:  {model: m, mode: think, price: {input: 0.1, cached_input: 0.05, output: 2}}
bare:
  routes:
    small: {model: m, mode: direct}
    full:  {model: m, mode: think}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(SUMS)
    return path


def test_everything_that_can_be_said_is_read(file: Path) -> None:
    read = read_constellation(f"{file}:sums")
    small, full = Price(0.1, 0.1, 1.0), Price(0.1, 0.05, 2.0)
    assert read.routes == (
        RecordedRoute("small", "m", "direct", small),
        DerivedRoute("cut", "full", 64, "small"),
        RecordedRoute("full", "m", "think", full),
    )
    assert read.prices == {"small": small, "cut": full, "full": full}
    assert read.file == file.parent / "sums.parquet"
    assert read.where == {"benchmark": ("a", "b"), "group": ("easy",)}
    assert (read.hold_out_by, read.cost, read.samples) == ("group", "tokens", 3)
    assert (read.answers_comparable, read.probes, read.source) == ("free_text", ("small",), f"{file}:sums")


@pytest.mark.parametrize("name", ["sums", "bare"])
def test_what_is_written_reads_back_the_same(file: Path, name: str) -> None:
    """Beside its table, and elsewhere."""
    read = read_constellation(f"{file}:{name}")
    (file.parent / "deep").mkdir()
    for place in (file.parent / "again.yaml", file.parent / "deep" / "again.yaml"):
        write_constellation(place, read)
        assert read_constellation(str(place)) == replace(read, source=f"{place}:{name}")


def test_a_constellation_that_cannot_be_written_is_said(file: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_constellation(file.parent / "none" / "c.yaml", read_constellation(f"{file}:sums"))


def test_what_is_not_said_has_its_default(file: Path) -> None:
    read = read_constellation(f"{file}:bare")
    assert (read.file, read.where, read.hold_out_by, read.cost) == (None, {}, "query", "tokens")
    assert (read.samples, read.answers_comparable, read.probes) == (1, False, ())
    assert read.prices == {"small": None, "full": None}


def test_the_name_may_be_left_out_where_there_is_one(tmp_path: Path, file: Path) -> None:
    alone = tmp_path / "alone.yaml"
    alone.write_text(yaml.safe_dump({"bare": yaml.safe_load(SUMS)["bare"]}))
    assert read_constellation(str(alone)).source == f"{alone}:bare"
    with pytest.raises(DataError, match="say which, as FILE:NAME; there are sums, bare"):
        read_constellation(str(file))
    with pytest.raises(DataError, match="there is no constellation 'other'; there are sums, bare"):
        read_constellation(f"{file}:other")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cost: tokens", "cost: euros", "sums.cost: must be one of tokens, calls"),
        ("hold_out_by: group", "hold_out_by: topic", "sums.hold_out_by: must be one of benchmark, group, query"),
        ("samples: 3", "samples: 0", "sums.samples: must be a whole number"),
        ("samples: 3", "sample: 3", "sums: sample is unknown; there are .*samples"),
        ("answers_comparable: free_text", "answers_comparable: maybe", "must be one of True, False, free_text"),
        ("answers_comparable: free_text", "answers_comparable: 1", "must be one of True, False, free_text"),
        ("probes: [small]", "probes: [tiny]", "sums.probes: must be a list of routes: cut, full, small"),
        ("probes: [small]", "probes: small", "sums.probes: must be a list"),
        ("budget: 64", "budget: -1", "sums.routes.cut.budget: must be a whole number, 1 or more"),
        ("of: full", "of: cut", "sums.routes.cut.of: 'cut' is no recorded route"),
        ("fallback: small", "fallback: none_such", "sums.routes.cut.fallback: 'none_such' is no recorded route"),
        (", fallback: small", "", "sums.routes.cut.fallback: must be a text"),
        ("cut:   {", "cut#1: {", "sums.routes.cut#1: '#' stands before the number of a sample"),
        ("model: m, mode: direct, price", "mode: direct, price", "sums.routes.small.model: must be a text"),
        ("input: 0.1, output: 1}", "input: 0.1}", "sums.routes.small.price: needs input and output"),
        ("output: 1}", "output: .nan}", "sums.routes.small.price.output: must be a number, 0 or more"),
        (", price: {input: 0.1, output: 1}", "", "sums.routes: give all routes a price, or none"),
        ("where: {benchmark: [a, b], group: easy}", "where: all", "sums.where: must be a mapping"),
        ("file: sums.parquet", "file: 3", "sums.file: must be a text"),
        ("bare:", "bare: [", "is no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(file: Path, old: str, new: str, says: str) -> None:
    assert old in SUMS
    file.write_text(SUMS.replace(old, new))
    with pytest.raises(DataError, match=says) as caught:
        read_constellation(f"{file}:sums")
    assert caught.value.file == str(file)


def test_one_route_is_none_to_choose_from(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("one: {routes: {small: {model: m, mode: direct}}}")
    with pytest.raises(DataError, match=r"one.routes: needs at least two routes"):
        read_constellation(str(path))


def test_files_without_constellations_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("- a list")
    with pytest.raises(DataError, match="holds no constellations"):
        read_constellation(f"{tmp_path / 'c.yaml'}:x")
    with pytest.raises(DataError, match="No such file"):
        read_constellation(f"{tmp_path / 'none.yaml'}:x")


@pytest.mark.skipif(RECORDED is None, reason="POINTSMAN_OUTCOMES names no folder")
def test_every_recorded_constellation_is_read() -> None:
    path = Path(str(RECORDED)) / "constellations.yaml"
    for name in yaml.safe_load(path.read_text()):
        assert read_constellation(f"{path}:{name}").file is not None
