"""`pointsman evaluate`: from files to a verdict, and what is said of wrong options."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from recorded import Row, world

from pointsman.api.cli.main import main
from pointsman.errors import BadRequest
from pointsman.store import write_table

Ended = tuple[int, str, str]
Run = Callable[..., Ended]

ROUTES: dict[str, Any] = {
    "small": {"model": "m-small", "mode": "direct", "price": {"input": 1, "output": 2}},
    "second": {"model": "m-second", "mode": "direct", "price": {"input": 1, "output": 3}},
    "b300": {"of": "full", "budget": 300, "fallback": "small"},
    "full": {"model": "m-full", "mode": "think", "price": {"input": 2, "output": 8}},
}
UNPRICED = {name: {k: v for k, v in route.items() if k != "price"} for name, route in ROUTES.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tables and a file of constellations."""
    folder = tmp_path_factory.mktemp("outcomes")
    write_table(folder / "made.parquet", world(240))
    write_table(folder / "other.parquet", world(60, seed=1, first="t"))
    write_table(folder / "small.parquet", [r for r in world(30) if r["model"] == "m-small"])
    rows: list[Row] = [r | {"output_tokens": None} for r in world(240)]
    write_table(folder / "calls.parquet", rows)
    plain = {"file": "made.parquet", "hold_out_by": "group", "answers_comparable": True, "probes": ["small", "second"]}
    every = {
        "made": {**plain, "routes": ROUTES},
        "calls": {
            **plain,
            "file": "calls.parquet",
            "cost": "calls",
            "routes": {n: ROUTES[n] for n in ROUTES if n != "b300"},
        },
        "unpriced": {**plain, "routes": UNPRICED},
        "absent": {"routes": ROUTES},
    }
    (folder / "routes.yaml").write_text(yaml.safe_dump(every, sort_keys=False))
    return folder


@pytest.fixture
def run(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on a constellation of the folder; (exit code, output, errors)."""
    monkeypatch.setenv("COLUMNS", "160")

    def ended(name: str, *options: object) -> Ended:
        code = main(["evaluate", "--constellation", f"{files / 'routes.yaml'}:{name}", *map(str, options)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ended


def test_a_run_says_writes_and_draws_what_it_found(run: Run, tmp_path: Path) -> None:
    """Tables, verdict, JSON, decisions and picture of one run agree with each other."""
    out = tmp_path / "out"
    given = ["--json", out / "r.json", "--decisions", out / "d.parquet", "--plot", out / "p.png"]
    code, said, _ = run("made", "--objective", "quality=0.99", "--controls", 20, "--resamples", 20, *given)
    assert code == 0
    report = json.loads((out / "r.json").read_bytes())
    ours, best = report["policies"]["pointsman"], report["best_fixed"]
    assert report["n_queries"] == 240
    assert report["objective"] == {"kind": "quality", "value": 0.99}
    assert set(report["policies"]) == {"pointsman", "text_only", "agreement", "knn"}
    assert ours["apgr"] > 0.7
    assert 0.5 < best["accuracy"] < 1
    rows = pq.read_table(out / "d.parquet").to_pylist()
    chosen = [r for r in rows if r["policy"] == "pointsman" and r["point"] is None]
    assert len(chosen) == 240
    assert sum(r["cost"] for r in chosen) / 240 == pytest.approx(ours["chosen"]["cost"], abs=1e-5)
    assert (out / "p.png").read_bytes().startswith(b"\x89PNG")
    for word in ("240 questions, 6 folds", "price: work", "best: full", "b300", "knn", "Control shuffled labels: APGR"):
        assert word in said
    assert f"{best['accuracy']:.1%}" in said
    assert f"{ours['chosen']['saved']:.1%}" in said
    assert report["verdict"]["sentence"] in " ".join(said.split())
    assert report["verdict"]["verdict"].capitalize() in said


def test_learning_from_one_table_and_testing_on_another(run: Run, files: Path, tmp_path: Path) -> None:
    """Several training tables may be given; what is removed is said."""
    given = ["--train", files / "made.parquet", "--test", files / "other.parquet", "--resamples", 0]
    code, said, _ = run("made", *given, "--json", tmp_path / "r.json")
    assert code == 0
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert (report["n_queries"], report["n_removed"]) == (60, 0)
    assert report["verdict"]["verdict"] == "not enough data"
    code, said, err = run("made", *given, "--train", files / "other.parquet")
    assert code == 2
    assert "stands in the training table" in err
    assert "Not enough data" not in said


def test_list_prices_and_calls_are_said_as_such(run: Run, tmp_path: Path) -> None:
    code, said, _ = run(
        "made", "--price", "list", "--resamples", 0, "--hold-out-by", "benchmark", "--estimator", "classes"
    )
    assert code == 0
    assert "price: list" in said
    assert "2 folds" in said
    given = ["--plot", tmp_path / "c.png", "--json", tmp_path / "c.json", "--resamples", 0, "--ladder", "small,full"]
    code, said, _ = run("calls", *given, "--streamed")
    assert code == 0
    assert "the last route's answers stream" in " ".join(said.split())
    assert "only the share of dear calls" in said
    assert (tmp_path / "c.png").stat().st_size > 10_000
    report = json.loads((tmp_path / "c.json").read_bytes())
    assert report["streamed"] is True
    assert report["routes"]["full"]["cost"] is None
    assert report["policies"]["pointsman"]["chosen"]["cost"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--train", "FOLDER/made.parquet"], "--test"),
        (["--hold-out-by", "moon"], "benchmark, group, query"),
        (["--price", "gold"], "work, list"),
        (["--estimator", "oracle"], "'oracle'"),
        (["--objective", "quality=2"], "quality"),
        (["--objective", "speed=2"], "speed"),
        (["--ladder", "small,moon"], "'moon'"),
        (["--ladder", "small,small#1,full"], "'small#1'"),
        (["--controls", "-1"], "--controls"),
        (["--test", "FOLDER/none.parquet"], "no such file"),
        (["--test", "FOLDER/small.parquet"], "column 'model'"),
        (["--decisions", "d.xlsx", "--resamples", "0"], ".xlsx"),
    ],
)
def test_what_is_wrong_ends_with_a_sentence_and_two(run: Run, files: Path, options: list[str], says: str) -> None:
    code, _, err = run("made", *(o.replace("FOLDER", str(files)) for o in options))
    assert code == 2
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [("absent", [], "--test"), ("moon", [], "moon"), ("unpriced", ["--price", "list"], "--price work")],
)
def test_a_constellation_that_cannot_be_used_is_named(run: Run, name: str, options: list[str], says: str) -> None:
    code, _, err = run(name, *options)
    assert code == 2
    assert says in err
    assert "routes.yaml" in err


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--hold-out-by", "moon", "hold_out_by"),
        ("--price", "gold", "price"),
        ("--estimator", "oracle", "estimator"),
        ("--ladder", "moon", "ladder"),
        ("--train", "made.parquet", "test"),
        ("--objective", "speed=2", "objective"),
    ],
)
def test_a_wrong_option_names_its_field(
    run: Run, monkeypatch: pytest.MonkeyPatch, option: str, value: str, field: str
) -> None:
    monkeypatch.setenv("POINTSMAN_DEBUG", "1")
    with pytest.raises(BadRequest) as caught:
        run("made", option, value)
    assert caught.value.field == field


def test_the_command_is_told_of_by_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["evaluate", "--help"]) == 0
    said = capsys.readouterr().out
    options = ("constellation", "train", "test", "hold-out-by", "estimator", "ladder", "objective", "price", "controls")
    for option in (*options, "seed", "json", "decisions", "plot", "streamed"):
        assert f"--{option}" in said
