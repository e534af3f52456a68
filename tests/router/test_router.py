"""The router as Python callers hold it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedEngine, says

from pointsman.domain import Objective, ObjectiveKind, Query, Sampling, Wish
from pointsman.errors import BadRequest
from pointsman.router import Router
from pointsman.router.live import collect


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """The shipped configuration."""
    with Router.from_config(home=tmp_path_factory.mktemp("home")) as made:
        yield made


async def test_a_models_recommended_sampling_reaches_its_engine(tmp_path: Path) -> None:
    """By its name, or by an owner's family; a model without one is sent what the caller says."""
    file = tmp_path / "p.yaml"
    row = "{match: mystery, thinks: true, switch: none, source: me, sampling: {think: {top_k: 7}}}"
    served = "url: http://127.0.0.1:1/v1, dialect: vllm, parameters: 1"
    file.write_text(
        f"models:\n  q: {{{served}, model: Qwen/Qwen3-8B}}\n  m: {{{served}, model: mystery}}\n"
        f"  n: {{{served}, model: none}}\nfamilies:\n  Mine: {row}\n"
    )
    with Router.from_config(file, home=tmp_path) as made:
        engines = {name: ScriptedEngine(name, says("7")) for name in "qmn"}
        made.engines.update(engines)
        for name in engines:
            await collect(made.live.run(Query(({"role": "user", "content": "3+4"},)), Wish(route=name)))
    assert engines["q"].calls[0].sampling == Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0)
    assert engines["m"].calls[0].sampling == Sampling(top_k=7)
    assert engines["n"].calls[0].sampling == Sampling()


@pytest.mark.parametrize(
    ("given", "route", "mode", "budget"),
    [
        ({"mode": "think(17)"}, "budgeted", "think", 17),  # the route that is just so
        ({"mode": "think(64)", "model": "digits"}, "digits(64)", "think", 64),
        ({"mode": "think(64)", "thinking_budget": 64, "model": "digits"}, "digits(64)", "think", 64),
        ({"mode": "concise", "model": "digits(64)"}, "digits(64)", "concise(60)", 64),
        ({"mode": "concise(25)", "model": "digits"}, "digits(unlimited)", "concise(25)", None),
        ({"mode": "token-budget(80)", "model": "digits"}, "digits(unlimited)", "token-budget(80)", None),
    ],
)
def test_a_mode_with_its_number_is_decided_and_remembered(
    router: Router, given: dict[str, Any], route: str, mode: str, budget: int | None
) -> None:
    made = router.route("3+4", **given)
    assert (made.route.name, made.route.mode, made.route.thinking_budget) == (route, mode, budget)
    kept = router.decision(made.id)
    assert kept is not None
    assert kept.decision.route.mode == mode


@pytest.mark.parametrize(
    "given", [{"thinking_budget": 8}, {"thinking_budget": 0}, {"model": "digits(off)"}, {"model": "full(8)"}]
)
def test_a_number_of_a_mode_and_another_budget_contradict_each_other(router: Router, given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="contradict") as caught:
        router.route("3+4", mode="think(64)", **given)
    assert caught.value.field == "mode"


def test_a_bare_number_is_a_quality(router: Router) -> None:
    assert router.route("3+4", objective=0.9).objective == Objective(ObjectiveKind.QUALITY, 0.9)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"objective": 1.5}, "objective"),
        ({"objective": True}, "objective"),
        ({"objective": [0.9]}, "objective"),
        ({"objective": Objective(value="high")}, "objective"),
        ({"thinking_budget": "8"}, "thinking_budget"),
        ({"thinking_budget": 8.5}, "thinking_budget"),
        ({"thinking_budget": True}, "thinking_budget"),
        ({"mode": 3}, "mode"),
        ({"model": None}, "model"),
    ],
)
def test_wrong_arguments_are_refused_by_field(router: Router, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        router.route("3+4", **given)
    assert caught.value.field == field


def test_a_routes_name_says_what_its_mode_does(router: Router) -> None:
    assert router.route("3+4", model="digits", mode="direct").route.name == "small"
    decision = router.route("3+4", thinking_budget=8)
    assert (decision.route.name, decision.reason) == ("digits(8)", "asked for")
    with pytest.raises(BadRequest, match="contradict"):
        router.route("3+4", model="digits(17)", mode="direct")


@pytest.mark.parametrize("store", ["sqlite:///{folder}/file/sub/p.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_store_that_is_down_is_a_warning_and_decisions_go_on(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What ships serves; the record waits in memory."""
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        router = Router.from_config(home=tmp_path, store=store.format(folder=tmp_path))
    (warning,) = caplog.messages  # once, whoever else finds it down
    assert warning.startswith("The store cannot be used, so nothing is remembered")
    assert router.route("3+4").route.name == "small"
    assert router.store.stats().depth == 1
    router.store.close(0.1)
    router.close()
