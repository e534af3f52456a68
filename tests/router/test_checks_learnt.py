"""A router learns what was found of its routes when its engines open, and stops believing it when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stub as stubs

from pointsman.backends import ModelConfig, identify
from pointsman.domain import Enforcement, Query, Tier
from pointsman.errors import BadRequest, ConfigError
from pointsman.router import Router
from pointsman.router.config import load
from pointsman.store import CheckRow

AT = datetime(2026, 11, 28, tzinfo=UTC)
ASKED = Query(messages=({"role": "user", "content": "?"},))


class Server(stubs.Stub):
    """A stub whose list of models can change."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = ["stub"]

    async def _handle(self, request: Any) -> Any:
        if request.path == "/v1/models":
            self.requests.append((request.path, {}))
            return stubs.web.json_response({"data": [{"id": one} for one in self.ids]})
        return await super()._handle(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.start()
    yield made
    await made.stop()


def settings(url: str, **budgeted: Any) -> dict[str, Any]:
    return {
        "models": {"m": {"url": url, "model": "stub", "parameters": 1, "dialect": "sglang"}},
        "routes": {
            "off": {"model": "m", "mode": "direct", "thinking_budget": 0, "tier": "small"},
            "some": {"model": "m", "mode": "think", "thinking_budget": 64, "tier": "budgeted", **budgeted},
        },
    }


async def found(url: str, *rows: dict[str, Any]) -> list[CheckRow]:
    """Rows as a check of that server writes them now."""
    told = await identify("m", ModelConfig(url=url, model="stub", dialect="sglang"), url)
    common = {"model": "m", "engine": told.engine, "version": told.version, "fingerprint": told.fingerprint}
    return [CheckRow(**{**common, "created_at": AT, **row}) for row in rows]


BROKEN = {"about": "off", "ruling": "broken", "sentence": "Off is not off."}
OFF = {"route": "off", "mode": "direct", "thinking_budget": 0, "enforced": Enforcement.NONE, "findings": (BROKEN,)}
SOME = {"route": "some", "mode": "think", "thinking_budget": 64, "enforced": Enforcement.PROMPT, "findings": ()}


async def opened(home: Path, server: Server, *rows: dict[str, Any], **budgeted: Any) -> Router:
    empty = home / "empty.yaml"
    empty.write_text("")
    router = Router.from_config(empty, home=home / "home", **settings(server.url, **budgeted))
    if rows:
        router.store.add_checks(await found(server.url, *rows))
    await router.open_engines({})
    return router


async def test_what_was_found_is_warned_of_before_the_answer_and_takes_the_tier(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    router = await opened(tmp_path, server, OFF, SOME)
    try:
        decision = router.decide(ASKED, router.wish("off"))
        assert decision.warnings == ("Off is not off (checked 2026-11-28)",)
        assert router.decider.certificates.enforced(decision.route) is Enforcement.NONE
        with pytest.raises(BadRequest, match="No route is of the tier 'budgeted'"):
            router.decide(ASKED, router.wish("auto:budgeted"))
        assert router.decide(ASKED, router.wish("some")).route.tier is None  # it serves whoever asks for it by name
        assert "some is not offered as budgeted" in caplog.text
    finally:
        await router.aclose()


async def test_an_owner_who_insists_keeps_the_tier(tmp_path: Path, server: Server) -> None:
    router = await opened(tmp_path, server, SOME, insist=True)
    try:
        assert router.decide(ASKED, router.wish("auto:budgeted")).route.tier is Tier.BUDGETED
    finally:
        await router.aclose()


async def test_when_the_engine_changes_nothing_is_believed_until_it_is_checked_again(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another list of models is another engine, as far as anybody can tell from outside."""
    monkeypatch.setattr("pointsman.router.router.IDENTITY_S", 0.0)
    router = await opened(tmp_path, server, OFF, SOME)
    try:
        server.ids.append("another")
        await router.learn_checks()
        assert router.decide(ASKED, router.wish("off")).warnings == ()
        assert router.decide(ASKED, router.wish("auto:budgeted")).route.name == "some"
        assert "changed since it was checked" in router.decider.certificates.standing(router.routes[0])
        router.store.add_checks(await found(server.url, OFF))
        await router.learn_checks()
        assert router.decide(ASKED, router.wish("off")).warnings
    finally:
        await router.aclose()


async def test_what_is_found_while_it_serves_is_learnt(tmp_path: Path, server: Server) -> None:
    router = await opened(tmp_path, server)
    try:
        assert router.decide(ASKED, router.wish("off")).warnings == ()
        router.store.add_checks(await found(server.url, OFF))
        await router.learn_checks()
        assert router.decide(ASKED, router.wish("off")).warnings
    finally:
        await router.aclose()


async def test_a_server_is_asked_what_it_is_only_where_there_is_something_to_believe(
    tmp_path: Path, server: Server
) -> None:
    """And not at every look."""
    router = await opened(tmp_path, server)
    try:
        await router.learn_checks()
        assert "/props" not in {path for path, _ in server.requests}
        router.store.add_checks(await found(server.url, OFF))
        await router.learn_checks()
        count = len(server.requests)
        assert "/props" in {path for path, _ in server.requests}
        await router.learn_checks()
        assert len(server.requests) == count
    finally:
        await router.aclose()


async def test_a_server_that_is_down_is_not_believed_to_be_what_it_was(tmp_path: Path, server: Server) -> None:
    """And its router opens all the same."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    router = Router.from_config(empty, home=tmp_path / "home", **settings(server.url))
    try:
        router.store.add_checks(await found(server.url, OFF))
        await server.stop()
        await router.open_engines({})
        assert router.decide(ASKED, router.wish("off")).warnings == ()
    finally:
        await router.aclose()


def test_insist_is_a_setting_of_a_route(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "models: {m: {url: 'http://127.0.0.1:9/v1', parameters: 1}}\nroutes:\n  r: {model: m, insist: maybe}\n"
    )
    with pytest.raises(ConfigError, match=r"c\.yaml:3: routes\.r\.insist"):
        load(file, {}, environ={})
