"""The published scorer and its scripts agree, on made and on recorded tables.

POINTSMAN_OUTCOMES names the folder of recorded tables, POINTSMAN_CHECKS that of the scripts (absent: ../checks)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from recorded import BUDGETS, QUALITY, Row, decisions, only, resampled, run, world

from pointsman.classifiers import load_embedder
from pointsman.router.jobs.evaluation.contest import Rules
from pointsman.router.jobs.evaluation.decisions import write_decisions
from pointsman.router.jobs.evaluation.evaluate import Evaluation, Settings, evaluate
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.store import Constellation, DerivedRoute, read_constellation, read_table, write_table

OUTCOMES = Path(os.environ.get("POINTSMAN_OUTCOMES", ""))
CHECKS = Path(os.environ.get("POINTSMAN_CHECKS", OUTCOMES.parent / "checks"))
ABLE = "POINTSMAN_OUTCOMES" in os.environ and (CHECKS / "score.py").is_file() and importlib.util.find_spec("pandas")
pytestmark = pytest.mark.skipif(
    not ABLE, reason="POINTSMAN_OUTCOMES and POINTSMAN_CHECKS name no tables and scripts, or pandas is not there"
)

BOOT = 100
TRAIN = resampled(world(600))
TEST = [r for r in resampled(world(300, seed=1, first="t")) if r["sample"] == 0 or r["query_id"] < "t0280"]
LADDERS = ("auto", "small,small#1,second,b100,b300,full")


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """One of the scripts beside the recorded tables."""
    return subprocess.run(
        [sys.executable, str(CHECKS / f"{name}.py"), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table to train on, one to test on (some of its questions in both, some without a second sample), and their
    constellation."""
    made = tmp_path_factory.mktemp("scored")
    routes: dict[str, Any] = {}
    for route in BUDGETS:
        if isinstance(route, DerivedRoute):
            routes[route.name] = {"of": route.of, "budget": route.budget, "fallback": route.fallback}
        else:
            assert route.price is not None
            price = {"input": route.price.input, "output": route.price.output}
            routes[route.name] = {"model": route.model, "mode": route.mode, "price": price}
    head = {"hold_out_by": "group", "answers_comparable": True, "probes": ["small", "second"], "samples": 2}
    (made / "c.yaml").write_text(yaml.safe_dump({"made": {**head, "routes": routes}}, sort_keys=False))
    write_table(made / "train.parquet", [*TRAIN, *[r for r in TEST if r["query_id"] < "t0020"]])
    write_table(made / "test.parquet", [r | {"input_tokens": None} if r["query_id"] > "t0250" else r for r in TEST])
    return made


def made_of(folder: Path) -> Constellation:
    return read_constellation(f"{folder / 'c.yaml'}:made")


def rows_of(folder: Path) -> list[Row]:
    return [r | {"input_tokens": None} if r["query_id"] > "t0250" else r for r in TEST]


def agree(found: Evaluation, scored: dict[str, Any], policy: str) -> None:
    """Figures to the third decimal, intervals to the second."""
    ours, chosen = found.report["policies"][policy], found.report["policies"][policy]["chosen"]
    assert scored["n"] == found.report["n_queries"]
    assert scored["n_removed"] == found.report["n_removed"]
    assert scored["best_fixed"] == found.report["best_fixed"]["name"]
    assert scored["coverage"] == scored["curve_coverage"] == 1
    pairs = {
        "accuracy": chosen["accuracy"],
        "saved": chosen["saved"],
        "chosen_skill": chosen["skill"],
        "saved_against_last": chosen["saved_against_last"],
        "dear_share": chosen["dear_share"],
        "apgr": ours["apgr"],
    }
    assert {key: scored[key] for key in pairs} == pytest.approx(pairs, abs=6e-4)
    assert scored["delta_points"] == pytest.approx(100 * chosen["accuracy_delta"], abs=0.006)
    promised = 100 * (chosen["promised_loss"] + chosen["accuracy_delta"])
    assert scored["promised_loss_error"] == pytest.approx(promised, abs=0.006)
    if policy != "pointsman" or scored["saved"] is None:
        return
    assert scored["skill_mean"] == pytest.approx(ours["skill_mean"], abs=6e-4)
    for theirs, mine in (("at_0.5", "0.5"), ("at_1", "1.0"), ("at_2", "2.0")):
        at = ours["at_loss"][mine]
        for key in ("saved", "mixing", "skill"):
            assert scored[theirs][key] == pytest.approx(at[key], abs=6e-4)
        assert scored[theirs]["ci"] == pytest.approx(list(at["ci95"]), abs=0.006)


@pytest.mark.parametrize(
    ("policy", "ladder"),
    [("pointsman", LADDERS[0]), ("pointsman", LADDERS[1]), ("text_only", "auto"), ("agreement", "auto")],
)
def test_the_scorer_finds_the_same_figures(folder: Path, policy: str, ladder: str) -> None:
    train = [*TRAIN, *[r for r in TEST if r["query_id"] < "t0020"]]
    found = run(rows_of(folder), made_of(folder), train, resamples=BOOT, ladder=ladder)
    assert found.report["n_removed"] == 20
    if "#" in ladder:
        chosen = only(decisions(found), policy, chosen=True)
        assert 0.2 < np.mean(["small#1" in r["bought"] for r in chosen]) < 0.95
    write_decisions(folder / "d.parquet", found.recording, found.entries)
    given = ("--train", folder / "train.parquet", "--policy", policy, "--boot", BOOT)
    done = script("score", folder / "test.parquet", folder / "c.yaml", "made", folder / "d.parquet", *given)
    assert done.returncode == 0, done.stderr
    agree(found, json.loads(done.stdout), policy)


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("unbought", [False, True])
def test_the_scramble_finds_no_leak(folder: Path, unbought: bool, ladder: str) -> None:
    """Labels permuted, or answers and tokens of all that was not bought too: the decisions are the same."""
    routes = made_of(folder)
    train = read_recording(folder / "train.parquet", routes)
    files = []
    for name in ("test", "scrambled"):
        if name == "scrambled":
            more = ("--unbought", files[0], folder / "c.yaml", "made") if unbought else ()
            done = script("scramble", folder / "test.parquet", folder / "scrambled.parquet", *more)
            assert done.returncode == 0, done.stderr
        recording = read_recording(folder / f"{name}.parquet", routes)
        embedder: Any = None
        rules = Rules(QUALITY, ladder=ladder, knn=False)
        found = evaluate(recording, train, Settings(rules, resamples=0), embedder)
        files.append(folder / f"{name}-{unbought}.parquet")
        write_decisions(files[-1], found.recording, found.entries)
    same = script("same_decisions", *files, *(("--chosen",) if unbought else ()))
    assert same.returncode == 0, same.stdout + same.stderr


@pytest.mark.parametrize("name", ["concise_cot", "budgets_claude", "routellm_gsm8k"])
def test_a_recorded_table_is_scored_alike(name: str, tmp_path: Path) -> None:
    file = OUTCOMES / "constellations.yaml"
    routes = read_constellation(f"{file}:{name}")
    assert routes.file is not None
    settings = Settings(Rules(QUALITY), resamples=BOOT)
    found = evaluate(read_recording(routes.file, routes), None, settings, load_embedder("static"))
    write_decisions(tmp_path / "d.parquet", found.recording, found.entries)
    done = script("score", routes.file, file, name, tmp_path / "d.parquet", "--boot", BOOT)
    assert done.returncode == 0, done.stderr
    agree(found, json.loads(done.stdout), "pointsman")


HALVES = {
    "one": ("medagents/medbullets", "medagents/medmcqa"),
    "other": ("medagents/afrimedqa", "medagents/mmlu"),
}
MEDAGENTS = OUTCOMES / "constellations.yaml", "medagents"


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded medical questions, two benchmarks each."""
    made = tmp_path_factory.mktemp("halves")
    whole = read_table(OUTCOMES / "medagents.parquet").columns
    for name, benchmarks in HALVES.items():
        kept = [i for i, b in enumerate(whole["benchmark"]) if b in benchmarks]
        write_table(made / f"{name}.parquet", ({key: values[i] for key, values in whole.items()} for i in kept))
    return made


def played(folder: Path, train: str, test: str, resamples: int = 0) -> tuple[Path, Evaluation]:
    """What is decided on one table, learnt from another, and the file of the decisions."""
    routes = read_constellation(f"{MEDAGENTS[0]}:{MEDAGENTS[1]}")
    learn, held = (read_recording(folder / f"{name}.parquet", routes) for name in (train, test))
    embedder: Any = None
    found = evaluate(held, learn, Settings(Rules(QUALITY, knn=False), resamples=resamples), embedder)
    write_decisions(folder / f"{test}-d.parquet", found.recording, found.entries)
    return folder / f"{test}-d.parquet", found


@pytest.mark.parametrize(("train", "test"), [("one", "other"), ("other", "one")])
def test_recorded_labels_and_what_was_not_bought_move_no_decision(halves: Path, train: str, test: str) -> None:
    """Learnt from one half of the benchmarks: on the other half labels permuted move nothing at any point, and answers
    and tokens of all that was not bought nothing at the chosen one."""
    before, _ = played(halves, train, test)
    for more, how in (((), ()), (("--unbought", before, *MEDAGENTS), ("--chosen",))):
        spoilt = f"{test}-spoilt"
        done = script("scramble", halves / f"{test}.parquet", halves / f"{spoilt}.parquet", *more)
        assert done.returncode == 0, done.stderr
        same = script("same_decisions", before, played(halves, train, spoilt)[0], *how)
        assert same.returncode == 0, same.stdout + same.stderr


@pytest.mark.parametrize(("train", "test"), [("one", "other"), ("other", "one")])
def test_recorded_benchmarks_never_seen_are_scored_alike(halves: Path, train: str, test: str) -> None:
    decided, found = played(halves, train, test, resamples=BOOT)
    given = ("--train", halves / f"{train}.parquet", "--boot", BOOT)
    done = script("score", halves / f"{test}.parquet", *MEDAGENTS, decided, *given)
    assert done.returncode == 0, done.stderr
    agree(found, json.loads(done.stdout), "pointsman")
