"""What `pointsman check` found, in the headers of answers and in GET /ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from pointsman.backends import Endpoint, identify
from pointsman.domain import Enforcement
from pointsman.router.config import load
from pointsman.store import CheckRow, StoreConfig, open_store

OVERRUN = {"about": "budget", "ruling": "broken", "sentence": "A budget of 17 was overrun by 90 tokens."}


def remember(home: Path, engines: Mapping[str, Endpoint]) -> None:
    """What a check of the shipped routes found, the budgets of digits overrun."""
    config, at = load(environ={})[0].models["digits"], engines["digits"]
    told = asyncio.run(identify("digits", config, at.url, at.api_key))
    rows = [
        CheckRow(
            *(name, "digits", mode, budget, told.engine, told.version, told.fingerprint, way, found),
            datetime(2026, 11, 28, tzinfo=UTC),
        )
        for name, mode, budget, way, found in (
            ("small", "direct", 0, Enforcement.NATIVE, ()),
            ("budgeted", "think", 17, Enforcement.NONE, (OVERRUN,)),
        )
    ]
    with open_store(StoreConfig(url=f"sqlite:///{home / 'pointsman.db'}")) as store:
        store.upgrade()
        store.add_checks(rows)


def streamed(http: httpx.Client, model: str) -> Mapping[str, str]:
    """The headers of a stream, which come before it."""
    body = {"model": model, "messages": [{"role": "user", "content": "3+4*2"}], "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        response.read()
        return response.headers


def test_a_streams_headers_tell_what_was_found_before_it_begins(
    make_proxy: Callable[..., Any], engines: Mapping[str, Endpoint], tmp_path: Path
) -> None:
    home = tmp_path / "checked"
    home.mkdir()
    remember(home, engines)
    with make_proxy(home=home) as proxy:
        told = streamed(proxy.http, "budgeted")
        assert told["x-pointsman-thinking-enforced"] == "none"
        assert told["x-pointsman-warnings"] == "A budget of 17 was overrun by 90 tokens (checked 2026-11-28)"
        told = streamed(proxy.http, "small")
        assert told["x-pointsman-thinking-enforced"] == "native"
        assert "x-pointsman-warnings" not in told
        assert "x-pointsman-thinking-enforced" not in streamed(proxy.http, "chat")  # nobody has checked that
        whole = proxy.ask(model="budgeted").headers
        assert whole["x-pointsman-thinking-enforced"] == "native"  # of this answer it is known
        assert "overrun by 90" in whole["x-pointsman-warnings"]
        assert proxy.ask(model="auto:budgeted").status_code == 400
        checked = proxy.get("/ready").json()["checked"]
        assert checked["budgeted"] == "none, checked 2026-11-28"
        assert checked["chat"] == "not checked: run pointsman check"
