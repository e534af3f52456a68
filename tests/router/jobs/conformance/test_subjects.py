"""What is checked, and what of it costs money or would have to be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedEngine, says

from pointsman.backends import Identity, ModelInfo
from pointsman.domain import Capabilities
from pointsman.errors import BackendUnavailable, BadRequest
from pointsman.router import Router
from pointsman.router.jobs.conformance.subjects import chosen, not_loaded, paid, subject

PRICE = {"input": 1, "output": 2}
URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def router(tmp_path: Path) -> Any:
    """A launched model and one elsewhere, both priced."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    with Router.from_config(
        empty,
        home=tmp_path / "h",
        models={"digits": {"embedded": "digits"}, "far": {"url": URL, "model": "org/digits"}},
        routes={
            "a": {"model": "digits", "mode": "direct", "price": PRICE},
            "b": {"model": "digits", "price": PRICE},
            "c": {"model": "far", "price": PRICE},
        },
    ) as made:
        yield made


def test_routes_are_checked_by_model(router: Router) -> None:
    assert {model: [r.name for r in routes] for model, routes in chosen(router).items()} == {
        "digits": ["a", "b"],
        "far": ["c"],
    }
    assert {model: [r.name for r in routes] for model, routes in chosen(router, ["b"]).items()} == {"digits": ["b"]}
    with pytest.raises(BadRequest, match="There is no route 'x'; there are"):
        chosen(router, ["b", "x"])


@pytest.mark.parametrize(
    ("url", "costs"),
    [
        ("https://api.example.com/v1", True),
        ("http://8.8.8.8:8000/v1", True),
        ("http://127.0.0.1:9/v1", False),
        ("http://[::1]:9/v1", False),
        ("http://192.168.1.7:8000/v1", False),
        ("http://gpu-box:8000/v1", False),
        ("http://localhost/v1", False),
        ("http://gpu.lan/v1", False),
    ],
)
def test_only_what_runs_outside_of_the_owners_network_at_a_price_costs_money(
    tmp_path: Path, url: str, costs: bool
) -> None:
    models = {"near": {"embedded": "digits"}, "far": {"url": url, "model": "org/digits"}}
    routes = {name: {"model": name, "price": PRICE} for name in models}
    (tmp_path / "empty.yaml").write_text("")
    with Router.from_config(tmp_path / "empty.yaml", home=tmp_path / "h", models=models, routes=routes) as router:
        assert paid(router, list(models)) == (("far",) if costs else ())


def test_assumed_prices_are_nobodys_money(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    with Router.from_config(
        tmp_path / "empty.yaml",
        home=tmp_path / "h2",
        models={"far": {"url": "https://api.example.com/v1", "parameters": 8}},
    ) as assumed:
        assert paid(assumed, ["far"]) == ()


def test_only_what_is_known_not_to_be_loaded_would_have_to_be(router: Router) -> None:
    told = {name: Identity("x", "", "f", loaded) for name, loaded in (("a", True), ("b", False), ("c", None))}
    assert not_loaded({**told, "d": None}) == ("b",)


class Mute(ScriptedEngine):
    """It answers, and says nothing of itself."""

    async def capabilities(self) -> Capabilities:
        raise BackendUnavailable("says nothing", backend=self.name)

    async def models(self) -> tuple[ModelInfo, ...]:
        raise BackendUnavailable("says nothing", backend=self.name)


async def test_digits_is_asked_chains_by_whatever_engine_it_is_served(router: Router) -> None:
    router.engines |= {"digits": ScriptedEngine("digits", says("7")), "far": Mute("far", says("7"))}
    near = await subject(router, "digits", chosen(router)["digits"])
    far = await subject(router, "far", chosen(router)["far"])
    assert (near.digits, far.digits) == (True, True)
    assert (near.asked, near.listed, near.able.thinks) == (None, ("served-name",), True)
    assert (far.asked, far.listed, far.able) == ("org/digits", (), Capabilities())
