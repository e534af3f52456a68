"""The names that can be asked for, the state of the process, and the description of it all."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import openai
import pytest

from pointsman.api.responses import ModelList, Readiness


def test_every_name_is_listed_with_what_stands_behind_it(client: openai.OpenAI, proxy: Any) -> None:
    names = {model.id: model for model in client.models.list()}
    assert {"auto", "auto:small", "auto:budgeted", "auto:full", "small", "full", "digits"} <= set(names)
    listed = ModelList.model_validate(proxy.get("/v1/models").json())
    facts = {model.id: model.pointsman for model in listed.data}
    assert (facts["small"]["model"], facts["small"]["mode"], facts["small"]["thinking_budget"]) == (
        "digits",
        "direct",
        0,
    )
    assert facts["full"]["context"] == proxy.router.settings.models["digits"].context
    assert client.models.retrieve("auto:full").id == "auto:full"


def test_every_name_that_is_listed_can_be_asked_for(client: openai.OpenAI, proxy: Any) -> None:
    for model in client.models.list():
        assert proxy.post("/v1/route", {"query": "3+4", "model": model.id}).status_code == 200, model.id


def test_an_unknown_name_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("org/no-such:model")


def test_a_ready_proxy_says_what_it_serves_and_how_its_store_stands(proxy: Any) -> None:
    response = proxy.get("/ready")
    state = Readiness.model_validate(response.json())
    assert (response.status_code, state.ready) == (200, True)
    assert "digits" in state.engines
    assert "small" in state.routes
    assert state.store.dropped == 0
    assert proxy.get("/health").json()["status"] == "ok"


def test_a_dead_model_server_is_named_and_does_not_take_the_others_out_of_service(
    stubbed: Callable[..., Any], make_upstream: Callable[[], Any]
) -> None:
    """Once every engine was well, one is enough to be ready; with none left the proxy is not ready."""
    with make_upstream() as other, stubbed("good", "thinker", urls={"thinker": other.base}) as proxy:
        other.stop()
        state = proxy.get("/ready")
        assert state.status_code == 200
        assert set(state.json()["missing"]) == {"thinker"}
        assert set(state.json()["engines"]) == {"good"}
        assert proxy.ask().status_code == 200
    with make_upstream() as other, stubbed("good", urls={"good": other.base}) as proxy:
        other.stop()
        assert proxy.get("/ready").status_code == 503
        assert set(proxy.get("/ready").json()["missing"]) == {"good"}


def test_a_model_server_that_comes_up_late_is_waited_for_while_the_others_answer(
    stubbed: Callable[..., Any], make_upstream: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    """Not ready, and saying why, until it is up; and what its model can do is then known."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    late = {"thinker": f"http://127.0.0.1:{port}"}
    with stubbed("good", "thinker", urls=late, ready=False) as proxy:
        wait_until(lambda: proxy.get("/ready").json()["engines"], "one engine is open")
        state = proxy.get("/ready")
        assert state.status_code == 503
        assert set(state.json()["missing"]) == {"thinker"}
        assert proxy.ask().status_code == 200
        with make_upstream(port):
            wait_until(lambda: proxy.get("/ready").status_code == 200, "the proxy is ready")
            assert "yes" in proxy.ask(model="thinker").text


def test_a_model_server_that_stays_down_is_not_waited_for_without_end(
    stubbed: Callable[..., Any], wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.api.service.WAIT_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    with stubbed("good", "thinker", urls={"thinker": dead}, ready=False) as proxy:
        wait_until(lambda: proxy.get("/ready").status_code == 200, "the proxy is ready without it")
        assert set(proxy.get("/ready").json()["missing"]) == {"thinker"}


def test_a_model_server_that_takes_connections_and_says_nothing_does_not_keep_the_others_back(
    stubbed: Callable[..., Any], wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its capabilities are not waited for; the others answer meanwhile."""
    monkeypatch.setattr("pointsman.router.build.CAPABILITIES_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = {"thinker": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with stubbed("good", "thinker", urls=urls, ready=False) as proxy:
            wait_until(lambda: proxy.ask().status_code == 200, "the others answer")
            assert proxy.ask().json()["choices"][0]["message"]["content"] == "Grüße"


def test_the_description_has_every_endpoint_with_its_bodies_and_errors(proxy: Any) -> None:
    told = proxy.get("/openapi.json").json()
    chat = told["paths"]["/v1/chat/completions"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ChatRequest")
    assert {"200", "400", "404", "413", "503", "504"} <= set(chat["responses"])
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    schemas = told["components"]["schemas"]
    assert {"model", "messages", "thinking_budget", "stream", "tools"} <= set(schemas["ChatRequest"]["properties"])
    references = {part.split('"')[0] for part in str(told).replace("'", '"').split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
    statuses = {status for path in told["paths"].values() for one in path.values() for status in one["responses"]}
    assert "422" not in statuses, "no answer has it"
    for path in ("/v1/route", "/v1/feedback", "/v1/decisions/{decision_id}", "/v1/models", "/health", "/ready"):
        assert path in told["paths"]
    assert proxy.get("/docs").status_code == 200


def test_the_first_page_shows_the_routes_without_a_network(proxy: Any) -> None:
    page = proxy.get("/")
    assert page.status_code == 200
    assert "<td>budgeted<td>digits<td>think<td>17" in page.text
    assert "<script" not in page.text
